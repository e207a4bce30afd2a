"""The small program between the engine and one worker: its parent, the owner of its process tree and of its output.

Orders come as one line of JSON through stdin: `command`, `cwd`, `env`, `memory`, `group`, `folder` for the log and
`log_cap`. stdin stays open for as long as the worker is wanted: its end, because the engine lets go of it or because
the engine has died, kills all that the worker has started. Before we leave nothing of it is alive, and a line of JSON
on stdout has said how the worker ended.

Like the supervisor of a run we are a subreaper: `setsid` or a double fork is no way out. Standard library only.
"""

from __future__ import annotations

# Few modules are imported: this is on the way of every restart.
# ruff: noqa: SIM105
import os
import select
import sys
import time

from specrunner.engine.tasks import exitfile, processes
from specrunner.engine.tasks.capture import Capture
from specrunner.engine.tasks.child import Child, become_subreaper, own_group
from specrunner.engine.tasks.light import parse, signal, written
from specrunner.engine.tasks.supervisor import Wakeup

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


_SWEEP_EVERY = 0.02  # seconds between SIGKILL sweeps
_IDLE = 60_000  # milliseconds; the longest wait where nothing is due


class Keeper:
    """One worker from its start to its end; `keep` is all of it."""

    def __init__(self, orders: dict[str, Any], wakeup: Wakeup, inherited: int) -> None:
        self._orders = orders
        self._wakeup = wakeup
        self._group = own_group(orders, "worker")
        self._capture = Capture(orders["folder"], orders["log_cap"], ())
        become_subreaper()
        self._child = Child(orders, orders["env"], self._capture.writer, self._group)
        self._capture.started()
        os.close(inherited)  # the worker has it: its end must be seen
        self._childless = False
        self._ending = False
        self._wanted = True

    def keep(self) -> dict[str, Any]:
        """Let it work until it has ended or nobody wants it any more; how it ended."""
        trouble = self._child.release()
        poll = select.poll()
        for descriptor in (self._wakeup.reader, self._capture.reader, 0):
            poll.register(descriptor, select.POLLIN)
        while not self._childless:
            ready = {descriptor for descriptor, _ in poll.poll(self._patience())}
            self._hear(ready, poll)
            self._childless = self._child.count_dead()
            self._ending |= self._child.status is not None or not self._wanted
            if self._ending and not self._childless:
                self._kill_all()
        self._capture.finish(time.time())
        return self._told(trouble)

    def _hear(self, ready: set[int], poll: select.poll) -> None:
        self._wakeup.clear()
        if self._wakeup.asked:
            self._wanted = False
        if 0 in ready and not os.read(0, 4096):
            self._wanted = False
            poll.unregister(0)
        if self._capture.reader in ready:
            self._capture.read(time.time(), time.monotonic())
            if self._capture.ended:
                poll.unregister(self._capture.reader)

    def _patience(self) -> int:
        """Milliseconds until something is due."""
        return int(_SWEEP_EVERY * 1000) if self._ending else _IDLE

    def _kill_all(self) -> None:
        if self._group is not None:
            self._group.kill()
        processes.send_all(processes.descendants([os.getpid()]), signal.SIGKILL)

    def _told(self, trouble: str) -> dict[str, Any]:
        killed = self._group is not None and self._group.limits_memory and self._group.oom_kills() > 0
        if self._group is not None:
            self._group.remove()
        if trouble:
            return {"reason": "env_failed", "detail": f"it could not be started: {trouble}"}
        if self._child.status is None:
            return {"reason": "killed", "detail": "it was killed"}
        found = exitfile.by_itself(self._child.status, self._capture.last_line, self._orders["memory"], killed)
        return {"reason": found.reason or "exit", "detail": found.detail or "it ended with exit code 0"}


def _line() -> bytes:
    """The first line of stdin; what there is where it ends before."""
    found = b""
    while not found.endswith(b"\n"):
        piece = os.read(0, 2**16)
        if not piece:
            return b""
        found += piece
    return found


def main() -> None:
    """Keep one worker; the socket that it inherits is the descriptor of the second argument."""
    text = _line()
    if not text:
        return
    keeper = Keeper(parse(text.rstrip()), Wakeup(), int(sys.argv[2]))
    told = keeper.keep()
    try:
        os.write(1, written(told).encode() + b"\n")
    except OSError:  # the engine has died: nobody reads this
        pass
    os._exit(0)
