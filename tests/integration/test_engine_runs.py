"""Runs carried out by real processes: how they end, what they leave."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Self

import pytest
from filelock import FileLock

from specrunner.core import retention as rules
from specrunner.core.errors import Conflict, PackagingFailed, SpecrunnerError
from specrunner.core.lifecycle import Reason, RunState, TaskState
from specrunner.engine.engine import Engine
from specrunner.engine.ports import RunApi
from specrunner.engine.records import Task
from specrunner.engine.tasks.executors.local import LocalExecutor
from specrunner.engine.tasks.retention import Retention
from specrunner.engine.tasks.tasks import Tasks
from tests.integration.engine_samples import (
    FOREVER,
    ONCE,
    PATIENCE,
    Background,
    NoApi,
    StubEnvironments,
    add_pipeline,
    add_task,
    engine_on,
    open_engine,
    run_task,
    said,
    started,
    until,
)
from tests.unit.serving_samples import rows_table

SENTINEL = "swordfish-7c1f2a90"


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    with engine_on(tmp_path / "state") as opened:
        yield opened


# How runs end


def test_a_run_that_ends_well(engine: Engine) -> None:
    task = add_task(engine, "print('hello')\n", args={"n": 1})
    run = run_task(engine, task, "intent")
    assert (run.status, run.reason, run.exit_code, run.attempt) == (RunState.SUCCESS, None, 0, 1)
    assert (run.intent, run.args, run.task_key, run.environment) == ("intent", {"n": 1}, "Task/lab/job", "stub-0")
    assert run.started_at is not None and run.ended_at is not None and run.created_at <= run.ended_at
    assert run.started_at <= run.ended_at
    assert said(engine, run) == ["hello"]
    assert engine.history.get(run.id) == run
    assert engine.history.of_task(task.id) == engine.history.of_key("Task/lab/job") == engine.history.all() == [run]
    assert engine.history.matching(run.id[:6]) == [run] and engine.history.active() == []
    assert engine.tasks.get(task.id).status is TaskState.COMPLETED


def test_a_run_and_its_task_end_in_one_moment(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """A host that dies between the two would leave a task that has run and is started for ever."""
    task = add_task(engine, "print('hello')\n")
    submitted = engine.runs.submit(task, "intent")
    move = type(engine.tasks).move

    def dies(tasks: Tasks, moved: Task, state: TaskState) -> None:
        if state is TaskState.COMPLETED:
            raise KeyboardInterrupt
        move(tasks, moved, state)

    with monkeypatch.context() as patched:
        patched.setattr(type(engine.tasks), "move", dies)
        with pytest.raises(KeyboardInterrupt):
            engine.runs.carry_out(submitted.id)
    assert not engine.history.get(submitted.id).status.ended
    assert engine.runs.carry_out(submitted.id).status is RunState.SUCCESS
    assert engine.tasks.get(task.id).status is TaskState.COMPLETED


def test_a_run_that_fails(engine: Engine) -> None:
    run = run_task(engine, add_task(engine, "raise SystemExit(3)"))
    assert (run.status, run.reason, run.exit_code) == (RunState.FAILURE, Reason.EXIT, 3)


def test_a_run_over_its_time(engine: Engine) -> None:
    run = run_task(engine, add_task(engine, FOREVER, timeout=0.3))
    assert (run.status, run.reason) == (RunState.TIMED_OUT, Reason.TIMEOUT)


def test_results_are_in_the_record(engine: Engine) -> None:
    code = "import json, os\njson.dump({'rows': 3}, open(os.environ['SPECRUNNER_RESULTS'], 'w'))\n"
    run = run_task(engine, add_task(engine, code))
    assert engine.history.get(run.id).results == {"rows": 3}


def test_a_run_sees_its_declared_environment_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OF_THE_HOST", "1")
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy")
    code = (
        "import json, os\n"
        "open(os.environ['SPECRUNNER_RESULTS'], 'w').write(json.dumps(dict(os.environ, SPECRUNNER_TOKEN='')))\n"
    )
    with engine_on(tmp_path / "state") as engine:
        task = add_task(engine, code, env={"MODE": "x", "SPECRUNNER_URL": "elsewhere"}, args={"n": 1})
        run = run_task(engine, task)
    assert isinstance(run.results, dict)
    assert run.results["MODE"] == "x" and run.results["HTTPS_PROXY"] == "http://proxy"
    assert run.results["SPECRUNNER_URL"] == run.results["WALLAROO_URL"] == "http://127.0.0.1:9"
    assert run.results["WALLAROO_TASK_ID"] == task.id and run.results["SPECRUNNER_ARG_N"] == "1"
    assert run.results["SPECRUNNER_WORKSPACE_ID"] == str(task.workspace_id)
    assert "OF_THE_HOST" not in run.results


def test_arguments_may_be_given_for_one_run(engine: Engine) -> None:
    task = add_task(engine, "import os\nprint(os.environ['SPECRUNNER_ARG_N'])\n", args={"n": 1})
    run = engine.runs.carry_out(engine.runs.submit(task, None, {"n": 2}).id)
    assert said(engine, run) == ["2"] and run.args == {"n": 2}


def test_an_environment_that_cannot_be_had_is_a_failure_in_words(tmp_path: Path) -> None:
    environments = StubEnvironments()
    with open_engine(tmp_path, environments=environments) as engine:
        task = add_task(engine, "")
        environments.broken = True
        run = run_task(engine, task)
    assert (run.status, run.reason, run.code_started) == (RunState.FAILURE, Reason.ENV_FAILED, False)
    assert run.detail == "The environment can't be built.\nthe disk is full"


def test_an_api_that_cannot_be_had_is_a_failure_in_words(tmp_path: Path) -> None:
    class Unreachable(NoApi):
        def address(self) -> str:
            raise SpecrunnerError("No port can be had.")

    def api(_engine: Engine) -> RunApi:
        return Unreachable()

    with open_engine(tmp_path, api) as engine:
        run = run_task(engine, add_task(engine, ""))
    assert (run.status, run.detail) == (RunState.FAILURE, "No port can be had.")


def test_a_run_whose_task_is_gone_ends_in_words(engine: Engine) -> None:
    task = add_task(engine, "")
    run = engine.runs.submit(task)
    engine.tasks.delete(task.id)
    ended = engine.runs.carry_out(run.id)
    assert ended.status is RunState.FAILURE and "There is no task" in ended.detail


# Secrets


def test_secrets_are_in_the_run_and_not_on_disk(engine: Engine) -> None:
    """Of the task, of connections in its workspace, and of those in the other workspaces that it may use."""
    engine.workspaces.ensure("lab")
    engine.workspaces.ensure("shop")
    engine.connections.put("near", "S3", {"host": "open"}, {"keys": [{"password": f"near-{SENTINEL}"}]}, ["lab"])
    engine.connections.put("far", "S3", {}, {"password": f"far-{SENTINEL}"}, ["shop"])
    code = (
        "import os, sys\n"
        f"print(os.environ['KEY'], 'near-' + '{SENTINEL[:8]}' + '{SENTINEL[8:]}', 'far-{SENTINEL[:5]}' "
        f"+ '{SENTINEL[5:]}', 'open', os.environ['SPECRUNNER_TOKEN'])\n"
        "print(os.environ['KEY'], file=sys.stderr)\n"
        "open(os.environ['SPECRUNNER_RESULTS'], 'w').write('\"' + os.environ['KEY'] + '\"')\n"
        "raise SystemExit('KEY' not in os.environ)\n"
    )
    task = add_task(engine, code, secret_env={"KEY": f"env-{SENTINEL}"}, workspaces=["shop"])
    run = run_task(engine, task)
    assert run.status is RunState.SUCCESS
    assert said(engine, run) == ["***** ***** ***** open *****", "*****"]
    assert run.results == "*****"
    token = engine.runs.token(run.id).encode()
    files = [path for path in engine.folder.rglob("*") if path.is_file()]
    assert engine.runs.folder(run) / "exit.json" in files
    leaks = [path.name for path in files if SENTINEL.encode() in path.read_bytes() or token in path.read_bytes()]
    assert leaks == []  # what the code itself has put there is gone with its record


# Intents


def test_an_intent_that_was_carried_out_is_not_carried_out_again(engine: Engine, tmp_path: Path) -> None:
    task = add_task(engine, ONCE.format(mark=str(tmp_path / "mark")))
    first = run_task(engine, task, "one")
    assert run_task(engine, task, "one") == first
    assert run_task(engine, task, "two").id != first.id
    assert run_task(engine, task).id != first.id
    assert (tmp_path / "mark").read_text() == "ran ran ran "


def test_an_intent_that_failed_gets_a_new_run(engine: Engine) -> None:
    task = add_task(engine, "raise SystemExit(1)")
    first, second = run_task(engine, task, "one"), run_task(engine, task, "one")
    assert first.id != second.id
    assert engine.history.last_per_intent() == {task.id: {"one": second}}


def test_an_intent_under_way_is_waited_for(engine: Engine, tmp_path: Path) -> None:
    task = add_task(engine, ONCE.format(mark=str(tmp_path / "mark")))
    runs = [Background(lambda: run_task(engine, task, "one")) for _ in range(6)]
    ended = [run.result() for run in runs]
    assert len({run.id for run in ended}) == 1
    assert {run.status for run in ended} == {RunState.SUCCESS}, ended[0].detail
    assert (tmp_path / "mark").read_text() == "ran "


def test_a_run_whose_folder_is_just_made_anew_is_not_lost(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    run = engine.runs.submit(add_task(engine, "print('here')"))
    # Who looked while another put the folder down took that for the start.
    run = engine.history.started(run)
    folder = engine.runs.folder(run)
    folder.parent.mkdir(exist_ok=True)

    class Awaited(FileLock):
        """When it is had, whoever had it before has made the folder."""

        def __enter__(self) -> Self:
            folder.mkdir()
            return super().__enter__()

    with monkeypatch.context() as patched:
        patched.setattr("specrunner.engine.tasks.runs.FileLock", Awaited)
        assert engine.runs.recovered(run).status is RunState.RUNNING
    assert engine.runs.carry_out(run.id).status is RunState.SUCCESS


def test_a_run_whose_folder_is_gone_is_lost_where_no_lock_can_be_had_too(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = engine.history.started(engine.runs.submit(add_task(engine, "print('here')")))
    engine.runs.folder(run).parent.mkdir(exist_ok=True)

    class Full(FileLock):
        """On a full disk."""

        def __enter__(self) -> Self:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("specrunner.engine.tasks.runs.FileLock", Full)
    assert engine.runs.recovered(run).status is RunState.LOST


# Attempts


def test_a_failure_is_tried_again_as_often_as_allowed(engine: Engine, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    code = ONCE.format(mark=str(mark)) + f"raise SystemExit(len(open({str(mark)!r}).read().split()) < 3)\n"
    run = run_task(engine, add_task(engine, code, retries={"limit": 5, "backoff": 0}))
    assert (run.status, run.attempt) == (RunState.SUCCESS, 3)
    assert mark.read_text() == "ran ran ran "


def test_after_the_last_attempt_the_failure_stands(engine: Engine) -> None:
    run = run_task(engine, add_task(engine, "raise SystemExit(9)", retries={"limit": 1, "backoff": 0}))
    assert (run.status, run.attempt, run.exit_code, run.code_started) == (RunState.FAILURE, 2, 9, True)


def test_looking_at_a_run_does_not_wait_for_its_next_attempt(engine: Engine) -> None:
    task = add_task(engine, "raise SystemExit(1)", retries={"limit": 1, "backoff": 3600})
    run = engine.runs.submit(task)
    work = Background(lambda: engine.runs.carry_out(run.id))
    until(lambda: engine.history.get(run.id).attempt == 2, "the second attempt")
    waiting = engine.runs.recovered(engine.history.get(run.id))
    assert (waiting.status, engine.runs.observed(waiting)) == (RunState.PENDING, RunState.PENDING)
    killed = engine.runs.kill(run.id)
    assert (killed.status, killed.code_started) == (RunState.KILLED, True)
    assert work.result() == killed


def test_a_kill_is_not_followed_by_another_attempt(engine: Engine) -> None:
    """Also if the code had failed a moment before, unknown to us."""
    task = add_task(engine, "raise SystemExit(1)", retries={"limit": 3, "backoff": 0})
    run = engine.runs.submit(task)
    order = engine.runs._order(task, run)
    order.folder.mkdir(parents=True)
    LocalExecutor().start(order)
    assert LocalExecutor().wait(order.folder, PATIENCE) is not None
    assert engine.runs.kill(run.id).status is RunState.KILLED


# Kill


def test_a_killed_run_says_so_to_all(engine: Engine) -> None:
    run = engine.runs.submit(add_task(engine, FOREVER))
    work = started(engine, run)
    killed = engine.runs.kill(run.id)
    assert (killed.status, killed.reason) == (RunState.KILLED, Reason.KILLED)
    assert work.result() == engine.runs.kill(run.id) == engine.history.get(run.id) == killed


def test_a_run_killed_before_its_start_never_starts(engine: Engine, tmp_path: Path) -> None:
    task = add_task(engine, ONCE.format(mark=str(tmp_path / "mark")))
    run = engine.runs.submit(task)
    killed = engine.runs.kill(run.id)
    assert (killed.status, killed.code_started) == (RunState.KILLED, False)
    assert "before it" in killed.detail
    assert engine.runs.carry_out(run.id) == killed
    with pytest.raises(Conflict):  # nor by a host that had made up its mind before
        LocalExecutor().start(engine.runs._order(task, run))
    assert not (tmp_path / "mark").exists()


def test_killing_a_task_ends_its_runs_and_lets_none_start(engine: Engine) -> None:
    task = add_task(engine, FOREVER)
    running, waiting = engine.runs.submit(task), engine.runs.submit(task)
    work = started(engine, running)
    for _ in range(2):
        engine.runs.kill_task(task)
    assert work.result().status is RunState.KILLED
    assert engine.history.get(waiting.id).status is RunState.KILLED
    assert engine.tasks.get(task.id).status is TaskState.KILLED
    late = engine.runs.carry_out(engine.runs.submit(task).id)
    assert (late.status, late.code_started) == (RunState.KILLED, False)
    assert "task was killed" in late.detail and said(engine, late) == []


# What ends with a run


def test_what_a_run_holds_ends_with_it(engine: Engine) -> None:
    version = add_pipeline(engine, engine.workspaces.ensure("lab"))
    run = engine.runs.submit(add_task(engine, ""))
    deployment = engine.planes.deploy(version.pipeline_id, version.id, engine.holder_of_run(run.id))
    assert engine.planes.infer(deployment, rows_table(1)).num_rows == 1
    engine.runs.carry_out(run.id)
    assert engine.deployments.get(deployment.id).holders == ()


def test_retention_leaves_a_run_that_has_just_ended_to_who_waits_for_it(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = add_task(engine, "print('hello')", history={"succeeded": 0, "failed": 0})
    run, retention = run_task(engine, task), Retention(engine._context)
    assert retention.sweep(task.id), "it will be removed before long"
    assert engine.history.get(run.id).status is RunState.SUCCESS and said(engine, run) == ["hello"]
    monkeypatch.setattr(rules, "RECENT", timedelta(0))
    assert not retention.sweep(task.id)
    assert engine.history.all() == [] and not engine.runs.folder(run).exists()


def test_a_log_is_read_from_an_offset_on(engine: Engine) -> None:
    run = run_task(engine, add_task(engine, "print('one')\nprint('two')\n"))
    lines, offset = engine.runs.log(run)
    assert [line.text for line in lines] == ["one", "two"]
    assert engine.runs.log(run, offset) == ([], offset)
    assert engine.runs.log(engine.runs.submit(add_task(engine, "", name="other"))) == ([], 0)


def test_packaging_is_not_part_of_a_run(engine: Engine) -> None:
    """A version in error has nothing to start: its run ends in words."""
    task = add_task(engine, "")
    version = engine.orchestrations.upload(task.workspace_id, "bad", "bad.zip", b"no zip")
    with pytest.raises(PackagingFailed):
        engine.orchestrations.package(version.id)
    bad = engine.tasks.put(task.workspace_id, "bad", version.id, {"orchestration": "bad"}, {})
    run = run_task(engine, bad)
    assert run.status is RunState.FAILURE and run.detail != ""
