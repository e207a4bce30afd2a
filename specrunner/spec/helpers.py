"""Work on very many files shared with the machine's other processors, by processes that come and go.

They are forked: what is loaded need not be loaded again, and what they are to do need not be sent. What they have
done comes back as bytes, written to memory that both see, so nobody waits for a pipe. A process forked from one that
has threads may find a lock held for ever; then all is done here, and likewise what a helper does not bring back,
for whatever reason.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import accumulate
from typing import Final, NamedTuple, TypeVar

_Job = TypeVar("_Job")

MOST: Final = 4  # processes; beyond, bringing the results together takes longer than making them
WORTH: Final = 250_000  # bytes that a process should have to read, some hundredth of a second's work


class _Helper(NamedTuple):
    pid: int
    memory: int  # a descriptor
    jobs: int


class Helpers:
    """Who is at work on the jobs from the `first`-th on."""

    def __init__(self, jobs: int, first: int) -> None:
        self.first = first
        self._left = jobs - first
        self._working: list[_Helper] = []

    def start(self, jobs: Sequence[_Job], work: Callable[[_Job], bytes]) -> None:
        """Have one more do these, which follow those that were given out before."""
        self._working.append(_forked(jobs, work))

    def answers(self) -> list[bytes | None]:
        """Wait until they are done: what they made of each job, None for those that are left to do here."""
        found: list[bytes | None] = []
        while self._working:
            helper = self._working[0]
            _, status = os.waitpid(helper.pid, 0)
            del self._working[0]
            lines = _read(helper.memory).split(b"\n")[:-1] if status == 0 else []
            found += lines if len(lines) == helper.jobs else [None] * helper.jobs
        return found + [None] * (self._left - len(found))

    def end(self) -> None:
        """Leave nobody at work."""
        for helper in self._working:
            os.kill(helper.pid, signal.SIGKILL)  # not yet waited for, so it is still this one's number
            os.waitpid(helper.pid, 0)
            os.close(helper.memory)


@contextmanager
def helped(jobs: Sequence[_Job], sizes: Sequence[int], work: Callable[[_Job], bytes]) -> Iterator[Helpers]:
    """Have the later ones of these jobs done by others while the body does the first; none are, if not worth it.

    `sizes` are the jobs' own, by which they are shared out. What `work` gives has no line end in it.
    """
    (_, first), *others = _parts(sizes)
    helpers = Helpers(len(jobs), first)
    try:
        with suppress(OSError):  # no process, or no memory, is left
            for begin, end in others:
                helpers.start(jobs[begin:end], work)
        yield helpers
    finally:
        helpers.end()


def _parts(sizes: Sequence[int]) -> list[tuple[int, int]]:
    """The jobs in as many parts of like size as are worth it: where each begins and ends. The first is ours."""
    total = sum(sizes)
    count = min(MOST, len(os.sched_getaffinity(0)), total // WORTH, len(sizes)) if _may_fork() else 1
    if count < 2:
        return [(0, len(sizes))]
    ends, part = [], 1
    for index, reached in enumerate(accumulate(sizes), 1):
        if reached * count >= total * part:
            ends.append(index)
            part = reached * count // total + 1
    return list(zip([0, *ends[:-1]], [*ends[:-1], len(sizes)], strict=True))


def _may_fork() -> bool:
    """Whether a child can be waited for, and no other thread holds what it needs."""
    return _alone() and signal.getsignal(signal.SIGCHLD) is not signal.SIG_IGN


def _alone() -> bool:
    """Whether this process has one thread, those of libraries counted."""
    try:
        return len(os.listdir("/proc/self/task")) == 1  # noqa: PTH208 - names suffice
    except OSError:
        return False


def _forked(jobs: Sequence[_Job], work: Callable[[_Job], bytes]) -> _Helper:
    memory = os.memfd_create("specrunner-helper", os.MFD_CLOEXEC)
    try:
        pid = os.fork()
    except OSError:
        os.close(memory)
        raise
    if pid:
        return _Helper(pid, memory, len(jobs))
    status = 1
    try:
        with os.fdopen(memory, "wb", closefd=False) as stream:
            stream.writelines(work(job) + b"\n" for job in jobs)
        status = 0
    finally:
        # Whatever happened: what the parent has open, or is to clean up, is the parent's own.
        os._exit(status)


def _read(memory: int) -> bytes:
    with os.fdopen(memory, "rb") as stream:
        stream.seek(0)
        return stream.read()
