"""One worker as the engine sees it: started, asked, killed."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from specrunner.core.errors import SpecrunnerError, Unavailable
from specrunner.engine.serving.workers.inside import frames
from specrunner.engine.tasks import cgroups, logs, processes

MAX_ANSWER = 2**30  # bytes of one answer
LOG_CAP = 2 * 2**20  # bytes of output that are kept of one worker
_ROOT = str(Path(__file__).resolve().parents[4])
# Not `-m`, and without site-packages: as the supervisor of a run is started, for the same milliseconds.
_BOOT = "import sys;sys.path.append(sys.argv[1]);from specrunner.engine.serving.workers.keeper import main;main()"
_INSIDE = "import sys;sys.path.append(sys.argv[1]);from specrunner_worker.boot import main;main(int(sys.argv[2]))"
_MARK = "SPECRUNNER_WORKER"
_GONE_WITHIN = 10.0  # seconds; killing takes milliseconds, a machine that swaps takes long
_TAIL = 15  # lines of output that an error shows


class WorkerDied(Exception):
    """The worker ended, closed its pipe, or said what is no answer; the text says which."""


class WorkerTooSlow(Exception):
    """No answer came in time."""


@dataclass(frozen=True, slots=True)
class Setting:
    """How a worker is started: interpreter, folder of the worker's own code, working folder, log, limits.

    `memory` is bytes for the worker with all that it starts; `threads` how many it may compute with.
    """

    python: Path
    code: Path
    cwd: Path
    home: Path
    memory: int
    threads: int


class Worker:
    """A worker that runs. Making it starts it; it may be used by one thread at a time, `kill` by any.

    `log` is a folder of its own for its output. Raises Unavailable where processes can't be started.
    """

    def __init__(self, setting: Setting, log: Path) -> None:
        self.log = log
        self._marks = {_MARK: uuid.uuid4().hex}
        ours, theirs = socket.socketpair()
        try:
            log.mkdir(parents=True, exist_ok=True)
            self._keeper = _started(theirs.fileno())
            _order(self._keeper, _orders(setting, log, self._marks, theirs.fileno()))
        except OSError as error:
            ours.close()
            raise _not_started(error) from error
        finally:
            theirs.close()
        self._sock = ours

    def ask(self, head: Mapping[str, Any], body: bytes, seconds: float) -> tuple[dict[str, Any], bytearray]:
        """Its answer. Raises WorkerTooSlow, and WorkerDied where no answer came or what came was none.

        After either it is of no use any more and must be killed.
        """
        deadline = time.monotonic() + seconds
        try:
            self._sock.settimeout(seconds)
            frames.send(self._sock, dict(head), body)
            return frames.receive(_Hurried(self._sock, deadline), MAX_ANSWER)  # type: ignore[arg-type]  # has recv
        except TimeoutError:
            raise WorkerTooSlow(f"No answer came within {seconds:.3g} s.") from None
        except frames.BadFrame as error:
            raise WorkerDied(f"it sent what is no answer: {error}") from error
        except (OSError, EOFError) as error:
            raise WorkerDied(self._ending()) from error

    def kill(self) -> None:
        """End it with all that it has started; when this returns nothing of it is alive. Doing so again is fine."""
        self._sock.close()
        assert self._keeper.stdin is not None and self._keeper.stdout is not None  # noqa: S101  # narrows the types
        with suppress(OSError):
            self._keeper.stdin.close()
        try:
            self._keeper.wait(_GONE_WITHIN)
        except subprocess.TimeoutExpired:
            self._keeper.kill()
            self._keeper.wait()
        if self._keeper.returncode != 0:  # it was killed itself: what it kept may be alive
            processes.end_marked(self._marks, grace=0.0)
        self._keeper.stdout.close()

    @property
    def alive(self) -> bool:
        """Whether it has not ended as far as is known."""
        return self._keeper.poll() is None

    @property
    def pid(self) -> int:
        """The process id of its keeper."""
        return self._keeper.pid

    def tail(self, lines: int = _TAIL) -> str:
        """The last lines of its output."""
        try:
            return "\n".join(line.text for line in logs.tail(self.log, lines, ended=True))
        except (OSError, SpecrunnerError):
            return ""

    def _ending(self) -> str:
        """How it ended, in words; it is dead when this returns."""
        assert self._keeper.stdin is not None and self._keeper.stdout is not None  # noqa: S101  # narrows the types
        try:
            # One that closed its pipe and lives on has no ending of its own: it is given a moment, then killed.
            self._keeper.wait(0.5)
            told = json.loads(self._keeper.stdout.readline())
        except subprocess.TimeoutExpired:
            return "it closed its pipe"
        except ValueError:
            return "its keeper was killed"
        return str(told["detail"])


class _Hurried:
    """A socket whose reads end at a deadline of `time.monotonic`, however many of them there are."""

    def __init__(self, sock: socket.socket, deadline: float) -> None:
        self._sock = sock
        self._deadline = deadline

    def recv(self, count: int) -> bytes:
        """As of a socket."""
        self._sock.settimeout(max(self._deadline - time.monotonic(), 0.001))
        return self._sock.recv(count)


def _started(inherited: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", _BOOT, _ROOT, str(inherited)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={name: os.environ[name] for name in ("LD_LIBRARY_PATH", "PATH") if name in os.environ},
        pass_fds=[inherited],
        start_new_session=True,
    )


def _order(keeper: subprocess.Popen[bytes], orders: Mapping[str, Any]) -> None:
    assert keeper.stdin is not None  # noqa: S101  # narrows the type
    with suppress(BrokenPipeError):  # it has died: the first question tells
        keeper.stdin.write(json.dumps(orders).encode() + b"\n")
        keeper.stdin.flush()


def _orders(setting: Setting, log: Path, marks: Mapping[str, str], descriptor: int) -> dict[str, Any]:
    parent = cgroups.delegated()
    return {
        "command": [str(setting.python), "-I", "-u", "-c", _INSIDE, str(setting.code), str(descriptor)],
        "cwd": str(setting.cwd),
        "env": {**_environment(setting), **marks},
        "memory": setting.memory,
        "group": None if parent is None else cgroups.fresh(parent),
        "folder": str(log),
        "log_cap": LOG_CAP,
    }


def _environment(setting: Setting) -> dict[str, str]:
    threads = str(setting.threads)
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")
    return {
        "PATH": f"{setting.python.parent}:/usr/local/bin:/usr/bin:/bin",
        "HOME": str(setting.home),
        "TMPDIR": str(setting.home),
        "LANG": "C.UTF-8",
        **dict.fromkeys(names, threads),
        # A limit of addresses counts what an allocator sets aside, used or not.
        "ARROW_DEFAULT_MEMORY_POOL": "system",
        "MALLOC_ARENA_MAX": "2",
    }


def _not_started(error: OSError) -> Unavailable:
    return Unavailable(
        "The model's process can't be started.",
        f"Starting it failed: {error.strerror or error}.",
        "Look whether the machine has processes and memory left, then deploy again.",
    )
