"""Spec repositories that are clones of one bare remote, each a machine of its own."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from specrunner.cli import wiring
from specrunner.cli.main import status_of
from specrunner.core.values import iso
from specrunner.targets.memory import Ended, Hooks, Job, MemoryState, MemoryTarget
from tests.acceptance.spec_repo import WORKSPACE, Result, SpecRepo
from tests.contract.repository_samples import Hub, git, make_hub

PROJECT = """\
    apiVersion: specrunner/v1
    kind: Project
    metadata: {name: acceptance}
    spec:
      defaultWorkspace: lab
      status: {branch: specrunner-status}
    """
# Says that it was there in a file that all machines see.
NOTE = """\
    import os
    with open(os.environ["NOTES"], "a") as notes:
        notes.write("run\\n")
    """


class QuickRepo(SpecRepo):
    """A repository whose commands are called in this process; its target is to be in memory."""

    __slots__ = ()

    def run(self, *words: str, code: int = 0, cwd: Path | None = None, **environ: str) -> Result:
        assert cwd is None and not environ
        with redirect_stdout(StringIO()) as out, redirect_stderr(StringIO()) as err:
            found = status_of(["-C", str(self.root), *words])
        result = Result(found, out.getvalue(), err.getvalue())
        assert found == code, f"exit {found}, not {code}\n--- out\n{result.out}\n--- err\n{result.err}"
        return result


@dataclass(frozen=True, slots=True)
class Machines:
    """The remote, and machines that know nothing but their clone of it; `quick` ones live in this process."""

    hub: Hub
    cache: Path
    quick: bool = False

    def machine(self, name: str, *words: str) -> SpecRepo:
        """A fresh clone on a fresh machine."""
        kind = QuickRepo if self.quick else SpecRepo
        return kind(self.hub.clone(name, *words), {"SPECRUNNER_CACHE": str(self.cache), "GITHUB_ACTOR": name})

    @property
    def notes(self) -> Path:
        return self.hub.folder / "notes"

    def status(self) -> dict[str, bytes]:
        """What the remote's status branch holds."""
        return self.hub.files()


def make_quick(folder: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Machines, SpecRepo]:
    """The same in this process: every state folder is a memory of its own, and each run leaves its line."""
    states: dict[Path, MemoryState] = {}

    def ran(_job: Job) -> Ended:
        with (folder / "notes").open("a") as notes:
            notes.write("run\n")
        return Ended()

    def opened(opening: wiring.Opening) -> MemoryTarget:
        state = opening.folder
        state.mkdir(exist_ok=True)
        (state / "state.db").touch()  # by this, commands that look see that something was applied
        return MemoryTarget(states.setdefault(state, MemoryState()), Hooks(run=ran))

    monkeypatch.setitem(wiring.TARGETS, "local", opened)
    monkeypatch.setenv("NO_COLOR", "1")
    return make_machines(folder, folder / "no-cache", quick=True)


def make_machines(folder: Path, cache: Path, *, quick: bool = False) -> tuple[Machines, SpecRepo]:
    """A remote, and a first machine that has pushed a project with a workspace."""
    found = Machines(make_hub(folder), cache, quick)
    shutil.rmtree(folder / "first")
    first = found.machine("first-machine")
    first.write("specrunner.yaml", PROJECT)
    first.write("workspace.yaml", WORKSPACE)
    first.write(".gitignore", ".specrunner/\n")
    push(first, "a project")
    return found, first


def push(repo: SpecRepo, message: str) -> str:
    """Commit all specs and push them; the commit."""
    git(repo.root, "add", "-A")
    git(repo.root, "commit", "-q", "-m", message)
    git(repo.root, "push", "-q", "origin", "HEAD")
    return git(repo.root, "rev-parse", "HEAD")


def noting(machines: Machines, repo: SpecRepo, **spec: Any) -> None:
    """A task whose runs leave a line in a file that all machines see."""
    repo.orchestration("note", NOTE)
    repo.task("noting", "note", env={"NOTES": str(machines.notes)}, **spec)


def daily(before: timedelta) -> tuple[str, datetime]:
    """A schedule that fired once so long ago, and fires again a day later; and that instant."""
    instant = (datetime.now(UTC) - before).replace(second=0, microsecond=0)
    return f"{instant.minute} {instant.hour} * * *", instant


def rewritten(machines: Machines, path: str, change: Callable[[str], str]) -> None:
    """Have the status branch say something else, as if it had been so."""
    status = machines.hub.status("editor")
    (data,) = status.read(path).values()
    changed = change(data.decode())
    assert changed != data.decode()
    status.write({path: changed.encode()}, "as if it had been so")
    status.push()


def settled_until(machines: Machines, moment: datetime) -> None:
    """As if nobody had looked at the schedule since then."""
    rewritten(
        machines,
        "default/tasks/lab/noting.yaml",
        lambda text: re.sub(r"^settled: .*$", f"settled: '{iso(moment)}'", text, flags=re.MULTILINE),
    )
