"""Two environments of one repository on one target: neither has anything to do with what belongs to the other."""

from __future__ import annotations

import signal
from datetime import timedelta
from pathlib import Path
from subprocess import Popen
from typing import Any

import pytest

from specrunner.core.keys import Key
from specrunner.core.leases import DURATION, Holder
from specrunner.targets.faults import Faulty
from specrunner.targets.memory import MemoryTarget
from tests.acceptance import samples
from tests.acceptance.in_memory import InMemory, memory
from tests.acceptance.spec_repo import SpecRepo, finished, lines_of, until
from tests.contract.target_samples import SetClock

__all__ = ["memory"]

STAGING, PROD = "acceptance/staging", "acceptance/prod"
LAB = "lab-${vars.stage}"
PROJECT = """\
    apiVersion: specrunner/v1
    kind: Project
    metadata: {name: acceptance}
    spec:
      status: {directory: status}
      environments:
        staging: {vars: {stage: staging}}
        prod: {vars: {stage: prod}}
    """


def declare(repo: SpecRepo) -> None:
    """A workspace with a run-once task, and a connection, each named after its environment."""
    repo.write("specrunner.yaml", PROJECT)
    repo.write("workspace.yaml", 'apiVersion: specrunner/v1\nkind: Workspace\nmetadata: {name: "lab-${vars.stage}"}\n')
    host(repo, "a")
    task(repo, "print('hello')")


def task(repo: SpecRepo, main: str, **spec: Any) -> None:
    repo.write("hello/main.py", main)
    repo.document("Orchestration", "hello", {"source": "hello"}, workspace=LAB)
    repo.document("Task", "greet", {"orchestration": "hello", **spec}, workspace=LAB)


def host(repo: SpecRepo, name: str) -> None:
    repo.document("Connection", "rows-${vars.stage}", {"type": "HTTP", "details": {"host": name}}, file="rows.yaml")


@pytest.fixture
def specs(memory: InMemory) -> InMemory:
    declare(memory.repo)
    return memory


@pytest.fixture
def both(specs: InMemory) -> InMemory:
    """Applied to both environments."""
    for environment in ("staging", "prod"):
        specs.run("apply", "--yes", "-e", environment)
    return specs


def of(m: InMemory, owner: str) -> dict[str, object]:
    return {key: found for key, found in m.live().items() if str(found.owner) == owner}


# Objects


def test_each_has_its_own_and_a_plan_of_one_counts_only_that(both: InMemory) -> None:
    assert set(of(both, STAGING)) == {
        "Workspace/lab-staging",
        "Connection/rows-staging",
        "Orchestration/lab-staging/hello",
        "Task/lab-staging/greet",
    }
    assert len(of(both, PROD)) == 4
    for environment in ("staging", "prod"):
        said = both.run("plan", "--json", "-e", environment).json
        assert (said["steps"], said["unchanged"], said["notices"]) == ([], 4, [])


def test_a_change_of_one_touches_nothing_of_the_other(both: InMemory) -> None:
    before = of(both, PROD)
    host(both.repo, "b")
    both.repo.remove("task-greet.yaml")
    writes = len(both.target.writes)
    both.run("apply", "--yes", "-e", "staging")
    assert {str(call.key) for call in both.target.writes[writes:] if call.key} == {
        "Connection/rows-staging",
        "Task/lab-staging/greet",
    }
    assert of(both, PROD) == before
    steps = both.run("plan", "--json", "-e", "prod").json["steps"]
    assert {step["key"]: step["action"] for step in steps} == {
        "Connection/rows-prod": "update",
        "Task/lab-prod/greet": "delete",
    }


def test_what_somebody_changes_in_one_is_no_drift_of_the_other(both: InMemory) -> None:
    both.state.drift(Key.parse("Connection/rows-prod"), details={"host": "z"})
    assert "No drift" in both.run("plan", "--drift", "-e", "staging").out
    both.run("plan", "--drift", "-e", "prod", code=2)


def test_to_destroy_one_leaves_the_other_whole(both: InMemory) -> None:
    before = of(both, PROD)
    both.run("destroy", "--yes", "-e", "staging")
    assert of(both, STAGING) == {}
    assert of(both, PROD) == before == both.live()
    both.run("destroy", "--yes", "-e", "staging")
    assert both.live() == before
    assert both.run("plan", "-e", "prod").out.startswith("No changes")


def test_an_environment_that_is_left_is_not_pruned(both: InMemory) -> None:
    before = of(both, STAGING)
    both.repo.write("specrunner.yaml", PROJECT.replace("        staging: {vars: {stage: staging}}\n", ""))
    both.run("apply", "--yes", "-e", "prod")
    assert of(both, STAGING) == before


def test_the_brake_counts_the_objects_of_one_alone(specs: InMemory) -> None:
    """Ten of prod are all of prod: that staging has as many makes it no smaller a part."""
    for number in range(10):
        specs.repo.document("Workspace", f"w{number}-${{vars.stage}}", {}, file=f"w{number}.yaml")
    for environment in ("staging", "prod"):
        specs.run("apply", "--yes", "-e", environment)
    for number in range(10):
        specs.repo.remove(f"w{number}.yaml")
    refused = specs.run("apply", "--yes", "-e", "prod", code=3).err
    assert "(10/14)" in refused
    assert len(of(specs, PROD)) == len(of(specs, STAGING)) == 14


@pytest.mark.parametrize("command", [["plan"], ["apply", "--yes"], ["apply", "--yes", "--force"]])
def test_a_clash_of_names_is_refused_with_the_owner_and_the_remedy(both: InMemory, command: list[str]) -> None:
    both.repo.document("Connection", "rows-prod", {"type": "FTP"}, file="clash.yaml")
    before, writes = both.live(), len(both.target.writes)
    refused = both.run(*command, "-e", "staging", code=1).err
    assert "clash.yaml:1" in refused
    assert f"Connection/rows-prod belongs to {PROD}" in refused
    assert "another name (a variable in the name will do)" in refused
    assert both.live() == before
    assert {call.method for call in both.target.writes[writes:]} <= {"take_lease", "release_lease"}


def test_what_belongs_to_the_other_can_be_neither_adopted_nor_taken_by_a_rename(both: InMemory) -> None:
    both.repo.document("Connection", "rows-prod", {"type": "HTTP"}, file="clash.yaml")
    refused = both.run("apply", "--yes", "-e", "staging", "--adopt", "Connection/rows-prod", code=1).err
    assert f"belongs to {PROD}" in refused
    both.repo.document("Connection", "mine", {"type": "HTTP"}, file="clash.yaml", renamedFrom="rows-prod")
    said = both.run("apply", "--yes", "-e", "staging").out
    assert f"it is made anew instead of renamed from Connection/rows-prod: that belongs to {PROD}" in said
    assert {"Connection/mine", "Connection/rows-prod"} <= set(both.live())


def test_on_a_fresh_machine_each_is_brought_back_from_its_own_records(both: InMemory) -> None:
    both.state.clear()
    both.run("apply", "--yes", "-e", "staging")
    assert set(both.live()) == set(of(both, STAGING))
    assert len(both.live()) == 4
    assert both.run("plan", "--json", "-e", "prod").json["steps"] == []
    both.run("apply", "--yes", "-e", "prod")
    assert len(both.live()) == 8


# Two at once


class Concurrent:
    """Two environments on the embedded engine, whose runs wait until they are let go."""

    def __init__(self, repo: SpecRepo, folder: Path) -> None:
        self.repo = repo
        self._folder = folder

    def start(self, environment: str, *words: str) -> Popen[str]:
        return self.repo.start("apply", "--yes", "-e", environment, *words)

    def in_a_run(self, environment: str, process: Popen[str]) -> None:
        """Wait until an apply has come to its run."""
        until(lambda: bool(self.ran(environment)) or process.poll() is not None, f"the run of {environment}")
        assert process.poll() is None, process.communicate()

    def let_go(self, environment: str) -> None:
        self._side(environment).with_name(f"{environment}.go").touch()

    def ran(self, environment: str) -> list[str]:
        return lines_of(self._side(environment))

    def _side(self, environment: str) -> Path:
        return self._folder / environment


@pytest.fixture
def concurrent(repo: SpecRepo, tmp_path: Path) -> Concurrent:
    declare(repo)
    task(repo, samples.WAIT, env={"SIDE": f"{tmp_path}/${{vars.stage}}"})
    return Concurrent(repo, tmp_path)


def test_two_at_once_on_one_environment_are_refused_or_wait_and_on_two_both_work(concurrent: Concurrent) -> None:
    with concurrent.start("staging") as first:
        concurrent.in_a_run("staging", first)
        with concurrent.start("staging") as refused:
            err = finished(refused, 1).err
        assert f"The lease of {STAGING} is held by" in err
        assert f"(process {first.pid})" in err
        assert "`specrunner unlock -e staging`" in err
        with concurrent.start("prod") as other:
            concurrent.let_go("prod")
            finished(other, 0)
        with concurrent.start("staging", "--lock-timeout", "5m") as waiting:
            assert waiting.stderr is not None
            assert f"(process {first.pid})" in waiting.stderr.readline()
            concurrent.let_go("staging")
            finished(first, 0)
            assert "No changes" in finished(waiting, 0).out
    assert concurrent.ran("staging") == concurrent.ran("prod") == ["ran"]


def test_the_lease_of_a_killed_apply_is_free_at_once_on_its_own_host(concurrent: Concurrent) -> None:
    with concurrent.start("staging") as killed:
        concurrent.in_a_run("staging", killed)
        killed.kill()
    assert killed.returncode == -signal.SIGKILL
    with concurrent.start("staging") as next_one:  # without --lock-timeout
        concurrent.let_go("staging")
        assert "was cut off" in finished(next_one, 0).out
    assert concurrent.ran("staging") == ["ran"]


def held_elsewhere(m: InMemory, clock: SetClock) -> None:
    """Somebody on another host holds the lease of staging; whether that process lives nobody can tell from here."""
    holder = Holder("grace", "ci-7", 4711, clock.now(), "token", started=1.0, boot="another boot")
    m.target = Faulty(MemoryTarget(m.state, clock=clock))
    assert m.target.take_lease(STAGING, holder) is None


def test_the_lease_of_one_environment_does_not_hold_up_the_other(specs: InMemory) -> None:
    held_elsewhere(specs, SetClock())
    assert "grace on ci-7" in specs.run("apply", "--yes", "-e", "staging", code=1).err
    specs.run("apply", "--yes", "-e", "prod")
    assert set(specs.live()) == set(of(specs, PROD))


def test_the_lease_of_who_died_on_another_host_is_free_when_it_has_expired_and_not_before(specs: InMemory) -> None:
    clock = SetClock()
    held_elsewhere(specs, clock)
    clock.move(DURATION - timedelta(seconds=1))
    refused = specs.run("apply", "--yes", "-e", "staging", code=1).err
    assert "2026-03-01T12:00:00Z" in refused
    assert specs.live() == {}
    clock.move(timedelta(seconds=1))
    specs.run("apply", "--yes", "-e", "staging")
    assert len(of(specs, STAGING)) == 4
    assert not specs.target.leases()
