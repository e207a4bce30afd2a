"""A control group of its own for a run: all its processes are in it, and can be limited and killed as one.

Only version 2, and only below a group that was handed to us (cgroups(7), "Delegation"). Where there is none, the
subreaper of `supervisor` and RLIMIT_AS keep the same promises less exactly: a limit there is one of addresses and per
process, here it is one of memory and for all of them. Nobody leaves a group by `setsid`, a second fork or a new
environment, and `cgroup.kill` (Linux 5.14) reaches who forks faster than we can read /proc.

A process that moves into a group costs some ten milliseconds (the kernel waits for all others to pass), so a run gets
one where it buys something: where its memory is limited, or where whoever runs the engine has named a place.
Standard library only: the supervisor imports this where a run has a group. Source: the kernel's cgroup-v2 guide.
"""

from __future__ import annotations

# Paths are plain texts here: importing pathlib would cost the start of every run some milliseconds.
# ruff: noqa: PTH102, PTH106, PTH110, PTH118, PTH120, PTH123
import errno
import os
import time

_MOVED_IN = "cgroup.procs"
_KILL = "cgroup.kill"
_POLL = 0.005  # seconds; the kernel lets go of a group a moment after its last process
_DELEGATED = ("user.delegate", "trusted.delegate")  # what systemd marks a group with that it hands over


class Group:
    """One run's control group. Making it raises OSError where that is not allowed; it is there and empty then."""

    __slots__ = ("limits_memory", "path")

    def __init__(self, path: str, memory: int | None) -> None:
        """`memory` bytes for all processes together; `limits_memory` says whether the kernel holds them to it."""
        self.path = path
        os.mkdir(path)
        try:
            self.limits_memory = memory is not None and self._limit(memory)
        except OSError:
            os.rmdir(path)
            raise

    def _limit(self, memory: int) -> bool:
        if not os.path.exists(os.path.join(self.path, "memory.max")):
            return False  # the controller is not handed down, or an older hierarchy has it
        _write(self.path, "memory.max", str(memory))
        for name, value in (("memory.swap.max", "0"), ("memory.oom.group", "1")):
            if os.path.exists(os.path.join(self.path, name)):
                _write(self.path, name, value)
        return True

    def enter(self) -> None:
        """Move the calling process in; what it makes from now on is in as well."""
        _write(self.path, _MOVED_IN, "0")

    def kill(self) -> None:
        """SIGKILL for every process in it."""
        kill(self.path)

    def oom_kills(self) -> int:
        """How many of its processes the kernel has killed because of its limit."""
        return _count(self.path, "memory.events", "oom_kill")

    def remove(self) -> None:
        """Remove it; it stays where something in it is alive."""
        remove(self.path)


def kill(path: str) -> bool:
    """SIGKILL for every process in the group at this path; False where it is gone or the kernel can't do it."""
    try:
        _write(path, _KILL, "1")
    except OSError as error:
        if error.errno not in {errno.ENOENT, errno.ENODEV, errno.EOPNOTSUPP, errno.EACCES}:
            raise
        return False
    return True


def is_populated(path: str) -> bool:
    """Whether a process in it is alive."""
    return bool(_count(path, "cgroup.events", "populated"))


def end(path: str, patience: float = 10.0) -> bool:
    """Kill all that is in it and remove it; False if something is alive `patience` seconds later."""
    until = time.monotonic() + patience
    while kill(path) and is_populated(path) and time.monotonic() < until:
        time.sleep(_POLL)
    return remove(path)


def remove(path: str, patience: float = 0.5) -> bool:
    """Remove an empty group; whether it is gone."""
    until = time.monotonic() + patience
    while True:
        try:
            os.rmdir(path)
        except FileNotFoundError:
            return True
        except OSError:
            if time.monotonic() >= until or is_populated(path):
                return False
            time.sleep(_POLL)


def fresh(parent: str) -> str:
    """The path of a group below this one that nobody else has."""
    return os.path.join(parent, f"specrunner-{os.urandom(8).hex()}")


def delegated() -> str | None:
    """The group below which this process may make groups with a limit of memory; None where none was handed to it.

    That is its own group or the one above, where systemd says so (`Delegate=yes` with `DelegateSubgroup=`) and memory
    is handed down. Being allowed to write is not enough: root may everywhere, also where it is another's business.
    """
    own = _own()
    for path in () if own is None else (own, os.path.dirname(own)):
        if _is_delegated(path) and "memory" in _read(path, "cgroup.subtree_control").split():
            return path
    return None


def _own() -> str | None:
    """The folder of the group that this process is in, by proc(5)."""
    try:
        with open("/proc/self/cgroup", encoding="utf-8") as file:
            name = next(line[3:].strip() for line in file if line.startswith("0::"))
        with open("/proc/self/mountinfo", encoding="utf-8") as file:
            mount = next(line.split()[4] for line in file if " - cgroup2 " in line)
    except (OSError, StopIteration):
        return None
    return os.path.join(mount, name.lstrip("/")).rstrip("/")


def _is_delegated(path: str) -> bool:
    for name in _DELEGATED:
        try:
            if os.getxattr(path, name) == b"1":
                return os.access(os.path.join(path, _MOVED_IN), os.W_OK)
        except OSError:
            continue
    return False


def _count(path: str, name: str, word: str) -> int:
    """The figure beside a word in one of the group's files; 0 where there is none."""
    lines = (line.split() for line in _read(path, name).splitlines())
    return next((int(parts[1]) for parts in lines if parts[0] == word), 0)


def _read(path: str, name: str) -> str:
    try:
        with open(os.path.join(path, name), encoding="ascii") as file:
            return file.read()
    except OSError:
        return ""


def _write(path: str, name: str, value: str) -> None:
    descriptor = os.open(os.path.join(path, name), os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(descriptor, value.encode())
    finally:
        os.close(descriptor)
