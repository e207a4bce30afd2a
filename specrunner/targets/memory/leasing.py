"""The leases of a memory target."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from specrunner.core.leases import DURATION, Holder, Lease
from specrunner.targets.memory.state import MemoryState

Alive = Callable[[Holder], bool]


def take(state: MemoryState, name: str, holder: Holder, now: datetime, alive: Alive) -> Lease | None:
    """None where it was taken, otherwise the lease that excludes it. Inside `writing()`."""
    in_the_way = [lease for lease in state.leases.values() if lease.excludes(name)]
    for lease in in_the_way:
        if lease.holder.token != holder.token and not lease.expired(now) and alive(lease.holder):
            return lease
    for lease in in_the_way:
        del state.leases[lease.name]
    state.leases[name] = Lease(name, holder, now, now + DURATION)
    return None


def renew(state: MemoryState, name: str, token: str, now: datetime) -> bool:
    """Hold it for another while; False where it is no longer ours. Inside `writing()`."""
    lease = state.leases.get(name)
    if lease is None or lease.holder.token != token:
        return False
    state.leases[name] = replace(lease, heartbeat=now, expires=now + DURATION)
    return True


def release(state: MemoryState, name: str, token: str | None) -> bool:
    """Give it back, or break it without a token; False where there was none. Inside `writing()`."""
    lease = state.leases.get(name)
    if lease is None or token not in {None, lease.holder.token}:
        return False
    del state.leases[name]
    return True
