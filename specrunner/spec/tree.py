"""The files of a folder, found and read so that nothing in a stranger's checkout can stall or flood the reader.

Links to folders are not followed, so there are no loops; nothing but ordinary files is opened, since a pipe would
wait and a device may do anything; of a file at most the limit is read. All of it runs once per file of a
repository, so paths are plain strings here.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Set
from typing import NamedTuple

from specrunner.spec.loader import MAX_BYTES
from specrunner.spec.stamps import Stamp, stamp_of

SUFFIXES = (".yaml", ".yml")


class Entry(NamedTuple):
    """A YAML file below the root, or a folder that can't be listed: then `error` says why.

    `path` is relative to the root, with forward slashes. `is_file` says whether it is, or links to, an ordinary
    file; a link that leads nowhere counts as one, so that opening it gives the reason. `stamp` is that of an ordinary
    file, where it could be had.
    """

    path: str
    is_link: bool = False
    is_file: bool = True
    error: str = ""
    stamp: Stamp | None = None

    @property
    def size(self) -> int:
        """How many bytes an ordinary file had, as far as that is known."""
        return self.stamp[0] if self.stamp else 0


def yaml_files(root: str, never: Set[str]) -> Iterator[Entry]:
    """Every `*.yaml` and `*.yml` below `root` in order of name; not below hidden folders and those in `never`."""
    waiting = _listed(root, "")
    while waiting:  # with its own stack: folders may be nested deeper than Python's calls
        found = waiting.pop()
        if isinstance(found, Entry):
            yield found
            continue
        name, entry = found
        if entry.is_dir(follow_symlinks=False):
            if not entry.name.startswith(".") and name not in never:
                waiting += _listed(root, f"{name}/")
        elif name.endswith(SUFFIXES):
            if entry.is_symlink():
                yield Entry(name, is_link=True, is_file=_is_file(entry))
            elif entry.is_file():
                yield Entry(name, stamp=_stamp(entry))
            else:
                yield Entry(name, is_file=False)


def _listed(root: str, prefix: str) -> list[tuple[str, os.DirEntry[str]] | Entry]:
    """What stands in a folder, the last name first."""
    try:
        with os.scandir(f"{root}/{prefix}") as entries:
            ordered = sorted(entries, key=lambda entry: entry.name, reverse=True)
    except OSError as error:
        return [Entry(prefix.rstrip("/"), error=error.strerror or "It can't be listed")]
    return [(prefix + entry.name, entry) for entry in ordered]


def _is_file(link: os.DirEntry[str]) -> bool:
    try:
        return stat.S_ISREG(link.stat().st_mode)
    except OSError:
        return True


def _stamp(file: os.DirEntry[str]) -> Stamp | None:
    try:
        return stamp_of(file.stat(follow_symlinks=False))
    except OSError:
        return None


class Content(NamedTuple):
    """The bytes of a file, at most `MAX_BYTES`, and its stamp when it was opened."""

    data: bytes
    stamp: Stamp

    @property
    def size(self) -> int:
        """How many bytes the file has."""
        return self.stamp[0]


def content(path: str) -> Content:
    """What stands in an ordinary file. Raises OSError where it can't be read."""
    # Without waiting: between listing and opening, a pipe may have taken the file's place.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        state = os.fstat(descriptor)
        if not stat.S_ISREG(state.st_mode):
            raise OSError(0, "It is no ordinary file")
        return Content(os.read(descriptor, min(state.st_size, MAX_BYTES)), stamp_of(state))
    finally:
        os.close(descriptor)
