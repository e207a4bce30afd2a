"""Some thirty plans as people read them; `pytest tests/acceptance --regenerate` writes the files anew."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from specrunner.core.errors import Place, SpecrunnerError
from specrunner.core.fields import Action
from specrunner.core.keys import Key
from specrunner.core.order import ordered
from specrunner.core.plan import Step
from specrunner.core.resources import Resource
from specrunner.report.diagnostics import diagnostic_lines
from specrunner.report.lines import Line
from specrunner.report.markdown import outcome_markdown, plan_markdown
from specrunner.report.text import drift_lines, outcome_lines, plan_lines, step_ended_line
from tests.acceptance.outcome_samples import OUTCOMES
from tests.acceptance.plan_samples import BOTH, DRIFT, NIGHTLY, PLANS, PRICES, ROWS

FOLDER = Path(__file__).parent / "golden" / "plans"

Golden = Callable[[str, str], None]


@pytest.fixture
def face(pytestconfig: pytest.Config) -> Golden:
    """Compare a face with its file; `--regenerate` writes the file instead."""

    def compare(name: str, found: str) -> None:
        file = FOLDER / name
        if pytestconfig.getoption("--regenerate", default=False):
            file.write_text(found, encoding="utf-8")
        assert found == file.read_text(encoding="utf-8")

    return compare


def text_of(lines: Iterable[Line]) -> str:
    return "".join(f"{line.text}\n" for line in lines)


@pytest.mark.parametrize("name", PLANS)
def test_a_plan_reads_well_as_text(name: str, face: Golden) -> None:
    face(f"{name}.txt", text_of(plan_lines(PLANS[name])))


@pytest.mark.parametrize("name", PLANS)
def test_a_plan_reads_well_in_a_pull_request(name: str, face: Golden) -> None:
    face(f"{name}.md", plan_markdown(PLANS[name]).replace(PLANS[name].hash, "<hash>"))


def test_what_somebody_else_changed_reads_well_alone(face: Golden) -> None:
    face("drift-alone.txt", text_of(drift_lines({PRICES: (DRIFT, BOTH), ROWS: ()}, missing=[NIGHTLY])))
    face("drift-none.txt", text_of(drift_lines({ROWS: ()})))


@pytest.mark.parametrize("name", OUTCOMES)
def test_an_outcome_reads_well_as_text(name: str, face: Golden) -> None:
    outcome = OUTCOMES[name]
    progress = text_of(map(step_ended_line, outcome.steps))
    face(f"{name}.txt", f"{progress}\n{text_of(outcome_lines(outcome))}")


@pytest.mark.parametrize("name", OUTCOMES)
def test_an_outcome_reads_well_in_a_pull_request(name: str, face: Golden) -> None:
    outcome = OUTCOMES[name]
    face(f"{name}.md", outcome_markdown(outcome).replace(outcome.plan.hash, "<hash>"))


def test_a_cycle_is_told_by_its_members(face: Golden) -> None:
    keys = [Key.parse(f"Task/lab/{name}") for name in ("clean", "load", "score")]
    declared = {
        key: Resource(key, {}, Place("tasks.yaml", 1), references=(keys[number - 1],))
        for number, key in enumerate(keys)
    }
    with pytest.raises(SpecrunnerError) as caught:
        ordered([Step(key, Action.CREATE, "") for key in keys], declared, {})
    face("cycle.txt", text_of(diagnostic_lines(caught.value.diagnostics)))


@pytest.mark.parametrize("name", PLANS)
def test_the_first_line_in_markdown_says_to_machines_which_plan_it_is(name: str) -> None:
    found = PLANS[name]
    first = plan_markdown(found).splitlines()[0]
    header = json.loads(first.removeprefix("<!-- specrunner-plan ").removesuffix(" -->"))
    assert header == {
        "version": 1,
        "project": "forecasting",
        "environment": "staging",
        "hash": found.hash,
        "complete": True,
    }


def test_every_golden_file_belongs_to_a_test() -> None:
    faces = {f"{name}.{ending}" for name in (*PLANS, *OUTCOMES) for ending in ("txt", "md")}
    assert {file.name for file in FOLDER.iterdir()} == faces | {"drift-alone.txt", "drift-none.txt", "cycle.txt"}
