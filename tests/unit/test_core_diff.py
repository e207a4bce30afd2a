"""What differs, and whose change it is."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from specrunner.core.diff import (
    ALREADY_SO,
    HIDDEN,
    SECRET,
    SOMEBODY_ELSE,
    Difference,
    FieldChange,
    changes,
    differences,
    drift,
    secret_changes,
)
from specrunner.core.errors import Place
from specrunner.core.fields import Action
from specrunner.core.keys import Kind
from specrunner.core.resources import LiveObject, Resource
from tests.unit.core_samples import MODEL, PIPELINE, PLACE, RUN_ONCE, SCHEDULED, live_of, resource, task

CONNECTION: dict[str, Any] = {"type": "HTTP", "workspaces": ["a", "b"], "details": {"host": "x", "port": 80}}


def connection(**fields: Any) -> Resource:
    return resource(Kind.CONNECTION, "inputs", {**CONNECTION, **fields})


def found(declared: dict[str, Any], on_target: dict[str, Any], applied: dict[str, Any] | None) -> tuple[Any, ...]:
    wanted = resource(Kind.CONNECTION, "inputs", declared)
    return changes(wanted, live_of(wanted, spec=on_target, applied=applied))


def test_mappings_are_compared_field_by_field_and_lists_whole() -> None:
    old = {"a": {"x": 1, "y": [1, 2]}, "b": "same", "gone": "g"}
    new = {"a": {"x": 2, "y": [2, 1]}, "b": "same", "new": 0}
    assert list(differences(old, new)) == [
        Difference(("a", "x"), 1, 2),
        Difference(("a", "y"), [1, 2], [2, 1]),
        Difference(("gone",), "g", None),
        Difference(("new",), None, 0),
    ]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({}, {"a": None}),
        ({}, {"a": {}}),
        ({"a": None}, {"a": {"b": {}}}),
        (None, {}),
        (None, {"a": None}),
        (1, 1.0),
        ([1], [1.0]),
        ([1], (1,)),
        ([{"a": None}], [{}]),
        ([{"a": 1}], [{"a": 1, "b": None}]),
        ({}, []),
        ({"a": []}, {}),
        ({"a": ""}, {}),
        ({"a": {"b": ""}}, {"a": []}),
        ([{"a": ""}], [{}]),
    ],
)
def test_these_are_the_same(one: Any, other: Any) -> None:
    assert not list(differences(one, other))
    assert not list(differences(other, one))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (1, True),
        (0, False),
        ([1], [True]),
        ([[0]], [[False]]),
        ([{"a": 1}], [{"a": True}]),
        ([{}], [{"a": 1}]),
        ("1", 1),
        ({}, 1),
        ({"a": False}, {}),
        ({"a": 0}, {}),
        ([], [None]),
        ([1, 2], [1]),
    ],
)
def test_these_differ(one: Any, other: Any) -> None:
    assert list(differences(one, other))
    assert list(differences(other, one))


def test_an_object_as_declared_has_no_changes() -> None:
    for one in (connection(), task(), task(SCHEDULED), resource(Kind.PIPELINE, "p", PIPELINE)):
        assert changes(one, live_of(one)) == ()


# What looks different and is not; the list of the design is in test_core_phantom_drift.


def test_an_empty_mapping_and_an_absent_one_are_the_same() -> None:
    empty = {**CONNECTION, "details": {}}
    absent = {name: value for name, value in empty.items() if name != "details"}
    for declared, on_target, applied in [
        (empty, absent, empty),
        (absent, empty, absent),
        (absent, empty, empty),
        (empty, absent, absent),
        ({**absent, "details": None}, empty, absent),
    ]:
        assert found(declared, on_target, applied) == ()


def test_an_empty_description_and_empty_labels_are_as_good_as_none() -> None:
    one = connection()
    assert changes(one, live_of(one, description="", labels={}, protect=False)) == ()


def test_numbers_written_otherwise_are_the_same_number() -> None:
    declared = {**CONNECTION, "details": {"cpus": 1, "shares": [1, 2]}}
    assert found(declared, {**CONNECTION, "details": {"cpus": 1.0, "shares": [1.0, 2.0]}}, declared) == ()


def test_a_file_that_moved_with_the_same_content_is_no_change() -> None:
    one = resource(Kind.MODEL, "m", {**MODEL, "path": "moved/m.onnx"})
    assert changes(one, live_of(one, spec=MODEL, applied=MODEL)) == ()


def test_a_field_that_is_accepted_and_comes_back_only_as_a_reference_is_no_drift() -> None:
    declared = {**CONNECTION, "detailsFrom": {"env": "DETAILS"}}
    assert found(declared, declared, declared) == ()


def test_a_field_that_the_target_fills_in_and_nobody_declares_any_more_goes_away_only_if_it_was_ours() -> None:
    less = {"type": "HTTP", "workspaces": ["a", "b"]}
    (change,) = found(less, {**less, "details": {"host": "x"}}, {**less, "details": {"host": "x"}})
    assert (change.path, change.old, change.new, change.drift) == ("details.host", "x", None, False)
    assert found(less, {**less, "details": {"host": "x"}}, less) == ()


# Whose change it is.


def test_what_you_changed_names_your_file() -> None:
    declared = connection(details={"host": "y", "port": 80})
    (change,) = changes(declared, live_of(connection()))
    assert change == FieldChange("details.host", Action.UPDATE, "changed in specs.yaml:3", "x", "y")


def test_what_you_changed_names_the_place_of_the_field_where_it_is_known() -> None:
    asked = []

    def locate(path: tuple[str, ...]) -> Place:
        asked.append(path)
        return Place("tasks.yaml", 12, 3)

    declared = replace(connection(details={"host": "y", "port": 80}), locate=locate)
    (change,) = changes(declared, live_of(connection()))
    assert change.reason == "changed in tasks.yaml:12:3"
    assert changes(declared, live_of(declared)) == ()
    assert asked == [("details", "host")]


def test_what_somebody_else_changed_is_drift_and_shows_the_live_value() -> None:
    drifted = {**CONNECTION, "details": {"host": "z", "port": 80}}
    (change,) = found(CONNECTION, drifted, CONNECTION)
    reason = "changed on the target by somebody else"
    assert change == FieldChange("details.host", Action.UPDATE, reason, "x", "x", live="z", drift=True)


def test_what_both_changed_shows_three_values_and_is_told_apart() -> None:
    declared = {**CONNECTION, "details": {"host": "mine", "port": 80}}
    (change,) = found(declared, {**CONNECTION, "details": {"host": "theirs", "port": 80}}, CONNECTION)
    assert (change.old, change.new, change.live, change.drift) == ("x", "mine", "theirs", False)
    assert change.reason == "changed in specs.yaml:3, and on the target by somebody else"


def test_your_change_and_drift_in_one_object_are_two_changes() -> None:
    declared = {**CONNECTION, "type": "BIGQUERY"}
    mine, theirs = sorted(
        found(declared, {**CONNECTION, "details": {"host": "x", "port": 81}}, CONNECTION),
        key=lambda change: change.drift,
    )
    assert (mine.path, mine.drift) == ("type", False)
    assert (theirs.path, theirs.drift, theirs.live) == ("details.port", True, 81)


def test_a_removed_field_on_the_target_is_drift() -> None:
    (change,) = found(CONNECTION, {**CONNECTION, "details": {"host": "x"}}, CONNECTION)
    assert (change.path, change.new, change.live, change.drift) == ("details.port", 80, None, True)


def test_an_added_key_in_a_declared_mapping_is_drift() -> None:
    (change,) = found(CONNECTION, {**CONNECTION, "details": {"host": "x", "port": 80, "more": 1}}, CONNECTION)
    assert (change.path, change.new, change.live, change.drift) == ("details.more", None, HIDDEN, True)


def test_what_the_target_has_already_of_your_change_only_needs_to_be_recorded() -> None:
    declared = {**CONNECTION, "type": "BIGQUERY"}
    (change,) = found(declared, declared, CONNECTION)
    assert (change.path, change.action, change.reason) == ("type", Action.UPDATE, ALREADY_SO)


def test_an_empty_value_that_the_target_dropped_is_not_taken_for_somebody_elses_change() -> None:
    applied = {**CONNECTION, "details": {"options": {}}}
    declared = {**CONNECTION, "details": {"options": 5}}
    (change,) = found(declared, {**CONNECTION, "details": {}}, applied)
    assert (change.reason, change.drift) == ("changed in specs.yaml:3", False)


def test_labels_description_and_protection_are_compared_as_metadata() -> None:
    declared = connection()
    old = live_of(declared, labels={"team": "pricing"}, description="was", protect=True)
    assert [(one.path, one.old, one.new) for one in changes(declared, old)] == [
        ("metadata.description", "was", None),
        ("metadata.labels.team", "pricing", None),
        ("metadata.protect", True, None),
    ]


def test_an_object_of_nobody_is_compared_with_what_it_is() -> None:
    declared = connection(type="BIGQUERY")
    (change,) = changes(declared, live_of(connection(), owner=None, applied=None))
    assert (change.old, change.new, change.live, change.drift) == ("HTTP", "BIGQUERY", None, False)


@pytest.mark.parametrize(
    ("theirs", "shown"),
    [
        ({"host": "x", "port": 80}, []),
        ({"host": "x", "port": "s3cret"}, [("details.port", HIDDEN, 80)]),
        ({"host": {"of": "s3cret"}, "port": 80}, [("details.host", HIDDEN, "x")]),
        ({"host": "x", "port": 80, "more": {"key": ["s3cret"]}}, [("details.more.key", HIDDEN, None)]),
        ({"host": "x"}, [("details.port", None, 80)]),
        ("s3cret", [("details", HIDDEN, {"host": "x", "port": 80})]),
    ],
)
def test_of_an_object_of_nobody_no_value_that_somebody_made_up_is_told(theirs: Any, shown: list[Any]) -> None:
    found = live_of(connection(details=theirs), owner=None, applied=None)
    assert [(one.path, one.old, one.new) for one in changes(connection(), found)] == shown


@pytest.mark.parametrize("field", ["env", "args"])
def test_that_holds_for_what_a_task_of_nobody_is_given_too(field: str) -> None:
    found = live_of(task({**RUN_ONCE, field: {"KEY": "s3cret"}}), owner=None, applied=None)
    (change,) = changes(task({**RUN_ONCE, field: {"KEY": "ours"}}), found)
    assert (change.path, change.old, change.new) == (f"{field}.KEY", HIDDEN, "ours")


@pytest.mark.parametrize(
    ("kind", "old", "new", "reason"),
    [
        (Kind.TASK, RUN_ONCE, {**RUN_ONCE, "orchestrationSha": "c" * 64}, "the orchestration has a new version"),
        (Kind.PIPELINE, PIPELINE, {**PIPELINE, "modelShas": {"m": "c" * 64}}, "a model of it has a new version"),
        (Kind.MODEL, MODEL, {**MODEL, "sha": "c" * 64}, "new content is a new version of the model"),
    ],
)
def test_what_follows_from_another_file_does_not_blame_this_one(
    kind: Kind, old: dict[str, Any], new: dict[str, Any], reason: str
) -> None:
    (change,) = changes(resource(kind, "x", new), live_of(resource(kind, "x", old)))
    assert change.reason == reason
    assert str(PLACE) not in change.reason


def test_a_field_that_makes_a_run_once_task_run_changes_a_scheduled_one_in_place() -> None:
    for spec, action in ((RUN_ONCE, Action.RUN), (SCHEDULED, Action.UPDATE)):
        (change,) = changes(task({**spec, "args": {"rows": 11}}), live_of(task(spec)))
        assert (change.path, change.action) == ("args.rows", action)


# Secrets: only fingerprints are compared, and nothing of them is shown.


def secret(before: str | None, now: str | None) -> tuple[FieldChange, ...]:
    declared = connection(detailsFrom={"env": "DETAILS"})
    declared = resource(Kind.CONNECTION, "inputs", declared.spec, secrets={"detailsFrom": {"env": "DETAILS"}})
    on_target: LiveObject = live_of(declared, secrets={"detailsFrom": before} if before else {})
    assert changes(declared, on_target) == ()
    return secret_changes(declared, on_target, {"detailsFrom": now})


def on_both(applied: str, held: dict[str, str] | None, now: str | None) -> tuple[LiveObject, tuple[FieldChange, ...]]:
    """A connection whose secret was applied and is held so, and what changes of it where it is `now`."""
    spec = connection(detailsFrom={"env": "DETAILS"}).spec
    declared = resource(Kind.CONNECTION, "inputs", spec, secrets={"detailsFrom": {"env": "DETAILS"}})
    on_target = live_of(declared, secrets={"detailsFrom": applied}, held=held)
    return on_target, secret_changes(declared, on_target, {"detailsFrom": now})


@pytest.mark.parametrize("now", ["f1", None])
def test_a_secret_that_somebody_else_has_exchanged_is_drift_of_which_nothing_is_shown(now: str | None) -> None:
    found, changed = on_both("f1", {"detailsFrom": "f9"}, now)
    told = FieldChange("detailsFrom", Action.UPDATE, SOMEBODY_ELSE, SECRET, SECRET, SECRET, drift=True)
    assert changed == drift(found) == (told,)


def test_a_secret_that_somebody_else_has_removed_is_drift() -> None:
    found, (change,) = on_both("f1", {}, "f1")
    assert (change.live, change.drift) == (None, True)
    assert drift(found) == (change,)


@pytest.mark.parametrize("held", [None, {"detailsFrom": "f1"}])
def test_a_secret_that_is_held_as_it_was_applied_or_that_nobody_can_tell_is_no_drift(
    held: dict[str, str] | None,
) -> None:
    found, changed = on_both("f1", held, "f1")
    assert changed == drift(found) == ()


def test_a_secret_that_both_have_changed_is_told_as_both() -> None:
    found, (change,) = on_both("f1", {"detailsFrom": "f9"}, "f2")
    assert change.reason == "its value changed, and on the target by somebody else"
    assert (change.live, change.drift, len(drift(found))) == (SECRET, False, 1)


def test_a_secret_that_somebody_else_has_changed_to_what_is_declared_now_is_only_recorded() -> None:
    _, (change,) = on_both("f1", {"detailsFrom": "f2"}, "f2")
    assert change.reason == "already so on the target; only the record is brought up to date"


def test_another_secret_on_the_target_makes_it_another_object_than_was_planned_for() -> None:
    same, _ = on_both("f1", {"detailsFrom": "f1"}, "f1")
    untold, _ = on_both("f1", None, "f1")
    other, _ = on_both("f1", {"detailsFrom": "f9"}, "f1")
    assert same.fingerprint == untold.fingerprint != other.fingerprint


def test_a_secret_with_the_same_fingerprint_is_unchanged() -> None:
    assert secret("f1", "f1") == ()


def test_a_secret_with_another_fingerprint_changed_and_neither_is_shown() -> None:
    (change,) = secret("f1", "f2")
    assert change == FieldChange("detailsFrom", Action.UPDATE, "its value changed", SECRET, SECRET)


def test_a_secret_that_was_never_applied_is_new() -> None:
    (change,) = secret(None, "f1")
    assert (change.old, change.new) == (None, SECRET)


def test_a_secret_that_cannot_be_read_here_changes_nothing_that_was_applied() -> None:
    assert secret("f1", None) == ()


def test_a_secret_that_was_never_applied_and_cannot_be_read_is_unknown_until_apply() -> None:
    (change,) = secret(None, None)
    assert change.reason == "its source can't be read here: unknown until apply"


def test_a_source_that_nobody_tried_counts_as_unreadable() -> None:
    declared = task({**RUN_ONCE, "secretEnv": {"KEY": {"env": "KEY"}}}, secrets={"secretEnv.KEY": {"env": "KEY"}})
    (change,) = secret_changes(declared, live_of(declared), {})
    assert "unknown until apply" in change.reason


def test_another_source_of_a_secret_is_an_ordinary_change_of_the_reference() -> None:
    declared = connection(detailsFrom={"env": "NEW"})
    (change,) = changes(declared, live_of(connection(detailsFrom={"env": "OLD"})))
    assert (change.path, change.old, change.new) == ("detailsFrom.env", "OLD", "NEW")


def test_what_somebody_else_has_added_to_our_own_object_is_told_without_its_value() -> None:
    grown = {**CONNECTION, "details": {**CONNECTION["details"], "password": "s3cret"}}
    (change,) = found(CONNECTION, grown, CONNECTION)
    assert (change.path, change.live, change.drift) == ("details.password", HIDDEN, True)
    assert "s3cret" not in repr(change)
