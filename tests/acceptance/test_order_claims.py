"""Orders of run-once tasks on machines without memory: one of them alone carries each out."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml

from specrunner.core.values import iso
from tests.acceptance.shared_branch import Machines, make_machines, make_quick, noting, push, rewritten
from tests.acceptance.spec_repo import SpecRepo, finished, lines_of


@pytest.fixture
def machines(tmp_path: Path, cache: Path) -> Machines:
    """A task that runs once, which nobody has applied yet."""
    return once(*make_machines(tmp_path, cache))


@pytest.fixture
def quick(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machines:
    """The same, all in this process."""
    return once(*make_quick(tmp_path, monkeypatch))


def once(found: Machines, first: SpecRepo) -> Machines:
    noting(found, first)
    push(first, "a task")
    return found


def test_of_machines_that_apply_at_once_one_runs_what_runs_once(machines: Machines) -> None:
    repos = [machines.machine(f"m{number}") for number in range(4)]
    going = [repo.start("apply", "--yes", "--json") for repo in repos]
    said = [finished(process, 0).json for process in going]
    assert lines_of(machines.notes) == ["run"]
    # Who planned when the run was recorded already has nothing left to do.
    told = [[step["key"] for step in one["steps"]] for one in said]
    assert ["Task/lab/noting" in keys for keys in told] == [bool(keys) for keys in told] and any(told)
    files = machines.status()
    assert not [path for path in files if "/claims/" in path]
    task = yaml.safe_load(files["default/tasks/lab/noting.yaml"])
    assert list(task["intents"].values()) == ["success"]
    assert machines.machine("later").run("plan", "--json").json["steps"] == []


def test_who_may_not_push_runs_no_order_and_says_so(quick: Machines) -> None:
    quick.hub.hook("exit 1")
    said = quick.machine("reader").run("apply", "--yes", code=5).said
    assert "does not take what is pushed" in said
    assert lines_of(quick.notes) == []


def test_a_claimed_order_is_left_alone_until_its_time_is_over(quick: Machines) -> None:
    first = quick.machine("first")
    first.run("apply", "--yes")
    (run,) = [path for path in quick.status() if path.startswith("default/runs/")]
    record = quick.status()[run].decode()
    intent = str(yaml.safe_load(record)["intent"])
    claim = f"default/claims/lab/noting/{intent[:32]}.yaml"
    until = iso(datetime.now(UTC) + timedelta(hours=1))
    status = quick.hub.status("editor")
    text = record.replace("status: success", "status: running") + f"claim:\n  who: ada\n  until: '{until}'\n"
    status.write({claim: text.encode(), run: None}, "as if its machine had died")
    status.push()
    rewritten(
        quick, "default/tasks/lab/noting.yaml", lambda old: old.replace(f"{intent}: success", f"{intent}: running")
    )
    plan = quick.machine("waiting").run("plan", "--json").json
    assert plan["steps"] == []
    assert "may go on elsewhere" in plan["notices"][0]["text"]
    gone = iso(datetime.now(UTC) - timedelta(hours=1))
    rewritten(quick, claim, lambda old: old.replace(until, gone))
    plan = quick.machine("knowing").run("plan", "--json").json
    assert "ended as lost" in plan["notices"][0]["text"]
