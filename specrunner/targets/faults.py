"""Faults on order: a target that passes every call on, counts it, and goes wrong where its rules say.

`Faulty(target, [Fail(write=3, moment=Moment.AFTER)])` carries out the third write and then loses the reply. Made for
tests of whatever applies to a target: crash at every call, lose every reply, and see that the same state comes out.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from specrunner.core.due import Due
from specrunner.core.errors import Diagnostic, Transient
from specrunner.core.keys import Key
from specrunner.core.leases import Holder, Lease
from specrunner.core.outcome import RunView
from specrunner.core.plan import Step
from specrunner.core.recorded import Recorded
from specrunner.core.resources import Live, Owner, Resource
from specrunner.core.services import ServiceState
from specrunner.core.values import Json, JsonObject, Secret
from specrunner.targets.base import Note, PutOrder, Stored, Target, silent

if TYPE_CHECKING:
    import pyarrow as pa

WRITES = frozenset(
    {
        "put",
        "delete",
        "run",
        "kill_run",
        "suspend",
        "resume",
        "backfill",
        "attend",
        "remember",
        "restore",
        "take_lease",
        "renew_lease",
        "release_lease",
    },
)

_Answer = TypeVar("_Answer")


class Moment(StrEnum):
    """When a fault strikes."""

    BEFORE = "before"  # the call has no effect
    AFTER = "after"  # the effect is there, the reply is lost


@dataclass(frozen=True, slots=True)
class Call:
    """One call. `number` counts all calls from 1, `write` the writes alone: 0 for one that writes nothing."""

    number: int
    write: int
    method: str
    key: Key | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """Which calls a rule is for: all that fit everything given; at most `times` of them, 0 for no limit.

    `call` is a number among all calls, `write` one among the writes; both count from 1, 0 stands for any.
    """

    call: int = 0
    write: int = 0
    method: str = ""
    key: Key | None = None
    times: int = 0

    def fits(self, call: Call) -> bool:
        """Whether the rule is for this call, `times` apart."""
        numbers = self.call in {0, call.number} and self.write in {0, call.write}
        return numbers and self.method in {"", call.method} and self.key in {None, call.key}


def lost() -> Exception:
    """The error of a connection that broke."""
    return Transient("The connection broke.", "This fault was ordered by a test.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fail(Rule):
    """The call raises. After the effect it is a lost reply."""

    moment: Moment = Moment.BEFORE
    error: Callable[[], Exception] = lost


@dataclass(frozen=True, slots=True, kw_only=True)
class Kill(Rule):
    """This process ends at once by SIGKILL, as it would by a power cut."""

    moment: Moment = Moment.BEFORE


@dataclass(frozen=True, slots=True, kw_only=True)
class Delay(Rule):
    """The call takes longer."""

    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Stale(Rule):
    """`read` gives what it would have given `reads` reads ago, or at the first."""

    reads: int = 1


@dataclass(slots=True)
class _Counts:
    """What was called so far; changed under the lock of its owner."""

    calls: list[Call] = field(default_factory=list)
    writes: list[Call] = field(default_factory=list)
    struck: Counter[int] = field(default_factory=Counter)  # by position of the rule

    def add(self, method: str, key: Key | None) -> Call:
        writes = method in WRITES
        call = Call(len(self.calls) + 1, len(self.writes) + 1 if writes else 0, method, key)
        self.calls.append(call)
        if writes:
            self.writes.append(call)
        return call

    def strike(self, rules: Sequence[Rule], call: Call) -> list[Rule]:
        found = []
        for position, rule in enumerate(rules):
            if rule.fits(call) and (not rule.times or self.struck[position] < rule.times):
                self.struck[position] += 1
                found.append(rule)
        return found


class Faulty:
    """A target with faults, wrapped around any other.

    `calls` and `writes` list what was called, in order. Without rules it only counts: so a test can tell that a
    command writes nothing. `pause` is what a `Delay` waits with.
    """

    def __init__(self, target: Target, rules: Iterable[Rule] = (), pause: Callable[[float], None] = time.sleep) -> None:
        self.name = target.name
        self._target = target
        self._rules = tuple(rules)
        self._pause = pause
        self._lock = threading.Lock()
        self._counts = _Counts()
        longest = max((rule.reads for rule in self._rules if isinstance(rule, Stale)), default=0)
        self._reads: deque[Live] = deque(maxlen=longest + 1)

    @property
    def calls(self) -> list[Call]:
        """Every call so far."""
        with self._lock:
            return list(self._counts.calls)

    @property
    def writes(self) -> list[Call]:
        """Every call so far that may have changed something."""
        with self._lock:
            return list(self._counts.writes)

    def _through(self, method: str, key: Key | None, work: Callable[[], _Answer]) -> _Answer:
        return self._with(self._struck(method, key), work)

    def _struck(self, method: str, key: Key | None = None) -> list[Rule]:
        with self._lock:
            return self._counts.strike(self._rules, self._counts.add(method, key))

    def _with(self, rules: list[Rule], work: Callable[[], _Answer]) -> _Answer:
        for rule in rules:
            if isinstance(rule, Delay):
                self._pause(rule.seconds)
        _go_wrong(rules, Moment.BEFORE)
        answer = work()
        _go_wrong(rules, Moment.AFTER)
        return answer

    def read(self) -> Live:
        """As the target, or as it was some reads ago."""
        rules = self._struck("read")
        now = self._with(rules, self._target.read)
        ago = max((rule.reads for rule in rules if isinstance(rule, Stale)), default=0)
        with self._lock:
            self._reads.append(now)
            return self._reads[max(0, len(self._reads) - 1 - ago)]

    def fingerprint(self, secret: Secret) -> str:
        """As the target."""
        return self._through("fingerprint", None, lambda: self._target.fingerprint(secret))

    def unsupported(self, resources: Iterable[Resource]) -> list[Diagnostic]:
        """As the target."""
        return self._through("unsupported", None, lambda: self._target.unsupported(resources))

    def unfit(self, resources: Iterable[Resource]) -> list[Diagnostic]:
        """As the target."""
        return self._through("unfit", None, lambda: self._target.unfit(resources))

    def put(self, order: PutOrder, note: Note = silent) -> None:
        """As the target."""
        self._through("put", order.resource.key, lambda: self._target.put(order, note))

    def delete(self, step: Step, note: Note = silent) -> None:
        """As the target."""
        self._through("delete", step.key, lambda: self._target.delete(step, note))

    def run(
        self,
        task: Key,
        intent: str | None,
        args: JsonObject | None = None,
        note: Note = silent,
        *,
        wait: bool = True,
    ) -> RunView:
        """As the target."""
        return self._through("run", task, lambda: self._target.run(task, intent, args, note, wait=wait))

    def remembers(self, owner: Owner) -> bool:
        """As the target."""
        return self._through("remembers", None, lambda: self._target.remembers(owner))

    def remember(self, owner: Owner) -> None:
        """As the target."""
        self._through("remember", None, lambda: self._target.remember(owner))

    def restore(self, recorded: Recorded, order: PutOrder, note: Note = silent) -> None:
        """As the target."""
        self._through("restore", recorded.key, lambda: self._target.restore(recorded, order, note))

    def stored(self, key: Key) -> Stored | None:
        """As the target."""
        return self._through("stored", key, lambda: self._target.stored(key))

    def leases(self) -> list[Lease]:
        """As the target."""
        return self._through("leases", None, self._target.leases)

    def take_lease(self, name: str, holder: Holder) -> Lease | None:
        """As the target."""
        return self._through("take_lease", None, lambda: self._target.take_lease(name, holder))

    def renew_lease(self, name: str, token: str) -> bool:
        """As the target."""
        return self._through("renew_lease", None, lambda: self._target.renew_lease(name, token))

    def release_lease(self, name: str, token: str | None) -> bool:
        """As the target."""
        return self._through("release_lease", None, lambda: self._target.release_lease(name, token))

    def runs(self, task: Key | None = None) -> Sequence[RunView]:
        """As the target."""
        return self._through("runs", task, lambda: self._target.runs(task))

    def log(self, run_id: str, *, follow: bool = False) -> Iterator[tuple[float, str]]:
        """As the target."""
        return self._through("log", None, lambda: self._target.log(run_id, follow=follow))

    def kill_run(self, run_id: str) -> RunView:
        """As the target."""
        return self._through("kill_run", None, lambda: self._target.kill_run(run_id))

    def host(self) -> Holder | None:
        """As the target."""
        return self._through("host", None, self._target.host)

    def suspend(self, task: Key) -> None:
        """As the target."""
        self._through("suspend", task, lambda: self._target.suspend(task))

    def resume(self, task: Key) -> None:
        """As the target."""
        self._through("resume", task, lambda: self._target.resume(task))

    def service_state(self, task: Key) -> ServiceState | None:
        """As the target."""
        return self._through("service_state", task, lambda: self._target.service_state(task))

    def upcoming(self, task: Key, after: datetime, count: int) -> Sequence[Due]:
        """As the target."""
        return self._through("upcoming", task, lambda: self._target.upcoming(task, after, count))

    def missed(self, task: Key, begin: datetime, end: datetime) -> Sequence[datetime]:
        """As the target."""
        return self._through("missed", task, lambda: self._target.missed(task, begin, end))

    def backfill(self, task: Key, begin: datetime, end: datetime) -> Sequence[RunView]:
        """As the target."""
        return self._through("backfill", task, lambda: self._target.backfill(task, begin, end))

    def attend(self, run_id: str) -> RunView:
        """As the target."""
        return self._through("attend", None, lambda: self._target.attend(run_id))

    def infer(self, pipeline: Key, file: Path) -> pa.Table:
        """As the target."""
        return self._through("infer", pipeline, lambda: self._target.infer(pipeline, file))

    def infer_table(self, pipeline: Key, rows: Callable[[], pa.Table]) -> pa.Table:
        """As the target."""
        return self._through("infer_table", pipeline, lambda: self._target.infer_table(pipeline, rows))

    def infer_json(self, pipeline: Key, value: Json) -> Json:
        """As the target."""
        return self._through("infer_json", pipeline, lambda: self._target.infer_json(pipeline, value))

    def stop_waiting(self) -> None:
        """As the target; no rule is for it."""
        self._target.stop_waiting()

    def close(self) -> None:
        """As the target; no rule is for it."""
        self._target.close()


def _go_wrong(rules: list[Rule], moment: Moment) -> None:
    for rule in rules:
        if isinstance(rule, Kill) and rule.moment is moment:
            os.kill(os.getpid(), signal.SIGKILL)
        if isinstance(rule, Fail) and rule.moment is moment:
            raise rule.error()
