"""The `Target` port: all that plan and apply, and the commands that look at runs, ask of a target."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from specrunner.core.due import Due
from specrunner.core.errors import Diagnostic
from specrunner.core.keys import Key
from specrunner.core.leases import Holder, Lease
from specrunner.core.outcome import RunView
from specrunner.core.plan import Step
from specrunner.core.recorded import Recorded
from specrunner.core.resources import Live, Owner, Resource
from specrunner.core.services import ServiceState
from specrunner.core.values import Json, JsonObject, Secret

if TYPE_CHECKING:
    import pyarrow as pa

# The `state` of a task that `suspend` holds back, in place of its own.
SUSPENDED: Final = "suspended"

# Told what goes on inside a long step: "building the environment".
Note = Callable[[str], None]


def silent(_text: str) -> None:
    """A `Note` for when nobody looks."""


@dataclass(frozen=True, slots=True)
class PutOrder:
    """Make one object as declared. `secrets` are the values behind `resource.secrets`, by the same paths.

    `token` is the idempotency key: the same for every try of one step of one apply, also after a crash, so that a
    create whose answer was lost makes no twin.
    """

    resource: Resource
    step: Step
    owner: Owner
    secrets: Mapping[str, Secret] = field(default_factory=dict)
    token: str = ""


@dataclass(frozen=True, slots=True)
class Stored:
    """The bytes that a target holds of a model or an orchestration, and what they were called when they came."""

    file_name: str
    data: bytes


class Target(Protocol):
    """Where specs are applied to.

    Safe to call from several threads. Every write names one object by its key and may be repeated: `put` of
    what is there already and `delete` of what is gone change nothing, and `run` of an intent that was carried
    out gives the run that did. Errors are SpecrunnerErrors in words for people; Transient means that the same call
    may be made again.
    """

    name: str

    def read(self) -> Live:
        """Everything live, by list calls only; writes nothing."""

    def fingerprint(self, secret: Secret) -> str:
        """The target's keyed fingerprint of a secret: equal for equal values, and says nothing else."""

    def unsupported(self, resources: Iterable[Resource]) -> list[Diagnostic]:
        """What these declare and this target cannot do, each at its place. Cheap: no file is opened."""

    def unfit(self, resources: Iterable[Resource]) -> list[Diagnostic]:
        """Which of their files cannot be used (a model that does not load), found out before the first write."""

    def put(self, order: PutOrder, note: Note = silent) -> None:
        """Create the object, change, rename (`step.renamed_from`) or replace it, and remember whose it is.

        Raises StalePlan if the live object is no longer the one that the step was planned for, Transient while its
        name is not free yet.
        """

    def delete(self, step: Step, note: Note = silent) -> None:
        """Remove the object; what runs of it is killed first. Raises StalePlan as `put` does."""

    def run(
        self,
        task: Key,
        intent: str | None,
        args: JsonObject | None = None,
        note: Note = silent,
        *,
        wait: bool = True,
    ) -> RunView:
        """Run a task and wait for the end. An intent under way is waited for, not started again.

        Without `wait`, it is given as soon as its code was started.
        """

    def remembers(self, owner: Owner) -> bool:
        """Whether what was applied for this owner is known here: not so on a fresh machine, nor after `rm -rf`."""

    def remember(self, owner: Owner) -> None:
        """Everything of this owner is here from now on: `remembers` says so."""

    def restore(self, recorded: Recorded, order: PutOrder, note: Note = silent) -> None:
        """Bring an object back that only the status files know; `order.resource` is as it was recorded.

        Its intents count as carried out, as recorded, and start nothing. A task that is made here and was recorded as
        `SUSPENDED` is so from its first moment on.
        """

    def stored(self, key: Key) -> Stored | None:
        """The bytes of a live model or orchestration as it is in force; None where there are none."""

    def leases(self) -> list[Lease]:
        """Every lease, expired ones too."""

    def take_lease(self, name: str, holder: Holder) -> Lease | None:
        """Take the lease of that name for `leases.DURATION`; None where it was taken.

        Otherwise the lease that excludes it. One that is expired, or whose holder is known to be dead, excludes
        nothing.
        """

    def renew_lease(self, name: str, token: str) -> bool:
        """Hold it for another `leases.DURATION`; False where it is no longer ours."""

    def release_lease(self, name: str, token: str | None) -> bool:
        """Give it back, or break it: without a token, whoever holds it. False where there was none."""

    def runs(self, task: Key | None = None) -> Sequence[RunView]:
        """The runs of a task, or all of them, newest first; without log tails."""

    def log(self, run_id: str, *, follow: bool = False) -> Iterator[tuple[float, str]]:
        """The complete lines of a run's log so far: seconds since the epoch, text. Raises NotFound.

        With `follow` also those to come, as they come, until the run has ended or `stop_waiting` is called.
        """

    def kill_run(self, run_id: str) -> RunView:
        """End a run; when this returns nothing of it is alive. One that has ended stays as it is. Raises NotFound."""

    def host(self) -> Holder | None:
        """The process that starts here what is scheduled and keeps services alive; None where none lives.

        A target that does so by itself gives itself.
        """

    def suspend(self, task: Key) -> None:
        """Hold a schedule or a service back: nothing of it starts by itself until `resume`; what runs goes on.

        Twice is as good as once. Raises Conflict for a task that runs once, NotFound.
        """

    def resume(self, task: Key) -> None:
        """Let a task start by itself again; what was missed meanwhile is not made up for. Raises as `suspend` does."""

    def service_state(self, task: Key) -> ServiceState | None:
        """How a service is just now, its port looked at; None for a task that is none. Raises NotFound."""

    def upcoming(self, task: Key, after: datetime, count: int) -> Sequence[Due]:
        """The next instants of a task's schedule later than `after`, suspended or not; none without a schedule.

        Fewer than `count` where the schedule ends before. Raises NotFound.
        """

    def missed(self, task: Key, begin: datetime, end: datetime) -> Sequence[datetime]:
        """The instants from `begin` to `end`, both included, that have had no run; none that is yet to come.

        Raises NotFound, and BadInput where the task has no schedule, for an empty span, and for more than a thousand.
        """

    def backfill(self, task: Key, begin: datetime, end: datetime) -> Sequence[RunView]:
        """Make a run for each missed instant, oldest first; they wait for whoever carries them out: see `attend`.

        Twice is as good as once. Raises as `missed` does.
        """

    def attend(self, run_id: str) -> RunView:
        """Wait for the end of a run, and carry it out where nobody else does. Raises NotFound."""

    def infer(self, pipeline: Key, file: Path) -> pa.Table:
        """Infer on the rows of a file through a deployed pipeline. Raises BadInput, Unavailable, NotFound."""

    def infer_table(self, pipeline: Key, rows: Callable[[], pa.Table]) -> pa.Table:
        """Infer on rows, which are asked for once it is known that the pipeline serves. Raises as `infer` does."""

    def infer_json(self, pipeline: Key, value: Json) -> Json:
        """The answer to custom JSON, which is what the models make of it. Raises as `infer` does."""

    def stop_waiting(self) -> None:
        """Let every `run` return soon; the runs themselves go on."""

    def close(self) -> None:
        """Give back what the target holds."""
