"""File names in specs: relative to the root, and never outside it."""

from __future__ import annotations

import os
from pathlib import Path

from specrunner.spec.findings import nearest


class BadPath(ValueError):
    """A file name can't be used; the text says why, `remedy` what to write."""

    def __init__(self, reason: str, remedy: str) -> None:
        super().__init__(reason)
        self.remedy = remedy


def inside(root: Path, name: str) -> Path:
    """The existing file or folder of this name below `root`. Raises BadPath."""
    if Path(name).is_absolute():
        raise BadPath(f"{name!r} is an absolute path", "Write it relative to the root of the specs.")
    if Path(os.path.normpath(name)).parts[:1] == ("..",):
        raise BadPath(f"{name!r} leaves the repository", "Move the file below the root of the specs.")
    path = root / os.path.normpath(name)
    if not path.resolve().is_relative_to(root.resolve()):
        raise BadPath(f"{name!r} leaves the repository by a symbolic link", "Replace the link by what it points to.")
    if not path.exists():
        meant = _nearest_file(root, path)
        raise BadPath(f"there is no {name!r}", f"Write `{meant}`." if meant else "Create it, or correct the path.")
    return path


def _nearest_file(root: Path, path: Path) -> str | None:
    if not path.parent.is_dir():
        return None
    found = nearest(path.name, [other.name for other in path.parent.iterdir()])
    return (path.parent / found).relative_to(root).as_posix() if found else None
