"""Status files in a folder of the work tree, one that can be `git add`ed.

A file is written under a name of its own, a part, and then takes its place. Its writer holds a lock on it meanwhile,
which ends with the writer: so two writers never meet in one part, and the next write removes what a kill has left.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO, Final

from specrunner.core.errors import SpecrunnerError

_PART: Final = ".part-"


class FolderStatus:
    """Adapter of the port `StatusRepository`: files below a folder, each written whole or not at all."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @property
    def folder(self) -> Path:
        """Where the files lie."""
        return self._folder

    def read(self, prefix: str) -> dict[str, bytes]:
        """Every file whose path begins with `prefix`, by its path. Raises SpecrunnerError for one it may not read."""
        try:
            return self._read(prefix)
        except OSError as problem:
            raise SpecrunnerError(
                f"The status file {problem.filename} can't be read: {problem.strerror}.",
                remedy="Let your user read it, or remove it if it is not wanted.",
            ) from problem

    def _read(self, prefix: str) -> dict[str, bytes]:
        found = {}
        for folder, folders, names in os.walk(self._folder / prefix.rpartition("/")[0]):
            folders.sort()
            inside = Path(folder).relative_to(self._folder).as_posix()
            for name in sorted(names):
                path = Path(folder, name)
                relative = name if inside == "." else f"{inside}/{name}"
                if relative.startswith(prefix) and path.is_file() and not path.is_symlink():
                    found[relative] = path.read_bytes()
        return found

    def check(self, prefix: str) -> None:
        """Raise SpecrunnerError if nothing can be written below `prefix`; writes nothing itself."""
        place = self._folder / prefix
        while not os.path.lexists(place):
            place = place.parent
        if not place.is_dir() or not os.access(place, os.W_OK | os.X_OK):
            why = "may not be written" if place.is_dir() else "is no folder"
            raise SpecrunnerError(
                f"The status files in {self._folder / prefix} can't be written: {place} {why}.",
                detail="Nothing was applied: what is done would not be recorded.",
                remedy="Make it a folder that you may write, then `specrunner apply` again.",
            )

    def write(self, files: Mapping[str, bytes | None], message: str) -> None:
        """Write or remove these files; a file that is as wanted keeps its time stamp."""
        try:
            self._sweep()
            for name, data in sorted(files.items()):
                if data is None:
                    self._remove(name)
                else:
                    self._write(name, data)
        except OSError as problem:
            raise SpecrunnerError(
                f"The status files in {self._folder} can't be written: {problem.strerror}.",
                detail="What was applied is applied; only its record is missing.",
                remedy="Make the folder writable, then `specrunner apply` again: it writes what is missing.",
            ) from problem

    def _remove(self, name: str) -> None:
        """Remove a file, and the folders that it leaves empty, up to that of its environment."""
        path, top = self._folder / name, self._folder / name.partition("/")[0]
        path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # not empty: other files are still there
            for folder in path.parents:
                if not folder.is_relative_to(top) or folder == top:
                    break
                folder.rmdir()

    def _write(self, name: str, data: bytes) -> None:
        path = self._folder / name
        if path.is_file() and path.read_bytes() == data:
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        part, file = self._part()
        try:
            with file:
                file.write(data)
                file.flush()
                part.replace(path)
        except BaseException:
            part.unlink(missing_ok=True)
            raise

    def _part(self) -> tuple[Path, BinaryIO]:
        """A new file that is locked: nobody sweeps it away while it is written."""
        while True:
            part = self._folder / f"{_PART}{os.urandom(8).hex()}"
            file = part.open("xb")
            with contextlib.suppress(OSError):  # no locks here: then nobody can sweep either
                fcntl.flock(file, fcntl.LOCK_EX)
            if os.fstat(file.fileno()).st_nlink:
                return part, file
            file.close()  # it was swept between its making and its lock

    def _sweep(self) -> None:
        """Remove the parts of writers that were killed: those that nobody has locked."""
        for part in self._folder.glob(f"{_PART}*"):
            with contextlib.suppress(OSError), part.open("rb") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                part.unlink(missing_ok=True)
