"""What looks different and is not: one test for each line of the design's list, as far as core decides it.

A deletion that is still visible and a name that is not free yet: test_core_decide, "What is not really there".
"""

from __future__ import annotations

from typing import Any

import pytest

from specrunner.core.diff import HIDDEN, changes, drift
from specrunner.core.keys import Kind
from specrunner.core.resources import Presence, Resource
from tests.unit.core_samples import MODEL, PIPELINE, SCHEDULED, live, live_of, plan_for, resource, task

CONNECTION: dict[str, Any] = {"type": "HTTP", "workspaces": ["a", "b"], "details": {"host": "x", "port": 80}}


def connection(**fields: Any) -> Resource:
    return resource(Kind.CONNECTION, "inputs", {**CONNECTION, **fields})


# A server fills a default.


def test_a_default_that_the_server_fills_in_is_no_drift() -> None:
    one = connection()
    assert changes(one, live_of(one, spec={**CONNECTION, "timeout": 30, "tls": {"verify": True}})) == ()


def test_a_default_that_the_server_fills_in_inside_of_a_declared_mapping_is_no_drift() -> None:
    more = {**PIPELINE, "resources": {"replicas": 1, "cpus": 2, "gpu": {"count": 0}}, "log": {"level": "info"}}
    for resources in ({"replicas": 1}, {}):
        one = resource(Kind.PIPELINE, "p", {**PIPELINE, "resources": resources})
        assert changes(one, live_of(one, spec=more)) == ()


def test_a_default_that_was_declared_once_is_drift_of_its_own_again() -> None:
    """What was applied counts until it is applied that it does not."""
    old = resource(Kind.PIPELINE, "p", {**PIPELINE, "resources": {"replicas": 1, "cpus": 2}})
    new = resource(Kind.PIPELINE, "p", {**PIPELINE, "resources": {"replicas": 1}})
    (change,) = changes(new, live_of(old))
    assert (change.path, change.old, change.new, change.drift) == ("resources.cpus", 2, None, False)
    assert changes(new, live_of(new, spec=old.spec)) == ()


@pytest.mark.parametrize("field", ["args", "env"])
def test_what_users_make_up_themselves_is_theirs_whole(field: str) -> None:
    one = task({**SCHEDULED, field: {"A": "x"}})
    (change,) = changes(one, live_of(one, spec={**SCHEDULED, field: {"A": "x", "B": ""}}))
    assert (change.path, change.drift, change.live) == (f"{field}.B", True, HIDDEN)


# Another order of a list.


def test_another_order_of_an_unordered_list_is_no_drift() -> None:
    one = connection()
    assert changes(one, live_of(one, spec={**CONNECTION, "workspaces": ["b", "a"]})) == ()
    scheduled = task({**SCHEDULED, "workspaces": ["a", "b"]})
    assert changes(scheduled, live_of(scheduled, spec={**scheduled.spec, "workspaces": ["b", "a"]})) == ()


# A field that is accepted and never returned.


def test_a_field_that_is_accepted_and_never_returned_is_no_drift() -> None:
    one = task({**SCHEDULED, "secretEnv": {"KEY": {"env": "KEY"}}, "timeout": 60})
    told = {name: value for name, value in one.spec.items() if name not in {"secretEnv", "timeout"}}
    (change,) = changes(one, live_of(one, spec=told))
    assert (change.path, change.drift) == ("timeout", True)
    assert changes(one, live_of(one, spec=told, opaque=frozenset({"timeout"}))) == ()


def test_a_change_of_a_field_that_is_never_returned_is_yours_and_no_drift() -> None:
    old, new = (task({**SCHEDULED, "timeout": seconds}) for seconds in (60, 90))
    (change,) = changes(new, live_of(old, spec=SCHEDULED, opaque=frozenset({"timeout"})))
    assert (change.old, change.new, change.live, change.drift) == (60, 90, None, False)


# A masked value compared with a real one.

PATH = "details.a.b.pass.word"


def masked(port: int = 1) -> dict[str, Any]:
    return {**CONNECTION, "details": {"host": "x", "a.b": {"pass.word": "****"}, "port": port}}


def test_a_masked_value_is_not_compared_with_the_real_one() -> None:
    one = connection(details={"host": "x", "a.b": {"pass.word": "s"}, "port": 1})
    assert changes(one, live_of(one, spec=masked(), opaque=frozenset({PATH}))) == ()
    (change,) = changes(one, live_of(one, spec=masked()))
    assert (change.path, change.drift) == (PATH, True)


def test_what_somebody_changes_beside_a_masked_value_is_still_seen() -> None:
    one = connection(details={"host": "x", "a.b": {"pass.word": "s"}, "port": 1})
    (change,) = changes(one, live_of(one, spec=masked(port=2), opaque=frozenset({PATH})))
    assert (change.path, change.live) == ("details.port", 2)


def test_a_mask_is_never_shown_as_the_value_of_an_object_of_nobody() -> None:
    one = connection(details={"host": "x", "a.b": {"pass.word": "s"}, "port": 1})
    (change,) = changes(one, live_of(one, spec=masked(), applied=None, owner=None, opaque=frozenset({PATH})))
    assert (change.old, change.live) == (None, None)
    assert "****" not in str(change)


# A normalised name.


def test_a_name_that_the_target_normalises_is_read_back_under_the_declared_key() -> None:
    one = resource(Kind.CONNECTION, "My Inputs", CONNECTION)
    assert plan_for([one], live(live_of(one, id="my-inputs"))).steps == ()


# Empty, "" and absent.


@pytest.mark.parametrize("nothing", [None, "", [], {}])
@pytest.mark.parametrize(("kind", "spec", "field"), [(Kind.TASK, SCHEDULED, "executor"), (Kind.MODEL, MODEL, "inputs")])
def test_nothing_is_nothing_however_it_is_written(kind: Kind, spec: Any, field: str, nothing: Any) -> None:
    absent, written = resource(kind, "x", spec), resource(kind, "x", {**spec, field: nothing})
    for declared, there in ((absent, written), (written, absent)):
        for applied in (absent, written):
            assert changes(declared, live_of(declared, spec=there.spec, applied=applied.spec)) == ()


# Numbers, durations and sizes.


@pytest.mark.parametrize(
    ("path", "ours", "theirs"),
    [
        ("timeout", 60, "60s"),
        ("timeout", 60, "1m0s"),
        ("timeout", 60, 60.0),
        ("retries.backoff", 90, "1m30s"),
        ("schedule.jitter", 0, "0s"),
        ("schedule.startingDeadline", 3600, "1h"),
        ("resources.memory", 512 * 1024**2, "512Mi"),
        ("resources.cpus", 2, "2.0"),
        ("resources.cpus", 0.5, "0.5"),
    ],
)
def test_a_number_a_duration_or_a_size_written_otherwise_is_no_drift(path: str, ours: Any, theirs: Any) -> None:
    def spec(value: Any) -> dict[str, Any]:
        name, _, rest = path.partition(".")
        inner: Any = {**SCHEDULED.get(name, {}), rest: value} if rest else value
        return {**SCHEDULED, name: inner}

    one = task(spec(ours))
    assert changes(one, live_of(one, spec=spec(theirs))) == ()
    assert changes(one, live_of(one, spec=spec(theirs), applied=spec(theirs))) == ()
    for other in ("7", "what is this?"):
        (change,) = changes(one, live_of(one, spec=spec(other)))
        assert (change.path, change.drift) == (path, True)


# Labels that the server adds.


def test_labels_that_the_server_adds_are_no_drift_and_changes_of_ours_still_are() -> None:
    ours = {"team": "a"}
    one = resource(Kind.CONNECTION, "inputs", CONNECTION, labels=ours)
    assert changes(one, live_of(one, labels={**ours, "server/id": "7"}, applied_labels=ours)) == ()
    (change,) = changes(one, live_of(one, labels={"team": "b", "server/id": "7"}, applied_labels=ours))
    assert (change.path, change.live, change.drift) == ("metadata.labels.team", "b", True)


def test_a_label_that_is_taken_out_of_the_files_goes_and_those_of_the_server_stay() -> None:
    one, ours = connection(), {"team": "a"}
    (change,) = changes(one, live_of(one, labels={**ours, "server/id": "7"}, applied_labels=ours))
    assert (change.path, change.old, change.new) == ("metadata.labels.team", "a", None)


# And nothing real is overlooked.


def test_a_label_without_a_value_is_a_label_all_the_same() -> None:
    bare, labelled = connection(), resource(Kind.CONNECTION, "inputs", CONNECTION, labels={"legacy": ""})
    for declared, there in ((bare, labelled), (labelled, bare)):
        assert [change.path for change in changes(declared, live_of(there))] == ["metadata.labels.legacy"]


@pytest.mark.parametrize("theirs", [{"a": [{"b": 1}], "c": 1}, {"a": [{"b": True}], "c": True}])
def test_true_is_not_taken_for_one_by_the_quick_way_either(theirs: Any) -> None:
    one = connection(details={"a": [{"b": True}], "c": 1})
    spec = {**one.spec, "details": theirs}
    assert changes(one, live_of(one, spec=spec))
    assert changes(one, live_of(one, spec=spec, applied=spec))


# Drift by itself, whatever the files say.


def test_drift_is_live_against_applied_alone() -> None:
    found = live_of(connection(), spec={**CONNECTION, "details": {"host": "theirs", "port": 80}, "more": 1})
    (change,) = drift(found)
    assert (change.path, change.old, change.new, change.live) == ("details.host", "x", "x", "theirs")
    assert change.drift
    assert change.reason == "changed on the target by somebody else"


def test_what_is_as_applied_has_not_drifted() -> None:
    labels = {"team": "a"}
    for one in (connection(), resource(Kind.PIPELINE, "p", PIPELINE, labels=labels, protect=True, description="d")):
        assert drift(live_of(one)) == ()
        assert drift(live_of(one, labels={**one.labels, "server": "x"}, applied_labels=one.labels)) == ()


def test_what_is_not_there_or_nobodys_has_no_drift_of_fields() -> None:
    found = live_of(connection(), spec={})
    assert drift(found)
    for presence in (Presence.MISSING, Presence.LEAVING, Presence.RECORDED):
        assert drift(live_of(connection(), spec={}, presence=presence)) == ()
    assert drift(live_of(connection(), spec={}, owner=None, applied=None)) == ()
