"""What a run tells the code inside it, and what the code leaves behind: environment variables and two files.

`SPECRUNNER_ARGUMENTS` is the path of the arguments (a JSON object), `SPECRUNNER_RESULTS` the path where a result is
expected. `SPECRUNNER_URL` and `SPECRUNNER_TOKEN` lead to the platform, `SPECRUNNER_WORKSPACE_ID` names the task's
workspace. `WALLAROO_TASK_ID` and `WALLAROO_URL` are what the tutorials' own client looks for.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from specrunner.sdk.exceptions import NotInRunError, SdkError

_results_lock = threading.Lock()


def in_task() -> bool:
    """True where the code was started as a run of a task."""
    return "WALLAROO_TASK_ID" in os.environ or "SPECRUNNER_ARGUMENTS" in os.environ


def task_args() -> dict[str, Any]:
    """The arguments that this run was started with; empty when there were none.

    Raises NotInRunError outside a run, SdkError when the file cannot be read as a JSON object.
    """
    path = os.environ.get("SPECRUNNER_ARGUMENTS")
    if not path:
        raise NotInRunError(
            "There are no task arguments",
            "SPECRUNNER_ARGUMENTS is not set, so this is not a run of a task.",
            "Ask in_task() first, and fall back to values of your own where it is false.",
        )
    return _read_object(Path(path))


def record_result(result: Mapping[str, Any]) -> None:
    """Add `result`, a JSON object, to what this run reports; a key that was reported before is replaced.

    Calls add up, also from several threads and processes of the run. Outside a run the result is checked and
    goes nowhere, so that the same code runs by hand. Raises SdkError when `result` cannot be written as JSON
    (NaN and infinity cannot).
    """
    if not isinstance(result, Mapping):
        raise SdkError("A result must be a mapping", f"It is a {type(result).__name__}.", "Pass a dict.")
    _as_json(dict(result))
    path = os.environ.get("SPECRUNNER_RESULTS")
    if not path:
        return
    target = Path(path)
    with _results_lock, _folder_lock(target.parent):
        merged = _read_object(target) if target.exists() else {}
        merged.update(result)
        _replace(target, _as_json(merged))


def endpoint(argument: str | None = None) -> str:
    """The base URL of the platform: the environment's, else the argument. Raises SdkError when there is neither."""
    url = os.environ.get("SPECRUNNER_URL") or os.environ.get("WALLAROO_URL") or argument or ""
    if not url:
        raise SdkError(
            "The address of the platform is not known",
            "Neither SPECRUNNER_URL nor WALLAROO_URL is set, and no api_endpoint was given.",
            "Set SPECRUNNER_URL to the address of an engine, or pass Client(api_endpoint=...); in a run it is set.",
        )
    return url


def token() -> str:
    """The token to show to the platform; empty where none is needed."""
    return os.environ.get("SPECRUNNER_TOKEN", "")


def workspace_id() -> int | None:
    """The id of the workspace that this run belongs to; None outside a run."""
    text = os.environ.get("SPECRUNNER_WORKSPACE_ID", "")
    return int(text) if text.isdigit() else None


def _read_object(path: Path) -> dict[str, Any]:
    try:
        data = json.loads(path.read_text(encoding="utf-8") or "{}")
    except (OSError, ValueError) as fault:
        raise SdkError(
            f"Cannot read {path.name} of this run", str(fault), "Leave the files of the run as they are."
        ) from fault
    if not isinstance(data, dict):
        raise SdkError(f"{path.name} of this run is not a JSON object", f"It holds a {type(data).__name__}.")
    return data


def _as_json(value: dict[str, Any]) -> str:
    try:
        return json.dumps(value, allow_nan=False)
    except (TypeError, ValueError) as fault:
        raise SdkError(
            "The result cannot be written as JSON",
            str(fault),
            "Use texts, finite numbers, booleans, lists and dicts; float(x) and x.tolist() turn NumPy's into them.",
        ) from fault


@contextmanager
def _folder_lock(folder: Path) -> Iterator[None]:
    import fcntl  # only a run reports results, and runs are on POSIX

    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _replace(path: Path, text: str) -> None:
    # Whoever reads the file, at whatever moment, even after a kill, sees a whole one.
    temporary = path.with_name(f".{path.name}.new")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)
