"""Telling processes apart, and ending them, by what the kernel says in /proc.

A pid alone means nothing: it is given anew as soon as its process is gone. An `Identity` adds the start time and
the boot, and every signal here goes through a pidfd that was checked against it, so that a stranger who got the
number is never hit. Format: proc(5), `/proc/<pid>/stat`. Standard library only, and few of its modules: the
supervisor of a run imports this.
"""

from __future__ import annotations

# Paths are plain texts here: importing pathlib would cost the start of every run some milliseconds.
# ruff: noqa: PTH123, PTH208
import os
import select
import time

from specrunner.engine.tasks.light import signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Self

RUN_MARK = "SPECRUNNER_RUN_ID"  # in the environment of every process of a run
RESULTS_MARK = "SPECRUNNER_RESULTS"  # beside it a path of the run, because two engines may use the same run id
_POLL = 0.02  # seconds between looks, where nothing can be waited for


class Identity:
    """One process, now and for ever: pid, start time in clock ticks since boot, and the boot it was started in."""

    __slots__ = ("boot", "pid", "start")

    def __init__(self, pid: int, start: int, boot: str) -> None:
        self.pid = pid
        self.start = start
        self.boot = boot

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Identity) and self.as_json() == other.as_json()

    def __hash__(self) -> int:
        return hash((self.pid, self.start, self.boot))

    def __repr__(self) -> str:
        return f"Identity({self.pid}, {self.start}, {self.boot!r})"

    def as_json(self) -> dict[str, int | str]:
        """The identity as it stands in a record; `from_json` reads it."""
        return {"pid": self.pid, "start": self.start, "boot": self.boot}

    @classmethod
    def from_json(cls, value: Mapping[str, int | str]) -> Self:
        """The identity that `as_json` wrote. Raises KeyError or ValueError for anything else."""
        return cls(int(value["pid"]), int(value["start"]), str(value["boot"]))


class Stat:
    """What the kernel says of a process: its state letter, parent, process group, session and start time."""

    __slots__ = ("group", "parent", "pid", "session", "start", "state")

    def __init__(self, pid: int, fields: list[bytes]) -> None:
        self.pid = pid
        self.state = fields[0].decode()
        self.parent, self.group, self.session = (int(field) for field in fields[1:4])
        self.start = int(fields[19])

    @property
    def alive(self) -> bool:
        """Whether it still runs; a zombie only waits to be counted."""
        return self.state not in "ZX"


def boot_id() -> str:
    """The kernel's name for this boot; empty where there is none."""
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            return file.read().strip()
    except OSError:
        return ""


def stat(pid: int) -> Stat | None:
    """What the kernel says of a process, or None where there is no such pid."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            data = file.read()
    except OSError:
        return None
    # The name in parentheses may itself hold spaces and parentheses: only what follows the last one counts.
    return Stat(pid, data[data.rindex(b")") + 1 :].split())


def identify(pid: int) -> Identity | None:
    """The identity of the process that has this pid now, or None where none has."""
    found = stat(pid)
    return Identity(pid, found.start, boot_id()) if found else None


def is_alive(identity: Identity) -> bool:
    """Whether that very process still runs."""
    found = stat(identity.pid)
    return found is not None and found.alive and found.start == identity.start and boot_id() == identity.boot


def table() -> dict[int, Stat]:
    """Every process that runs now, by pid."""
    found = (stat(int(name)) for name in os.listdir("/proc") if name.isdecimal())
    return {entry.pid: entry for entry in found if entry is not None and entry.alive}


def descendants(roots: Iterable[int]) -> list[Stat]:
    """The living children of these pids, their children, and so on; the roots themselves are not among them.

    Under a subreaper nothing escapes this: who loses its parent becomes the subreaper's child.
    """
    everyone = table()
    children: dict[int, list[Stat]] = {}
    for entry in everyone.values():
        children.setdefault(entry.parent, []).append(entry)
    found: dict[int, Stat] = {}
    open_ends = list(roots)
    while open_ends:
        for child in children.get(open_ends.pop(), ()):
            if child.pid not in found:
                found[child.pid] = child
                open_ends.append(child.pid)
    return list(found.values())


def marked(marks: Mapping[str, str]) -> list[Stat]:
    """The living processes whose environment holds all these variables, and their descendants.

    What counts is the environment a process was started with: one that was started with another is found only
    through its ancestors. Processes of other users can't be read and are not found.
    """
    wanted = [os.fsencode(f"{name}={value}") for name, value in marks.items()]
    carriers = [entry for entry in table().values() if _environment(entry.pid).issuperset(wanted)]
    found = {entry.pid: entry for entry in [*carriers, *descendants(entry.pid for entry in carriers)]}
    found.pop(os.getpid(), None)
    return list(found.values())


def _environment(pid: int) -> set[bytes]:
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            return set(file.read().split(b"\0"))
    except OSError:
        return set()


def send(identity: Identity, signum: int) -> bool:
    """Signal that very process; False if it is gone. Raises PermissionError where it is not ours to signal."""
    try:
        handle = os.pidfd_open(identity.pid)
    except ProcessLookupError:
        return False
    except (AttributeError, OSError):  # no pidfd here: an old kernel, or a sandbox that forbids it
        if is_alive(identity):
            os.kill(identity.pid, signum)
        return is_alive(identity)
    try:
        if not is_alive(identity):
            return False
        signal.pidfd_send_signal(handle, signum)
    except ProcessLookupError:
        return False
    finally:
        os.close(handle)
    return True


def send_all(members: Iterable[Stat], signum: int) -> None:
    """Signal these processes, each once, and whoever else is in a process group with one of them.

    A group is hit at once, so that a process which forks faster than /proc can be read does not get away. The
    caller's own group is spared: members in it are signalled one by one.
    """
    boot = boot_id()
    groups: dict[int, list[Stat]] = {}
    for entry in members:
        groups.setdefault(entry.group, []).append(entry)
    for entry in (entry for group in groups if not _signal_group(group, signum) for entry in groups[group]):
        try:
            send(Identity(entry.pid, entry.start, boot), signum)
        except PermissionError:
            continue


def _signal_group(group: int, signum: int) -> bool:
    if group in {os.getpgrp(), 0, 1}:
        return False
    try:
        os.killpg(group, signum)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def wait_gone(identity: Identity, timeout: float | None) -> bool:
    """Block until that process has ended, at most `timeout` seconds; whether it has. It need not be our child."""
    try:
        handle = os.pidfd_open(identity.pid)
    except ProcessLookupError:
        return True
    except (AttributeError, OSError):
        return _wait_by_looking(identity, timeout)
    try:
        if not is_alive(identity):
            return True
        poll = select.poll()
        poll.register(handle, select.POLLIN)
        return bool(poll.poll(None if timeout is None else max(0, round(timeout * 1000))))
    finally:
        os.close(handle)


def _wait_by_looking(identity: Identity, timeout: float | None) -> bool:
    until = None if timeout is None else time.monotonic() + timeout
    while is_alive(identity):
        if until is not None and time.monotonic() >= until:
            return False
        time.sleep(_POLL)
    return True


def run_marks(run_id: str, results: str) -> dict[str, str]:
    """The variables by which the processes of a run are known, whoever their parent has become."""
    return {RUN_MARK: run_id, RESULTS_MARK: results}


def end_marked(marks: Mapping[str, str], grace: float, patience: float = 10.0) -> list[int]:
    """End every process with these marks: SIGTERM, `grace` seconds, SIGKILL until none is left.

    Gives up `patience` seconds after the grace and returns the pids that would not die (uninterruptible ones).
    """
    rest = marked(marks)
    send_all(rest, signal.SIGTERM)
    kill_at = time.monotonic() + grace
    while rest and time.monotonic() < kill_at + patience:
        time.sleep(_POLL)
        rest = marked(marks)
        if time.monotonic() >= kill_at:
            send_all(rest, signal.SIGKILL)
    return [entry.pid for entry in rest]
