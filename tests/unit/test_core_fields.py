"""The field table against the schemas: a new field fails here until somebody decides how it behaves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from specrunner.core import fields
from specrunner.core.diff import changes
from specrunner.core.fields import NORMALISED, RULES, Action, Rule, Trait, rule_for
from specrunner.core.keys import Key, Kind
from specrunner.core.resources import Resource, is_run_once
from specrunner.spec.schema import property_schema, schema_of
from tests.unit.core_samples import PLACE, live_of

# Fields without a row of their own: these, and no others, are changed in place.
IN_PLACE: Mapping[Kind, set[str]] = {
    Kind.WORKSPACE: {"description", "connections"},  # both are moved elsewhere by the reader
    Kind.CONNECTION: {"details"},
    Kind.MODEL: set(),
    Kind.PIPELINE: {"log"},
    Kind.ORCHESTRATION: set(),
    Kind.TASK: set(),
}
# Fields that the reader adds; nobody writes them.
DERIVED: Mapping[Kind, set[str]] = {
    Kind.MODEL: {"sha"},
    Kind.PIPELINE: {"modelShas"},
    Kind.ORCHESTRATION: {"sha"},
    Kind.TASK: {"orchestrationSha"},
}
ROWS = [(kind, rule) for kind in Kind for rule in RULES[kind]]


def spec_fields(kind: Kind) -> set[str]:
    """Every field of a kind's spec, dotted; what a list holds counts as the list."""
    return set(_fields(property_schema(schema_of(kind), "spec") or {}, ""))


def _fields(schema: Mapping[str, Any], prefix: str) -> Iterator[str]:
    for name, part in schema.get("properties", {}).items():
        yield prefix + name
        yield from _fields(part, f"{prefix}{name}.")


@pytest.mark.parametrize("kind", Kind)
def test_every_field_of_the_schema_has_a_row_or_is_meant_to_change_in_place(kind: Kind) -> None:
    without_row = {path for path in spec_fields(kind) if not rule_for(kind, path).path}
    assert without_row == IN_PLACE[kind]


@pytest.mark.parametrize("kind", Kind)
def test_every_row_is_about_a_field_that_exists(kind: Kind) -> None:
    derived = DERIVED.get(kind, set())
    assert {rule.path for rule in RULES[kind]} <= spec_fields(kind) | derived
    assert {rule.path for rule in RULES[kind] if rule.derived} == derived


@pytest.mark.parametrize("kind", Kind)
def test_no_field_is_called_as_the_metadata_that_it_is_compared_with(kind: Kind) -> None:
    assert "metadata" not in spec_fields(kind)


def a_spec(rule: Rule, value: Any) -> dict[str, Any]:
    """A spec with this value at the row's path."""
    for name in reversed(rule.path.split(".")):
        value = {name: value}
    return dict(value)


def value_of(rule: Rule, number: int) -> Any:
    """One of several values that a field of this row may have."""
    if rule.unordered:
        return [f"a{number}", f"b{number}"]
    return number if rule.traits & NORMALISED else f"value {number}"


def another_writing(rule: Rule, value: Any) -> Any:
    if rule.unordered:
        return value[::-1]
    for trait, form in ((Trait.DURATION, "0h0m{}s"), (Trait.SIZE, "{}B"), (Trait.NUMBER, "{}.0")):
        if rule.traits & trait:
            return form.format(value)
    return value


def found(kind: Kind, rule: Rule, wanted: Any, applied: Any, there: Any) -> list[tuple[str, Action, bool]]:
    """The changes where this is declared, that was applied, and a third thing is live."""
    spec, was, now = (a_spec(rule, value) for value in (wanted, applied, there))
    declared = Resource(Key.of(kind, "x", "w"), spec, PLACE)
    if not is_run_once(spec) and rule.action is Action.RUN:
        raise AssertionError("rows of run-once tasks are tried on run-once tasks")
    return [(one.path, one.action, one.drift) for one in changes(declared, live_of(declared, spec=now, applied=was))]


numbers = st.integers(1, 50)


@pytest.mark.parametrize(("kind", "rule"), ROWS, ids=[f"{kind}.{rule.path}" for kind, rule in ROWS])
@settings(max_examples=15, deadline=None)
@given(numbers, numbers, numbers)
def test_every_row_does_what_it_says(kind: Kind, rule: Rule, wanted: int, applied: int, there: int) -> None:
    assert rule.reason.strip()
    assert (rule.action is Action.NONE) == bool(rule.traits & Trait.IGNORED) != rule.compared
    sides = [value_of(rule, number) for number in (wanted, applied, there)]
    seen = applied if rule.untold else there  # what counts as live
    expected = [(rule.path, rule.action, wanted == applied)] if seen != wanted else []
    if seen == wanted != applied:
        expected = [(rule.path, Action.UPDATE, False)]  # nothing to do but to record it
    if not rule.compared:
        expected = []
    assert found(kind, rule, *sides) == expected
    assert found(kind, rule, sides[0], sides[1], another_writing(rule, sides[2])) == expected
    assert found(kind, rule, sides[0], another_writing(rule, sides[1]), sides[2]) == expected


@pytest.mark.parametrize(("kind", "rule"), ROWS, ids=[f"{kind}.{rule.path}" for kind, rule in ROWS])
@given(numbers)
def test_what_a_target_chooses_where_no_file_says_is_never_a_change(kind: Kind, rule: Rule, there: int) -> None:
    assert found(kind, rule, None, None, value_of(rule, there)) == []


@pytest.mark.parametrize("trait", Trait)
def test_every_trait_has_a_row_or_is_for_targets_to_come(trait: Trait) -> None:
    assert any(rule.traits & trait for _, rule in ROWS) or trait is Trait.VOLATILE


def test_what_moves_by_itself_on_the_target_is_yours_to_change_and_nobody_s_drift(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """No field of today does so; the trait is there for the first that will."""
    rule = Rule("level", Action.UPDATE, "it rises by itself", Trait.VOLATILE)
    monkeypatch.setitem(fields.RULES, Kind.CONNECTION, (rule,))
    fields.rule_for.cache_clear()
    fields.untold_rules.cache_clear()
    try:
        assert found(Kind.CONNECTION, rule, 1, 1, 7) == []
        assert found(Kind.CONNECTION, rule, 2, 1, 7) == [("level", Action.UPDATE, False)]
    finally:
        fields.rule_for.cache_clear()
        fields.untold_rules.cache_clear()


def test_turning_a_pipeline_off_stops_what_runs_and_turning_it_on_does_not() -> None:
    rule = rule_for(Kind.PIPELINE, "deployed")
    assert found(Kind.PIPELINE, rule, False, True, True) == [("deployed", Action.KILL, False)]
    assert found(Kind.PIPELINE, rule, False, False, True) == [("deployed", Action.KILL, True)]
    assert found(Kind.PIPELINE, rule, True, False, False) == [("deployed", Action.UPDATE, False)]
    assert found(Kind.PIPELINE, rule, None, True, True) == [("deployed", Action.UPDATE, False)]


@pytest.mark.parametrize("kind", Kind)
def test_no_field_has_two_rows(kind: Kind) -> None:
    paths = [rule.path for rule in RULES[kind]]
    assert len(paths) == len(set(paths))


def test_a_row_holds_for_what_is_below_it_and_for_no_namesake() -> None:
    assert rule_for(Kind.TASK, "schedule.cron").path == "schedule"
    assert rule_for(Kind.TASK, "scheduled").path == ""
    assert rule_for(Kind.TASK, "orchestrationSha").path == "orchestrationSha"
    assert rule_for(Kind.PIPELINE, "metadata.labels.team").action is Action.UPDATE


def test_actions_are_ordered_from_the_mildest_to_the_gravest() -> None:
    words = "none adopt update run reschedule upload redeploy replace kill delete"
    ranked = [Action(word).severity for word in words.split()]
    assert all(milder < graver for milder, graver in pairwise(ranked))
