"""Who is taken for a living host, and the bell."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from specrunner.core.errors import Busy
from specrunner.core.leases import DURATION, EVERYTHING, Holder
from specrunner.engine.engine import Engine
from specrunner.engine.hosting import LEASE, Bell, Hosting
from specrunner.engine.tasks.processes import identify
from tests.integration.engine_samples import StubEnvironments, no_api

NOW = datetime(2026, 3, 1, tzinfo=UTC)
PATIENCE = 20.0


@dataclass
class Stepped:
    moment: datetime = NOW

    def now(self) -> datetime:
        return self.moment

    def monotonic(self) -> float:
        return 0.0


@pytest.fixture
def clock() -> Stepped:
    return Stepped()


@pytest.fixture
def engine(tmp_path: Path, clock: Stepped) -> Iterator[Engine]:
    with Engine(tmp_path, tmp_path / "cache", no_api, clock, environments=StubEnvironments()) as opened:
        yield opened


def here() -> Holder:
    identity = identify(os.getpid())
    assert identity is not None
    return Holder("me", socket.gethostname(), os.getpid(), NOW, "mine", float(identity.start), identity.boot)


def elsewhere() -> Holder:
    return replace(here(), who="somebody", host="another-machine", token="theirs")


def test_a_host_is_not_its_own_other(engine: Engine, clock: Stepped) -> None:
    engine.hosting.take(here())
    assert engine.hosting.living() is None
    assert Hosting(engine.folder, engine.leases, clock).living() == here()
    engine.hosting.give_back()
    assert engine.leases.all() == []


def test_a_living_process_of_this_machine_hosts_whatever_its_lease_says(engine: Engine, clock: Stepped) -> None:
    engine.hosting.take(here())
    clock.moment += 2 * DURATION  # the machine slept
    other = Hosting(engine.folder, engine.leases, clock)
    assert other.living() == here()
    with pytest.raises(Busy, match="serves this state folder already"):
        other.take(replace(here(), token="other"))


def test_a_process_that_has_the_pid_of_a_dead_host_is_none(engine: Engine) -> None:
    engine.leases.take(LEASE, replace(here(), token="dead", started=here().started - 1))
    assert engine.hosting.living() is None
    engine.hosting.take(here())


def test_of_another_machine_the_lease_counts(engine: Engine, clock: Stepped) -> None:
    engine.leases.take(LEASE, elsewhere())
    assert engine.hosting.living() == elsewhere()
    with pytest.raises(Busy) as caught:
        engine.hosting.take(here())
    assert "another-machine, started by somebody" in caught.value.detail
    clock.moment += DURATION
    assert engine.hosting.living() is None
    engine.hosting.take(here())
    assert engine.hosting.renew()


def test_nobody_hosts_what_is_being_worked_on_as_a_whole(engine: Engine) -> None:
    engine.leases.take(EVERYTHING, elsewhere())
    with pytest.raises(Busy, match="worked on as a whole"):
        engine.hosting.take(here())


def test_a_host_whose_lease_was_broken_is_told_at_its_next_beat(engine: Engine) -> None:
    engine.hosting.take(here())
    engine.leases.release(LEASE, None)
    assert not engine.hosting.renew()


def test_the_bell_is_heard_however_deep_the_folder_lies(tmp_path: Path, engine: Engine, clock: Stepped) -> None:
    folder = tmp_path / ("deep" * 50)
    folder.mkdir()
    hosting = Hosting(folder, engine.leases, clock)
    hosting.ring()  # nobody listens yet, which is no harm
    bell = hosting.bell()
    try:
        assert not bell.wait(0)
        hosting.ring()
        assert bell.wait(PATIENCE)
        bell.clear()
        assert not bell.wait(0)
    finally:
        bell.close()
    assert list(folder.iterdir()) == []


def test_a_bell_that_can_not_be_hung_up_still_rings_in_its_own_process(tmp_path: Path) -> None:
    bell = Bell(tmp_path / "gone")
    threading.Timer(0.01, bell.ring).start()
    assert bell.wait(PATIENCE)
    bell.close()
