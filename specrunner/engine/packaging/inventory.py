"""What environments are there, how large, and which of them living processes were started from."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from specrunner.engine.packaging import builds


@dataclass(frozen=True, slots=True)
class Kept:
    """One environment that is built.

    `size` is in bytes, files that it shares with others by hard links included; `python` the version it is made of.
    `distributions` says how many are installed, `busy` whether a living process was started from it.
    """

    name: str
    folder: Path
    size: int
    last_used: datetime
    python: str
    distributions: int
    busy: bool


def folders(environments: Path) -> list[Path]:
    """The folders of environments, whole or not, in the order of their names."""
    return sorted(path for path in environments.glob("[0-9a-f]*") if path.is_dir())


def kept(environments: Path) -> list[Kept]:
    """The environments that are whole, those used last first."""
    started = busy(environments)
    found = [_kept(folder, folder.name in started) for folder in folders(environments) if builds.is_whole(folder)]
    return sorted(found, key=lambda one: one.last_used, reverse=True)


def busy(environments: Path) -> frozenset[str]:
    """The names of the environments whose interpreter a living process was started as; source: proc(5), `cmdline`.

    That of another user may be hidden. It works on with the files that it has open, and is built anew for its next run.
    """
    prefix = os.fsencode(environments) + b"/"
    return frozenset(
        os.fsdecode(program[len(prefix) :].split(b"/", 1)[0]) for program in _programs() if program.startswith(prefix)
    )


def _programs() -> Iterator[bytes]:
    """The first word of every process's command line."""
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it has ended meanwhile
            yield (process / "cmdline").read_bytes().split(b"\0", 1)[0]


def _kept(folder: Path, is_busy: bool) -> Kept:
    content = builds.content_of(folder)
    return Kept(
        name=folder.name,
        folder=folder,
        size=_size(folder),
        last_used=datetime.fromtimestamp(builds.last_use(folder), UTC),
        python=str(content.get("python", {}).get("version", "")),
        distributions=sum("==" in line for line in str(content.get("lock", "")).splitlines()),
        busy=is_busy,
    )


def alone(folder: Path) -> int:
    """The bytes below a folder that are nowhere else by a hard link: what deleting it gives back."""
    return sum(found.st_size for found in _files(folder) if found.st_nlink == 1)


def _size(folder: Path) -> int:
    return sum(found.st_size for found in _files(folder))


def _files(folder: Path) -> Iterator[os.stat_result]:
    for path, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):  # it is being deleted
                yield os.lstat(os.path.join(path, name))  # noqa: PTH118  # tens of thousands of files
