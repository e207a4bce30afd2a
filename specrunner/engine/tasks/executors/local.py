"""Runs on this machine: each under a supervisor process of its own, which outlives whoever started it."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

from specrunner.core.errors import BadInput, Busy, Conflict, EngineError, NotFound, Unavailable
from specrunner.core.lifecycle import Reason, RunState
from specrunner.engine.packaging.bundles import unpack
from specrunner.engine.ports import DEFAULT_GRACE, LogLine, RunExit, RunOrder
from specrunner.engine.tasks import cgroups, exitfile, logs, processes
from specrunner.engine.tasks.launch import Claim, Launch, last_words, start_claimed, write_orders
from specrunner.engine.tasks.logfile import segments

_STARTING_POLL = 0.01  # seconds between looks while another process starts the run
_STRAY_GRACE = 0.5  # seconds between SIGTERM and SIGKILL for what a dead supervisor has left
_PATIENCE = 20.0  # seconds beyond the grace that a supervisor has to end its run


class _Children:
    """The supervisors that this process has started and not yet reaped, whichever executor did it."""

    def __init__(self) -> None:
        self._pids: set[int] = set()
        self._lock = threading.Lock()

    def add(self, pid: int) -> None:
        with self._lock:
            self._pids.add(pid)

    def end(self, pid: int) -> None:
        """End one that does not have its run yet."""
        with self._lock:
            self._pids.discard(pid)
            with contextlib.suppress(ProcessLookupError, ChildProcessError):
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)

    def reap(self) -> None:
        """Take the status of those that have left, so that no zombie stays."""
        with self._lock:
            self._pids = {pid for pid in self._pids if not self._reaped(pid)}

    @staticmethod
    def _reaped(pid: int) -> bool:
        try:
            return os.waitpid(pid, os.WNOHANG)[0] == pid
        except ChildProcessError:
            return True


_children = _Children()  # of the process, not of an executor: who asks last may not be who started it


class LocalExecutor:
    """The `Executor` of this machine. Safe to use from several threads, and beside others on the same folders.

    Everything it knows lies in the run's folder. In `groups`, a control group (cgroup v2) that was handed to us, every
    run gets one of its own; without it those whose memory is limited do, where `cgroups.delegated` finds a place.
    """

    def __init__(self, groups: Path | None = None) -> None:
        self._groups = None if groups is None else str(groups)

    def start(self, order: RunOrder) -> None:
        """Start the run; the port says how. Raises Conflict if it was started before, BadInput if it can't be."""
        _children.reap()
        claim = Claim(order.folder)
        try:
            # The supervisor's interpreter comes up while we unpack.
            launch = Launch(order.folder.resolve(), claim)
        finally:
            claim.close()
        _children.add(launch.pid)
        try:
            groups = cgroups.delegated() if self._groups is None and order.memory is not None else self._groups
            _prepare(order, None if groups is None else cgroups.fresh(groups))
            launch.hand_over(order)
        except BaseException:
            _children.end(launch.pid)  # the user's code still waits at its gate and goes with it
            raise
        finally:
            launch.close()

    def exit(self, folder: Path) -> RunExit | None:
        """How the run ended; the port says how. A lost run is put down as such, and what it left is ended."""
        _children.reap()
        record = _exit_record(folder)
        if record is None and not _lives(folder):
            # It may have ended well between these two looks.
            record = _exit_record(folder) or _put_down_lost(folder)
        return None if record is None else _as_exit(record)

    def wait(self, folder: Path, timeout: float | None = None) -> RunExit | None:
        """Block until the run has ended; the port says how."""
        until = None if timeout is None else time.monotonic() + timeout
        while (ended := self.exit(folder)) is None:
            left = None if until is None else until - time.monotonic()
            if left is not None and left <= 0:
                return None
            supervisor = _supervisor(folder)
            if supervisor is None:
                time.sleep(_STARTING_POLL if left is None else min(_STARTING_POLL, left))
            else:
                processes.wait_gone(supervisor, left)
        return ended

    def kill(self, folder: Path, grace: float = DEFAULT_GRACE) -> None:
        """End the run; the port says how. Raises Unavailable if a process of it can't be ended."""
        if not folder.is_dir():
            raise NotFound("There is no such run.", f"The folder {folder} does not exist.", "Look at the list of runs.")
        if _supervisor(folder) is None and _put_down_unstarted(folder):
            return
        while self.exit(folder) is None:
            supervisor = _supervisor(folder)
            if supervisor is None:
                self.wait(folder, _STARTING_POLL)
                continue
            with contextlib.suppress(OSError):  # on a full disk it is killed with the grace that it was started with
                exitfile.write(str(folder / exitfile.KILL), {"version": 1, "grace": grace})
            processes.send(supervisor, signal.SIGTERM)
            processes.send(supervisor, signal.SIGCONT)  # a stopped one hears nothing
            if not processes.wait_gone(supervisor, grace + _PATIENCE):
                _end_by_force(folder, supervisor)

    def log(self, folder: Path, offset: int = 0) -> tuple[list[LogLine], int]:
        """Lines from an offset on; the port says how. An offset is a position in the output as it was written."""
        ended = self.exit(folder) is not None  # asked first: what was written before the end is then all there
        return logs.read_lines(folder, offset, ended=ended)


def _prepare(order: RunOrder, group: str | None) -> None:
    """Lay out the run's folder. Raises BadInput where what is to be started is not there."""
    work = order.folder / exitfile.WORK
    try:
        unpack(order.bundle, work)
        write_orders(order, group)
    except OSError as error:
        raise Unavailable(
            "The run can't be started.",
            f"Its folder {order.folder} can't be made ready: {error}.",
            "Make room on the disk or mend its permissions, then run it again.",
        ) from error
    if not (work / order.entry).is_file():
        raise BadInput(
            "The run has nothing to start with.",
            f"The bundle has no file {order.entry!r}.",
            "Put a main.py into the orchestration and apply it again.",
        )
    if not os.access(order.python, os.X_OK):
        raise BadInput(
            "The run has nothing to be started with.",
            f"{order.python} is not a program.",
            "Build the environment anew: its folder was removed or damaged.",
        )


def _exit_record(folder: Path) -> dict[str, Any] | None:
    return _record(folder, exitfile.EXIT)


def _record(folder: Path, name: str) -> dict[str, Any] | None:
    try:
        return exitfile.read(str(folder / name))
    except ValueError as error:
        raise EngineError(
            f"A run's record can't be read: {folder / name}.",
            str(error),
            "Put the file back from a backup, or remove the run's folder if the run does not matter.",
        ) from error


def _as_exit(record: dict[str, Any]) -> RunExit:
    reason = record["reason"]
    return RunExit(
        state=RunState(record["state"]),
        reason=None if reason is None else Reason(reason),
        exit_code=record["exit_code"],
        started=record["started"],
        ended=record["ended"],
        detail=record["detail"],
        results=record["results"],
        code_started=record["code_started"],
    )


def _supervisor(folder: Path) -> processes.Identity | None:
    record = _record(folder, exitfile.SUPERVISOR)
    return None if record is None else processes.Identity.from_json(record["supervisor"])


def _lives(folder: Path) -> bool:
    """Whether the run's supervisor lives, or a start is under way."""
    supervisor = _supervisor(folder)
    if supervisor is None and start_claimed(folder):
        return True
    supervisor = supervisor or _supervisor(folder)  # it may have come while we looked at the claim
    return supervisor is not None and processes.is_alive(supervisor)


def _put_down_unstarted(folder: Path) -> bool:
    """Record a run that never began as killed, so that it never will; False if it began or is beginning."""
    try:
        claim = Claim(folder)
    except EngineError:
        return False
    outcome = exitfile.Outcome("killed", "killed", None, "killed before it began")
    try:
        return exitfile.write_once(str(folder / exitfile.EXIT), outcome.record(None, time.time(), None, False))
    finally:
        claim.close()


def _put_down_lost(folder: Path) -> dict[str, Any] | None:
    """End what the run has left and record it as lost; the record that stands then. None if it is starting."""
    if not folder.is_dir():
        return exitfile.Outcome("lost", "lost", None, "its folder is gone").record(None, None, None, False)
    if _supervisor(folder) is not None:
        _end_strays(folder)
        return _write_lost(folder)
    try:
        claim = Claim(folder)  # or somebody might start it while we say that it never was
    except (Busy, Conflict):
        return _exit_record(folder)
    except Unavailable:  # nobody can start it here, and nothing can be put down
        return _lost(folder)
    try:
        _end_group(_record(folder, exitfile.RUN))
        return _write_lost(folder)
    finally:
        claim.close()


def _write_lost(folder: Path) -> dict[str, Any]:
    record = _lost(folder)
    with contextlib.suppress(OSError):  # on a full disk it is said all the same, and put down when asked again
        exitfile.write_once(str(folder / exitfile.EXIT), record)
    return _exit_record(folder) or record


def _lost(folder: Path) -> dict[str, Any]:
    supervisor, orders = _record(folder, exitfile.SUPERVISOR), _record(folder, exitfile.RUN)
    if supervisor is not None:
        said = last_words(folder)
        detail = "its supervisor died without a record" + (f": {said}" if said else "")
        outcome = exitfile.Outcome("lost", "lost", None, detail)
        return outcome.record(supervisor["started"], _last_sign(folder), None, True)
    # A power failure may have taken a record that was written but not yet on the disk: then nothing is certain.
    certain = orders is None or orders["boot"] == processes.boot_id()
    detail = "it never began" if certain else "the machine went down as it was starting"
    return exitfile.Outcome("lost", "lost", None, detail).record(None, None, None, not certain)


def _last_sign(folder: Path) -> float:
    """The last moment at which the run is known to have lived."""
    signs = (folder / name for name in (exitfile.SUPERVISOR, *(path for _, path in segments(str(folder)))))
    return max(path.stat().st_mtime for path in signs)


def _end_strays(folder: Path) -> None:
    """End the processes that a run's dead supervisor has left. Raises Unavailable if one can't be ended."""
    orders = _record(folder, exitfile.RUN)
    if orders is None:
        return
    _end_group(orders)
    rest = processes.end_marked(processes.run_marks(orders["run_id"], orders["results"]), _STRAY_GRACE)
    if rest:
        raise Unavailable(
            "A process of the run can't be ended.",
            f"Of the run in {folder} these pids do not die: {', '.join(map(str, rest))}.",
            "They wait in the kernel, mostly for a disk or a network file system: mend that, then try again.",
        )


def _end_group(orders: dict[str, Any] | None) -> None:
    """Kill what is in the run's control group and remove that; one that does not die is found by its mark, too."""
    group = None if orders is None else orders.get("group")
    if group is not None:
        cgroups.end(group)


def _end_by_force(folder: Path, supervisor: processes.Identity) -> None:
    """End a run whose supervisor does not answer, and record it as killed."""
    tree = processes.descendants([supervisor.pid]) if processes.is_alive(supervisor) else []
    processes.send(supervisor, signal.SIGKILL)
    processes.send_all(tree, signal.SIGKILL)
    _end_strays(folder)
    outcome = exitfile.Outcome("killed", "killed", None, "killed on request; its supervisor did not answer")
    started = (_record(folder, exitfile.SUPERVISOR) or {"started": None})["started"]
    exitfile.write_once(str(folder / exitfile.EXIT), outcome.record(started, time.time(), None, True))
