"""What every adapter of the `Target` port keeps, of runs and inference."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from specrunner.core.errors import BadInput, NotFound, Unavailable
from specrunner.core.keys import Kind
from specrunner.core.lifecycle import Reason, RunState
from specrunner.core.outcome import RunView
from specrunner.core.resources import intent_of
from specrunner.engine.tables import Media, encode
from tests.contract.target_samples import Applying, Make, everything, key, orchestration, pipeline, task, workspace
from tests.integration.engine_samples import FOREVER, PATIENCE, until
from tests.unit.serving_samples import rows_table

# Runs


def mark(path: Path, rest: str = "") -> str:
    return f"with open({str(path)!r}, 'a') as mark:\n    mark.write('ran ')\n{rest}"


def test_an_intent_that_was_carried_out_is_not_carried_out_again(project: Applying, tmp_path: Path) -> None:
    resources = everything(mark(tmp_path / "mark"))
    (first,) = project.apply(resources)
    job = resources[-1]
    again = project.target.run(job.key, first.intent)
    assert (again.id, again.status, again.ended) == (first.id, RunState.SUCCESS, first.ended)
    assert project.target.read()[job.key].intents == {intent_of(job.spec): "success"}
    by_hand = project.target.run(job.key, None, {"n": 7})
    assert (by_hand.intent, by_hand.args) == ("", {"n": 7}) and by_hand.id != first.id
    assert (tmp_path / "mark").read_text() == "ran ran "
    assert project.plan(resources).steps == ()


def test_a_failure_is_told_and_not_repeated_by_a_plan(project: Applying) -> None:
    resources = everything("print('at work')\nraise SystemExit(3)")
    (run,) = project.apply(resources)
    assert (run.status, run.reason, run.exit_code) == (RunState.FAILURE, Reason.EXIT, 3)
    assert run.log_tail == ("at work",) and run.task == resources[-1].key and run.args == {"n": 1}
    after = project.plan(resources)
    assert after.steps == () and [notice.key for notice in after.notices] == [run.task]
    again = project.target.run(run.task, run.intent)  # as a person may ask for
    assert again.id != run.id and again.status is RunState.FAILURE
    assert [found.id for found in project.target.runs(run.task)] == [again.id, run.id]


def test_an_intent_under_way_is_waited_for(project: Applying, tmp_path: Path) -> None:
    source = orchestration(mark(tmp_path / "mark"))
    project.apply([workspace(), source])
    job = task(source)
    project.target.put(project.order(job, project.step(job, [workspace(), source])))
    with ThreadPoolExecutor(6) as pool:
        runs = list(pool.map(lambda _: project.target.run(job.key, intent_of(job.spec)), range(6)))
    assert len({run.id for run in runs}) == 1 and {run.status for run in runs} == {RunState.SUCCESS}
    assert (tmp_path / "mark").read_text() == "ran "


def test_whoever_stops_waiting_leaves_the_run_to_the_next(project: Applying, make: Make, tmp_path: Path) -> None:
    source = orchestration(FOREVER)
    project.apply([workspace(), source])
    job, intent = task(source), intent_of(task(source).spec)
    project.target.put(project.order(job, project.step(job, [workspace(), source])))
    found: list[RunView] = []
    waiting = threading.Thread(target=lambda: found.append(project.target.run(job.key, intent)))
    waiting.start()
    until(lambda: [list(project.target.log(run.id)) for run in project.target.runs()] not in ([], [[]]), "a line")
    project.target.stop_waiting()
    waiting.join(PATIENCE)
    assert [run.status for run in found] == [RunState.RUNNING]
    other = make(tmp_path / "state")
    try:
        assert [(run.id, run.status) for run in other.runs(job.key)] == [(found[0].id, RunState.RUNNING)]
        assert Applying(other).step(job, [workspace(), source]).intent == intent
        # Removing the task ends what runs of it.
        Applying(other).apply([workspace(), source])
        assert [run.status for run in other.runs()] == [RunState.KILLED]
    finally:
        other.close()


def test_without_waiting_a_run_is_given_once_it_was_started(project: Applying) -> None:
    source = orchestration(FOREVER)
    job, intent = task(source), intent_of(task(source).spec)
    project.apply([workspace(), source])
    project.target.put(project.order(job, project.step(job, [workspace(), source])))
    run = project.target.run(job.key, intent, wait=False)
    assert (run.status, run.intent, run.task) == (RunState.RUNNING, intent, job.key)
    again = project.target.run(job.key, intent, wait=False)
    assert (again.id, again.status) == (run.id, RunState.RUNNING)
    until(lambda: [text for _, text in project.target.log(run.id)] == ["up"], "its first line")
    assert [found.status for found in project.target.runs(job.key)] == [RunState.RUNNING]
    assert project.target.read()[job.key].intents == {intent: "running"}
    project.apply([workspace(), source])
    assert [found.status for found in project.target.runs()] == [RunState.KILLED]


def test_a_run_that_nobody_waited_for_comes_to_its_end(project: Applying, tmp_path: Path) -> None:
    source = orchestration(mark(tmp_path / "mark"))
    job, intent = task(source), intent_of(task(source).spec)
    project.apply([workspace(), source])
    project.target.put(project.order(job, project.step(job, [workspace(), source])))
    run = project.target.run(job.key, intent, wait=False)
    assert run.status in {RunState.RUNNING, RunState.SUCCESS}
    until(lambda: [found.status for found in project.target.runs()] == [RunState.SUCCESS], "its end")
    waited = project.target.run(job.key, intent)
    assert (waited.id, waited.status) == (run.id, RunState.SUCCESS)
    assert (tmp_path / "mark").read_text() == "ran "


def test_logs_have_times_and_those_of_nothing_are_not_found(project: Applying) -> None:
    (run,) = project.apply(everything("print('one')\nprint('two')"))
    lines = list(project.target.log(run.id))
    assert [text for _, text in lines] == ["one", "two"] == list(run.log_tail)
    assert run.started is not None and all(abs(moment - run.started.timestamp()) < 60 for moment, _ in lines)
    with pytest.raises(NotFound):
        list(project.target.log("nobody"))
    with pytest.raises(NotFound):
        project.target.run(key(Kind.TASK, "nobody"), None)
    assert list(project.target.runs(key(Kind.TASK, "nobody"))) == []


def test_runs_outlive_their_task(project: Applying) -> None:
    (run,) = project.apply(everything())
    project.apply([])
    assert [found.id for found in project.target.runs()] == [run.id]


# Inference


def test_inference_through_a_deployed_pipeline(project: Applying, tmp_path: Path) -> None:
    file, prices = tmp_path / "rows.arrow", key(Kind.PIPELINE, "prices")
    file.write_bytes(encode(rows_table(3), Media.ARROW_FILE))
    with pytest.raises(NotFound):
        project.target.infer(prices, file)
    project.apply(everything())
    assert project.target.infer(prices, file).num_rows == 3
    file.write_bytes(encode(rows_table(3, width=2), Media.ARROW_FILE))
    with pytest.raises(BadInput):
        project.target.infer(prices, file)
    with pytest.raises(BadInput, match="tables, not custom JSON"):
        project.target.infer_json(prices, {"tensor": [1.0]})
    undeployed = [pipeline(deployed=False) if found.key == prices else found for found in everything()]
    project.apply(undeployed)
    with pytest.raises(Unavailable):
        project.target.infer(prices, file)
    with pytest.raises(Unavailable):
        project.target.infer_json(prices, {})
