"""Models: a file is uploaded once, and is then known by name, version and hash."""

from __future__ import annotations

import base64
import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from specrunner.sdk import display
from specrunner.sdk.exceptions import ApiError, ModelUploadError
from specrunner.sdk.framework import Framework, framework_of
from specrunner.sdk.object import RequiredAttributeMissing
from specrunner.sdk.patience import Patience
from specrunner.sdk.session import API, Session, refusal
from specrunner.sdk.transport import Request

UPLOAD_TIMEOUT = 600.0  # seconds for each wait on the socket, not for the whole
CONVERT_PATIENCE = 1800.0  # seconds; an environment may have to be downloaded
_AS_THEY_ARE = frozenset({"onnx", "tensorflow"})  # these need no environment
_PIECE = 1 << 18  # bytes read from the file at a time

_SETTINGS = (
    "tensor_fields",
    "filter_threshold",
    "input_schema",
    "output_schema",
    "batch_config",
    "dynamic_batching_config",
)


class ModelVersion:
    """One version of a model. `data` is the platform's `model_version` object, in either of its two spellings."""

    def __init__(self, session: Session, data: Mapping[str, Any]) -> None:
        if "id" not in data:
            raise RequiredAttributeMissing("ModelVersion", "id")
        self._session = session
        self._data = dict(data)

    def id(self) -> int:
        """The platform's number for this version."""
        return int(self._data["id"])

    def name(self) -> str:
        """The name of the model."""
        return str(self._get("model_id", "name"))

    def version(self) -> str:
        """The version, a UUID."""
        return str(self._get("model_version", "version"))

    def sha(self) -> str:
        """The SHA-256 of the file, in hexadecimal."""
        return str(self._get("sha", "sha"))

    def file_name(self) -> str:
        """The name of the file that was uploaded."""
        return str(self._get("file_name", "file_name"))

    def status(self) -> str:
        """How far the platform is with it, asked anew: `ready` and `error` are the ends."""
        self._refresh()
        return str(self._get("status", "status"))

    def current_status(self) -> str:
        """The status as it was when this was read last."""
        return str(self._get("status", "status"))

    def error_summary(self) -> str:
        """Why it can't be used, where its status is `error`; empty otherwise."""
        return str(self._data.get("error_summary") or "")

    def configure(self, runtime: str | None = None, **settings: Any) -> ModelVersion:
        """Set how it is to be served, and return it.

        `settings` are the tutorials': tensor_fields (names of the inputs, in order), filter_threshold,
        input_schema and output_schema (pyarrow schemas), batch_config, dynamic_batching_config; others are
        ignored, as is `runtime`, which the model's framework decides.
        """
        body: dict[str, Any] = {"model_version_id": self.id()}
        for name in _SETTINGS:
            if settings.get(name) is not None:
                body[name] = _setting(settings[name])
        self._session.post("models/insert_model_config", body)
        return self

    def step(self) -> dict[str, Any]:
        """The pipeline step that runs this model."""
        model = {"name": self.name(), "version": self.version(), "sha": self.sha()}
        return {"ModelInference": {"models": [model]}}

    def _refresh(self) -> None:
        self._data.update(_fetch(self._session, self.id()))

    def _get(self, flat: str, nested: str) -> Any:
        sources = (self._data.get(flat), self._data.get(nested), (self._data.get("file_info") or {}).get(nested))
        for value in sources:
            if value is not None:
                return value
        raise RequiredAttributeMissing("ModelVersion", flat)

    def __repr__(self) -> str:
        return str({"name": self.name(), "version": self.version(), "file_name": self.file_name()})

    def _repr_html_(self) -> str:
        sha = self.sha()
        fields = {
            "Name": self.name(),
            "Version": self.version(),
            "File Name": self.file_name(),
            "SHA": f"{sha[:6]}...{sha[-6:]}",
            "Status": self._get("status", "status"),
        }
        return display.fields_table(fields)


class MultipartFile:
    """A `multipart/form-data` body of a JSON part `metadata` and a part `file`, read from disk while it is sent."""

    def __init__(self, metadata: Mapping[str, Any], path: Path) -> None:
        self.boundary = os.urandom(16).hex()
        mark = f"--{self.boundary}\r\n"
        name = path.name.replace("\\", "%5C").replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")
        self._path = path
        self._head = (
            f'{mark}Content-Disposition: form-data; name="metadata"\r\nContent-Type: application/json\r\n\r\n'
            f"{json.dumps(metadata)}\r\n"
            f'{mark}Content-Disposition: form-data; name="file"; filename="{name}"\r\n'
            "Content-Type: application/octet-stream\r\n\r\n"
        ).encode()
        self._tail = f"\r\n--{self.boundary}--\r\n".encode()
        self.length = len(self._head) + path.stat().st_size + len(self._tail)

    def __iter__(self) -> Iterator[bytes]:
        """The pieces of the body in order, from the beginning."""
        yield self._head
        with self._path.open("rb") as file:
            while piece := file.read(_PIECE):
                yield piece
        yield self._tail


def upload_model(
    session: Session,
    name: str,
    path: str | os.PathLike[str],
    framework: Framework | str | None = None,
    requirements: Sequence[str] = (),
    *,
    schemas: Mapping[str, Any] | None = None,
    convert_wait: bool = True,
) -> ModelVersion:
    """Upload the file at `path` as a version of model `name` in the current workspace.

    `framework` None takes it from the suffix; `schemas` are pyarrow's under `input_schema` and `output_schema`. With
    `convert_wait` a Python model is ready when this returns. Raises ModelUploadError where there is no such file, the
    platform refuses it, or it does not load.
    """
    file = Path(path)
    if not file.is_file():
        raise ModelUploadError(f"There is no model file {path}", f"Looked in {Path.cwd()}.", "Check the path.")
    kind = framework.value if isinstance(framework, Framework) else framework or framework_of(file)
    conversion = {
        "framework": kind,
        "framework_config": None,
        "arch": "x86",
        "accel": "none",
        "python_version": f"{sys.version_info.major}.{sys.version_info.minor}",
        "requirements": list(requirements),
    }
    metadata = {
        "name": name,
        "visibility": "private",
        "workspace_id": session.current_workspace_id(),
        "conversion": conversion,
        **{key: _setting(schema) for key, schema in (schemas or {}).items() if schema is not None},
    }
    route = "models/upload" if kind in _AS_THEY_ARE else "models/upload_and_convert"
    version_id = _send(session, route, MultipartFile(metadata, file), name)
    version = ModelVersion(session, {"name": name, "file_name": file.name, **_fetch(session, version_id)})
    if convert_wait:
        _wait_until_ready(version)
    return version


def _wait_until_ready(version: ModelVersion) -> None:
    """Raises ModelUploadError where it does not load, and where nobody knows that in time."""
    patience = Patience(CONVERT_PATIENCE)
    while (status := version.current_status()) != "ready":
        if status == "error":
            summary = version.error_summary()
            raise ModelUploadError(f"Model {version.name()!r} can't be used", summary, "Mend the model and upload it.")
        if not patience.pause():
            raise ModelUploadError(
                f"Model {version.name()!r} is not ready after {CONVERT_PATIENCE:g} s",
                f"It is {status}.",
                "Wait until its status() is `ready`, or upload with convert_wait=False.",
            )
        version.status()


def _send(session: Session, route: str, body: MultipartFile, name: str) -> int:
    headers = {"Content-Type": f"multipart/form-data; boundary={body.boundary}", "Accept": "application/json"}
    answer = session.transport.send(
        Request("POST", API + route, headers=headers, body=body, timeout=UPLOAD_TIMEOUT, repeatable=False)
    )
    if not answer.ok:
        message, code = refusal(answer)
        raise ModelUploadError(
            f"Model {name!r} failed to upload", f"[{code}] {message}", "Mend the file, or name its framework."
        )
    try:
        return int(answer.json()["insert_models"]["returning"][0]["models"][0]["id"])
    except (KeyError, IndexError, TypeError) as fault:
        raise RequiredAttributeMissing("ModelVersion", "id") from fault


def _fetch(session: Session, version_id: int) -> dict[str, Any]:
    try:
        found = session.post("models/get_version_by_id", {"model_version_id": version_id})
    except ApiError as fault:
        raise ModelUploadError(f"Model version {version_id} cannot be read", str(fault)) from fault
    return dict(found["model_version"]["model_version"])


def _setting(value: Any) -> Any:
    # A pyarrow schema travels as its IPC message in base 64.
    return base64.b64encode(bytes(value.serialize())).decode() if hasattr(value, "serialize") else value
