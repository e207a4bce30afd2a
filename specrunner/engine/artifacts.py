"""Content-addressed bytes: an artifact is known by its sha256 and lies at `<first two digits>/<sha>`.

Writing the same bytes again is free, and a reader never sees half a file: a write goes to a file without a name,
is synced, and takes its name only then. Whoever is killed in between leaves nothing behind.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from specrunner.core.errors import NotFound, Unavailable

_CHUNK = 1 << 20


class Artifacts:
    """A folder of artifacts."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def put(self, data: bytes) -> str:
        """Keep these bytes; their sha256, as hexadecimal digits. Raises Unavailable where the disk refuses them."""
        sha = hashlib.sha256(data).hexdigest()
        if not self.path_of(sha).exists():
            with self._temporary() as file:
                file.write(data)
                self._take_in(file, sha)
        return sha

    def put_stream(self, stream: BinaryIO) -> tuple[str, int]:
        """Keep what the stream gives, never holding it whole in memory; its sha256 and size in bytes.

        Raises Unavailable where the disk refuses them.
        """
        hasher, size = hashlib.sha256(), 0
        with self._temporary() as file:
            while chunk := stream.read(_CHUNK):
                hasher.update(chunk)
                size += len(chunk)
                file.write(chunk)
            sha = hasher.hexdigest()
            self._take_in(file, sha)
        return sha, size

    def path(self, sha: str) -> Path:
        """Where an artifact lies. Raises NotFound if it doesn't."""
        found = self.path_of(sha)
        if not found.exists():
            raise NotFound(
                f"The artifact {sha} is not in the store.",
                remedy="Apply the specs again: they upload it anew.",
            )
        return found

    def path_of(self, sha: str) -> Path:
        """Where an artifact lies or would lie."""
        return self._folder / sha[:2] / sha

    @contextmanager
    def _temporary(self) -> Iterator[BinaryIO]:
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with _nameless(self._folder) as file:
                yield file
        except OSError as problem:
            raise Unavailable(
                f"The store {self._folder} can't take this file in: {problem.strerror}.",
                remedy="Make room on the disk, or mend the folder's permissions.",
            ) from problem

    def _take_in(self, file: BinaryIO, sha: str) -> None:
        file.flush()
        os.fsync(file.fileno())
        place = self.path_of(sha)
        place.parent.mkdir(parents=True, exist_ok=True)
        try:
            _name(file, place)
        except FileExistsError:
            return
        except OSError:  # a file system that knows no files without names, or no hard links
            file.seek(0)
            with tempfile.NamedTemporaryFile(dir=place.parent, prefix=".incoming-", delete=False) as copy:
                shutil.copyfileobj(file, copy)
                os.fsync(copy.fileno())
            Path(copy.name).replace(place)


def _nameless(folder: Path) -> BinaryIO:
    """A file that nobody sees until it gets its name, and that is gone if it never does."""
    try:
        descriptor = os.open(folder, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o600)
    except OSError:
        return tempfile.TemporaryFile(dir=folder)
    return os.fdopen(descriptor, "w+b")


def _name(file: BinaryIO, place: Path) -> None:
    """Give a nameless file its name. Source: open(2) on O_TMPFILE and linkat(2)."""
    # With a descriptor of a folder, whichever, Python calls linkat and follows the link in /proc.
    os.link(f"/proc/self/fd/{file.fileno()}", place, src_dir_fd=file.fileno(), follow_symlinks=True)
