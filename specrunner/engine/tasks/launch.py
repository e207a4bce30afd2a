"""Starting a supervisor from the engine's process, and what it and its run are told."""

from __future__ import annotations

import fcntl
import json
import os
import re
import select
import signal
import sys
import time
from pathlib import Path

from specrunner.core.errors import Busy, Conflict, SpecrunnerError, Unavailable
from specrunner.core.values import Json
from specrunner.engine.ports import RunOrder
from specrunner.engine.tasks import exitfile, processes

_READY_WITHIN = 60.0  # seconds; a supervisor takes milliseconds, a machine that swaps takes long
_ROOT = str(Path(__file__).resolve().parents[3])
# Not `-m`: that costs some milliseconds of imports. Our folder comes last, so that the standard library wins; the
# interpreter is isolated (-I: no PYTHON* variables, no user site; -S: no site-packages), as only that is needed.
_BOOT = "import sys;sys.path.append(sys.argv[1]);from specrunner.engine.tasks.supervisor import main;main(sys.argv[2])"


class Claim:
    """The right to start the run of a folder. It passes on to the supervisor and is held until that has left.

    Raises Busy while another start is under way, Conflict where the run was started already, Unavailable where the
    folder can't be written.
    """

    def __init__(self, folder: Path) -> None:
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        try:
            self.descriptor = os.open(folder / exitfile.SUPERVISOR_LOG, flags, 0o600)
        except OSError as error:
            raise Unavailable(
                "The run can't be started.",
                f"Its folder {folder} can't be written: {error.strerror}.",
                "Make room on the disk or mend its permissions, then run it again.",
            ) from error
        try:
            fcntl.flock(self.descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self.close()
            raise Busy(
                "The run is being started already.",
                f"Another process holds the run folder {folder}.",
                "Wait for that run, or start another one.",
            ) from None
        if any((folder / name).exists() for name in (exitfile.SUPERVISOR, exitfile.EXIT)):
            self.close()
            raise Conflict(
                "The run was started before.",
                f"The run folder {folder} holds the record of a run.",
                "Start it in a new folder: a run happens once.",
            )

    def close(self) -> None:
        """Let go of it; a supervisor that has it keeps it."""
        os.close(self.descriptor)


def start_claimed(folder: Path) -> bool:
    """Whether a start of this folder's run is under way, or its supervisor lives."""
    try:
        descriptor = os.open(folder / exitfile.SUPERVISOR_LOG, os.O_RDONLY | os.O_CLOEXEC)  # it may not be writable
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


class Launch:
    """A supervisor that was started and waits to be told. `pid` is our child; whoever made this reaps it."""

    def __init__(self, folder: Path, claim: Claim) -> None:
        self._folder = folder
        stdin, self._orders = os.pipe()
        self._ready, stdout = os.pipe()
        try:
            self.pid = os.posix_spawn(
                sys.executable,
                [sys.executable, "-I", "-S", "-c", _BOOT, _ROOT, str(folder)],
                _own_environment(),
                file_actions=[
                    (os.POSIX_SPAWN_DUP2, stdin, 0),
                    (os.POSIX_SPAWN_DUP2, stdout, 1),
                    (os.POSIX_SPAWN_DUP2, claim.descriptor, 2),
                ],
                setsid=True,
                setsigmask=[],
                setsigdef=[signal.SIGPIPE, signal.SIGXFSZ, signal.SIGTERM, signal.SIGINT, signal.SIGHUP],
            )
        except OSError as error:
            self.close()
            raise Unavailable(
                "The run can't be started.",
                f"Starting its supervisor with {sys.executable} failed: {error.strerror}.",
                "Look whether the machine has processes and memory left, then run it again.",
            ) from error
        finally:
            os.close(stdin)
            os.close(stdout)

    def hand_over(self, order: RunOrder) -> None:
        """Tell the supervisor what must not reach the disk and wait until the run is its own.

        Raises Unavailable with the supervisor's last words if it never says so.
        """
        secret = {"env": run_environment(order), "redact": list(order.redact)}
        try:
            with os.fdopen(self._orders, "wb") as pipe:
                self._orders = -1
                pipe.write(json.dumps(secret).encode())
        except BrokenPipeError:
            pass  # it has died: what it said is told below
        poll = select.poll()
        poll.register(self._ready, select.POLLIN)
        if not poll.poll(_READY_WITHIN * 1000) or not os.read(self._ready, 1):
            raise self._failed()

    def _failed(self) -> SpecrunnerError:
        said = last_words(self._folder)
        return Unavailable(
            "The run can't be started.",
            f"Its supervisor did not take it over{': ' + said if said else '.'}",
            "Look whether the machine has memory and disk space left, then run it again.",
        )

    def close(self) -> None:
        """Close our ends. A supervisor that was not told anything leaves."""
        for descriptor in (self._orders, self._ready):
            if descriptor >= 0:
                os.close(descriptor)
        self._orders = self._ready = -1


def last_words(folder: Path) -> str:
    """The last line that the supervisor of this folder has said of itself; empty if it said nothing."""
    try:
        text = (folder / exitfile.SUPERVISOR_LOG).read_text("utf-8", "replace")
    except FileNotFoundError:
        return ""
    return text.strip().rpartition("\n")[2]


def _own_environment() -> dict[str, str]:
    """What the supervisor's interpreter itself may need; nothing of it reaches the run."""
    return {name: os.environ[name] for name in ("LD_LIBRARY_PATH", "PATH") if name in os.environ}


def write_orders(order: RunOrder, group: str | None = None) -> None:
    """Write `arguments.json` and `run.json`. `group` is the path of the run's control group, if it is to get one."""
    folder = order.folder.resolve()
    exitfile.write(str(folder / exitfile.ARGUMENTS), dict(order.arguments))
    orders = {
        "version": 1,
        "run_id": order.run_id,
        "command": [str(order.python.absolute()), order.entry],
        "cwd": str(folder / exitfile.WORK),
        "results": str(folder / exitfile.RESULTS),
        "timeout": order.timeout,
        "grace": order.grace,
        "memory": order.memory,
        "log_cap": order.log_cap,
        "group": group,
        "boot": processes.boot_id(),
        "ordered": time.time(),
    }
    exitfile.write(str(folder / exitfile.RUN), orders)


_LONGEST_VARIABLE = 120 * 1024  # bytes


def run_environment(order: RunOrder) -> dict[str, str]:
    """The environment of the run: what was declared, and what every run is told.

    HOME and PYTHONUNBUFFERED give way to a declared value, the SPECRUNNER_ variables do not. An argument longer than
    a variable can be (Linux: 128 KiB with its name) is in the arguments' file only.
    """
    folder = order.folder.resolve()
    texts = {argument_variable(name): _argument_text(value) for name, value in order.arguments.items()}
    own = {
        **processes.run_marks(order.run_id, str(folder / exitfile.RESULTS)),
        "SPECRUNNER_ARGUMENTS": str(folder / exitfile.ARGUMENTS),
        **{name: text for name, text in texts.items() if len(name) + len(text.encode()) < _LONGEST_VARIABLE},
    }
    return {"HOME": str(folder / exitfile.WORK), "PYTHONUNBUFFERED": "1", **order.env, **own}


def argument_variable(name: str) -> str:
    """The variable that carries an argument: upper case, everything but ASCII letters and digits as `_`."""
    return "SPECRUNNER_ARG_" + re.sub(r"[^A-Z0-9]", "_", name.upper())


def _argument_text(value: Json) -> str:
    return value if isinstance(value, str) else json.dumps(value)
