"""Status files in a folder of the work tree, one that can be `git add`ed."""

from __future__ import annotations

import contextlib
import os
import tempfile
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
        if not self._folder.is_dir():
            return {}
        paths = (path for path in sorted(self._folder.rglob("*")) if path.is_file() and not path.is_symlink())
        found = {path.relative_to(self._folder).as_posix(): path for path in paths}
        return {name: path.read_bytes() for name, path in found.items() if name.startswith(prefix)}

    def write(self, files: Mapping[str, bytes | None], message: str) -> None:
        """Write or remove these files; a file that is as wanted keeps its time stamp."""
        try:
            for name, data in sorted(files.items()):
                if data is None:
                    self._remove(self._folder / name)
                else:
                    _write(self._folder / name, data)
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


def _write(path: Path, data: bytes) -> None:
    if path.is_file() and path.read_bytes() == data:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, part = tempfile.mkstemp(dir=path.parent, prefix=".part-")
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
    Path(part).chmod(0o644)
    Path(part).replace(path)
