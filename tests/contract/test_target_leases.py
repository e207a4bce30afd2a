"""What every adapter of the `Target` port keeps, of leases."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from specrunner.core.leases import DURATION, EVERYTHING, HEARTBEAT, Holder
from specrunner.reconcile.lease import this_process
from specrunner.targets.base import Target
from tests.contract.target_samples import Make, SetClock
from tests.integration.engine_samples import at_once

NAME, OTHER = "shop/prod", "shop/test"


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.fixture
def target(make: Make, tmp_path: Path, clock: SetClock) -> Iterator[Target]:
    opened = make(tmp_path / "state", clock)
    yield opened
    opened.close()


def holder(clock: SetClock, token: str = "mine", who: str = "ann") -> Holder:
    """Somebody on another machine, of whom nobody here knows whether they live."""
    page = "https://ci.example/7"
    return Holder(who, "elsewhere", 4711, clock.now(), token, started=1.0, boot="b", url=page)


def test_a_lease_is_had_by_one_and_tells_the_other_by_whom(target: Target, clock: SetClock) -> None:
    ann, bob = holder(clock), holder(clock, "theirs", "bob")
    assert target.take_lease(NAME, ann) is None
    found = target.take_lease(NAME, bob)
    assert found is not None
    assert (found.name, found.holder, found.heartbeat, found.expires) == (
        NAME,
        ann,
        clock.now(),
        clock.now() + DURATION,
    )
    assert target.leases() == [found]


def test_one_of_many_who_take_a_lease_at_once_has_it(
    target: Target, make: Make, tmp_path: Path, clock: SetClock
) -> None:
    targets = [target, make(tmp_path / "state", clock)]
    found = at_once(lambda number: targets[number % 2].take_lease(NAME, holder(clock, f"token-{number}")))
    (held,) = target.leases()
    assert found.count(None) == 1 and set(found) == {None, held}
    targets[1].close()


def test_leases_of_other_names_do_not_exclude_each_other(target: Target, clock: SetClock) -> None:
    assert target.take_lease(NAME, holder(clock)) is None
    assert target.take_lease(OTHER, holder(clock, "theirs")) is None
    assert sorted(lease.name for lease in target.leases()) == [NAME, OTHER]


@pytest.mark.parametrize(("first", "second"), [(EVERYTHING, NAME), (NAME, EVERYTHING), (EVERYTHING, EVERYTHING)])
def test_the_lease_of_everything_excludes_all_others_and_they_it(
    target: Target, clock: SetClock, first: str, second: str
) -> None:
    assert target.take_lease(first, holder(clock)) is None
    found = target.take_lease(second, holder(clock, "theirs"))
    assert found is not None and found.name == first
    assert target.release_lease(first, "mine")
    assert target.take_lease(second, holder(clock, "theirs")) is None


def test_a_lease_given_back_is_free(target: Target, clock: SetClock) -> None:
    target.take_lease(NAME, holder(clock))
    assert not target.release_lease(NAME, "theirs")
    assert target.release_lease(NAME, "mine")
    assert not target.release_lease(NAME, "mine")
    assert target.leases() == []
    assert target.take_lease(NAME, holder(clock, "theirs")) is None


def test_taking_it_again_after_a_lost_reply_does_no_harm(target: Target, clock: SetClock) -> None:
    """Whether the answer is None or the own lease, it is held, once."""
    target.take_lease(NAME, holder(clock))
    found = target.take_lease(NAME, holder(clock))
    assert found is None or found.holder.token == "mine"
    assert [lease.holder.token for lease in target.leases()] == ["mine"]


def test_a_renewed_lease_lasts(target: Target, clock: SetClock) -> None:
    target.take_lease(NAME, holder(clock))
    for _ in range(10):
        clock.move(HEARTBEAT)
        assert target.renew_lease(NAME, "mine")
    assert target.take_lease(NAME, holder(clock, "theirs")) is not None
    assert [lease.heartbeat for lease in target.leases()] == [clock.now()]
    assert not target.renew_lease(NAME, "theirs") and not target.renew_lease(OTHER, "mine")


def test_a_lease_that_was_not_renewed_excludes_nothing(target: Target, clock: SetClock) -> None:
    target.take_lease(NAME, holder(clock))
    clock.move(DURATION - timedelta(microseconds=1))
    assert target.take_lease(NAME, holder(clock, "theirs")) is not None
    clock.move(timedelta(microseconds=1))
    assert [lease.expired(clock.now()) for lease in target.leases()] == [True]
    assert target.take_lease(NAME, holder(clock, "theirs")) is None
    assert not target.renew_lease(NAME, "mine") and not target.release_lease(NAME, "mine")
    assert [lease.holder.token for lease in target.leases()] == ["theirs"]


def test_what_the_lease_of_everything_has_displaced_is_gone(target: Target, clock: SetClock) -> None:
    target.take_lease(NAME, holder(clock))
    clock.move(DURATION)
    assert target.take_lease(EVERYTHING, holder(clock, "theirs")) is None
    assert not target.renew_lease(NAME, "mine")
    assert [lease.name for lease in target.leases()] == [EVERYTHING]


def test_a_lease_is_broken_without_its_token(target: Target, clock: SetClock) -> None:
    target.take_lease(NAME, holder(clock))
    assert target.release_lease(NAME, None)
    assert not target.release_lease(NAME, None)
    assert not target.renew_lease(NAME, "mine")
    assert target.take_lease(NAME, holder(clock, "theirs")) is None


def test_a_dead_holder_of_this_host_excludes_nothing(target: Target, clock: SetClock) -> None:
    dead = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    assert dead.stdin is not None
    start = float(Path(f"/proc/{dead.pid}/stat").read_text().rpartition(")")[2].split()[19])
    theirs = replace(this_process(clock, {}), pid=dead.pid, started=start, token="dead")
    target.take_lease(NAME, theirs)
    assert target.take_lease(NAME, holder(clock)) is not None  # it lives
    dead.stdin.close()
    dead.wait()
    assert target.take_lease(NAME, holder(clock)) is None


def test_a_living_process_that_got_the_pid_of_a_dead_holder_is_not_the_holder(target: Target, clock: SetClock) -> None:
    me = this_process(clock, {})
    target.take_lease(NAME, replace(me, started=me.started - 1, token="dead"))
    assert target.take_lease(NAME, me) is None


def test_a_holder_of_this_host_that_lives_excludes_others(target: Target, clock: SetClock) -> None:
    target.take_lease(NAME, this_process(clock, {}))
    assert target.take_lease(NAME, this_process(clock, {})) is not None


def test_of_a_holder_that_does_not_say_when_it_was_started_nobody_knows(target: Target, clock: SetClock) -> None:
    vague = replace(holder(clock), host=socket.gethostname(), pid=2**22 + 1, started=0.0, boot="")
    target.take_lease(NAME, vague)
    assert target.take_lease(NAME, holder(clock, "theirs")) is not None


def test_a_lease_outlives_whoever_opened_the_target(
    target: Target, make: Make, tmp_path: Path, clock: SetClock
) -> None:
    target.take_lease(NAME, holder(clock))
    other = make(tmp_path / "state", clock)
    assert other.leases() == target.leases()
    assert other.take_lease(NAME, holder(clock, "theirs")) is not None
    other.close()
