"""Which target a command looks at, also where the specs are broken, and what it takes for live there."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from specrunner.cli import wiring
from specrunner.core.keys import Key
from specrunner.targets.memory import Ended, Hooks, MemoryState, MemoryTarget
from tests.acceptance.in_memory import InMemory, memory

__all__ = ["memory"]

GREET = "Task/lab/greet"


@pytest.fixture
def applied(memory: InMemory) -> InMemory:
    """A task that runs once, applied."""
    memory.repo.orchestration("hello", "print('hello')")
    memory.repo.task("greet", "hello")
    memory.run("apply", "--yes")
    return memory


def broken(memory: InMemory) -> None:
    memory.repo.write(
        "broken.yaml", "apiVersion: specrunner/v1\nkind: Task\nmetadata: {name: x}\nspec: {nonsense: 1}\n"
    )


def moved_elsewhere(memory: InMemory) -> None:
    project = memory.repo.root / "specrunner.yaml"
    project.write_text(f"{project.read_text()}  target: {{server: https://ml.example.com}}\n")


@pytest.mark.parametrize(
    "words", [("status",), ("run", "greet"), ("runs", "greet"), ("logs", "greet"), ("unlock", "--all")]
)
def test_what_is_live_can_be_looked_at_while_the_specs_are_broken(applied: InMemory, words: tuple[str, ...]) -> None:
    broken(applied)
    applied.run(*words)
    (applied.repo.root / "specrunner.yaml").write_text("{")
    applied.run(*words)


def test_commands_that_read_no_specs_go_to_the_declared_target_too(
    applied: InMemory, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = MemoryTarget(MemoryState(), Hooks(run=lambda _job: Ended()))
    monkeypatch.setitem(wiring.TARGETS, "server", lambda _folder: server)
    assert GREET in {found["key"] for found in applied.run("status", "--json").json["objects"]}
    moved_elsewhere(applied)
    (applied.repo.root / ".specrunner" / "state.db").unlink()  # what is here says nothing of what is there
    assert applied.run("status", "--json").json["objects"] == []
    assert "no task 'greet'" in applied.run("run", "greet", code=1).err
    applied.run("apply", "--yes")
    assert GREET in {found["key"] for found in applied.run("status", "--json").json["objects"]}
    assert [run["task"] for run in applied.run("runs", "--json").json] == [GREET]
    assert set(map(str, server.read())) == set(applied.live())


def test_a_target_that_this_version_has_not_is_told_by_every_command(
    applied: InMemory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(wiring.TARGETS, "wallaroo")
    project = applied.repo.root / "specrunner.yaml"
    project.write_text(f"{project.read_text()}  target: {{wallaroo: https://ml.example.com}}\n")
    for words in (("plan",), ("status",), ("run", "greet")):
        assert "This specrunner applies to the embedded engine" in applied.run(*words, code=1).err


def test_a_task_that_somebody_else_removed_cannot_be_run(applied: InMemory) -> None:
    applied.state.lose(Key.parse(GREET))
    said = applied.run("run", "greet", code=1).err
    assert "There is no task 'greet'." in said
    assert "Live there are: none." in said


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (
            ("destroy", "--yes"),
            "Nothing was removed: destroy reads the specs to know whose objects to remove and where",
        ),
        (("import",), "Nothing was imported: import reads the specs to know the target"),
    ],
)
def test_a_command_that_needs_the_specs_says_what_for(applied: InMemory, words: tuple[str, ...], why: str) -> None:
    broken(applied)
    said = applied.run(*words, code=1).err
    assert said.index(why) < said.index("broken.yaml")
    assert "check out a commit whose specs are valid" in said
    assert "2 problems in 1 file, 1 warning" in said
    assert GREET in applied.live()
    if words != ("import",):
        problems = json.loads(applied.run(*words, "--json", code=1).out)["problems"]
        assert problems[0]["summary"].startswith(why)


def test_plan_and_apply_need_not_say_it(applied: InMemory, tmp_path: Path) -> None:
    broken(applied)
    for words in (("plan",), ("apply", "--yes"), ("plan", "--out", str(tmp_path / "plan.json"))):
        assert "reads the specs to" not in applied.run(*words, code=1).err
