"""Crash at any moment, run again: the same end state, no twin, no run executed twice, nothing left over.

The command is killed with SIGKILL at a point (see `crashing`), then run once more, with the journal or without. The
suite tries some points of each scenario, `--soak full` every one.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.acceptance.crash_scenarios import SCENARIOS, Scenario, end_state, laid_out, prepared, ran
from tests.acceptance.spec_repo import CHECKOUT, PATIENCE, SpecRepo
from tests.conftest import Soak

SOME = 1  # points of each scenario in a short round


@dataclass(frozen=True, slots=True)
class Prepared:
    """A scenario laid out in `work`, and how it ends when nobody is killed."""

    scenario: Scenario
    template: Path
    work: Path
    repo: SpecRepo
    points: tuple[str, ...]
    end: dict[str, Any]


@pytest.fixture(scope="module", params=sorted(SCENARIOS))
def ready(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, cache: Path) -> Iterator[Prepared]:
    scenario, folder = SCENARIOS[request.param], tmp_path_factory.mktemp("crash")
    work, template, log = folder / "work", folder / "template", folder / "points"
    repo = prepared(scenario, work, cache)
    laid_out(work, template)
    assert disturbed("kill", 0, log, repo, scenario) == 0
    assert ran(work) == scenario.ran
    yield Prepared(scenario, template, work, repo, tuple(log.read_text().splitlines()), end_state(repo))


def disturbed(how: str, point: int, log: Path, repo: SpecRepo, scenario: Scenario) -> int:
    """Run the scenario's command, killed at a point or with an answer lost there; its exit status."""
    command = [sys.executable, "-m", "tests.acceptance.crashing", how, str(point), str(log), *scenario.command]
    environ = {**os.environ, **repo.environ, "PYTHONPATH": str(CHECKOUT)}
    done = subprocess.run(
        command,
        cwd=repo.root,
        env=environ,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode


def test_a_command_that_was_killed_anywhere_is_done_by_running_it_again(ready: Prepared, soak: Soak) -> None:
    for point in chosen(range(1, len(ready.points) + 1), soak):
        for journal in (True, False) if soak.is_full else (bool(point % 2),):
            crash_and_go_on(ready, point, journal)


def test_an_answer_that_was_lost_does_nothing_twice(ready: Prepared, soak: Soak) -> None:
    answers = [number for number, name in enumerate(ready.points, 1) if name.startswith("after target.")]
    for point in chosen(answers, soak):
        laid_out(ready.template, ready.work)
        disturbed("lose", point, ready.work / "points", ready.repo, ready.scenario)
        is_done(ready, f"lost the answer at point {point} ({ready.points[point - 1]})")


def chosen(points: Sequence[int], soak: Soak) -> Sequence[int]:
    return points if soak.is_full else sorted(random.Random(soak.seed).sample(points, min(SOME, len(points))))


def crash_and_go_on(ready: Prepared, point: int, journal: bool) -> None:
    where = f"killed at point {point} ({ready.points[point - 1]}), {'with' if journal else 'without'} the journal"
    laid_out(ready.template, ready.work)
    code = disturbed("kill", point, ready.work / "points", ready.repo, ready.scenario)
    # Threads take turns as they like, so that it may be through before it has passed as many points again.
    assert code == -signal.SIGKILL or (code == 0 and point > len(ready.points) * 0.9), where
    if not journal:
        for file in (ready.repo.root / ".specrunner").glob("apply-*.journal"):
            file.unlink()
    is_done(ready, where, journal=journal)


def is_done(ready: Prepared, where: str, *, journal: bool = True) -> None:
    """Once more: the end is as if nothing had happened, and then nothing is left to do.

    Without its journal, nobody can record an apply that was killed before it could do so itself.
    """
    ready.repo.run(*ready.scenario.command)
    assert ran(ready.work) == ready.scenario.ran, where
    found, wanted = end_state(ready.repo), ready.end
    if not journal:
        found, wanted = without_applies(found), without_applies(wanted)
    assert found == wanted, where
    assert not alive(ready.work), where
    again = ready.repo.snapshot()
    ready.repo.run(*ready.scenario.command)
    assert ready.repo.snapshot() == again, where


def without_applies(state: dict[str, Any]) -> dict[str, Any]:
    return {**state, "status files": [name for name in state["status files"] if not name.endswith("/applies")]}


def alive(folder: Path) -> list[str]:
    """The command lines of processes that work in this folder."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        words = " ".join(process.info["cmdline"] or ())
        if str(folder) in words:
            found.append(words)
    return found
