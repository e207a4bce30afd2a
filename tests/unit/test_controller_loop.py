"""The loop of the controller: what it remembers of what can't be done, with commands that do as they are told."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from specrunner.cli.standing import for_records, standing_json, standing_lines
from specrunner.controller import memory
from specrunner.controller.loop import Controller, Result, Verdict
from specrunner.controller.memory import Memory
from specrunner.controller.mirror import Remote
from specrunner.engine.clock import SystemClock

REMOTE = Remote("https://git.example.com/specs", "main", {})
DONE = Result(Verdict.DONE)


@dataclass(slots=True)
class Told:
    """Commands whose answers are given, by the commit that they are asked of."""

    judged: dict[str, Result] = field(default_factory=dict)
    applied: dict[str, Result] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def validate(self, specs: Path) -> Result:
        return self.judged.get(specs.name, DONE)

    def apply(self, specs: Path) -> Result:
        self.asked.append(specs.name)
        return self.applied.get(specs.name, DONE)

    def stop(self) -> None:
        """Nothing is under way."""


@dataclass(slots=True)
class Branch:
    """A mirror of a branch that is where it is told to be; `kept` are the work trees after each look."""

    folder: Path
    at: str = "one"
    kept: list[set[str]] = field(default_factory=list)
    remote: Remote = REMOTE

    def fetch(self) -> str:
        return self.at

    def specs_at(self, commit: str) -> Path:
        return self.folder / commit

    def keep(self, commits: set[str]) -> None:
        self.kept.append(set(commits))


@pytest.fixture
def branch(tmp_path: Path) -> Branch:
    return Branch(tmp_path)


@pytest.fixture
def commands() -> Told:
    return Told()


@pytest.fixture
def controller(branch: Any, commands: Told) -> Controller:
    return Controller(branch, commands, SystemClock(), 1.0)


def refused(branch: Branch, commands: Told, controller: Controller) -> Memory:
    """The first commit is live, and the second one is wrong."""
    controller.step()
    branch.at = "two"
    commands.judged["two"] = Result(Verdict.REFUSED, "25 is no hour")
    return controller.step()


def test_what_can_not_be_healed_is_remembered_with_its_first_time_until_it_can(
    branch: Branch, commands: Told, controller: Controller
) -> None:
    assert refused(branch, commands, controller).unhealed == ""
    commands.applied["one"] = Result(Verdict.PARTLY, "Task/w/t: the disk is full")
    found = controller.step()
    assert found.unhealed == "Task/w/t: the disk is full" and found.unhealed_since
    assert controller.step().unhealed_since == found.unhealed_since
    assert memory.load(branch.folder) == found
    told = for_records(found)
    assert told is not None and (told.unhealed, told.standing) == (found.unhealed, "refused")
    assert standing_json(found)["unhealed"] == found.unhealed
    lines = [line.text for line in standing_lines(found, SystemClock().now())]
    assert any("can't be put as one declares it" in line for line in lines)
    assert any("the disk is full" in line for line in lines)
    del commands.applied["one"]
    healed = controller.step()
    assert (healed.unhealed, healed.unhealed_since) == ("", "")
    assert "can't be put" not in "".join(line.text for line in standing_lines(healed, SystemClock().now()))


def test_a_new_commit_that_is_live_leaves_nothing_unhealed(
    branch: Branch, commands: Told, controller: Controller
) -> None:
    refused(branch, commands, controller)
    commands.applied["one"] = Result(Verdict.REFUSED, "the brake")
    assert controller.step().unhealed == "the brake"
    branch.at = "three"
    assert controller.step().unhealed == ""


def test_the_work_trees_of_the_look_before_are_left_for_who_reads_there(
    branch: Branch, commands: Told, controller: Controller
) -> None:
    for branch.at in ("one", "two", "three", "three"):
        controller.step()
    assert branch.kept == [{"one"}, {"one", "two"}, {"two", "three"}, {"three"}]
