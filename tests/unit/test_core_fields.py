"""The field table against the schemas: a new field fails here until somebody decides how it behaves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any

import pytest

from specrunner.core.diff import changes
from specrunner.core.fields import RULES, Action, rule_for
from specrunner.core.keys import Key, Kind
from specrunner.core.resources import Resource
from specrunner.spec.schema import property_schema, schema_of
from tests.unit.core_samples import PLACE, live_of

# Fields without a row of their own: these, and no others, are changed in place.
IN_PLACE: Mapping[Kind, set[str]] = {
    Kind.WORKSPACE: {"description", "connections"},  # both are moved elsewhere by the reader
    Kind.CONNECTION: {
        "type",
        "details",
        "detailsFrom",
        "detailsFrom.env",
        "detailsFrom.file",
        "detailsFrom.exec",
        "detailsFrom.value",
    },
    Kind.MODEL: set(),
    Kind.PIPELINE: {"deployed", "log", "log.retention"},
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


@pytest.mark.parametrize(("kind", "rule"), ROWS, ids=[f"{kind}.{rule.path}" for kind, rule in ROWS])
def test_every_row_has_a_reason_and_does_what_it_says(kind: Kind, rule: Any) -> None:
    assert rule.reason.strip()
    assert rule.compared == (rule.action is not Action.NONE)
    old, new = (["old"], ["new"]) if rule.unordered else ("old", "new")
    before, after = (Resource(Key.of(kind, "x", "w"), {rule.path: value}, PLACE) for value in (old, new))
    found = changes(after, live_of(before))
    assert [(change.path, change.action) for change in found] == ([(rule.path, rule.action)] if rule.compared else [])


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
