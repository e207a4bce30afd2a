"""Status files in a folder of the work tree, one that can be `git add`ed."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from pathlib import Path

from specrunner.core.errors import SpecrunnerError


class FolderStatus:
    """Adapter of the port `StatusRepository`: files below a folder, each written whole or not at all."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @property
    def folder(self) -> Path:
        """Where the files lie."""
        return self._folder

    def read(self, prefix: str) -> dict[str, bytes]:
        """Every file whose path begins with `prefix`, by its path."""
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

    def write(self, files: Mapping[str, bytes | None], message: str) -> None:
        """Write or remove these files; a file that is as wanted keeps its time stamp."""
        try:
            for name, data in sorted(files.items()):
                if data is None:
                    self._remove(self._folder / name)
                else:
                    self._write(name, data)
        except OSError as problem:
            raise SpecrunnerError(
                f"The status files in {self._folder} can't be written: {problem.strerror}.",
                detail="What was applied is applied; only its record is missing.",
                remedy="Make the folder writable, then `specrunner apply` again: it writes what is missing.",
            ) from problem

    def _remove(self, path: Path) -> None:
        path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # not empty: other files are still there
            path.parent.rmdir()

    def _write(self, name: str, data: bytes) -> None:
        path = self._folder / name
        if path.is_file() and path.read_bytes() == data:
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        # One name for each environment, in which one apply writes at a time: what a kill leaves, the next one uses up.
        part = self._folder / f".part-{name.partition('/')[0]}"
        part.unlink(missing_ok=True)  # it may be a link that somebody has put there
        with part.open("xb") as file:
            file.write(data)
        part.replace(path)
