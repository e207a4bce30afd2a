"""A spec repository with its target in memory, and the command line called in this process: quick and easy to watch."""

from __future__ import annotations

import subprocess
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from io import StringIO

import pytest

from specrunner.cli import wiring
from specrunner.cli.main import status_of
from specrunner.core.keys import Key
from specrunner.core.resources import LiveObject
from specrunner.targets.faults import Faulty, Rule
from specrunner.targets.memory import Ended, Hooks, MemoryState, MemoryTarget
from tests.acceptance.spec_repo import Result, SpecRepo


@dataclass(slots=True)
class InMemory:
    """A repository, the state of its target, and the target, which counts what it is asked."""

    repo: SpecRepo
    state: MemoryState
    target: Faulty

    def run(self, *words: str, code: int = 0) -> Result:
        """Call specrunner; it must exit with `code`."""
        with redirect_stdout(StringIO()) as out, redirect_stderr(StringIO()) as err:
            found = status_of(["-C", str(self.repo.root), *words])
        result = Result(found, out.getvalue(), err.getvalue())
        assert found == code, f"exit {found}, not {code}\n--- out\n{result.out}\n--- err\n{result.err}"
        return result

    def goes_wrong(self, *rules: Rule) -> None:
        """From now on the target has these faults, and no others."""
        self.target = Faulty(MemoryTarget(self.state, Hooks(run=lambda _job: Ended())), rules)

    def live(self) -> dict[str, LiveObject]:
        """What is live by key, as the target itself tells it."""
        return {str(key): found for key, found in self.target.read().items()}

    def live_of(self, key: str) -> LiveObject:
        return self.target.read()[Key.parse(key)]

    def commit(self) -> str:
        """Commit everything; the commit."""
        author = ["-c", "user.name=Ada", "-c", "user.email=ada@example.com", "-c", "init.defaultBranch=main"]
        for words in (["init", "-q"], ["add", "-A"], [*author, "commit", "-q", "--allow-empty", "-m", "specs"]):
            subprocess.run(["git", *words], cwd=self.repo.root, check=True)
        done = subprocess.run(
            ["git", "rev-parse", "HEAD"], cwd=self.repo.root, check=True, capture_output=True, text=True
        )
        return done.stdout.strip()


@pytest.fixture
def memory(repo: SpecRepo, monkeypatch: pytest.MonkeyPatch) -> InMemory:
    """The repository `repo`, applied to memory instead of the embedded engine; every run succeeds at once."""
    state = MemoryState()
    made = InMemory(repo, state, Faulty(MemoryTarget(state, Hooks(run=lambda _job: Ended()))))
    monkeypatch.setitem(wiring.TARGETS, "local", lambda _folder: made.target)
    monkeypatch.setenv("NO_COLOR", "1")
    (repo.root / ".specrunner").mkdir()
    (repo.root / ".specrunner" / "state.db").touch()  # by this, commands that look see that something was applied
    repo.write(".gitignore", ".specrunner/\n")
    return made
