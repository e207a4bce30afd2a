"""Where things are kept: whether it can be written, what room there is, and of what kind it is."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from specrunner.core.health import Check, Verdict

MIB: Final = 1024 * 1024
ESSENTIAL: Final = 200 * MIB  # below that not even the base set can be built
COMFORTABLE: Final = 2048 * MIB  # a few environments with room for logs
FEW_FILES: Final = 50_000  # an environment has some fifteen thousand
# A lock there may not hold, or be lost with the connection.
_SHARED: Final = frozenset({"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "ceph", "glusterfs", "lustre", "afs"})


def writable(name: str, folder: Path) -> Check:
    """Whether a folder can be written, or made where it is not there."""
    there = nearest(folder)
    if not there.is_dir():
        means = "It is to be a folder, and a file is in its place." if there == folder else f"{there} is a file."
        return Check(name, Verdict.BAD, str(folder), means, f"Move {there} away, or name another folder.")
    if not os.access(there, os.W_OK | os.X_OK, effective_ids=os.access in os.supports_effective_ids):
        means = f"{there} can't be written by user {os.geteuid()}, so nothing can be kept there."
        return Check(name, Verdict.BAD, str(folder), means, _elsewhere(name))
    return Check(name, Verdict.OK, f"{folder}{'' if there == folder else ' (not made yet)'}")


def _elsewhere(name: str) -> str:
    if name == "cache":
        return "Give the folder to your user, or set SPECRUNNER_CACHE to a folder of yours."
    return "Give the folder to your user, or work in a copy of the repository that is yours."


def space(*folders: Path) -> Iterator[Check]:
    """The room on the file systems of these folders, one check for each of them."""
    by_device = {nearest(folder).stat().st_dev: folder for folder in reversed(folders)}
    for folder in reversed(by_device.values()):
        yield _room(folder)


def _room(folder: Path) -> Check:
    there = nearest(folder)
    free, files = shutil.disk_usage(there).free, os.statvfs(there)
    found = f"{free / (1024 * MIB):.1f} GiB free for {folder}"
    if free < ESSENTIAL:
        means = "That is too little for an environment; runs and their records will fail."
        return Check("disk space", Verdict.BAD, found, means, "Make room; `specrunner env prune` deletes environments.")
    if free < COMFORTABLE:
        means = "That is enough for little more than one environment."
        return Check("disk space", Verdict.LIMITED, found, means, "`specrunner env prune` deletes what is not in use.")
    if files.f_files and files.f_favail < FEW_FILES:  # some file systems do not count them
        means = f"Only {files.f_favail:,} more files can be made; an environment has some fifteen thousand."
        return Check("disk space", Verdict.LIMITED, found, means, "Delete files, or use another file system.")
    return Check("disk space", Verdict.OK, found)


def kind_of(name: str, folder: Path) -> Check:
    """Whether the file system keeps locks and a database as a local one does."""
    kind = file_system(nearest(folder))
    if kind in _SHARED or kind.startswith("fuse"):
        means = "Locks and the database are made for a local file system; on this one they may fail or be slow."
        return Check(name, Verdict.LIMITED, kind, means, "Keep the repository, or a copy of it, on a local disk.")
    return Check(name, Verdict.OK, kind or "not known")


def links(cache: Path) -> Check:
    """Whether environments can share files with uv's cache instead of copying them."""
    given = os.environ.get("UV_CACHE_DIR")
    if given is None:
        return Check("shared files", Verdict.OK, "environments share their files with uv's cache")
    if nearest(Path(given)).stat().st_dev == nearest(cache).stat().st_dev:
        return Check("shared files", Verdict.OK, f"environments share their files with {given}")
    means = f"UV_CACHE_DIR is on another file system than {cache}: every environment is a whole copy, slow to build."
    remedy = "Unset UV_CACHE_DIR, or set SPECRUNNER_CACHE beside it."
    return Check("shared files", Verdict.LIMITED, given, means, remedy)


def nearest(path: Path) -> Path:
    """The path itself, or what of it is there."""
    return next(found for found in (path, *path.absolute().parents) if _is_seen(found))


def _is_seen(path: Path) -> bool:
    try:
        return path.exists()
    except PermissionError:  # what is above it is there, and not ours
        return False


def file_system(path: Path) -> str:
    """The type of the file system that a path is on; empty where that is not known. Source: proc(5), `mountinfo`."""
    device = path.stat().st_dev
    wanted = f"{os.major(device)}:{os.minor(device)}"
    try:
        lines = Path("/proc/self/mountinfo").read_text("utf-8", "replace").splitlines()
    except OSError:
        return ""
    kinds = [line.partition(" - ")[2].split(" ", 1)[0] for line in lines if line.split()[2] == wanted]
    return kinds[-1] if kinds else ""
