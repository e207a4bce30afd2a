"""Spec repositories that use every kind, as they are before and after the edit that a crash falls into."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.acceptance import samples
from tests.acceptance.conftest import make_repo
from tests.acceptance.spec_repo import SpecRepo, lines_of

SIDE = "side"  # beside the specs: a line per run whose code began
_RUN = """\
    import os, pathlib
    with open(pathlib.Path(os.environ["SIDE"]), "a") as side:
        side.write(os.environ["LINE"] + "\\n")
    """


def first(repo: SpecRepo) -> None:
    """One object of each kind and some more of tasks: one that runs, one that waits for its time."""
    repo.write("secrets/store.json", json.dumps({"password": "swordfish"}))
    repo.write_bytes("models/houses.onnx", samples.model())
    details = {"type": "HTTP", "workspaces": ["lab"], "details": {"host": "a"}}
    repo.document("Connection", "store", {**details, "detailsFrom": {"file": "secrets/store.json"}})
    repo.document("Connection", "other", details)
    repo.document("Model", "houses", {"path": "models/houses.onnx", "framework": "onnx"})
    repo.document("Pipeline", "prices", {"deployed": True, "steps": [{"model": "houses"}]})
    repo.document("Pipeline", "spare", {"steps": [{"model": "houses"}]})
    repo.orchestration("code", _RUN)
    repo.orchestration("gone", "print('gone')\n")
    repo.task("once", "code", env=_env(repo, "once"), args={"n": 1})
    repo.task("old name", "code", file="task-renamed.yaml", env=_env(repo, "renamed"))
    repo.task("nightly", "code", env=_env(repo, "nightly"), schedule="0 2 * * *")
    repo.task("going", "gone", schedule="0 3 * * *")


def second(repo: SpecRepo) -> None:
    """Something of each action: update, replace, upload, redeploy, kill, run, reschedule, rename, create, delete."""
    repo.document("Connection", "store", {"type": "HTTP", "workspaces": ["lab"], "details": {"host": "b"}})
    repo.document("Connection", "other", {"type": "FTP", "workspaces": ["lab"], "details": {"host": "a"}})
    repo.write_bytes("models/houses.onnx", samples.model(producer="another"))
    repo.document("Pipeline", "prices", {"deployed": False, "steps": [{"model": "houses"}]})
    repo.write("orchestrations/code/main.py", _RUN + "    print('new')\n")
    repo.document(
        "Task",
        "new name",
        {"orchestration": "code", "env": _env(repo, "renamed")},
        file="task-renamed.yaml",
        renamedFrom="old name",
    )
    repo.task("nightly", "code", env=_env(repo, "nightly"), schedule="30 2 * * *")
    repo.task("fresh", "code", env=_env(repo, "fresh"))
    for path in ("task-going.yaml", "orchestration-gone.yaml", "pipeline-spare.yaml"):
        repo.remove(path)
    shutil.rmtree(repo.root / "orchestrations/gone")


def _env(repo: SpecRepo, line: str) -> dict[str, str]:
    return {"SIDE": str(repo.environ["SIDE"]), "LINE": line}


@dataclass(frozen=True, slots=True)
class Scenario:
    """`prepare` makes the state that `edit` and the command then change; `ran` is what has run in the end."""

    prepare: Callable[[SpecRepo], None]
    edit: Callable[[SpecRepo], None]
    command: tuple[str, ...]
    ran: tuple[str, ...]


def _nothing(_repo: SpecRepo) -> None:
    """No edit."""


def _applied(repo: SpecRepo) -> None:
    first(repo)
    repo.run("apply", "--yes")


def _forgotten(repo: SpecRepo) -> None:
    """The state folder is lost, the status files are there."""
    _applied(repo)
    shutil.rmtree(repo.root / ".specrunner")


APPLY = ("apply", "--yes", "--force")
SCENARIOS: Mapping[str, Scenario] = {
    "create": Scenario(first, _nothing, APPLY, ("once", "renamed")),
    "change": Scenario(_applied, second, APPLY, ("fresh", "once", "once", "renamed", "renamed")),
    "restore": Scenario(_forgotten, second, APPLY, ("fresh", "once", "once", "renamed", "renamed")),
    "bring back": Scenario(_forgotten, _nothing, APPLY, ("once", "renamed")),
    "destroy": Scenario(_applied, _nothing, ("destroy", "--yes"), ("once", "renamed")),
}


def prepared(scenario: Scenario, folder: Path, cache: Path) -> SpecRepo:
    """The repository of a scenario, ready for its command."""
    made = make_repo(folder / "specs", cache)
    repo = SpecRepo(made.root, {**made.environ, "SIDE": str(folder / SIDE)})
    scenario.prepare(repo)
    scenario.edit(repo)
    return repo


def laid_out(template: Path, folder: Path) -> None:
    """Put a prepared folder where it was prepared: what runs there knows itself by its absolute path."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(template, folder, symlinks=True)


def end_state(repo: SpecRepo) -> dict[str, Any]:
    """All that must be the same however often the command was killed: nothing that time or chance has a part in."""
    state, status = repo.root / ".specrunner", repo.root / "status"
    files = (path.relative_to(status) for path in status.rglob("*") if path.is_file())
    return {
        "objects": {key: _object(found) for key, found in repo.objects().items()},
        "runs": sorted((run["task"], run["status"]) for run in repo.runs()),
        "status files": sorted({_name(path) for path in files}),
        "artifacts": sorted(path.name for path in (state / "artifacts").rglob("*") if path.is_file()),
        "folders of runs": sum(path.is_dir() for path in (state / "runs").glob("*")),  # a lock file may lie beside
        "state": sorted(path.name for path in state.iterdir() if not path.name.startswith("state.db")),
    }


def ran(folder: Path) -> tuple[str, ...]:
    """What has run, sorted."""
    return tuple(sorted(lines_of(folder / SIDE)))


def _object(found: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in found.items() if name != "id"}


def _name(path: Path) -> str:
    """The path of a status file; those of runs and applies are named by chance, and of applies there may be more."""
    return str(path.parent if path.parts[1] in {"runs", "applies"} else path)
