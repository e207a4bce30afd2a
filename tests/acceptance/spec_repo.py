"""A small spec repository on disk, and the installed `specrunner` command as a person calls it in there."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sysconfig
import time
from collections.abc import Callable, Mapping
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path
from textwrap import dedent
from typing import IO, Any

import yaml

from specrunner.cli.main import status_of

SCRIPT = Path(sysconfig.get_path("scripts")) / "specrunner"
CHECKOUT = Path(__file__).resolve().parents[2]
PATIENCE = 60.0  # seconds: longer than anything here takes on a busy machine

PROJECT = """\
    apiVersion: specrunner/v1
    kind: Project
    metadata: {name: acceptance}
    spec:
      defaultWorkspace: lab
      status: {directory: status}
    """
WORKSPACE = """\
    apiVersion: specrunner/v1
    kind: Workspace
    metadata: {name: lab}
    """


@dataclass(frozen=True, slots=True)
class Result:
    """How a command ended and what it said."""

    code: int
    out: str
    err: str

    @property
    def said(self) -> str:
        return self.out + self.err

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@dataclass(frozen=True, slots=True)
class SpecRepo:
    """A folder of specs; `environ` is added to that of the commands run in it."""

    root: Path
    environ: Mapping[str, str] = field(default_factory=dict)

    def write(self, path: str, text: str) -> Path:
        return self.write_bytes(path, dedent(text).encode())

    def write_bytes(self, path: str, data: bytes) -> Path:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
        return file

    def remove(self, path: str) -> None:
        (self.root / path).unlink()

    def orchestration(self, name: str, main: str, requirements: str = "") -> None:
        """An orchestration of that name, with its folder."""
        self.write(f"orchestrations/{name}/main.py", main)
        self.write(f"orchestrations/{name}/requirements.txt", requirements)
        self.document("Orchestration", name, {"source": f"orchestrations/{name}"})

    def task(self, name: str, orchestration: str, file: str = "", **spec: Any) -> None:
        """A task that runs once, unless its spec says otherwise."""
        self.document("Task", name, {"orchestration": orchestration, **spec}, file=file)

    def document(self, kind: str, name: str, spec: Mapping[str, Any], file: str = "", **metadata: Any) -> Path:
        """One document in a file of its own."""
        content = {"apiVersion": "specrunner/v1", "kind": kind, "metadata": {"name": name, **metadata}, "spec": spec}
        text = yaml.safe_dump(content, sort_keys=False, allow_unicode=True)
        return self.write(file or f"{kind.lower()}-{name}.yaml", text)

    def run(self, *words: str, code: int = 0, cwd: Path | None = None, **environ: str) -> Result:
        """Call specrunner and wait; it must exit with `code`."""
        with self.start(*words, cwd=cwd, into=None, **environ) as process:
            return finished(process, code)

    def start(
        self, *words: str, cwd: Path | None = None, into: IO[bytes] | None = None, **environ: str
    ) -> subprocess.Popen[str]:
        """Call specrunner and do not wait; what it says goes to a file, where one is given."""
        return subprocess.Popen(
            [SCRIPT, *words],
            cwd=cwd or self.root,
            env={**os.environ, **self.environ, **environ},
            stdin=subprocess.DEVNULL,
            stdout=into or subprocess.PIPE,
            stderr=into or subprocess.PIPE,
            text=True,
        )

    def look(self, *words: str) -> Any:
        """What a command prints as JSON, called in this process: for looking, where starting one is not the point."""
        with redirect_stdout(StringIO()) as out:
            code = status_of(["-C", str(self.root), *words, "--json"])
        assert code == 0, (words, code, out.getvalue())
        return json.loads(out.getvalue())

    def runs(self, *task: str) -> list[dict[str, Any]]:
        """The runs as `runs --json` gives them, newest first."""
        found: list[dict[str, Any]] = self.look("runs", *task)
        return found

    def objects(self) -> dict[str, dict[str, Any]]:
        """What is live as `status --json` gives it, by key."""
        return {found["key"]: found for found in self.look("status")["objects"]}

    def snapshot(self) -> tuple[str, Mapping[str, bytes]]:
        """Everything that an apply may change: the rows of the store and the status files."""
        files = {str(path): path.read_bytes() for path in sorted((self.root / "status").rglob("*")) if path.is_file()}
        database = self.root / ".specrunner" / "state.db"
        if not database.exists():
            return "", files
        connection = sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True)
        try:
            return "\n".join(connection.iterdump()), files
        finally:
            connection.close()

    def status_file(self, path: str) -> Any:
        """A status file of the environment `default`."""
        return yaml.safe_load((self.root / "status" / "default" / path).read_bytes())

    def status_files(self, pattern: str) -> dict[str, Any]:
        """Status files by their path below the environment."""
        base = self.root / "status" / "default"
        return {str(path.relative_to(base)): yaml.safe_load(path.read_bytes()) for path in sorted(base.glob(pattern))}


def finished(process: subprocess.Popen[str], code: int) -> Result:
    """Wait for a command; it must exit with `code`."""
    out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == code, f"exit {process.returncode}, not {code}\n--- out\n{out}\n--- err\n{err}"
    assert "Traceback (most recent call last)" not in err, err
    return Result(process.returncode, out, err)


def stopped(process: subprocess.Popen[str], number: signal.Signals, code: int) -> Result:
    """Send a signal and wait."""
    process.send_signal(number)
    return finished(process, code)


def until(condition: Callable[[], bool], what: str) -> None:
    """Wait until something holds that no event tells of."""
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, f"waited in vain for: {what}"
        time.sleep(0.02)


def lines_of(path: Path) -> list[str]:
    """The lines of a file that code of a run appends to; none where it is not there yet."""
    return path.read_text().splitlines() if path.exists() else []
