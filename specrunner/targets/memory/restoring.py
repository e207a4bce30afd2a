"""Bringing back what only the status files know."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from specrunner.core.errors import StalePlan
from specrunner.core.lifecycle import RunState
from specrunner.core.recorded import Recorded, RunTimes
from specrunner.targets.base import SUSPENDED, PutOrder
from specrunner.targets.memory.quirks import server_name
from specrunner.targets.memory.raw import RawObject, RawRun
from specrunner.targets.memory.state import MemoryState
from specrunner.targets.memory.writing import kept, not_free, record_of


def restore(state: MemoryState, recorded: Recorded, order: PutOrder, prints: Mapping[str, str], now: datetime) -> None:
    """Store the object as recorded, its intents as carried out. One of ours stays as it is. Inside `writing()`.

    Raises StalePlan where somebody else has made one of this name, Transient while the name is not free.
    """
    resource = order.resource
    if (there := state.find(resource.key)) is not None:
        _check_ours(state, there, order)
        return
    if resource.payload is not None:
        state.blobs[resource.payload.sha] = resource.payload.read()
    file_name = resource.payload.file_name if resource.payload is not None else ""
    name = server_name(state.quirks, resource.key)
    made = RawObject(state.new_id(), resource.key, name, kept(resource), file_name=file_name, token=order.token)
    made = state.keep(replace(made, secrets=dict(prints)))
    state.records[resource.key] = record_of(order, prints)
    if recorded.state == SUSPENDED:
        state.suspended.add(made.id)
    for intent, status in recorded.intents.items():
        run = recorded.runs.get(intent, "")
        times = recorded.times.get(run, RunTimes(now))
        state.keep_run(_ended(state, made, intent, RunState(status), run, replace(times, ended=times.ended or now)))


def _check_ours(state: MemoryState, there: RawObject, order: PutOrder) -> None:
    if there.looks:
        raise not_free(there.key)
    record = state.records.get(there.key)
    if record is None or record.owner != order.owner:
        raise StalePlan(
            f"{there.key} can't be restored: somebody else has made one of this name.",
            remedy="Run `specrunner plan` again and look at what it says now.",
        )


def _ended(state: MemoryState, task: RawObject, intent: str, status: RunState, run_id: str, times: RunTimes) -> RawRun:
    """The run that the status files tell of; of one that had not ended nobody knows how it went."""
    return RawRun(
        id=run_id or f"run-{state.new_id()}",
        task=task.key,
        task_id=task.id,
        created=times.created,
        status=status if status.ended else RunState.LOST,
        intent=intent,
        sha=str(task.spec.get("orchestrationSha", "")),
        detail="It is known from the status files only.",
        started=times.started,
        ended=times.ended,
    )
