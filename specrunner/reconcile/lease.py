"""Two applies at once on one target: the second waits or is refused, and is told who holds it.

The lease itself is kept by the target, which alone can decide who was first. Here it is taken, renewed by a thread
as long as the work lasts, and given back, however the work ends.
"""

from __future__ import annotations

import contextlib
import getpass
import os
import random
import secrets
import shutil
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from specrunner.core.errors import Busy, SpecrunnerError
from specrunner.core.leases import DURATION, HEARTBEAT, Holder, Lease
from specrunner.core.ports import Clock
from specrunner.core.resources import Owner
from specrunner.core.values import iso
from specrunner.reconcile.retrying import Pause, Trying, asleep
from specrunner.targets.base import Note, Target, silent

UNLOCK: Final = "specrunner unlock"
_POLL: Final = 1.0  # seconds between two looks whether somebody else's lease is free, before jitter
_START_FIELD: Final = 19  # of /proc/<pid>/stat, counted behind the name, which may hold anything


def lease_name(owner: Owner) -> str:
    """The lease under which an owner's objects are written."""
    return str(owner)


@contextmanager
def held(
    target: Target,
    name: str,
    holder: Holder,
    clock: Clock,
    on_lost: Callable[[], None],
    *,
    timeout: float = 0,
    note: Note = silent,
    unlock: str = UNLOCK,
    every: timedelta = HEARTBEAT,
    pause: Pause = asleep,
) -> Iterator[None]:
    """Hold a lease of a target, waiting for it at most `timeout` seconds.

    `on_lost` is called once, from another thread, where it was broken or could not be renewed in time. `note` is
    told whom we wait for, `unlock` is the command that breaks the lease. Raises Busy, naming the holder.
    """
    _take(target, name, holder, _Waiting(clock, timeout, note, unlock, pause))
    ended = threading.Event()
    renewer = threading.Thread(
        target=_renew, args=(target, name, holder.token, clock, on_lost, every, ended), name="lease", daemon=True
    )
    renewer.start()
    try:
        yield
    finally:
        ended.set()
        renewer.join()
        with contextlib.suppress(SpecrunnerError):  # it expires by itself; what happened meanwhile matters more
            Trying(pause=pause)(lambda: target.release_lease(name, holder.token))


def under_way(target: Target, owner: Owner, now: datetime) -> Lease | None:
    """The lease of whoever writes this owner's objects now; one that has expired or whose holder is dead is none."""
    name = lease_name(owner)
    valid = (lease for lease in target.leases() if lease.excludes(name) and not lease.expired(now))
    return next((lease for lease in valid if _lives(lease.holder)), None)


def _lives(holder: Holder) -> bool:
    """False only for a process of this host that is known to be gone."""
    if holder.host != socket.gethostname() or not holder.boot or not holder.started:
        return True
    return holder.boot == _boot() and holder.started == _start_ticks(holder.pid)


class _Waiting:
    """How long somebody else's lease is waited for."""

    def __init__(self, clock: Clock, timeout: float, note: Note, unlock: str, pause: Pause) -> None:
        self._clock, self._timeout, self._note = clock, timeout, note
        self.unlock, self.pause = unlock, pause
        self._until = clock.monotonic() + timeout
        self._told: str | None = None

    def over(self, lease: Lease) -> bool:
        """Whether it has been long enough; if not, a pause has passed."""
        left = self._until - self._clock.monotonic()
        if left <= 0:
            return True
        if self._told != lease.holder.token:  # one word for each holder
            self._told = lease.holder.token
            self._note(f"waiting up to {left:.0f} s for {broken_words(lease)}")
        return self.pause(min(left, _POLL * random.uniform(0.5, 1.5)))  # noqa: S311 (nothing is guarded by it)


def _take(target: Target, name: str, holder: Holder, waiting: _Waiting) -> None:
    while True:
        lease = Trying(pause=waiting.pause)(lambda: target.take_lease(name, holder))
        # Our own: it was taken, and only the answer was lost.
        if lease is None or lease.holder.token == holder.token:
            return
        if waiting.over(lease):
            raise _busy(lease, waiting.unlock)


def _renew(
    target: Target,
    name: str,
    token: str,
    clock: Clock,
    on_lost: Callable[[], None],
    every: timedelta,
    ended: threading.Event,
) -> None:
    until = clock.monotonic() + DURATION.total_seconds()
    while not ended.wait(every.total_seconds()):
        began = clock.monotonic()
        try:
            kept = target.renew_lease(name, token)
        except SpecrunnerError:
            kept = began < until  # it may work at the next beat, as long as it is still ours
        else:
            until = began + DURATION.total_seconds()
        if not kept and not ended.is_set():
            on_lost()
            return


def broken_words(lease: Lease) -> str:
    """Who holds a lease, in words."""
    holder = lease.holder
    since = iso(holder.since.replace(microsecond=0))
    page = f", {holder.url}" if holder.url else ""
    return f"{holder.who} on {holder.host} (process {holder.pid}), since {since}{page}"


def _busy(lease: Lease, unlock: str) -> Busy:
    return Busy(
        "Another apply is under way on this target.",
        detail=f"The lease of {lease.name} is held by {broken_words(lease)}.",
        remedy=f"Wait until it has ended, or wait for it with --lock-timeout. If it is dead for certain: `{unlock}`.",
    )


def this_process(clock: Clock, environ: Mapping[str, str]) -> Holder:
    """This process as the holder of a lease, with a token of its own."""
    return Holder(
        who=_who(environ),
        host=socket.gethostname(),
        pid=os.getpid(),
        since=clock.now(),
        token=secrets.token_hex(16),
        started=_start_ticks(),
        boot=_boot(),
        url=_run_url(environ),
    )


def _who(environ: Mapping[str, str]) -> str:
    """A bot by its account, a person by the name in git, else by the login name."""
    if actor := environ.get("GITHUB_ACTOR"):
        return actor
    if name := environ.get("GIT_AUTHOR_NAME") or _git_user():
        return name
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container may run under a number without a name
        return f"user {os.getuid()}"


def _git_user() -> str:
    program = shutil.which("git")
    if program is None:
        return ""
    try:
        found = subprocess.run(
            [program, "config", "user.name"], capture_output=True, text=True, timeout=5, check=False, errors="replace"
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return found.stdout.strip()


def _run_url(environ: Mapping[str, str]) -> str:
    parts = [environ.get(f"GITHUB_{name}", "") for name in ("SERVER_URL", "REPOSITORY", "RUN_ID")]
    return "{}/{}/actions/runs/{}".format(*parts) if all(parts) else ""


def _start_ticks(pid: int | str = "self") -> float:
    """When a process started, in clock ticks since boot; 0 where the kernel does not say. Format: proc(5)."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
        return float(fields[_START_FIELD])
    except (OSError, ValueError, IndexError):
        return 0.0


def _boot() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return ""
