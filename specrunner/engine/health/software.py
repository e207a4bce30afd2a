"""The programs and libraries that everything else stands on."""

from __future__ import annotations

import os
import platform
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

from specrunner.core.health import Check, Verdict

_SECONDS = 10  # for a program to say its version
_OLDEST_PYTHON = (3, 11)
_OLDEST_SQLITE = (3, 35, 0)  # the first with RETURNING


def python() -> Check:
    """The interpreter that runs this, of which environments are made."""
    found = f"{platform.python_implementation()} {platform.python_version()} on {platform.system()}"
    if sys.platform != "linux":
        means = "Runs are kept together and ended by means that only Linux has."
        return Check("python", Verdict.BAD, found, means, "Run specrunner on Linux, in a container for instance.")
    if sys.version_info < _OLDEST_PYTHON:
        return Check("python", Verdict.BAD, found, "It is too old.", "Install Python 3.11 or newer.")
    return Check("python", Verdict.OK, found)


def sqlite() -> Check:
    """The library of the database that comes with Python."""
    found = f"SQLite {sqlite3.sqlite_version}"
    if sqlite3.sqlite_version_info < _OLDEST_SQLITE:
        return Check("sqlite", Verdict.BAD, found, "It is too old for the store.", "Use a Python with a newer SQLite.")
    return Check("sqlite", Verdict.OK, found)


def uv() -> Check:
    """The program that builds environments; it comes with specrunner."""
    from uv import find_uv_bin

    means = "No orchestration can be packaged, so nothing can run."
    try:
        program = Path(find_uv_bin())
        found = _first_line([str(program), "--version"])
    except (OSError, subprocess.SubprocessError) as problem:
        return Check("uv", Verdict.BAD, f"not usable: {problem}", means, "Type `pip install uv`.")
    return Check("uv", Verdict.OK, found)


def git() -> Check:
    """The program that knows the commits of the specs."""
    means = "`--changed-since` does not work, and records do not say which commit was applied."
    if shutil.which("git") is None:
        return Check("git", Verdict.LIMITED, "not installed", means, "Install git.")
    try:
        return Check("git", Verdict.OK, _first_line(["git", "--version"]))
    except (OSError, subprocess.SubprocessError) as problem:
        return Check("git", Verdict.LIMITED, f"it does not start: {problem}", means, "Install git anew.")


def _first_line(command: list[str]) -> str:
    done = subprocess.run(
        command, capture_output=True, text=True, check=True, timeout=_SECONDS, stdin=subprocess.DEVNULL, cwd=os.sep
    )
    return done.stdout.strip().partition("\n")[0]
