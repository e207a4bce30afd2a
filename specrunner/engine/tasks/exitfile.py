"""The records in a run's folder: how they are written so that a crash leaves whole ones, and what an end is called.

`run.json` (what to do) and `supervisor.json` (who does it) say how things stand; `exit.json` is the outcome, written
once: whoever comes second leaves it as it is. Times are seconds since the epoch. Standard library only; states and
reasons are plain words here (those of `core.lifecycle`), because importing enumerations would slow every start.
"""

from __future__ import annotations

# Paths are plain texts here: importing pathlib would cost the start of every run some milliseconds.
# ruff: noqa: PTH104, PTH108, PTH110, PTH120, PTH123
import os

from specrunner.engine.tasks.light import parse, signal, written

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

RUN = "run.json"
SUPERVISOR = "supervisor.json"
EXIT = "exit.json"
KILL = "kill.json"  # how a kill was asked for: its grace
ARGUMENTS = "arguments.json"
RESULTS = "results.json"
SUPERVISOR_LOG = "supervisor.log"  # what the supervisor itself has to say; locked while one may come or lives
WORK = "work"

MAX_RESULTS = 2**20  # bytes
_RESERVED = ".reserved"
_RESERVE = 2**14  # bytes; a record without results is far less, but takes a block for its name as well
_OOM_WORDS = ("MemoryError", "bad_alloc", "Cannot allocate memory", "failed to map segment")


def read(path: str) -> dict[str, Any] | None:
    """The record at this path, or None where there is none. Raises ValueError if it is not a JSON object."""
    try:
        with open(path, "rb") as file:
            record = parse(file.read())
    except FileNotFoundError:
        return None
    if not isinstance(record, dict):
        raise ValueError(f"{path} does not hold a JSON object")
    return record


def write(path: str, record: object) -> None:
    """Put a record in place, whole or not at all for readers. Not yet safe from a power failure."""
    spare = _spare(path, record, sync=False)
    os.rename(spare, path)


def write_once(path: str, record: object) -> bool:
    """Put a record in place for good, safe from a power failure; False if there was one, which stays."""
    spare = _spare(path, record, sync=True)
    try:
        os.link(spare, path)
    except FileExistsError:
        return False
    except OSError:  # a file system without hard links
        if os.path.exists(path):
            return False
        os.rename(spare, path)
    finally:
        if os.path.exists(spare):
            os.unlink(spare)
    folder = os.open(os.path.dirname(path) or ".", os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
    return True


def reserve(path: str) -> None:
    """Take the room on the disk that the record at this path will need. Raises OSError where there is none."""
    descriptor = os.open(path + _RESERVED, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        os.posix_fallocate(descriptor, 0, _RESERVE)
    finally:
        os.close(descriptor)


def release(path: str) -> None:
    """Give the room for the record at this path up; nothing where none was taken."""
    try:
        os.unlink(path + _RESERVED)
    except OSError:
        return


def _spare(path: str, record: object, sync: bool) -> str:
    """A file beside `path` with the record in it."""
    spare = f"{path}.{os.getpid()}-{os.urandom(4).hex()}"
    descriptor = os.open(spare, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with open(descriptor, "w", encoding="utf-8") as file:
            file.write(written(record))
            if sync:
                file.flush()
                os.fsync(descriptor)
    except BaseException:
        os.unlink(spare)  # half a record would only take room where there is none
        raise
    return spare


def read_results(path: str, clean: Callable[[str], str]) -> tuple[Any, str]:
    """What the code left as its result with every text cleaned, and what is wrong with it in words.

    The value is None where the code left nothing, or nothing that can be used: more than 1 MiB, or no JSON.
    """
    try:
        # Not to wait for a writer if the code has put a pipe there.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(descriptor, "rb") as file:
            data = file.read(MAX_RESULTS + 1) or b""
    except FileNotFoundError:
        return None, ""
    except OSError as error:
        return None, f"its results can't be read: {error.strerror}"
    if len(data) > MAX_RESULTS:
        return None, f"its results are dropped: more than {MAX_RESULTS:,} bytes"
    import json  # not at the top: only a run with results pays for it, and only at its end

    try:
        return _cleaned(json.loads(data, parse_constant=_no_constant), clean), ""
    except (ValueError, RecursionError) as error:
        return None, f"its results are dropped: not JSON ({clean(str(error))})"


def _no_constant(name: str) -> object:
    raise ValueError(f"{name} is not a JSON value")


def _cleaned(value: Any, clean: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, list):
        return [_cleaned(item, clean) for item in value]
    if isinstance(value, dict):
        return {clean(name): _cleaned(item, clean) for name, item in value.items()}
    return value


class Outcome:
    """How a run ended, in the words of its record."""

    __slots__ = ("detail", "exit_code", "reason", "state")

    def __init__(self, state: str, reason: str | None, exit_code: int | None, detail: str) -> None:
        self.state = state
        self.reason = reason
        self.exit_code = exit_code
        self.detail = detail

    def record(self, started: float | None, ended: float | None, results: Any, code_started: bool) -> dict[str, Any]:
        """The exit record."""
        return {
            "version": 1,
            "state": self.state,
            "reason": self.reason,
            "exit_code": self.exit_code,
            "started": started,
            "ended": ended,
            "detail": self.detail,
            "results": results,
            "code_started": code_started,
        }


def by_itself(status: int, last_line: str, memory: int | None, oom_kill: bool) -> Outcome:
    """The outcome of a main process that nobody here ended.

    `status` is what waitpid gave; `oom_kill` whether the kernel has killed for want of memory meanwhile. The exit
    code of a process that a signal ended is 128 plus its number, as a shell and a Kubernetes Job have it.
    """
    code = exit_code(status)
    if code == 0:
        return Outcome("success", None, 0, "")
    said = f": {last_line}" if last_line else ""
    over = memory is not None and any(word in last_line for word in _OOM_WORDS)
    if over or (oom_kill and os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL):
        limit = f" (its limit is {memory:,} bytes)" if memory is not None else ""
        return Outcome("failure", "oom", code, f"it ran out of memory{limit}{said}")
    if os.WIFSIGNALED(status):
        return Outcome("failure", "signal", code, f"it was ended by {_signal_name(os.WTERMSIG(status))}{said}")
    return Outcome("failure", "exit", code, f"it ended with exit code {code}{said}")


def exit_code(status: int) -> int:
    """The exit code of what waitpid gave; 128 plus the number where a signal was the end."""
    return 128 + os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)


def _signal_name(number: int) -> str:
    from signal import Signals  # only for a run that was ended by one

    try:
        return Signals(number).name
    except ValueError:
        return f"signal {number}"
