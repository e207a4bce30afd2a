"""Keeps compiled bytecode for the next environment.

Compiling pandas, pyarrow and numpy takes seconds, linking what an earlier environment compiled takes
milliseconds. Sources are hard links into uv's cache, so that one distribution is the same inodes in every
environment; a compiled file is kept under its source's device, inode, size and time of change, and under the
interpreter's tag. Python checks size and time once more when it loads the file (PEP 3147, PEP 552), so that a
wrong guess costs a compilation and never runs other code.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path


class BytecodePool:
    """A folder of compiled files, on the file system of the environments."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def lend(self, site_packages: Path, tag: str) -> None:
        """Link the kept compiled files to their sources below `site_packages`; the rest is left to a compiler."""
        for source in _sources(site_packages):
            kept = self._kept(source, tag)
            if kept.exists():
                compiled = _compiled(source.path, tag)
                compiled.parent.mkdir(exist_ok=True)
                with suppress(OSError):  # a lost link is a file that gets compiled, no more
                    compiled.hardlink_to(kept)

    def keep(self, site_packages: Path, tag: str) -> None:
        """Keep the compiled files below `site_packages` that are not kept yet."""
        self._folder.mkdir(parents=True, exist_ok=True)
        for source in _sources(site_packages):
            compiled, kept = _compiled(source.path, tag), self._kept(source, tag)
            if not kept.exists():
                with suppress(OSError):  # not compiled, or kept by another build just now
                    kept.hardlink_to(compiled)

    def forget_unused(self) -> int:
        """Remove the files that no environment links any more; how many they were."""
        unused = [path for path in self._folder.glob("*") if path.stat().st_nlink == 1]
        for path in unused:
            path.unlink(missing_ok=True)
        return len(unused)

    def _kept(self, source: os.DirEntry[str], tag: str) -> Path:
        found = source.stat()
        return self._folder / f"{found.st_dev:x}-{found.st_ino:x}-{found.st_size:x}-{found.st_mtime_ns:x}.{tag}.pyc"


def _sources(folder: Path | str) -> Iterator[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                yield from _sources(entry.path)
            # A source of a single link is the environment's own (the SDK); its inode may be anybody's tomorrow.
            elif entry.name.endswith(".py") and entry.is_file(follow_symlinks=False) and entry.stat().st_nlink > 1:
                yield entry


def _compiled(source: str, tag: str) -> Path:
    path = Path(source)
    return path.with_name("__pycache__") / f"{path.stem}.{tag}.pyc"
