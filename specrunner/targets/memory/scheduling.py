"""When the tasks of a memory target run: nothing here starts them, it only tells."""

from __future__ import annotations

from datetime import datetime, timedelta

from specrunner.core.due import Timing
from specrunner.core.errors import BadInput, Conflict, NotFound
from specrunner.core.keys import Key
from specrunner.core.resources import is_run_once
from specrunner.core.services import ServiceState
from specrunner.core.values import iso
from specrunner.targets.memory.raw import RawObject
from specrunner.targets.memory.state import MemoryState

_MOST = 1000  # instants at once


def task_of(state: MemoryState, key: Key) -> RawObject:
    """The task of that key. Raises NotFound."""
    found = state.find(key)
    if found is None or found.looks:
        raise NotFound(f"There is no task {key}.")
    return found


def timing_of(state: MemoryState, key: Key) -> Timing | None:
    """When a task runs; None without a schedule. Raises NotFound."""
    found = task_of(state, key)
    schedule = found.spec.get("schedule")
    return Timing.of(str(found.key), schedule, found.id in state.suspended) if schedule is not None else None


def service_state(state: MemoryState, key: Key) -> ServiceState | None:
    """How a service is; None for a task that is none. Raises NotFound."""
    found = task_of(state, key)
    if found.spec.get("service") is None:
        return None
    if any(not run.status.ended for run in state.runs_of(found.id)):
        return ServiceState.RUNNING
    return ServiceState.STOPPED if found.id in state.suspended else ServiceState.WAITING


def missed(state: MemoryState, key: Key, begin: datetime, end: datetime) -> list[datetime]:
    """The instants of a span that have had no run. Raises NotFound, BadInput."""
    timing = timing_of(state, key)
    if timing is None:
        raise BadInput(f"The task {key.name!r} has no schedule, and so has missed nothing.")
    if begin > end:
        raise BadInput(f"There is no time between {iso(begin)} and {iso(end)}.")
    found = [due.instant for due in timing.upcoming(begin - timedelta.resolution, _MOST + 1)]
    if len(found) > _MOST and found[-1] <= end:
        raise BadInput(f"The schedule of {key.name!r} has more than {_MOST} instants in this span.")
    had = {run.scheduled for run in state.runs_of(task_of(state, key).id)}
    return [instant for instant in found if instant <= end and instant not in had]


def hold_back(state: MemoryState, key: Key, *, suspended: bool) -> None:
    """Suspend a task or resume it, inside `writing()`. Raises NotFound, Conflict for one that runs once."""
    found = task_of(state, key)
    if is_run_once(found.spec):
        raise Conflict(f"The task {key.name!r} runs once: it has no schedule that could be held back.")
    if suspended:
        state.suspended.add(found.id)
    else:
        state.suspended.discard(found.id)
