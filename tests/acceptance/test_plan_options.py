"""The options of plan and apply: what is planned, how it is told, and what is done of it."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

import pytest

from specrunner.core.errors import SpecrunnerError
from specrunner.core.keys import Key
from specrunner.core.lifecycle import RunState
from specrunner.targets.faults import Fail, Faulty
from specrunner.targets.memory import Ended, Hooks, MemoryState, MemoryTarget
from tests.acceptance.in_memory import InMemory, memory

__all__ = ["memory"]

GREET, ROWS, ANNEX = "Task/lab/greet", "Connection/rows", "Workspace/annex"


@pytest.fixture
def specs(memory: InMemory) -> InMemory:
    """A connection, a workspace of its own, and a task that runs once."""
    memory.repo.document("Connection", "rows", {"type": "HTTP", "details": {"host": "a"}})
    memory.repo.document("Workspace", "annex", {})
    memory.repo.orchestration("hello", "print('hello')")
    memory.repo.task("greet", "hello")
    return memory


@pytest.fixture
def applied(specs: InMemory) -> InMemory:
    specs.run("apply", "--yes")
    return specs


def steps(said: Any) -> dict[str, str]:
    return {step["key"]: step["action"] for step in said.json["steps"]}


def host(memory: InMemory, name: str) -> None:
    memory.repo.document("Connection", "rows", {"type": "HTTP", "details": {"host": name}})


# --- adopt


def test_adopting_tells_no_value_of_an_object_of_nobody(specs: InMemory, tmp_path: Path) -> None:
    sentinel = "sw0rdfish-of-somebody"
    theirs = {"type": "HTTP", "details": {"host": "a", "password": sentinel, "more": {"deep": [sentinel]}}}
    specs.state.add(Key.parse(ROWS), theirs)
    specs.repo.document("Connection", "rows", {"type": "HTTP", "details": {"host": "a", "password": "ours"}})
    approved = str(tmp_path / "plan.json")
    said = [
        specs.run("plan", "--select", ROWS),
        *(specs.run("plan", "--adopt", ROWS, *form) for form in ([], ["--json"], ["--markdown"], ["--out", approved])),
        specs.run("plan", "--drift"),
        specs.run("apply", "--adopt", ROWS, "--yes", "--json"),
    ]
    for one in said:
        assert sentinel not in one.out + one.err
    assert sentinel not in Path(approved).read_text()
    assert 'details.password: (hidden) → "ours"' in said[1].out
    assert specs.live_of(ROWS).spec["details"] == {"host": "a", "password": "ours"}


# --- tasks that depend on tasks


def test_after_a_run_that_failed_what_depends_on_it_waits_for_a_person(specs: InMemory) -> None:
    fate = [Ended(RunState.FAILURE)]
    specs.target = Faulty(MemoryTarget(specs.state, Hooks(run=lambda _job: fate[-1])))
    specs.repo.document("Task", "after", {"orchestration": "hello"}, dependsOn=["Task/greet"])
    specs.run("apply", "--yes", code=6)
    said = specs.run("apply", "--yes", code=3).out
    assert "it depends on Task/lab/greet, whose last run ended as failure" in said
    assert "specrunner run greet" in said
    assert [run.task.name for run in specs.target.runs()] == ["greet"]
    fate.append(Ended())
    specs.run("run", "greet")
    specs.run("apply", "--yes")
    assert [run.task.name for run in specs.target.runs()] == ["after", "greet", "greet"]


def test_a_run_that_was_under_way_elsewhere_is_not_started_on_a_fresh_machine(applied: InMemory) -> None:
    (file,) = (applied.repo.root / "status").rglob("tasks/lab/greet.yaml")
    file.write_text(file.read_text().replace(": success\n", ": running\n"))
    fresh = MemoryState()
    applied.state, applied.target = fresh, Faulty(MemoryTarget(fresh, Hooks(run=lambda _job: Ended())))
    said = applied.run("apply", "--yes").out
    assert "its last run had not ended when it was recorded, and may go on elsewhere; apply does not repeat" in said
    assert "run" not in {call.method for call in applied.target.writes}
    assert "its last run ended as lost; apply does not repeat a run" in applied.run("apply", "--yes").out
    assert "run" not in {call.method for call in applied.target.writes}
    applied.run("run", "greet")
    assert applied.run("plan").out == "No changes: 5 objects as declared.\n"


# --- select, changed-since


def test_select_plans_what_is_named_and_what_that_needs(specs: InMemory) -> None:
    said = specs.run("plan", "--json", "--select", GREET)
    assert set(steps(said)) == {"Workspace/lab", "Orchestration/lab/hello", GREET}
    specs.run("apply", "--yes", "--select", GREET)
    assert set(specs.live()) == {"Workspace/lab", "Orchestration/lab/hello", GREET}
    assert set(steps(specs.run("plan", "--json"))) == {ROWS, ANNEX}


def test_select_may_be_given_several_times_and_an_unknown_key_is_told_with_the_nearest(specs: InMemory) -> None:
    said = specs.run("plan", "--json", "--select", ROWS, "--select", ANNEX)
    assert set(steps(said)) == {ROWS, ANNEX}
    assert ROWS in specs.run("plan", "--select", "Connection/row", code=64).err
    assert "`Connection/rows`" in specs.run("plan", "--select", "connection/rows", code=64).err


def test_changed_since_plans_what_differs_from_a_commit(applied: InMemory) -> None:
    applied.commit()
    host(applied, "b")
    applied.repo.remove("workspace-annex.yaml")
    applied.repo.document("Workspace", "new", {})
    applied.state.drift(applied.live_of(GREET).key, args={"changed": "by hand"})
    said = applied.run("plan", "--json", "--changed-since", "HEAD")
    assert steps(said) == {"Workspace/new": "create", ROWS: "update", ANNEX: "delete"}
    applied.run("apply", "--yes", "--changed-since", "HEAD")
    assert "Workspace/new" in applied.live()
    assert ANNEX not in applied.live()


def test_changed_since_leaves_out_what_was_removed_and_is_not_live_and_where_nothing_changed_says_so(
    applied: InMemory,
) -> None:
    never_applied = applied.repo.document("Workspace", "late", {})
    applied.commit()
    never_applied.unlink()
    assert applied.run("plan", "--json", "--changed-since", "HEAD").json["steps"] == []


def test_changed_since_an_unknown_revision_is_an_error(applied: InMemory) -> None:
    assert "in no git repository" in applied.run("plan", "--changed-since", "HEAD", code=1).err
    applied.commit()
    assert "'mian'" in applied.run("plan", "--changed-since", "mian", code=1).err


# --- out, PLANFILE, expect


def test_a_saved_plan_is_applied_as_it_was_reviewed(specs: InMemory, tmp_path: Path) -> None:
    file = tmp_path / "plan.json"
    told = specs.run("plan", "--out", str(file)).out
    assert f"specrunner apply {file}" in told
    assert stat.S_IMODE(file.stat().st_mode) == 0o644
    assert json.loads(file.read_text())["hash"] == specs.run("plan", "--json").json["hash"]
    specs.run("apply", str(file), "--yes")
    assert specs.run("plan").out.startswith("No changes")


def test_what_came_after_the_review_is_left_out(specs: InMemory, tmp_path: Path) -> None:
    file = tmp_path / "plan.json"
    specs.run("plan", "--out", str(file))
    specs.repo.document("Workspace", "late", {})
    said = specs.run("apply", str(file), "--yes").said
    assert "Workspace/late" in said
    assert "Workspace/late" not in specs.live()
    assert ROWS in specs.live()


def test_a_plan_that_is_no_longer_right_is_refused_with_4_and_nothing_is_done(
    applied: InMemory, tmp_path: Path
) -> None:
    file = tmp_path / "plan.json"
    host(applied, "b")
    applied.run("plan", "--out", str(file))
    host(applied, "c")
    before = applied.live_of(ROWS)
    assert ROWS in applied.run("apply", str(file), "--yes", code=4).err
    assert applied.live_of(ROWS) == before


def test_a_plan_made_with_no_destroy_or_adopt_is_applied_in_the_same_way(applied: InMemory, tmp_path: Path) -> None:
    file = tmp_path / "plan.json"
    applied.repo.remove("workspace-annex.yaml")
    applied.repo.document("Connection", "lone", {"type": "HTTP"})
    applied.state.add(Key.parse("Connection/lone"), {"type": "HTTP"})
    applied.run("plan", "--no-destroy", "--adopt", "Connection/lone", "--out", str(file))
    applied.run("apply", str(file), "--yes", code=3)
    assert ANNEX in applied.live()
    assert str(applied.live_of("Connection/lone").owner) == "acceptance/default"


def test_a_plan_file_and_options_that_plan_exclude_each_other(applied: InMemory, tmp_path: Path) -> None:
    file = tmp_path / "plan.json"
    applied.run("plan", "--out", str(file))
    for words in (["--select", ROWS], ["--changed-since", "HEAD"], ["--adopt", ROWS], ["--no-destroy"]):
        assert "plan file" in applied.run("apply", str(file), "--yes", *words, code=64).err
    assert "environment 'default'" in applied.run("apply", str(file), "--yes", "-e", "prod", code=64).err


@pytest.mark.parametrize("text", ["", "no json", "[]", '{"version": 99}', "[" * 100_000])
def test_what_is_no_plan_file_is_refused_in_words(specs: InMemory, tmp_path: Path, text: str) -> None:
    file = tmp_path / "plan.json"
    file.write_text(text)
    assert "specrunner plan" in specs.run("apply", str(file), "--yes", code=1).err
    assert not specs.live()


def test_a_plan_file_with_a_field_that_nobody_knows_is_refused(specs: InMemory, tmp_path: Path) -> None:
    file = tmp_path / "plan.json"
    specs.run("plan", "--out", str(file))
    plan = json.loads(file.read_text())
    plan["steps"][0]["surprise"] = 1
    file.write_text(json.dumps(plan))
    assert "surprise" in specs.run("apply", str(file), "--yes", code=1).err


def test_a_plan_that_can_not_be_saved_leaves_nothing_behind(specs: InMemory, tmp_path: Path) -> None:
    assert "no folder" in specs.run("plan", "--out", str(tmp_path / "none" / "plan.json"), code=64).err
    assert "is a folder" in specs.run("plan", "--out", str(tmp_path), code=64).err
    assert "can't be read" in specs.run("apply", str(tmp_path / "none.json"), "--yes", code=64).err
    assert {path.name for path in tmp_path.iterdir()} == {"specs"}


def test_apply_does_what_is_expected_and_nothing_else(specs: InMemory) -> None:
    found = specs.run("plan", "--json").json["hash"]
    specs.repo.document("Workspace", "late", {})
    refused = specs.run("apply", "--yes", "--expect", found, code=4).err
    assert found[:12] in refused
    assert not specs.live()
    specs.repo.remove("workspace-late.yaml")
    specs.run("apply", "--yes", "--expect", found)
    assert ROWS in specs.live()


def test_of_a_plan_file_the_hash_of_the_file_is_expected(specs: InMemory, tmp_path: Path) -> None:
    file = tmp_path / "plan.json"
    specs.run("plan", "--out", str(file))
    found = json.loads(file.read_text())["hash"]
    specs.run("apply", str(file), "--yes", "--expect", "0" * 64, code=4)
    assert not specs.live()
    specs.run("apply", "--yes", "--select", ROWS)  # a part of it is done already
    specs.run("apply", str(file), "--yes", "--expect", found)
    assert GREET in specs.live()


# --- how a plan is told


def test_detailed_exit_codes_tell_changes_from_none(specs: InMemory) -> None:
    specs.run("plan")
    specs.run("plan", "--detailed-exitcode", code=2)
    specs.run("apply", "--yes")
    specs.run("plan", "--detailed-exitcode")


def test_detailed_exit_codes_tell_what_is_only_blocked_from_changes(applied: InMemory) -> None:
    applied.repo.remove("workspace-annex.yaml")
    applied.run("plan", "--no-destroy")
    applied.run("plan", "--no-destroy", "--detailed-exitcode", code=3)
    applied.run("plan", "--detailed-exitcode", code=2)
    host(applied, "b")
    applied.run("plan", "--no-destroy", "--detailed-exitcode", code=2)


def test_drift_has_an_exit_code_of_its_own(applied: InMemory) -> None:
    host(applied, "b")  # our own change is no drift
    assert "No drift" in applied.run("plan", "--drift").out
    applied.state.drift(applied.live_of(ROWS).key, details={"host": "z"})
    said = applied.run("plan", "--drift", code=2).out
    assert ROWS in said
    assert GREET not in said
    [found] = applied.run("plan", "--drift", "--json", code=2).json["drift"]
    assert (found["key"], found["changes"]) == (ROWS, [{"path": "details.host", "applied": "a", "live": "z"}])
    applied.state.lose(applied.live_of(ANNEX).key)
    gone = applied.run("plan", "--drift", "--json", code=2).json["drift"]
    assert {"key": ANNEX, "gone": True} in gone
    assert "--drift" in applied.run("plan", "--drift", "--out", "x.json", code=64).err


def test_markdown_is_for_pull_requests(specs: InMemory) -> None:
    said = specs.run("plan", "--markdown").out
    assert said.startswith("<!--")
    assert specs.run("plan", "--json").json["hash"] in said.splitlines()[0]
    assert "--markdown" in specs.run("plan", "--markdown", "--json", code=64).said


def test_json_stays_json_whatever_else_there_is_to_say(applied: InMemory, tmp_path: Path) -> None:
    for number in range(10):
        applied.repo.document("Workspace", f"w{number}", {})
    applied.run("apply", "--yes")
    for number in range(10):
        applied.repo.remove(f"workspace-w{number}.yaml")
    said = applied.run("plan", "--json", "--out", str(tmp_path / "plan.json"))
    assert len(said.json["steps"]) == 10
    assert "apply will refuse this" in said.err


def test_plan_says_that_the_brake_will_be_pulled(applied: InMemory) -> None:
    for number in range(10):
        applied.repo.document("Workspace", f"w{number}", {})
    applied.run("apply", "--yes")
    for number in range(10):
        applied.repo.remove(f"workspace-w{number}.yaml")
    told = applied.run("plan").out
    assert "apply will refuse this" in told
    assert "--force" in told
    refused = applied.run("apply", "--yes", code=3).err
    assert "66.67%" in refused
    assert len(applied.live()) == 15
    applied.run("apply", "--yes", "--force")
    assert len(applied.live()) == 5


def test_a_clean_commit_stands_in_the_plan_and_edited_specs_have_none(applied: InMemory) -> None:
    commit = applied.commit()
    assert applied.run("plan", "--json").json["commit"] == commit
    applied.run("apply", "--yes")  # what it writes itself makes no difference
    assert applied.run("plan", "--json").json["commit"] == commit
    host(applied, "b")
    assert applied.run("plan", "--json").json["commit"] == ""


# --- apply


def test_no_destroy_keeps_and_lists_and_adopt_takes_over(applied: InMemory) -> None:
    applied.repo.remove("workspace-annex.yaml")
    said = applied.run("apply", "--yes", "--no-destroy", code=3).out
    assert "--no-destroy" in said
    assert ANNEX in applied.live()
    assert "Connection/rowz" in applied.run("apply", "--yes", "--adopt", "Connection/rowz", code=64).err


def test_offline_apply_is_refused_where_a_secret_is_needed(specs: InMemory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROWS", '{"password": "swordfish"}')
    specs.repo.document("Connection", "rows", {"type": "HTTP", "detailsFrom": {"env": "ROWS"}})
    refused = specs.run("apply", "--yes", "--offline", code=1).err
    assert "ROWS" in refused
    assert not specs.live()
    specs.run("apply", "--yes", "--offline", "--select", ANNEX)
    specs.run("apply", "--yes")
    assert ROWS in specs.live()


def test_runs_that_are_not_waited_for_go_on(specs: InMemory) -> None:
    outcome = specs.run("apply", "--yes", "--no-wait", "--json").json
    [started] = [step for step in outcome["steps"] if step["key"] == GREET]
    assert started["fate"] == "done"
    assert started["run"]["id"]


@pytest.mark.parametrize("words", [["--wait-timeout", "soon"], ["--lock-timeout", "-1"], ["--parallelism", "0"]])
def test_a_time_that_is_none_is_wrong_usage(specs: InMemory, words: list[str]) -> None:
    specs.run("apply", "--yes", *words, code=64)


def test_a_failed_step_leaves_5_and_the_others_done(specs: InMemory) -> None:
    broken = SpecrunnerError("The disk is full.", remedy="Make room.")
    specs.goes_wrong(Fail(method="put", key=Key.parse(ANNEX), error=lambda: broken))
    said = specs.run("apply", "--yes", code=5).out
    assert "The disk is full." in said
    assert ROWS in specs.live()
    assert ANNEX not in specs.live()


def test_destroy_removes_all_of_ours_and_twice_is_fine(applied: InMemory) -> None:
    applied.state.add(Key.parse("Connection/lone"), {"type": "HTTP"})
    applied.run("destroy", "--yes", "--parallelism", "2")
    assert set(applied.live()) == {"Connection/lone"}
    applied.run("destroy", "--yes")
