"""The memory target beyond its contract: the quirks of its server, its file, and what only a test can do to it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from specrunner.core.diff import drift
from specrunner.core.errors import Conflict, StalePlan, Transient
from specrunner.core.fields import Action
from specrunner.core.keys import Key, Kind
from specrunner.core.leases import Holder
from specrunner.core.lifecycle import Reason, RunState
from specrunner.core.plan import Step
from specrunner.core.resources import Live, Presence, Resource
from specrunner.core.values import Json, Secret
from specrunner.targets.memory import Ended, Hooks, Job, MemoryState, MemoryTarget, Quirk
from specrunner.targets.memory.quirks import ADDED, LABEL
from tests.contract.target_samples import OURS, SENTINEL, Applying, connection, key, orchestration, task, workspace
from tests.contract.target_samples import everything as simple_ones


def everything() -> list[Resource]:
    """An object of each kind with all that a server may twist."""
    more: Mapping[Kind, dict[str, Json]] = {
        Kind.CONNECTION: {"workspaces": ["lab", "annex"], "details": {"host": "a", "port": 1, "none": None}},
        Kind.PIPELINE: {
            "resources": {"cpus": 2, "memory": 512 * 2**20, "replicas": 1},
            "log": {"retention": 86_400},
            "validations": {},
        },
        Kind.TASK: {
            "timeout": 90,
            "retries": {"limit": 3, "backoff": 30},
            "workspaces": ["lab", "annex"],
            "env": {"A": "1", "B": ""},
            "args": {"n": 1, "x": None, "list": [2, 1]},
            "schedule": None,
            "resources": {"cpus": 1.5, "memory": 1000},
        },
    }
    found = [replace(one, spec={**one.spec, **more.get(one.key.kind, {})}) for one in simple_ones()]
    annex = Resource(Key(Kind.WORKSPACE, "", "annex"), {}, found[0].place)
    return [annex, *(replace(one, labels={"team": "x"}) for one in found)]


def project(*quirks: Quirk, state: MemoryState | None = None) -> Applying:
    return Applying(MemoryTarget(state or MemoryState(quirks=frozenset(quirks))))


def state_of(applying: Applying) -> MemoryState:
    assert isinstance(applying.target, MemoryTarget)
    return applying.target.state


# Quirks


@pytest.mark.parametrize("quirks", [[quirk] for quirk in Quirk] + [list(Quirk)], ids="+".join)
def test_no_quirk_of_a_server_makes_a_plan_see_changes(quirks: list[Quirk]) -> None:
    ours = project(*quirks)
    ours.apply(everything())
    after = ours.plan(everything())
    assert after.steps == () and after.unchanged == len(everything())
    assert [drift(found) for found in ours.target.read().values()] == [()] * len(everything())


TOLD: Mapping[Quirk, Callable[[Live], bool]] = {
    Quirk.FILLS_DEFAULTS: lambda live: live[key(Kind.TASK, "job")].spec["retries"].get(ADDED) == 1,
    Quirk.REORDERS: lambda live: live[key(Kind.TASK, "job")].spec["workspaces"] == ["annex", "lab"],
    Quirk.HIDES: lambda live: "timeout" not in live[key(Kind.TASK, "job")].spec,
    Quirk.MASKS: lambda live: set(live[connection().key].spec["details"].values()) == {"*****"},
    Quirk.EMPTY_TEXTS: lambda live: live[key(Kind.TASK, "job")].spec["schedule"] == "",
    Quirk.TEXT_NUMBERS: lambda live: (
        [live[key(Kind.TASK, "job")].spec[name] for name in ("timeout", "retries", "resources")]
        == ["1m30s", {"limit": "3", "backoff": "0m30s"}, {"cpus": "1.5", "memory": "1000"}]
        and live[key(Kind.PIPELINE, "prices")].spec["resources"]["memory"] == "512Mi"
    ),
    Quirk.ADDS_LABELS: lambda live: live[connection().key].labels == {"team": "x", LABEL: "yes"},
}


@pytest.mark.parametrize("quirk", TOLD)
def test_a_quirk_twists_what_is_told(quirk: Quirk) -> None:
    """Lest the test above holds because nothing is twisted."""
    plain, twisted = project(), project(quirk)
    plain.apply(everything())
    twisted.apply(everything())
    assert TOLD[quirk](twisted.target.read())
    assert not TOLD[quirk](plain.target.read())


@pytest.mark.parametrize("quirk", list(Quirk))
def test_a_change_is_still_seen_and_made(quirk: Quirk) -> None:
    ours = project(quirk)
    ours.apply(everything())
    changed = [
        replace(one, spec={**one.spec, "args": {"n": 2}}) if one.key.kind is Kind.TASK else one for one in everything()
    ]
    assert [(step.key.name, step.action) for step in ours.plan(changed).steps] == [("job", Action.RUN)]
    assert [run.args for run in ours.apply(changed)] == [{"n": 2}]
    assert ours.plan(changed).steps == ()


def test_normalised_names_are_known_by_what_was_declared() -> None:
    ours = project(Quirk.NORMALISES_NAMES)
    shop = Resource(Key(Kind.WORKSPACE, "", "My Shop"), {}, workspace().place)
    ours.apply([shop])
    assert [thing.name for thing in state_of(ours).objects.values()] == ["my-shop"]
    assert set(ours.target.read()) == {shop.key}
    with pytest.raises(Conflict, match="my-shop"):
        ours.apply([shop, replace(shop, key=Key(Kind.WORKSPACE, "", "my  shop"))])


def test_what_is_deleted_is_seen_for_a_while_and_its_name_is_not_free() -> None:
    ours = project(Quirk.LINGERS)
    ours.apply([workspace()])
    ours.target.delete(ours.plan([]).steps[0])
    leaving = ours.target.read()[workspace().key]
    assert leaving.presence is Presence.LEAVING and leaving.owner is None
    order = ours.order(workspace(), Step(workspace().key, Action.CREATE, ""))
    with pytest.raises(Transient, match="not free yet"):
        ours.target.put(order)
    ours.target.put(order)
    assert ours.target.read()[workspace().key].presence is Presence.PRESENT


def test_what_has_taken_the_place_of_something_that_is_still_seen_is_the_one_that_counts() -> None:
    ours = project(Quirk.LINGERS)
    ours.apply([workspace(), connection()])
    other = replace(connection(), spec={**connection().spec, "type": "HTTP"})
    ours.apply([workspace(), other])
    assert len(state_of(ours).all_of(other.key)) == 2 and state_of(ours).twins() == []
    assert ours.plan([workspace(), other]).steps == ()
    changed = replace(other, description="changed before the old one is gone")
    ours.apply([workspace(), changed])
    assert ours.target.read()[other.key].description == changed.description
    assert ours.plan([workspace(), changed]).steps == ()


def test_a_new_name_that_is_still_being_left_is_not_free() -> None:
    ours = project(Quirk.LINGERS)
    hall = Resource(Key(Kind.WORKSPACE, "", "hall"), {}, workspace().place)
    ours.apply([workspace(), hall])
    ours.apply([workspace()])
    renamed = replace(hall, renamed_from=workspace().key)
    order = ours.order(renamed, ours.step(renamed, []))
    assert order.step.renamed_from == workspace().key
    with pytest.raises(Transient):
        ours.target.put(order)
    assert ours.target.read()[workspace().key].owner == OURS


def test_a_lost_reply_makes_a_twin_without_a_token_and_none_with_it() -> None:
    for token, twins in (("", [workspace().key]), ("apply-1", [])):
        ours = project(Quirk.TWINS)
        order = replace(ours.order(workspace(), Step(workspace().key, Action.CREATE, "")), token=token)
        ours.target.put(order)
        ours.target.put(order)
        assert state_of(ours).twins() == twins
        assert set(ours.target.read()) == {workspace().key}


def test_a_listing_keeps_even_a_create_without_a_token_from_making_a_twin() -> None:
    ours = project(Quirk.TWINS)
    order = ours.order(workspace(), Step(workspace().key, Action.CREATE, ""))
    ours.target.put(order)
    ours.target.read()
    ours.target.put(order)
    assert state_of(ours).twins() == []


# What somebody else does


def test_drift_is_seen_and_taken_back() -> None:
    ours = project()
    ours.apply(everything())
    state_of(ours).drift(connection().key, details={"host": "theirs"})
    (step,) = ours.plan(everything()).steps
    assert step.key == connection().key and any(change.drift for change in step.changes)
    ours.apply(everything())
    assert ours.plan(everything()).steps == ()


def test_a_strangers_object_belongs_to_nobody() -> None:
    ours = project()
    ours.apply([workspace()])
    made = state_of(ours).add(key(Kind.MODEL, "theirs"), {"framework": "onnx"}, b"bytes")
    found = ours.target.read()[made.key]
    assert found.owner is None and found.applied is None and found.id == made.id
    stored = ours.target.stored(made.key)
    assert stored is not None and stored.data == b"bytes"
    assert ours.plan([workspace()]).steps == ()


# Hooks


def job_of(applying: Applying, state: RunState = RunState.SUCCESS) -> Resource:
    source = orchestration()
    (run,) = applying.apply([workspace(), source, task(source)])
    assert run.status is state
    return task(source)


def test_a_run_gets_what_was_declared_and_gives_what_it_found() -> None:
    jobs: list[Job] = []

    def work(job: Job) -> Ended:
        jobs.append(job)
        job.say("at work")
        return Ended(results={"rows": 3})

    ours = Applying(MemoryTarget(hooks=Hooks(run=work)))
    source = orchestration()
    (run,) = ours.apply([workspace(), source, task(source, args={"n": 1})])
    assert (run.results, run.log_tail, run.sha) == ({"rows": 3}, ("at work",), source.spec["sha"])
    assert source.payload is not None
    assert [(job.run_id, job.args, job.bundle) for job in jobs] == [(run.id, {"n": 1}, source.payload.read())]


def test_what_a_run_raises_is_its_failure() -> None:
    def work(_job: Job) -> Ended:
        raise ZeroDivisionError("too bad")

    ours = Applying(MemoryTarget(hooks=Hooks(run=work)))
    job = job_of(ours, RunState.FAILURE)
    (run,) = ours.target.runs(job.key)
    assert (run.reason, run.detail) == (Reason.EXIT, "ZeroDivisionError: too bad")


# As a file


def test_a_file_holds_everything(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    ours = project(state=MemoryState(path, frozenset({Quirk.REORDERS})))
    ours.apply(everything())
    ours.target.remember(OURS)
    ours.target.take_lease("a", Holder("ann", "here", 1, datetime.now(UTC), "token"))
    other = project(state=MemoryState(path))
    assert other.target.read() == ours.target.read()
    assert other.target.runs() == ours.target.runs()
    assert other.target.leases() == ours.target.leases()
    assert other.target.remembers(OURS)
    assert other.target.fingerprint(Secret("a")) == ours.target.fingerprint(Secret("a"))
    assert other.plan(everything()).steps == ()


def test_no_secret_gets_into_a_file(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    project(state=MemoryState(path)).apply(everything())
    assert SENTINEL not in path.read_text()
    assert json.loads(path.read_text())["records"][2]["secrets"]


def test_what_is_refused_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    ours = project(state=MemoryState(path))
    ours.apply([workspace()])
    before, live = path.read_bytes(), ours.target.read()
    with pytest.raises(StalePlan):
        ours.target.put(
            ours.order(replace(workspace(), description="x"), Step(workspace().key, Action.UPDATE, "", live="x"))
        )
    assert path.read_bytes() == before and ours.target.read() == live


DYING = """
import os, signal, sys
from pathlib import Path
from specrunner.core.keys import Key
from specrunner.targets.memory import Ended, Hooks, MemoryState, MemoryTarget
def work(job):
    for line in sys.argv[4:]:
        job.say(line)
    os.kill(os.getpid(), signal.SIGKILL)
MemoryTarget(MemoryState(Path(sys.argv[1])), Hooks(run=work)).run(Key.parse(sys.argv[2]), sys.argv[3])
"""


def cut_off(path: Path, *lines: str) -> tuple[Applying, Resource, str]:
    """A run whose process was killed after it had written some lines."""
    ours = project(state=MemoryState(path))
    source = orchestration()
    ours.apply([workspace(), source])
    job = task(source)
    step = ours.step(job, [workspace(), source])
    ours.target.put(ours.order(job, step))
    command = [sys.executable, "-c", DYING, str(path), str(job.key), step.intent, *lines]
    assert subprocess.run(command, timeout=60, check=False).returncode == -signal.SIGKILL
    return ours, job, step.intent


def test_a_run_that_was_killed_before_its_first_line_counts_as_not_begun(tmp_path: Path) -> None:
    ours, job, intent = cut_off(tmp_path / "state.json")
    (pending,) = ours.target.runs()
    assert pending.status is RunState.PENDING
    assert ours.step(job, [workspace(), orchestration()]).intent == intent
    run = ours.target.run(job.key, intent)
    assert (run.id, run.status) == (pending.id, RunState.SUCCESS)


def test_a_run_that_was_killed_at_work_is_lost(tmp_path: Path) -> None:
    ours, job, _ = cut_off(tmp_path / "state.json", "at work")
    (lost,) = ours.target.runs()
    assert (lost.status, lost.reason) == (RunState.LOST, Reason.LOST)
    after = ours.plan([workspace(), orchestration(), job])
    assert after.steps == () and [notice.key for notice in after.notices] == [job.key]
