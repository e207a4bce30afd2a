"""File names in specs: relative to the root, and never outside it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from specrunner.spec.findings import nearest
from specrunner.spec.mistakes import Mistake

_LONGEST: Final = 4096  # characters: Linux takes no longer ones, and looking them up part by part takes long


class BadPath(ValueError):
    """A file name can't be used; the text says why, `remedy` what to write, `code` which kind of mistake it is."""

    def __init__(self, reason: str, remedy: str, code: Mistake = Mistake.LEAVES_REPOSITORY) -> None:
        super().__init__(reason)
        self.remedy = remedy
        self.code = code


class Missing(BadPath):
    """There is no such file; the name itself is fine."""


def inside(root: Path, name: str) -> Path:
    """The existing file or folder of this name below `root`. Raises BadPath."""
    if Path(name).is_absolute():
        raise BadPath(f"{name!r} is an absolute path", "Write it relative to the root of the specs.")
    if Path(os.path.normpath(name)).parts[:1] == ("..",):
        raise BadPath(f"{name!r} leaves the repository", "Move the file below the root of the specs.")
    if len(name) > _LONGEST:
        raise BadPath(f"{name[:80]!r}… is too long for the name of a file", "Correct the path.")
    path = root / os.path.normpath(name)
    try:
        target, exists = path.resolve(), path.exists()
    except (OSError, ValueError) as error:  # too long, or with a NUL in it
        reason = error.strerror if isinstance(error, OSError) else error
        raise BadPath(f"{name[:80]!r} is no name of a file: {reason}", "Correct the path.") from error
    if not target.is_relative_to(root.resolve()):
        raise BadPath(f"{name!r} leaves the repository by a symbolic link", "Replace the link by what it points to.")
    if not exists:
        meant = _nearest_file(root, path)
        raise Missing(
            f"there is no {name!r}",
            f"Write `{meant}`." if meant else "Create it, or correct the path.",
            Mistake.MISSING_FILE,
        )
    return path


def _nearest_file(root: Path, path: Path) -> str | None:
    if not path.parent.is_dir():
        return None
    found = nearest(path.name, [other.name for other in path.parent.iterdir()])
    return (path.parent / found).relative_to(root).as_posix() if found else None
