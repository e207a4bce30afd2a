"""Files that are known by their paths, and read when somebody asks what stands in them.

A branch may hold a hundred thousand records of runs; who adds one needs a few of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cached_property

Fetch = Callable[[Iterable[str]], Mapping[str, bytes]]


class Lazy(Mapping[str, bytes]):
    """Files by path, whose bytes are fetched folder by folder; `ids` are what `fetch` knows the bytes by.

    What was fetched goes into `data`, by those ids, and what is there already is not fetched.
    """

    def __init__(self, ids: Mapping[str, str], fetch: Fetch, data: dict[str, bytes] | None = None) -> None:
        self._ids = ids
        self._fetch = fetch
        self._data: dict[str, bytes] = {} if data is None else data

    def __getitem__(self, path: str) -> bytes:
        wanted = self._ids[path]
        if wanted not in self._data:
            self._take(self._folders[folder_of(path)])
        return self._data[wanted]

    def __contains__(self, path: object) -> bool:
        return path in self._ids

    def __iter__(self) -> Iterator[str]:
        return iter(self._ids)

    def __len__(self) -> int:
        return len(self._ids)

    def __eq__(self, other: object) -> bool:
        self._take(self._ids)
        return isinstance(other, Mapping) and dict(self) == dict(other)

    __hash__ = None  # type: ignore[assignment]

    @cached_property
    def _folders(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for path in self._ids:
            found.setdefault(folder_of(path), []).append(path)
        return found

    def need(self, paths: Iterable[str]) -> None:
        """Read these now, all at once."""
        self._take(path for path in paths if path in self._ids)

    def _take(self, paths: Iterable[str]) -> None:
        lacking = [blob for path in paths if (blob := self._ids[path]) not in self._data]
        if lacking:
            self._data.update(self._fetch(lacking))


class Files(Mapping[str, bytes]):
    """The files of one environment by their paths below it; in `found` they stand under a prefix, read or not yet."""

    def __init__(self, found: Mapping[str, bytes], prefix: str = "") -> None:
        self._found = found
        self._prefix = prefix

    def __getitem__(self, path: str) -> bytes:
        return self._found[self._prefix + path]

    def __contains__(self, path: object) -> bool:
        return isinstance(path, str) and self._prefix + path in self._found

    def __iter__(self) -> Iterator[str]:
        return (path.removeprefix(self._prefix) for path in self._found)

    def __len__(self) -> int:
        return len(self._found)

    def need(self, paths: Iterable[str]) -> None:
        """Say which are going to be asked for: to read many at once is quicker."""
        if isinstance(self._found, Lazy):
            self._found.need(self._prefix + path for path in paths)

    def inside(self, folder: str) -> list[str]:
        """The paths of the files that lie in a folder, which ends with a slash, and not deeper."""
        return self._inside.get(folder, [])

    def under(self, *tops: str) -> Iterator[str]:
        """The paths of the files in these folders at the top, however deep; the other folders are not gone through."""
        for folder, paths in self._inside.items():
            if folder.partition("/")[0] in tops:
                yield from paths

    @cached_property
    def _inside(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for path in self:
            found.setdefault(folder_of(path), []).append(path)
        return found


def folder_of(path: str) -> str:
    """The folder of a file, with its slash; empty at the top."""
    return path[: path.rfind("/") + 1]
