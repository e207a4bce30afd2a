"""The small program that owns one run: `python -m specrunner.engine.tasks.supervisor RUN_DIR`.

What to do stands in `RUN_DIR/run.json`; what must not reach the disk (the environment, the texts to mask) comes as
JSON through stdin, and an empty stdin means that the start was called off. One byte on stdout says that the run is
ours. From then on we answer for it, whatever becomes of who started us: we hold its log, its time limit and every
process it makes, and before we leave nothing of it is alive and `exit.json` says how it ended. SIGTERM to us kills
the run; `kill.json` may then say with which grace.

We are the subreaper of all that the run starts: a process that loses its parent becomes our child. Hence "nothing is
left" is the same as "we have no children", and `setsid` or a double fork is no way out.

Standard library only, and little of it: this is on the way to the first line of every run.
"""

from __future__ import annotations

# Paths are plain texts here: importing pathlib would cost the start of every run some milliseconds.
# ruff: noqa: PTH123, SIM105 (so would contextlib)
import os
import select
import sys
import time

from specrunner.engine.tasks import exitfile, processes
from specrunner.engine.tasks.capture import Capture
from specrunner.engine.tasks.child import Child, become_subreaper, own_group
from specrunner.engine.tasks.light import parse, signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


_SWEEP_EVERY = 0.02  # seconds between SIGKILL sweeps
_IDLE = 60.0  # seconds; the longest wait where nothing is due


class Wakeup:
    """Signals as something to poll: `reader` is readable after one came; `asked` counts SIGTERM and SIGINT."""

    def __init__(self) -> None:
        self.reader, self._writer = os.pipe()
        os.set_blocking(self.reader, False)
        os.set_blocking(self._writer, False)
        self.asked = 0
        signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)
        signal.signal(signal.SIGTERM, self._ask)
        signal.signal(signal.SIGINT, self._ask)
        signal.signal(signal.SIGCHLD, lambda number, frame: None)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)

    def _ask(self, number: int, frame: object) -> None:
        self.asked += 1

    def clear(self) -> None:
        """Forget what was signalled so far, but for the count."""
        try:
            os.read(self.reader, 4096)
        except BlockingIOError:
            return


class Run:
    """One run from its start to its record. `orders` is run.json, `secret` what came through stdin."""

    def __init__(self, folder: str, orders: dict[str, Any], secret: dict[str, Any], wakeup: Wakeup) -> None:
        self._folder = folder
        self._orders = orders
        self._secret = secret
        self._wakeup = wakeup
        self._all_ours = become_subreaper()
        self._group = own_group(orders, "run")
        self._oom_kills = self._oom_kills_so_far()
        self._capture = Capture(folder, orders["log_cap"], secret["redact"])
        self._cause = ""  # what ended it: exit, timeout, killed; empty while it runs
        self._kill_at = 0.0  # monotonic; from then on SIGKILL
        self._childless = False
        self._heard = 0  # how many of the kills that were asked for have been looked at
        self._trouble = ""  # why the program could not begin
        self._begun = 0.0
        self._started = 0.0

    def start(self) -> None:
        """Start the process, put down who we are, say so, and only then let the user's code begin."""
        self._child = Child(self._orders, self._secret["env"], self._capture.writer, self._group)
        self._capture.started()
        self._started, self._begun = time.time(), time.monotonic()
        us, child = processes.identify(os.getpid()), processes.identify(self._child.pid)
        record = {
            "version": 1,
            "supervisor": us.as_json() if us else None,
            "child": child.as_json() if child else None,
            "started": self._started,
        }
        exitfile.reserve(exitfile.EXIT)
        exitfile.write(exitfile.SUPERVISOR, record)
        _say_ready()
        self._trouble = self._child.release()

    def supervise(self) -> None:
        """Until nothing of the run is left: take its output, count its dead, end it when it is time."""
        everything, signals = select.poll(), select.poll()
        for poll in (everything, signals):
            poll.register(self._wakeup.reader, select.POLLIN)
        everything.register(self._capture.reader, select.POLLIN)
        while not self._over():
            now = time.monotonic()
            pausing = self._capture.ended or self._capture.pause_until > now
            ready = (signals if pausing else everything).poll(self._patience(now))
            self._wakeup.clear()
            if any(descriptor == self._capture.reader for descriptor, _ in ready):
                self._capture.read(time.time(), time.monotonic())
            self._childless = self._child.count_dead()
            self._decide(time.monotonic())

    def _patience(self, now: float) -> int:
        """Milliseconds until something is due."""
        due = [now + _IDLE]
        if not self._capture.ended and self._capture.pause_until > now:
            due.append(self._capture.pause_until)
        if self._cause:
            due.append(max(self._kill_at, now + _SWEEP_EVERY))
            due += [] if self._all_ours else [now + _SWEEP_EVERY]
        elif self._orders["timeout"] is not None:
            due.append(self._begun + self._orders["timeout"])
        return max(0, int((min(due) - now) * 1000) + 1)

    def _over(self) -> bool:
        return self._childless and bool(self._cause) and (self._all_ours or not self._members())

    def _decide(self, now: float) -> None:
        """Whether the run is to end now, and whether it is time for SIGKILL."""
        # A count, not a flag: one that comes between looking and resetting would be lost.
        count = self._wakeup.asked
        asked, self._heard = count > self._heard, count
        if not self._cause:
            limit = self._orders["timeout"]
            if self._child.status is not None:
                self._end("exit", now, self._grace(asked))
            elif asked:
                self._end("killed", now, self._grace(asked))
            elif limit is not None and now - self._begun >= limit:
                self._end("timeout", now, self._grace(asked))
        elif asked:  # while it was ending already: it may have to go faster
            self._kill_at = min(self._kill_at, now + self._grace(asked))
        if self._cause and now >= self._kill_at and not self._over():
            self._kill_all()

    def _end(self, cause: str, now: float, grace: float) -> None:
        self._cause = cause
        self._kill_at = now + grace
        if not self._over():
            members = self._members()
            processes.send_all(members, signal.SIGTERM)
            processes.send_all(members, signal.SIGCONT)  # one that is stopped hears nothing

    def _grace(self, asked: bool) -> float:
        """Seconds between SIGTERM and SIGKILL: what a kill asked for, else what the run was started with."""
        kill = exitfile.read(exitfile.KILL) if asked else None
        return float(self._orders["grace"] if kill is None else kill["grace"])

    def _kill_all(self) -> None:
        if self._group is not None:
            self._group.kill()
        processes.send_all(self._members(), signal.SIGKILL)

    def _members(self) -> list[processes.Stat]:
        """Every living process of the run."""
        found = {entry.pid: entry for entry in processes.descendants([os.getpid()])}
        if not self._all_ours:
            marks = processes.run_marks(self._orders["run_id"], self._orders["results"])
            found |= {entry.pid: entry for entry in processes.marked(marks)}
        return list(found.values())

    def abandon(self) -> None:
        """Something in here went wrong: leave nothing alive, and no record, so that the run counts as lost."""
        for _ in range(100):
            self._kill_all()
            try:
                while os.waitpid(-1, os.WNOHANG)[0]:
                    continue
            except ChildProcessError:
                return
            time.sleep(_SWEEP_EVERY)

    def conclude(self) -> None:
        """Close the log and write the exit record."""
        self._capture.finish(time.time())
        results, complaint = exitfile.read_results(self._orders["results"], self._capture.clean)
        outcome = self._outcome()
        outcome.detail = "; ".join(part for part in (outcome.detail, complaint, self._capture.trouble) if part)
        # By the monotonic clock: the time of day may have been set meanwhile.
        ended = self._started + time.monotonic() - self._begun
        record = outcome.record(self._started, ended, results, not self._trouble)
        if self._group is not None:
            self._group.remove()
        _put_down(record)
        try:
            os.unlink(self._orders["results"])  # noqa: PTH108 (see above); the record has it, masked
        except OSError:
            pass

    def _outcome(self) -> exitfile.Outcome:
        code = None if self._child.status is None else exitfile.exit_code(self._child.status)
        if self._trouble:
            return exitfile.Outcome("failure", "env_failed", None, f"it could not be started: {self._trouble}")
        if self._cause == "timeout":
            limit = f"{self._orders['timeout']:g} s"
            return exitfile.Outcome("timed_out", "timeout", code, f"over its time limit of {limit}")
        if self._cause == "killed" or self._child.status is None:
            return exitfile.Outcome("killed", "killed", code, "killed on request")
        oom = self._oom_kills_so_far() > self._oom_kills
        return exitfile.by_itself(self._child.status, self._capture.last_line, self._orders["memory"], oom)

    def _oom_kills_so_far(self) -> int:
        limited = self._group is not None and self._group.limits_memory
        return self._group.oom_kills() if self._group is not None and limited else _oom_kills()


def _oom_kills() -> int:
    """How often the kernel has killed for want of memory since boot (proc_vmstat); 0 where it does not say."""
    try:
        with open("/proc/vmstat", encoding="ascii") as file:
            return next((int(line.split()[1]) for line in file if line.startswith("oom_kill ")), 0)
    except OSError:
        return 0


def _put_down(record: dict[str, Any]) -> None:
    """Write the exit record. On a full disk the results are given up: what has become of the run matters more."""
    try:
        exitfile.write_once(exitfile.EXIT, record)
    except OSError as error:
        exitfile.release(exitfile.EXIT)
        complaint = "" if record["results"] is None else f"its results are dropped: {error.strerror}"
        detail = "; ".join(part for part in (record["detail"], complaint) if part)
        exitfile.write_once(exitfile.EXIT, record | {"results": None, "detail": detail})
    exitfile.release(exitfile.EXIT)


def _say_ready() -> None:
    """Tell who started us, if they are still there, and let go of them."""
    try:
        os.write(1, b"\n")
    except OSError:  # they may have died: the run goes on without them
        pass
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    os.dup2(null, 1)
    os.close(null)


def _secret_orders() -> dict[str, Any] | None:
    """What comes through stdin; None where it ended before it was complete."""
    parts = []
    while part := os.read(0, 2**16):
        parts.append(part)
    try:
        secret: dict[str, Any] = parse(b"".join(parts))
    except ValueError:
        return None
    return secret


def main(folder: str) -> None:
    """Supervise the run of this folder to its end. Leaves with status 0 once the exit record is written."""
    os.closerange(3, os.sysconf("SC_OPEN_MAX"))
    os.chdir(folder)
    secret = _secret_orders()
    if secret is None:
        return
    orders = exitfile.read(exitfile.RUN)
    if orders is None:
        raise SystemExit(f"there is no {exitfile.RUN} in {folder}")
    run = Run(folder, orders, secret, Wakeup())
    try:
        run.start()
        run.supervise()
    except BaseException:
        run.abandon()
        raise
    run.conclude()
    # The record is safe and nothing is open: taking the interpreter down in order would only cost time.
    os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1])
