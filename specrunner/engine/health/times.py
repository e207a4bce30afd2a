"""Time: the clock that schedules go by, and the zones that they are written in."""

from __future__ import annotations

import ctypes
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Final
from zoneinfo import TZPATH, available_timezones

import specrunner
from specrunner.core.health import Check, Verdict

_UNSYNCHRONISED: Final = 5  # TIME_ERROR of adjtimex(2)
_TIMEX: Final = 512  # bytes; the structure has 208 on 64 bits
_DAY: Final = 86_400
_MOST_ZONES: Final = 300  # the database has some six hundred; far fewer is a part of it


def clock() -> Check:
    """Whether the clock can be right."""
    now = datetime.now(UTC)
    found = f"{now:%Y-%m-%d %H:%M:%S} UTC"
    installed = Path(specrunner.__file__).stat().st_mtime
    if now.timestamp() < installed - _DAY:
        means = "The clock is behind the day on which specrunner was installed: schedules run at wrong times."
        return Check("clock", Verdict.BAD, found, means, "Set the clock.")
    if _state() == _UNSYNCHRONISED:
        means = "The kernel knows of nobody who keeps the clock right; it may be wrong by minutes after some weeks."
        remedy = "Run a time service; in a container or virtual machine, its host may do so: then all is well."
        return Check("clock", Verdict.LIMITED, f"{found}, not synchronised", means, remedy)
    return Check("clock", Verdict.OK, found)


def _state() -> int:
    """What adjtimex(2) says of the clock, asked without changing it; -1 where it can't be asked."""
    try:
        return int(ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(_TIMEX)))
    except (OSError, AttributeError):
        return -1


def zones() -> Check:
    """The database of time zones."""
    count, version = len(available_timezones()), _version()
    found = f"{count} zones{f', version {version}' if version else ''}"
    if not count:
        means, remedy = "Schedules can only be in UTC.", "Install the system's tzdata, or `pip install tzdata`."
        return Check("time zones", Verdict.LIMITED, "none", means, remedy)
    if count < _MOST_ZONES:
        means = "The database is not complete: some schedules will be refused."
        return Check("time zones", Verdict.LIMITED, found, means, "Install the whole tzdata.")
    return Check("time zones", Verdict.OK, found)


def _version() -> str:
    for folder in TZPATH:
        try:
            with Path(folder, "tzdata.zi").open(encoding="utf-8") as file:
                return file.readline().removeprefix("# version").strip()
        except OSError:
            continue
    return "" if os.path.isdir(TZPATH[0]) else _packaged()  # noqa: PTH112  # TZPATH holds texts


def _packaged() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("tzdata")
    except PackageNotFoundError:
        return ""
