"""Telling whether a process still lives, by its pid, start time and boot. Format: proc(5), `/proc/<pid>/stat`."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Final

from specrunner.core.leases import Holder

_STATE, _START = 0, 19  # fields behind the name, which may hold anything


def identity() -> str:
    """This process, told apart from every other that had or will have its pid."""
    return f"{os.getpid()}:{_start(os.getpid())}:{_BOOT}"


def lives(identity: str) -> bool:
    """Whether a process of this host still runs."""
    pid, start, boot = identity.split(":")
    return boot == _BOOT and start == str(_start(int(pid)))


def may_live(holder: Holder) -> bool:
    """False only for a holder whose process is known to be gone: one of this host that said when it was started."""
    if holder.host != socket.gethostname() or not holder.boot or not holder.started:
        return True
    return lives(f"{holder.pid}:{int(holder.started)}:{holder.boot}")


def _start(pid: int) -> int | None:
    """When a process was started, in clock ticks since boot; None where it is gone or waits to be counted."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    except OSError:
        return None
    return None if fields[_STATE] in {b"Z", b"X"} else int(fields[_START])


def _boot() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""


_BOOT: Final = _boot()
