"""How much is kept of runs: records, logs, totals, the page and its badges."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any
from xml.etree import ElementTree

import jsonschema
import pytest
import yaml

from specrunner.core.keys import Key
from specrunner.core.lifecycle import Reason, RunState
from specrunner.core.outcome import RunView
from specrunner.core.recorded import Recorded
from specrunner.core.resources import LiveObject
from specrunner.core.ticks import TaskMemory, claimed_until
from specrunner.record.badges import task_badge, whole_badge
from specrunner.record.batch import Policy
from specrunner.record.files import claim_file, claim_path, run_path
from specrunner.record.recorded import claimed_until as until_of
from specrunner.record.status import record_runs
from specrunner.record.ticks import StatusBook
from specrunner.record.writing import to_yaml
from tests.unit.core_samples import OWNER
from tests.unit.test_record_status import NOON, SCHEMA, Kept

KEY = Key.parse("Task/w/nightly | forecast")
SPEC = {"orchestration": "o", "schedule": {"cron": "0 * * * *"}, "history": {"succeeded": 2, "failed": 1}}
TASK = LiveObject(KEY, SPEC, id="task-1", state="started", owner=OWNER, applied=SPEC)


def run(number: int, status: RunState = RunState.SUCCESS) -> RunView:
    instant = NOON + timedelta(hours=number)
    reason = None if status is RunState.SUCCESS else Reason.EXIT
    return RunView(f"run-{number}", KEY, status, instant, reason, scheduled=instant, started=instant, ended=instant)


def log(run_id: str) -> Iterator[tuple[float, str]]:
    return iter([(float(line), f"{run_id} line {line}") for line in range(50)])


def tell(kept: Kept, *runs: RunView, policy: Policy = Policy()) -> Any:  # noqa: B008 (a plain value)
    for one in runs:
        now = one.ended or NOON
        record_runs(kept, OWNER, {KEY: TASK}, [one], log, now, message="a run", policy=policy)
    (found,) = [yaml.safe_load(data) for name, data in kept.files.items() if name.startswith("staging/tasks/")]
    return found


def records(kept: Kept) -> list[str]:
    return sorted(name.rpartition("/")[2] for name in kept.files if name.startswith("staging/runs/"))


def test_a_record_that_leaves_the_history_goes_in_the_commit_that_adds_and_is_counted_by_month() -> None:
    kept = Kept()
    bad = [run(number, RunState.FAILURE) for number in (1, 3)]
    told = tell(kept, run(0), bad[0], run(2), bad[1], run(4), run(24 * 12))
    assert records(kept) == ["20261121T150000Z.yaml", "20261121T160000Z.yaml", "20261203T120000Z.yaml"]
    assert told["olderRuns"] == {"2026-11": {"failure": 1, "success": 2}}
    jsonschema.Draft202012Validator(SCHEMA).validate(told)


def test_status_keep_overrides_the_history() -> None:
    kept = Kept()
    told = tell(kept, *(run(number) for number in range(5)), policy=Policy(keep=1))
    assert records(kept) == ["20261121T160000Z.yaml"]
    assert told["olderRuns"] == {"2026-11": {"success": 4}}


def test_a_task_is_settled_by_its_runs_and_tells_the_next_ones() -> None:
    told = tell(Kept(), run(0), run(1))
    assert told["settled"] == "2026-11-21T13:00:00Z"
    assert told["nextRuns"] == [f"2026-11-21T{hour}:00:00Z" for hour in (14, 15, 16)]


@pytest.mark.parametrize(("logs", "lines", "file"), [("tail", 40, 0), ("none", 0, 0), ("full", 40, 50)])
def test_logs_are_kept_as_far_as_is_wanted_and_go_with_their_runs(logs: str, lines: int, file: int) -> None:
    kept, policy = Kept(), Policy(logs)
    tell(kept, run(0), policy=policy)
    (record,) = [yaml.safe_load(data) for name, data in kept.files.items() if name.startswith("staging/runs/")]
    found = [data for name, data in kept.files.items() if name.startswith("staging/logs/")]
    assert len(record["logTail"]) == lines
    assert [len(data.splitlines()) for data in found] == ([file] if file else [])
    tell(kept, run(1), run(2), policy=policy)
    assert len([name for name in kept.files if name.startswith("staging/logs/")]) == (2 if file else 0)


def test_the_page_links_to_the_task_its_last_run_and_badges_that_are_there() -> None:
    kept = Kept()
    tell(kept, run(0), run(1, RunState.FAILURE))
    page = kept.files["staging/README.md"].decode()
    assert "2026-11-21 14:00 UTC" in page and "![all tasks](badge.svg)" in page
    for link in ("runs/w/nightly%20%257C%20forecast/20261121T130000Z.yaml", "badges/w/nightly%20%257C%20forecast.svg"):
        assert f"]({link})" in page
        assert f"staging/{link.replace('%20', ' ').replace('%25', '%')}" in kept.files
    assert b"1 of 1 failing" in kept.files["staging/badge.svg"]


@pytest.mark.parametrize("status", ["", "success", "failure", "running", "skipped", "something new"])
def test_a_badge_is_a_picture_whatever_stands_in_it(status: str) -> None:
    for data in (task_badge(Key.parse("Task/w/<&\"' ü" + "x" * 100), status), whole_badge("a<b", [status])):
        assert ElementTree.fromstring(data).tag.endswith("svg")


def test_a_claim_fits_the_schema_and_tells_its_end() -> None:
    until = claimed_until(SPEC, NOON)
    claimed = replace(run(0, RunState.RUNNING), reason=None, ended=None, intent="a" * 64)
    written = claim_file(claimed, "ada on a machine, https://ci.example.com/1", until)
    jsonschema.Draft202012Validator(SCHEMA).validate(yaml.safe_load(to_yaml(written)))
    assert until_of(to_yaml(written)) == until
    assert claim_path(KEY, "a" * 64).startswith("claims/w/")


def test_a_run_is_open_until_its_end_is_told() -> None:
    kept = Kept()
    tell(kept, run(0))
    book = StatusBook(kept, None, OWNER, "ada", Policy())
    (before,), _ = book.memories(NOON)
    assert (before.settled, before.open) == (NOON, ())
    claimed = replace(run(1, RunState.RUNNING), reason=None, ended=None)
    until = NOON + timedelta(hours=2)
    kept.files[f"staging/{run_path(claimed)}"] = to_yaml(claim_file(claimed, "ada", until))
    (memory,), _ = book.memories(NOON)
    assert isinstance(memory, TaskMemory)
    assert (memory.settled, [one.until for one in memory.open]) == (NOON + timedelta(hours=1), [until])


def test_the_state_of_what_is_recorded_comes_back() -> None:
    kept = Kept()
    tell(kept, run(0))
    _, found = StatusBook(kept, None, OWNER, "ada", Policy()).memories(NOON)
    (task,) = found.objects
    assert isinstance(task, Recorded)
    assert (task.state, task.as_live().state) == ("started", "started")
