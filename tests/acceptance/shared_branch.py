"""Spec repositories that are clones of one bare remote, each a machine of its own."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from specrunner.core.values import iso
from tests.acceptance.spec_repo import WORKSPACE, SpecRepo
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


@dataclass(frozen=True, slots=True)
class Machines:
    """The remote, and machines that know nothing but their clone of it."""

    hub: Hub
    cache: Path

    def machine(self, name: str, *words: str) -> SpecRepo:
        """A fresh clone on a fresh machine."""
        return SpecRepo(self.hub.clone(name, *words), {"SPECRUNNER_CACHE": str(self.cache), "GITHUB_ACTOR": name})

    @property
    def notes(self) -> Path:
        return self.hub.folder / "notes"

    def status(self) -> dict[str, bytes]:
        """What the remote's status branch holds."""
        return self.hub.files()


def make_machines(folder: Path, cache: Path) -> tuple[Machines, SpecRepo]:
    """A remote, and a first machine that has pushed a project with a workspace."""
    found = Machines(make_hub(folder), cache)
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
