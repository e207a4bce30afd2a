"""A claim is renewed while its run lives: a long run is not taken for lost, and a dead one soon is."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from specrunner.core.errors import SpecrunnerError
from specrunner.core.keys import Key
from specrunner.core.lifecycle import RunState
from specrunner.core.outcome import RunView
from specrunner.core.resources import LiveObject, Owner
from specrunner.core.ticks import LONGEST_CLAIM, TaskMemory, lost_run, tick_of
from specrunner.core.values import digest
from specrunner.record.batch import Policy
from specrunner.record.renewing import renewing
from specrunner.record.ticks import Order, StatusBook
from tests.contract.repository_samples import Hub, make_hub

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
KEY = Key.parse("Task/w/forecast")
SPEC = {"orchestration": "forecast", "schedule": {"cron": "0 * * * *", "overlap": "skip"}}
OWNER = Owner("shop", "live")


@pytest.fixture
def hub(tmp_path: Path) -> Hub:
    return make_hub(tmp_path)


def book(hub: Hub, name: str) -> StatusBook:
    """The records as a machine of its own sees them."""
    status = hub.status(name)
    return StatusBook(status, status, OWNER, name, Policy(), push=status.push)


def applied(found: StatusBook) -> None:
    """Have the task recorded, settled up to noon."""
    task = LiveObject(KEY, SPEC, id=digest("id")[:32], state="started", owner=OWNER, applied=SPEC)
    found.record({KEY: task}, [], lambda _run: iter(()), NOON)


def memory(found: StatusBook, now: datetime) -> TaskMemory:
    (one,), _ = found.memories(now)
    return one


def claimed(found: StatusBook) -> RunView:
    instant = NOON + HOUR
    run = RunView("a" * 32, KEY, RunState.RUNNING, instant, scheduled=instant, started=instant)
    assert found.claim({KEY: memory(found, instant)}, [run]) == [run]
    return run


def test_a_run_that_takes_longer_than_its_claim_is_not_lost_while_its_machine_lives(hub: Hub) -> None:
    holder = book(hub, "holder")
    applied(holder)
    run = claimed(holder)
    for hours in range(1, 6):
        now = run.created + hours * HOUR
        holder.renew(now)
        other = book(hub, f"other-{hours}")
        tick = tick_of(memory(other, now), now)
        assert RunState.LOST not in {one.status for one in tick.records}, hours
        assert not tick.due, "it overlaps with the run that lives"
    silent = now + LONGEST_CLAIM + timedelta(minutes=1)
    (lost, *_) = tick_of(memory(book(hub, "later"), silent), silent).records
    assert (lost.id, lost.status) == (run.id, RunState.LOST)


def test_what_is_not_worn_yet_is_not_written_anew(hub: Hub) -> None:
    holder = book(hub, "holder")
    applied(holder)
    run = claimed(holder)
    before = hub.history()
    holder.renew(run.created + HOUR / 2)
    assert hub.history() == before
    holder.renew(run.created + HOUR)
    holder.renew(run.created + HOUR)
    assert hub.history() == ["Renew 1 claim of shop/live", *before]


def test_what_somebody_has_told_to_be_lost_stays_lost(hub: Hub) -> None:
    holder = book(hub, "holder")
    applied(holder)
    run = claimed(holder)
    other, late = book(hub, "other"), run.created + 3 * HOUR
    (task,) = [one.as_live() for one in other.memories(late)[1].objects]
    (open_run,) = memory(other, late).open
    other.record({KEY: task}, [lost_run(open_run)], lambda _run: iter(()), late)
    before = hub.history()
    holder.renew(late)
    assert hub.history() == before
    assert not memory(book(hub, "third"), late).open


def test_the_order_of_a_task_that_runs_once_is_renewed_until_it_is_released(hub: Hub) -> None:
    holder, order = book(hub, "holder"), Order("b" * 64, {"orchestration": "forecast"})
    assert holder.claim_orders({KEY: order}, NOON) == {}
    holder.renew(NOON + HOUR)
    assert hub.history()[0] == "Renew 1 claim of shop/live"
    holder.release({KEY: order})
    before = hub.history()
    holder.renew(NOON + 2 * HOUR)
    assert hub.history() == before


def test_renewing_is_tried_again_and_ends_with_what_it_was_for(caplog: pytest.LogCaptureFixture) -> None:
    again = threading.Event()

    def tries() -> Iterator[None]:
        yield
        again.set()
        while True:
            yield

    calls = tries()

    def renew() -> None:
        next(calls)
        if not again.is_set():
            raise SpecrunnerError("The remote is away.", remedy="Wait.")

    with caplog.at_level(logging.WARNING), renewing(renew, 0.001):
        assert again.wait(60)
    assert "The remote is away." in caplog.text
    assert not [thread for thread in threading.enumerate() if thread.name == "claims"]
