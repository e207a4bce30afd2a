"""Orchestrations: code that was uploaded as a zip, and orders to run it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from specrunner.sdk import display
from specrunner.sdk.entity import Entity, Listing
from specrunner.sdk.exceptions import ApiError, OrchestrationRunFailed, OrchestrationUploadFailed
from specrunner.sdk.session import API, Session, refusal
from specrunner.sdk.transport import Request

if TYPE_CHECKING:
    from specrunner.sdk.tasks import Task, TaskList

UPLOAD_TIMEOUT = 600.0  # seconds for each wait on the socket, not for the whole
_NAMELESS = "_"  # what the platform shows as `-`


class Orchestration(Entity):
    """One uploaded orchestration."""

    def name(self) -> str:
        """The name that it was given, else that of its file."""
        return str(self._get("name"))

    def file_name(self) -> str:
        """The name of the zip; `-` for bytes that were uploaded without one."""
        return str(self._get("file_name"))

    def sha(self) -> str:
        """The SHA-256 of the zip, in hexadecimal."""
        return str(self._get("sha"))

    def status(self) -> str:
        """How far the packaging is, asked anew: `pending_packaging`, `packaging`, then `ready` or `error`."""
        self._refresh()
        return str(self._get("status"))

    def error(self) -> str:
        """Why it is in `error`, asked anew; empty where it is not."""
        self._refresh()
        return str(self._data.get("error_summary") or "")

    def workspace_id(self) -> int:
        """The number of its workspace."""
        return int(self._get("workspace_id"))

    def created_at(self) -> str:
        """When it was uploaded, ISO 8601."""
        return str(self._get("created_at"))

    def updated_at(self) -> str:
        """When its status last changed, ISO 8601."""
        return str(self._get("updated_at"))

    def run_once(
        self,
        name: str | Mapping[str, Any] | None = None,
        json_args: Mapping[str, Any] | None = None,
        timeout: int | None = None,
        debug: bool | None = False,
    ) -> Task:
        """Run it once, now. `timeout` is seconds. Raises OrchestrationRunFailed where the platform refuses.

        `run_once({...})` is understood too: the arguments alone, as the first clients took them.
        """
        if isinstance(name, Mapping):
            name, json_args = None, name if json_args is None else json_args
        return self._ordered("run_once", name, json_args, timeout=timeout, debug=debug)

    def run_scheduled(
        self,
        name: str,
        schedule: str,
        json_args: Mapping[str, Any] | None = None,
        timeout: int | None = None,
        debug: bool | None = False,
    ) -> Task:
        """Run it on a schedule, a cron expression in UTC; `timeout`, in seconds, is that of each run.

        Raises OrchestrationRunFailed where the platform refuses.
        """
        return self._ordered("run_scheduled", name, json_args, schedule=schedule, timeout=timeout, debug=debug)

    def run_continuously(
        self, name: str, json_args: Mapping[str, Any] | None = None, debug: bool | None = False
    ) -> Task:
        """Keep it running until it is killed. Raises OrchestrationRunFailed where the platform refuses."""
        return self._ordered("run_continuously", name, json_args, debug=debug)

    def list_tasks(self) -> TaskList:
        """The tasks made of it, newest change first."""
        from specrunner.sdk import tasks  # which has orchestrations' verbs too

        body = {"orch_id": self.id(), "workspace_id": self.workspace_id()}
        return tasks.TaskList(tasks.Task(self._session, item) for item in self._session.post("task/list", body))

    def _ordered(self, route: str, name: str | None, args: Mapping[str, Any] | None, **more: object) -> Task:
        from specrunner.sdk import tasks

        body = {"json": dict(args or {}), "orch_id": self.id(), "workspace_id": self.workspace_id(), "name": name}
        try:
            made = self._session.post(f"task/{route}", {**body, **more}, repeatable=False)
        except ApiError as fault:
            raise OrchestrationRunFailed(
                f"Orchestration {self.id()} can't be run", fault.detail, fault.remedy, status=fault.status
            ) from fault
        return tasks.Task(self._session, made)

    def _fetched(self) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self._session.post("orchestration/get_by_id", {"id": self.id()})
        return found

    def __repr__(self) -> str:
        return f"Orchestration(id={self.id()!r}, name={self.name()!r}, status={self._get('status')!r})"

    def _repr_html_(self) -> str:
        self._refresh()
        return display.fields_table(
            {
                "ID": self.id(),
                "Name": self.name(),
                "File Name": self.file_name(),
                "SHA": self.sha(),
                "Status": self._get("status"),
                "Created At": display.short_time(self.created_at()),
                "Updated At": display.short_time(self.updated_at()),
            }
        )


class OrchestrationList(Listing[Orchestration]):
    """Orchestrations, shown as a table in notebooks."""

    _columns = ("id", "name", "status", "filename", "sha", "created at", "updated at")
    _nothing = "(no orchestrations)"

    def _row(self, one: Orchestration) -> Sequence[object]:
        status = one.status()
        return (
            one.id(),
            one.name(),
            status,
            one.file_name(),
            display.short_sha(one.sha()),
            display.short_time(one.created_at()),
            display.short_time(one.updated_at()),
        )


def list_orchestrations(session: Session, workspace_id: int) -> OrchestrationList:
    """The orchestrations of a workspace, oldest first."""
    found = session.post("orchestration/list", {"workspace_id": workspace_id})
    return OrchestrationList(Orchestration(session, item) for item in found)


def upload_orchestration(
    session: Session,
    path: str | os.PathLike[str] | None = None,
    bytes_buffer: bytes | None = None,
    name: str | None = None,
    file_name: str | None = None,
) -> Orchestration:
    """Upload a zip, from a file or from memory; it is packaged after this returns, see `Orchestration.status`.

    Raises OrchestrationUploadFailed without either, with both, for a file that is not there, and where the platform
    refuses it.
    """
    if (path is None) == (bytes_buffer is None):
        raise OrchestrationUploadFailed(
            "An upload needs a path or bytes, and not both",
            "Neither was given." if path is None else "Both path and bytes_buffer were given.",
            "Pass path='code.zip', or bytes_buffer=data with a name.",
        )
    metadata = {"workspace_id": session.current_workspace_id(), "name": name}
    data, shown = _content(path, bytes_buffer, file_name)
    return Orchestration(session, {"id": _send(session, _Upload(metadata, shown, data))})


def _content(path: str | os.PathLike[str] | None, data: bytes | None, name: str | None) -> tuple[Path | bytes, str]:
    if path is None:
        return data or b"", name or _NAMELESS
    file = Path(path)
    if not file.is_file():
        raise OrchestrationUploadFailed(f"There is no file {path}", f"Looked in {Path.cwd()}.", "Check the path.")
    return file, name or file.name


def _send(session: Session, body: _Upload) -> str:
    headers = {"Content-Type": f"multipart/form-data; boundary={body.boundary}", "Accept": "application/json"}
    route = API + "orchestration/upload"
    answer = session.transport.send(
        Request("POST", route, headers=headers, body=body, timeout=UPLOAD_TIMEOUT, repeatable=False)
    )
    if not answer.ok:
        message, code = refusal(answer)
        raise OrchestrationUploadFailed("The orchestration was not accepted", f"[{code}] {message}")
    return str(answer.json()["id"])


class _Upload:
    """A `multipart/form-data` body of a file and its metadata; a file is read from disk while it is sent."""

    def __init__(self, metadata: Mapping[str, Any], name: str, data: Path | bytes) -> None:
        self.boundary = os.urandom(16).hex()
        mark = f"--{self.boundary}\r\n"
        escaped = name.replace("\\", "%5C").replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")
        self._data = data
        self._head = (
            f'{mark}Content-Disposition: form-data; name="file"; filename="{escaped}"\r\n'
            "Content-Type: application/octet-stream\r\n\r\n"
        ).encode()
        self._tail = (
            f'\r\n{mark}Content-Disposition: form-data; name="metadata"\r\nContent-Type: application/json\r\n\r\n'
            f"{json.dumps(metadata)}\r\n--{self.boundary}--\r\n"
        ).encode()
        size = len(data) if isinstance(data, bytes) else data.stat().st_size
        self.length = len(self._head) + size + len(self._tail)

    def __iter__(self) -> Iterator[bytes]:
        """The pieces of the body in order, from the beginning."""
        yield self._head
        yield from self._pieces()
        yield self._tail

    def _pieces(self) -> Iterator[bytes]:
        if isinstance(self._data, bytes):
            yield self._data
            return
        with self._data.open("rb") as file:
            while piece := file.read(1 << 18):
                yield piece
