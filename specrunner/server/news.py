"""Waiting for runs without asking again and again: one look at the store for however many wait."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Final

from starlette.concurrency import run_in_threadpool

from specrunner.core.errors import NotFound
from specrunner.core.lifecycle import RunState
from specrunner.engine.engine import Engine

_LOOK: Final = 0.05  # seconds between looks at whether anything was written; that costs microseconds
_ANYWAY: Final = 40  # looks after which the runs are looked at although nothing was: one may have died unrecorded


class Stage(IntEnum):
    """How far a run has come."""

    WAITING = 0
    BEGUN = 1
    ENDED = 2


def _stage(state: RunState) -> Stage:
    if state.ended:
        return Stage.ENDED
    return Stage.WAITING if state is RunState.PENDING else Stage.BEGUN


@dataclass(slots=True)
class News:
    """What those wait for who follow runs. Used from the event loop alone; `leave` from anywhere."""

    engine: Engine
    _leaving: threading.Event = field(default_factory=threading.Event)
    _waiting: dict[asyncio.Future[None], tuple[str, Stage]] = field(default_factory=dict)
    _looking: asyncio.Task[None] | None = None

    def leave(self) -> None:
        """Let everybody who waits go soon: the server stops."""
        self._leaving.set()

    @property
    def is_leaving(self) -> bool:
        """Whether the server stops."""
        return self._leaving.is_set()

    async def until(self, run_id: str, stage: Stage, seconds: float) -> None:
        """Wait until a run has come that far, is gone, so many seconds are over, or the server stops."""
        reached = await run_in_threadpool(self._come_to, {(run_id, stage)}, closely=False)
        if seconds <= 0 or reached:
            return
        waiting: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting[waiting] = (run_id, stage)
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look())
        try:
            await asyncio.wait([waiting], timeout=seconds)
        finally:
            del self._waiting[waiting]

    async def _look(self) -> None:
        """Look as long as anybody waits."""
        seen, looks = -1, 0
        while self._waiting and not self.is_leaving:
            now, looks = self.engine.generation(), looks + 1
            anyway = looks % _ANYWAY == 0
            if now != seen or anyway:
                seen = now
                self._settle(await run_in_threadpool(self._come_to, set(self._waiting.values()), closely=anyway))
            await asyncio.sleep(_LOOK)
        self._settle(set(self._waiting.values()) if self.is_leaving else set())

    def _settle(self, reached: set[tuple[str, Stage]]) -> None:
        for waiting, one in self._waiting.items():
            if one in reached and not waiting.done():
                waiting.set_result(None)

    def _come_to(self, asked: set[tuple[str, Stage]], *, closely: bool) -> set[tuple[str, Stage]]:
        """Those that have come as far as is waited for; `closely`, what became of their processes is looked at."""
        stages = {run.id: _stage(run.status) for run in self.engine.history.active()}
        reached = {one for one in asked if stages.get(one[0], Stage.ENDED) >= one[1]}
        return reached | {one for one in asked - reached if closely and self._reached(*one)}

    def _reached(self, run_id: str, stage: Stage) -> bool:
        try:
            return _stage(self.engine.runs.recovered(self.engine.history.get(run_id)).status) >= stage
        except NotFound:
            return True
