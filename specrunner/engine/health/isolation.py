"""What keeps runs apart from each other and from us: how they are watched, limited and ended."""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import resource
from pathlib import Path
from typing import Final

from specrunner.core.health import Check, Verdict
from specrunner.engine.tasks import cgroups

_PR_GET_CHILD_SUBREAPER: Final = 37  # prctl(2)
_GIB: Final = 1024**3
_FEW_DESCRIPTORS: Final = 1024
_FEW_PROCESSES: Final = 256


def processes() -> Check:
    """Whether the processes of this machine can be looked at, by which a run is known to be alive."""
    try:
        count = sum(name.isdigit() for name in os.listdir("/proc"))  # noqa: PTH208  # names are all that is wanted
        Path("/proc/self/stat").read_bytes()
    except OSError as problem:
        means = "Whether a run is alive can't be told, so none can be started or ended."
        return Check("processes", Verdict.BAD, f"/proc: {problem.strerror}", means, "Mount /proc.")
    return Check("processes", Verdict.OK, f"/proc shows {count}")


def subreaper() -> Check:
    """Whether what a run leaves behind comes to its supervisor, which ends it."""
    flag = ctypes.c_int()
    try:
        refused = ctypes.CDLL(None).prctl(_PR_GET_CHILD_SUBREAPER, ctypes.byref(flag), 0, 0, 0)
    except (OSError, AttributeError):
        refused = -1
    if refused:
        means = "A process that a run puts into the background may outlive a kill."
        return Check("subreaper", Verdict.BAD, "the kernel refuses it", means, "Run on Linux 3.4 or newer.")
    return Check("subreaper", Verdict.OK, "what a run leaves behind is found and ended")


def groups() -> Check:
    """Whether runs can have control groups of their own."""
    path = cgroups.delegated()
    if path is not None:
        return Check("control groups", Verdict.OK, f"delegated to us: {path}")
    means = "Runs are ended by way of the subreaper, and memory is limited per process instead of per run."
    remedy = "Start specrunner in a systemd unit with `Delegate=yes` and `DelegateSubgroup=`, if limits must be exact."
    return Check("control groups", Verdict.LIMITED, "none of version 2 is delegated to us", means, remedy)


def memory() -> Check:
    """How much memory there is for runs, and whether we are limited ourselves."""
    total, available = _meminfo("MemTotal"), _meminfo("MemAvailable")
    found = f"{available / _GIB:.1f} of {total / _GIB:.1f} GiB are free"
    ours = resource.getrlimit(resource.RLIMIT_AS)[0]
    if ours != resource.RLIM_INFINITY:
        means = f"This process may address {ours / _GIB:.1f} GiB only, and so may every run."
        return Check("memory", Verdict.LIMITED, found, means, "Lift `ulimit -v` before starting specrunner.")
    if available < _GIB:
        means = "A run with pandas and a model may not fit."
        return Check("memory", Verdict.LIMITED, found, means, "End what is not needed, or run fewer tasks at once.")
    return Check("memory", Verdict.OK, found)


def _meminfo(name: str) -> int:
    """Bytes of a line of /proc/meminfo; 0 where there is none. Source: proc(5)."""
    try:
        lines = Path("/proc/meminfo").read_text("ascii").splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{name}:")), 0)


def limits() -> Check:
    """How many files and processes we may have at once."""
    files, tasks = resource.getrlimit(resource.RLIMIT_NOFILE)[0], resource.getrlimit(resource.RLIMIT_NPROC)[0]
    found = f"{_count(files)} open files, {_count(tasks)} processes"
    if _is_less(files, _FEW_DESCRIPTORS) or _is_less(tasks, _FEW_PROCESSES):
        means = "Many runs or requests at once will be refused."
        return Check("limits", Verdict.LIMITED, found, means, "Raise `ulimit -n` and `ulimit -u`.")
    return Check("limits", Verdict.OK, found)


def _count(limit: int) -> str:
    return "any number of" if limit == resource.RLIM_INFINITY else f"{limit:,}"


def _is_less(limit: int, wanted: int) -> bool:
    return limit != resource.RLIM_INFINITY and limit < wanted


def start_method() -> Check:
    """How code in runs makes further processes, unless it says otherwise."""
    method = multiprocessing.get_start_method(allow_none=True) or multiprocessing.get_all_start_methods()[0]
    return Check("multiprocessing", Verdict.OK, f"code in runs starts processes by `{method}`; a kill ends them too")
