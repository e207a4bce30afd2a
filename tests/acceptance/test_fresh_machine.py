"""A target that has lost its memory, as on a CI runner: what is recorded beside the specs stands in for it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from specrunner.core.keys import Key
from specrunner.targets.memory import MemoryState
from tests.acceptance.in_memory import InMemory, memory
from tests.acceptance.spec_repo import SpecRepo

__all__ = ["memory"]

GREET, HELLO, ROWS = "Task/lab/greet", "Orchestration/lab/hello", "Connection/rows"


@pytest.fixture
def recorded(memory: InMemory) -> InMemory:
    """Applied from a clean commit, recorded and committed; then the machine is another one."""
    memory.repo.document("Connection", "rows", {"type": "HTTP", "details": {"host": "a"}})
    memory.repo.orchestration("hello", "print('hello')")
    memory.repo.task("greet", "hello")
    memory.commit()
    memory.run("apply", "--yes")
    memory.commit()
    return memory


def another_machine(memory: InMemory) -> None:
    memory.state = MemoryState()
    memory.goes_wrong()
    shutil.rmtree(memory.repo.root / ".specrunner")
    (memory.repo.root / ".specrunner").mkdir()
    (memory.repo.root / ".specrunner" / "state.db").touch()


def test_plan_shows_only_what_the_last_commit_changed_and_writes_nothing(recorded: InMemory) -> None:
    another_machine(recorded)
    assert recorded.run("plan", "--json").json["steps"] == []
    recorded.repo.document("Connection", "rows", {"type": "HTTP", "details": {"host": "b"}})
    plan = recorded.run("plan", "--json").json
    assert [(step["key"], step["action"]) for step in plan["steps"]] == [(ROWS, "update")]
    assert set(plan["restores"]) == {"Workspace/lab", ROWS, HELLO, GREET}
    assert "lost its memory" in recorded.run("plan").out
    assert recorded.target.writes == []


def test_apply_brings_back_what_is_recorded_and_runs_nothing_twice(recorded: InMemory) -> None:
    another_machine(recorded)
    said = recorded.run("apply", "--yes").out
    assert "4 recorded objects were brought back." in said
    assert set(recorded.live()) == {"Workspace/lab", ROWS, HELLO, GREET}
    assert "run" not in {call.method for call in recorded.target.writes}
    assert recorded.run("plan").out.startswith("No changes")


def test_what_is_left_out_is_brought_back_from_the_commit_it_was_applied_at(recorded: InMemory) -> None:
    old = recorded.live_of(HELLO).spec["sha"]
    recorded.repo.write("orchestrations/hello/main.py", "print('other')")
    recorded.commit()
    another_machine(recorded)
    recorded.run("apply", "--yes", "--select", ROWS)
    assert recorded.live_of(HELLO).spec["sha"] == old
    assert recorded.live_of(HELLO).owner == recorded.live_of(ROWS).owner


def test_outside_git_what_can_not_be_brought_back_is_told_and_not_guessed(recorded: InMemory) -> None:
    shutil.rmtree(recorded.repo.root / ".git")
    recorded.repo.write("orchestrations/hello/main.py", "print('other')")
    another_machine(recorded)
    said = recorded.run("apply", "--yes", "--select", ROWS, code=5).said
    assert HELLO in said
    assert HELLO not in recorded.live()


def test_a_status_file_that_can_not_be_read_spoils_the_plan_and_says_where_it_is(
    recorded: InMemory, tmp_path: Path
) -> None:
    another_machine(recorded)
    (recorded.repo.root / "status" / "default" / "connections" / "rows.yaml").write_text("[")
    file = tmp_path / "plan.json"
    shown = recorded.run("plan", "--out", str(file), code=1)
    assert ROWS in shown.out
    assert "status/default/connections/rows.yaml" in shown.err
    assert "not saved" in shown.err and not file.exists()
    assert "lost its memory" not in recorded.run("plan", "--markdown", code=1).out
    assert [problem["severity"] for problem in recorded.run("plan", "--json", code=1).json["problems"]] == ["error"]
    recorded.run("apply", "--yes", code=1)
    assert not set(recorded.live())


def test_a_restored_run_keeps_its_start_and_its_duration(recorded: InMemory) -> None:
    (before,) = recorded.target.runs(Key.parse(GREET))
    another_machine(recorded)
    recorded.run("apply", "--yes")
    (after,) = recorded.target.runs(Key.parse(GREET))
    assert (after.created, after.started, after.ended) == (before.created, before.started, before.ended)
    assert after.started is not None


def test_what_another_project_has_recorded_here_is_not_taken_from_it(recorded: InMemory) -> None:
    another_machine(recorded)
    before = {path: path.read_bytes() for path in (recorded.repo.root / "status").rglob("*") if path.is_file()}
    project = recorded.repo.root / "specrunner.yaml"
    project.write_text(project.read_text().replace("acceptance", "another"))
    for words in (["plan"], ["apply", "--yes"]):
        refused = recorded.run(*words, code=1)
        assert f"{ROWS} belongs to acceptance/default" in refused.said
    for path in recorded.repo.root.glob("*.yaml"):
        if path.name != "specrunner.yaml":
            path.unlink()
    recorded.repo.document("Workspace", "elsewhere", {})
    recorded.run("apply", "--yes")
    after = {path: path.read_bytes() for path in before}
    assert {path for path in before if after[path] != before[path]} == {recorded.repo.root / "status/default/README.md"}


def test_through_the_installed_command_a_fresh_state_folder_shows_and_does_only_what_is_new(repo: SpecRepo) -> None:
    for name in ("kept", "changed", "gone"):
        repo.document("Connection", name, {"type": "HTTP", "details": {"host": "a"}})
    repo.run("apply", "--yes")
    shutil.rmtree(repo.root / ".specrunner")
    assert "No changes: 4 objects as declared." in repo.run("plan", "--detailed-exitcode", code=0).out
    repo.document("Connection", "changed", {"type": "HTTP", "details": {"host": "b"}})
    repo.remove("connection-gone.yaml")
    planned = repo.run("plan", "--json").json
    assert [(step["key"], step["action"]) for step in planned["steps"]] == [
        ("Connection/changed", "update"),
        ("Connection/gone", "delete"),
    ]
    assert not (repo.root / ".specrunner/state.db").exists()
    assert "3 recorded objects are brought back first" in repo.run("apply", "--yes").out
    assert "No changes: 3 objects as declared." in repo.run("plan").out
