from __future__ import annotations

import os
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest

from specrunner.core.errors import Busy, SpecrunnerError, Transient
from specrunner.core.leases import DURATION, Holder, Lease
from specrunner.core.resources import Owner
from specrunner.engine.tasks.processes import identify
from specrunner.reconcile.lease import held, lease_name, this_process
from specrunner.targets.base import Target

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
NAME = "shop/live"
OFTEN = timedelta(milliseconds=1)
WAIT = 10  # seconds after which a test that hangs fails


class FixedClock:
    def __init__(self) -> None:
        self.seconds = 0.0

    def now(self) -> datetime:
        return NOON

    def monotonic(self) -> float:
        return self.seconds


class Leases:
    """The part of a target that keeps leases; each call may be made to fail first."""

    def __init__(self) -> None:
        self.kept: dict[str, Lease] = {}
        self.renewed = threading.Event()
        self.renewing: Callable[[], bool] = lambda: True
        self.lost_answers = 0
        self.released: list[str | None] = []

    def take_lease(self, name: str, holder: Holder) -> Lease | None:
        if name in self.kept:
            return self.kept[name]
        self.kept[name] = Lease(name, holder, NOON, NOON + DURATION)
        if self.lost_answers:
            self.lost_answers -= 1
            raise Transient("No answer.")
        return None

    def renew_lease(self, name: str, token: str) -> bool:
        self.renewed.set()
        return self.renewing() and name in self.kept and self.kept[name].holder.token == token

    def release_lease(self, name: str, token: str | None) -> bool:
        self.released.append(token)
        return self.kept.pop(name, None) is not None


def holder(who: str = "ada", token: str = "t1", url: str = "") -> Holder:
    return Holder(who, "host", 42, NOON, token, url=url)


def hold(leases: Leases, on_lost: Callable[[], None] = lambda: None, **how: Any) -> Any:
    one, clock = how.pop("holder", holder()), how.pop("clock", FixedClock())
    return held(
        cast("Target", leases), NAME, one, clock, on_lost, every=OFTEN, pause=how.pop("pause", lambda _: False), **how
    )


def test_a_lease_is_held_while_the_work_lasts_and_given_back_when_it_fails() -> None:
    leases = Leases()
    with pytest.raises(ZeroDivisionError), hold(leases):
        assert NAME in leases.kept
        raise ZeroDivisionError
    assert not leases.kept
    assert leases.released == ["t1"]


def test_the_refusal_names_the_holder_and_the_command_that_breaks_the_lease() -> None:
    leases = Leases()
    leases.take_lease(NAME, holder("bot", "other", "https://ci/run/7"))
    with pytest.raises(Busy) as refused, hold(leases, unlock="specrunner unlock -e live"):
        pass
    told = f"{refused.value.summary} {refused.value.detail} {refused.value.remedy}"
    for part in (
        "bot",
        "host",
        "process 42",
        "2026-11-21T12:00:00Z",
        "https://ci/run/7",
        "`specrunner unlock -e live`",
    ):
        assert part in told
    assert NAME in leases.kept
    assert not leases.released


def test_with_a_timeout_it_waits_until_the_other_has_ended_and_says_for_whom_once() -> None:
    leases, clock, told = Leases(), FixedClock(), list[str]()
    leases.take_lease(NAME, holder("bot", "other"))

    def pause(seconds: float) -> bool:
        clock.seconds += seconds
        if clock.seconds > 5:
            leases.kept.clear()
        return False

    with hold(leases, clock=clock, timeout=60, note=told.append, pause=pause):
        assert leases.kept[NAME].holder.who == "ada"
    assert len(told) == 1
    assert "bot" in told[0]


def test_after_the_timeout_it_is_refused() -> None:
    leases, clock = Leases(), FixedClock()
    leases.take_lease(NAME, holder("bot", "other"))

    def pause(seconds: float) -> bool:
        clock.seconds += seconds
        return False

    with pytest.raises(Busy), hold(leases, clock=clock, timeout=60, pause=pause):
        pass
    assert 60 <= clock.seconds < 62


def test_a_lease_whose_answer_was_lost_is_our_own() -> None:
    leases = Leases()
    leases.lost_answers = 1
    with hold(leases):
        assert leases.kept[NAME].holder.token == "t1"


def test_a_broken_lease_is_told_once() -> None:
    leases, lost = Leases(), threading.Event()
    told = []

    def on_lost() -> None:
        told.append(1)
        lost.set()

    with hold(leases, on_lost):
        leases.kept.clear()
        assert lost.wait(WAIT)
    assert told == [1]


def test_a_lease_that_cannot_be_renewed_is_lost_when_it_has_expired_and_not_before() -> None:
    leases, clock, lost = Leases(), FixedClock(), threading.Event()
    tried = threading.Semaphore(0)

    def renewing() -> bool:
        tried.release()
        raise Transient("No answer.")

    leases.renewing = renewing
    with hold(leases, lost.set, clock=clock):
        assert tried.acquire(timeout=WAIT)
        assert tried.acquire(timeout=WAIT)
        assert not lost.is_set()
        clock.seconds = DURATION.total_seconds() + 1
        assert lost.wait(WAIT)


def test_giving_back_may_fail_without_covering_what_the_work_raised() -> None:
    class Broken(Leases):
        def release_lease(self, name: str, token: str | None) -> bool:
            raise SpecrunnerError("The disk is full.")

    with pytest.raises(ZeroDivisionError), hold(Broken()):
        raise ZeroDivisionError


def test_this_process_is_told_from_every_other_one() -> None:
    me, again = this_process(FixedClock(), {}), this_process(FixedClock(), {})
    identity = identify(os.getpid())
    assert identity is not None
    assert (me.pid, me.started, me.boot) == (identity.pid, identity.start, identity.boot)
    assert me.since == NOON
    assert me.token != again.token
    assert me.who


def test_a_ci_run_is_named_by_its_actor_and_its_page() -> None:
    environ = {
        "GITHUB_ACTOR": "octo",
        "GITHUB_SERVER_URL": "https://git.example",
        "GITHUB_REPOSITORY": "a/b",
        "GITHUB_RUN_ID": "9",
    }
    me = this_process(FixedClock(), environ)
    assert me.who == "octo"
    assert me.url == "https://git.example/a/b/actions/runs/9"
    assert this_process(FixedClock(), {"GITHUB_ACTOR": "octo"}).url == ""


def test_each_environment_has_a_lease_of_its_own() -> None:
    assert lease_name(Owner("shop", "live")) == "shop/live"
