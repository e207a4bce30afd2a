"""A command that declares itself read-only writes nothing to the target, whatever its options.

The commands come from the table, their options from click itself: a new command or option is walked by itself, or
fails here until it has a value to be walked with.
"""

from __future__ import annotations

import itertools
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path

import click
import pytest

from specrunner.cli import wiring
from specrunner.cli.main import COMMANDS, WRITES, main, status_of
from specrunner.core.keys import Key, Kind
from specrunner.targets.faults import Faulty
from specrunner.targets.memory import Ended, Hooks, MemoryState, MemoryTarget
from tests.acceptance.spec_repo import SpecRepo

TASK = "Task/lab/greet"
# A value for each option and argument that takes one, by its name in the code.
VALUES: Mapping[str, str] = {
    "author": "somebody",
    "adopt": "Connection/lone",
    "environment": "default",
    "example": "house-price",
    "folder": "{scratch}/made",
    "keys": "Workspace/undeclared",
    "kind": "task",
    "name": "demo",
    "out": "{scratch}/out.yaml",
    "paths": "workspace.yaml",
    "root": "{root}",
    "run_or_task": "greet",
    "select": TASK,
    "since": "HEAD",
    "task": "nightly",
}
# They open no target; what they look at, files, the cache, the machine, who may call, is watched by tests of their own.
FILES_ONLY = frozenset(
    {"init", "fmt", "schema", "validate", "render", "graph", "env list", "doctor", "token list", "audit", "ci validate"}
)

# They ask a target that serves; `test_pipelines_cli` watches them on one.
SERVING = frozenset({"pipeline list", "pipeline show", "pipeline versions", "pipeline logs", "pipeline export"})

# It does again and again what is done without it, and never ends by itself.
ENDLESS = frozenset({"watch"})


@pytest.fixture
def state() -> MemoryState:
    """A target with our objects, one of nobody's, one that somebody else has changed, and one to be deleted."""
    return MemoryState()


@pytest.fixture
def applied(repo: SpecRepo, state: MemoryState, monkeypatch: pytest.MonkeyPatch) -> Faulty:
    repo.orchestration("hello", "print('hello')")
    repo.task("greet", "hello")
    repo.task("nightly", "hello", schedule="0 2 * * *")
    repo.document("Connection", "theirs", {"type": "HTTP", "details": {"host": "a"}})
    gone = repo.document("Workspace", "gone", {})
    for words in (["init", "-q"], ["add", "-A"], ["-c", "user.name=A", "-c", "user.email=a@b", "commit", "-qm", "a"]):
        subprocess.run(["git", *words], cwd=repo.root, check=True)
    target = MemoryTarget(state, Hooks(run=lambda _job: Ended()))
    monkeypatch.setitem(wiring.TARGETS, "local", lambda _folder: target)
    (repo.root / ".specrunner").mkdir(exist_ok=True)
    (repo.root / ".specrunner" / "state.db").touch()  # so commands that look at what is there find something
    assert status_of(["-C", str(repo.root), "apply", "--yes"]) == 0
    gone.unlink()
    state.add(Key(Kind.CONNECTION, "", "lone"), {"type": "HTTP", "workspaces": []})
    state.add(Key(Kind.WORKSPACE, "", "undeclared"), {})
    state.drift(Key(Kind.CONNECTION, "", "theirs"), details={"host": "b"})
    repo.document("Connection", "lone", {"type": "HTTP"})
    monkeypatch.setenv("GITHUB_REPOSITORY", "team/specs")  # `ci` is for steps of a workflow, here without a token
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(repo.root.parent / "summary"))
    watched = Faulty(target)
    monkeypatch.setitem(wiring.TARGETS, "local", lambda _folder: watched)
    return watched


def words_of(parameter: click.Parameter) -> list[list[str]]:
    """Every way to say one option."""
    if isinstance(parameter, click.Option) and parameter.is_flag:
        return [[option] for option in (*parameter.opts[-1:], *parameter.secondary_opts)]
    values = [VALUES.get(str(parameter.name))]
    if isinstance(parameter.type, click.Choice):
        values = [str(choice) for choice in parameter.type.choices]
    elif isinstance(parameter.type, click.IntRange):
        values = [str(parameter.type.min)]
    known = [value for value in values if value is not None]
    assert known, f"{parameter.name} needs a value in VALUES"
    return [[parameter.opts[-1], value] if isinstance(parameter, click.Option) else [value] for value in known]


def calls_of(name: str) -> Iterator[list[str]]:
    """Every command line of a command: without options, with each option, with each two of them."""
    command = command_of(name)
    params = [parameter for parameter in command.params if parameter.name not in ENDLESS]
    said = [words_of(parameter) for parameter in params]
    needed = [words[0] for parameter, words in zip(params, said, strict=True) if parameter.required]
    optional = [words for parameter, words in zip(params, said, strict=True) if not parameter.required]
    must = list(itertools.chain(*needed))
    yield must
    for words in itertools.chain(*optional):
        yield [*words, *must]
    for first, second in itertools.combinations(optional, 2):
        yield [*first[0], *second[0], *must]


def command_of(name: str) -> click.Command:
    """A command by its words: those of a group are two."""
    found: click.Command | None = main
    for word in name.split():
        assert isinstance(found, click.Group)
        found = found.get_command(click.Context(found), word)
    assert found is not None, f"there is no command {name}"
    return found


def every_command() -> Iterator[str]:
    """All commands by their words, but for those of a group of which each writes."""
    for name in set(COMMANDS) - WRITES:
        found = command_of(name)
        yield from (f"{name} {word}" for word in found.commands) if isinstance(found, click.Group) else [name]


READ_ONLY = sorted(set(every_command()) - WRITES - SERVING)


@pytest.mark.parametrize("name", READ_ONLY)
def test_a_command_that_only_reads_writes_nothing_whatever_its_options(
    applied: Faulty, repo: SpecRepo, tmp_path: Path, name: str
) -> None:
    began = len(applied.writes)
    succeeded = 0
    for number, words in enumerate(calls_of(name)):
        scratch = (repo.root if name == "import" else tmp_path) / f"scratch-{number}"
        scratch.mkdir()
        filled = [word.format(root=repo.root, scratch=scratch) if "{" in word else word for word in words]
        folder = scratch if name == "init" else repo.root
        with redirect_stdout(StringIO()) as out, redirect_stderr(StringIO()) as err:
            code = status_of(["-C", str(folder), *name.split(), *filled])
        succeeded += code in {0, 2}
        assert applied.writes[began:] == [], (name, filled, code, out.getvalue(), err.getvalue())
    assert succeeded, f"no way of calling {name} worked, so nothing was shown"
    assert name in FILES_ONLY or applied.calls, f"{name} never looked at the target"


def test_what_writes_is_known_to_write(applied: Faulty, repo: SpecRepo) -> None:
    """The counter counts: without it, the test above could not fail."""
    with redirect_stdout(StringIO()), redirect_stderr(StringIO()):
        assert status_of(["-C", str(repo.root), "apply", "--yes"]) in {0, 3}
    assert {call.method for call in applied.writes} >= {"put", "delete", "take_lease", "release_lease"}
    for name in WRITES:
        command_of(name)
