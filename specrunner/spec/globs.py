"""File patterns as `.gitignore` writes them; `include`, `exclude` and the bundles all use these."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec


class Selection:
    """Which relative paths count: those that match `include` (all, where it is empty) and not `exclude`."""

    def __init__(self, include: Iterable[str] = (), exclude: Iterable[str] = ()) -> None:
        included, excluded = list(include), list(exclude)
        self._include = _spec(included) if included else None
        self._exclude = _spec(excluded) if excluded else None

    def __contains__(self, path: str) -> bool:
        """Whether the file at this relative path, with forward slashes, counts."""
        if self._exclude and self._exclude.match_file(path):
            return False
        return self._include is None or self._include.match_file(path)


def _spec(lines: Iterable[str]) -> GitIgnoreSpec:
    from pathspec import GitIgnoreSpec  # loaded where there are patterns: it takes as long as reading hundreds of files

    return GitIgnoreSpec.from_lines(lines)


class Ignored:
    """What the `.gitignore` files between a repository's top and a file leave out.

    Only files of the repository count, never those of a user or a clone, so that every machine says the same.
    """

    def __init__(self, top: Path) -> None:
        self._top = top
        self._specs: dict[Path, GitIgnoreSpec | None] = {}

    def __call__(self, path: Path, is_folder: bool) -> bool:
        """Whether git would ignore this path; the deepest `.gitignore` that has an opinion decides."""
        for folder in path.parents:
            spec = self._spec(folder)
            if spec is not None:
                name = path.relative_to(folder).as_posix() + ("/" if is_folder else "")
                verdict = spec.check_file(name).include
                if verdict is not None:
                    return verdict
            if folder == self._top:
                break
        return False

    def _spec(self, folder: Path) -> GitIgnoreSpec | None:
        if folder not in self._specs:
            file = folder / ".gitignore"
            text = file.read_text("utf-8", errors="replace") if file.is_file() else ""
            self._specs[folder] = _spec(text.splitlines()) if text else None
        return self._specs[folder]


def repository_top(folder: Path) -> Path:
    """The nearest folder at or above this one that holds `.git`, else the folder itself.

    A folder that the repository around it ignores (a scratch copy, say) is no part of it and stands for itself.
    """
    top = next((path for path in (folder, *folder.parents) if (path / ".git").exists()), folder)
    ignored = Ignored(top)
    between = [path for path in (folder, *folder.parents) if path != top and path.is_relative_to(top)]
    return folder if any(ignored(path, is_folder=True) for path in between) else top
