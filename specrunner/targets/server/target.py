"""The adapter: the `Target` port over a server's API."""

from __future__ import annotations

import hashlib
import json
import threading
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, unquote

from specrunner.core.due import Due
from specrunner.core.errors import BadInput, Diagnostic, NotFound, StalePlan
from specrunner.core.keys import Key
from specrunner.core.leases import Holder, Lease
from specrunner.core.outcome import RunView
from specrunner.core.plan import Step
from specrunner.core.recorded import Recorded
from specrunner.core.resources import Live, Owner, Payload, Resource
from specrunner.core.services import ServiceState
from specrunner.core.values import Json, JsonObject, Secret
from specrunner.targets.base import Note, PutOrder, Stored, silent
from specrunner.targets.server import following, serving
from specrunner.targets.server.http import Connection, Query, Sent
from specrunner.targets.serving import LogRows, PipelineView, Span
from specrunner.targets.wire import records as wire
from specrunner.targets.wire.mirror import LIVE, RECORDED, RUN, STEP
from specrunner.targets.wire.orders import sent_order, sent_resource

if TYPE_CHECKING:
    import pyarrow as pa

_GLANCE: Final = 2.0  # seconds that the server is asked to wait for a run's end: then we look whether to leave
_BYTES: Final = "application/octet-stream"


class ServerTarget:
    """A specrunner server as a target."""

    name = "server"

    def __init__(self, connection: Connection) -> None:
        self._http = connection
        self._stopped = threading.Event()

    def read(self) -> Live:
        """Everything live that our token sees."""
        found = self._http.ask(Sent("GET", "/live"), wire.LiveObjects)
        return {one.key: one for one in map(LIVE.meant, found.objects)}

    def fingerprint(self, secret: Secret) -> str:
        """The server's keyed fingerprint of a secret."""
        sent = Sent("POST", "/fingerprint", wire.SentSecret(secret.reveal()))
        return self._http.ask(sent, wire.Fingerprint).fingerprint

    def unsupported(self, resources: Iterable[Resource]) -> list[Diagnostic]:
        """What these declare and the server cannot do."""
        return self._check(resources, files=False)

    def unfit(self, resources: Iterable[Resource]) -> list[Diagnostic]:
        """Which of their files the server cannot use; they are uploaded, which writing them needs anyway."""
        found = [resource for resource in resources if resource.payload is not None]
        for resource in found:
            self._upload(resource, silent)
        return self._check(found, files=True) if found else []

    def put(self, order: PutOrder, note: Note = silent) -> None:
        """Make one object as declared."""
        self._upload(order.resource, note)
        self._work("PUT", "/objects", sent_order(order), note)

    def delete(self, step: Step, note: Note = silent) -> None:
        """Remove one object."""
        self._work("POST", "/objects/delete", wire.SentDelete(STEP.told(step)), note)

    def restore(self, recorded: Recorded, order: PutOrder, note: Note = silent) -> None:
        """Make one object as it was recorded."""
        self._upload(order.resource, note)
        self._work("POST", "/objects/restore", wire.SentRestore(RECORDED.told(recorded), sent_order(order)), note)

    def remembers(self, owner: Owner) -> bool:
        """Whether all that was applied for this owner is there."""
        return self._http.ask(Sent("GET", "/owners", query=_owner(owner)), wire.Remembers).remembers

    def remember(self, owner: Owner) -> None:
        """All of this owner is there from now on."""
        self._http.ask(Sent("PUT", "/owners", query=_owner(owner)), wire.Done)

    def stored(self, key: Key) -> Stored | None:
        """The bytes of a model or an orchestration as it is in force."""
        try:
            response = self._http.fetch(Sent("GET", "/stored", query={"key": key}))
        except NotFound:
            return None
        name = response.headers.get("content-disposition", "").rpartition("''")[2]
        return Stored(unquote(name), response.content)

    def leases(self) -> list[Lease]:
        """Every lease."""
        return self._http.ask(Sent("GET", "/leases"), wire.Leases).leases

    def take_lease(self, name: str, holder: Holder) -> Lease | None:
        """Take a lease, or give the one that excludes it."""
        found = self._http.ask(Sent("POST", "/leases", wire.SentLease(name, holder)), wire.LeaseTaken).excluded_by
        return None if found is not None and found.holder.token == holder.token else found

    def renew_lease(self, name: str, token: str) -> bool:
        """Hold a lease for longer; False where it is lost."""
        return self._http.ask(Sent("POST", "/leases/renew", wire.SentHold(name, token)), wire.Held).held

    def release_lease(self, name: str, token: str | None) -> bool:
        """Give a lease back, or break it."""
        return self._http.ask(Sent("POST", "/leases/release", wire.SentHold(name, token)), wire.Held).held

    def run(
        self,
        task: Key,
        intent: str | None,
        args: JsonObject | None = None,
        note: Note = silent,
        *,
        wait: bool = True,
    ) -> RunView:
        """Run a task to its end, or only start it."""
        sent = wire.SentRun(str(task), intent, None if args is None else dict(args))
        found = self._ask_run(Sent("POST", "/runs", sent, once=_fresh()))
        note(f"running, run {found.id[:8]}, on {self._http.place}")
        return self._ended(found) if wait else found

    def runs(self, task: Key | None = None) -> Sequence[RunView]:
        """Runs, newest first, as they are now."""
        sent = Sent("GET", "/runs", query={} if task is None else {"task": task})
        return [RUN.meant(run) for run in self._http.ask(sent, wire.RunViews).runs]

    def log(self, run_id: str, *, follow: bool = False) -> Iterator[tuple[float, str]]:
        """The complete lines of a run's log, also those to come where they are followed."""
        found = self._http.ask(Sent("GET", f"/runs/{_safe(run_id)}/log"), wire.LogPage)
        if not follow:
            return ((line.time, line.text) for line in found.lines)
        return following.lines(self._http, run_id, self._stopped)

    def kill_run(self, run_id: str) -> RunView:
        """End a run."""
        return RUN.meant(self._http.work(Sent("POST", f"/runs/{_safe(run_id)}/kill", events=True), wire.ToldRun))

    def host(self) -> Holder | None:
        """The process that serves there."""
        return self._http.ask(Sent("GET", "/host"), wire.HostedBy).host

    def suspend(self, task: Key) -> None:
        """Hold a task back."""
        self._http.ask(Sent("POST", "/schedule/suspend", wire.SentTask(str(task))), wire.Done)

    def resume(self, task: Key) -> None:
        """Hold a task back no longer."""
        self._http.ask(Sent("POST", "/schedule/resume", wire.SentTask(str(task))), wire.Done)

    def service_state(self, task: Key) -> ServiceState | None:
        """How a service is just now."""
        return self._http.ask(Sent("GET", "/service", query={"task": task}), wire.Service).state

    def upcoming(self, task: Key, after: datetime, count: int) -> Sequence[Due]:
        """The next instants of a task's schedule."""
        query: Query = {"task": task, "after": after, "count": count}
        return self._http.ask(Sent("GET", "/schedule/next", query=query), wire.NextFires).fires

    def missed(self, task: Key, begin: datetime, end: datetime) -> Sequence[datetime]:
        """The instants of a span that have had no run."""
        query: Query = {"task": task, "begin": begin, "end": end}
        return self._http.ask(Sent("GET", "/schedule/missed", query=query), wire.Instants).instants

    def backfill(self, task: Key, begin: datetime, end: datetime) -> Sequence[RunView]:
        """Make a run for each of them."""
        sent = Sent("POST", "/schedule/backfill", wire.SentSpan(str(task), begin, end), once=_fresh())
        return [RUN.meant(run) for run in self._http.ask(sent, wire.RunViews).runs]

    def attend(self, run_id: str) -> RunView:
        """Have a run carried out, and wait for its end."""
        return self._ended(self._ask_run(Sent("POST", f"/runs/{_safe(run_id)}/attend")))

    def infer(self, pipeline: Key, file: Path) -> pa.Table:
        """Infer on the rows of a file."""
        from specrunner.engine import tables

        try:
            data = file.read_bytes()
        except OSError as problem:
            raise BadInput(f"{file} can't be read", f"{problem.strerror}.", "Name a file that exists.") from problem
        return self._inferred(pipeline, data, tables.media_of_path(file))

    def infer_table(self, pipeline: Key, rows: Callable[[], pa.Table]) -> pa.Table:
        """Infer on rows."""
        from specrunner.engine import tables

        return self._inferred(pipeline, tables.encode(rows(), tables.Media.ARROW_FILE), tables.Media.ARROW_FILE)

    def infer_json(self, pipeline: Key, value: Json) -> Json:
        """Infer on custom JSON."""
        sent = Sent("POST", "/infer/json", query={"pipeline": pipeline}, content=json.dumps(value).encode())
        found: Json = self._http.ask(sent, Any)
        return found

    def _inferred(self, pipeline: Key, data: bytes, media: str) -> pa.Table:
        from specrunner.engine import tables

        response = self._http.fetch(
            Sent("POST", "/infer", query={"pipeline": pipeline}, content=data, media=str(media))
        )
        return tables.decode(response.content, tables.Media.ARROW_FILE)

    def pipelines(self) -> Sequence[PipelineView]:
        """All pipelines that our token sees."""
        return serving.pipelines(self._http)

    def deploy(self, pipeline: Key, version: str | None = None) -> PipelineView:
        """Hold a version of a pipeline as a user."""
        return serving.deploy(self._http, pipeline, version)

    def undeploy(self, pipeline: Key, *, force: bool = False) -> PipelineView:
        """Give back users' hold, with `force` also that of the specs."""
        return serving.undeploy(self._http, pipeline, force=force)

    def logged(self, pipeline: Key, limit: int | None, span: Span) -> LogRows:
        """Rows of an inference log."""
        return serving.logged(self._http, pipeline, limit, span)

    def export(self, pipeline: Key, path: Path, span: Span) -> int:
        """An inference log, or a span of it, as a file."""
        return serving.export(self._http, pipeline, path, span)

    def stop_waiting(self) -> None:
        """Let every `run` return soon; the runs themselves go on there."""
        self._stopped.set()

    def close(self) -> None:
        """Close the connections."""
        self._stopped.set()
        self._http.close()

    def _ask_run(self, sent: Sent) -> RunView:
        return RUN.meant(self._http.ask(sent, wire.ToldRun))

    def _check(self, resources: Iterable[Resource], *, files: bool) -> list[Diagnostic]:
        sent = wire.SentCheck([sent_resource(one) for one in resources], files)
        return self._http.ask(Sent("POST", "/check", sent), wire.Problems).problems

    def _work(self, method: str, path: str, body: object, note: Note) -> None:
        self._http.work(Sent(method, path, body, events=True), wire.Done, note)

    def _upload(self, resource: Resource, note: Note) -> None:
        """Send the bytes of a resource, where the server has them not. Raises StalePlan for other bytes."""
        payload = resource.payload
        if payload is None or self._is_there(payload):
            return
        note(f"uploading {payload.file_name}")
        data = payload.read()
        if hashlib.sha256(data).hexdigest() != payload.sha:
            raise StalePlan(
                f"{payload.file_name} of {resource.key} has changed since this was planned.",
                remedy="Run `specrunner plan` again and look at what it says now.",
            )
        self._http.ask(Sent("PUT", "/files", query={"sha": payload.sha}, content=data, media=_BYTES), wire.KeptFile)

    def _is_there(self, payload: Payload) -> bool:
        return self._http.ask(Sent("GET", "/files", query={"sha": payload.sha}), wire.HasFile).there

    def _ended(self, run: RunView) -> RunView:
        """The run once it has ended, or as it is where nobody waits any more."""
        path = f"/runs/{_safe(run.id)}"
        while not run.status.ended and not self._stopped.is_set():
            run = self._ask_run(Sent("GET", path, query={"wait": _GLANCE}))
        return run


def _owner(owner: Owner) -> dict[str, str]:
    return {"project": owner.project, "environment": owner.environment}


def _fresh() -> str:
    return uuid.uuid4().hex


def _safe(run_id: str) -> str:
    return quote(run_id, safe="")
