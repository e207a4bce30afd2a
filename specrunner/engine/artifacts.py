"""Content-addressed bytes: an artifact is known by its sha256 and lies at `<first two digits>/<sha>`.

Writing the same bytes again is free, and a reader never sees half a file: a write goes to a temporary file,
is synced, and takes its name only then.
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
    def _temporary(self) -> Iterator[tempfile._TemporaryFileWrapper[bytes]]:
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=self._folder, prefix=".incoming-") as file:
                yield file
        except OSError as problem:
            raise Unavailable(
                f"The store {self._folder} can't take this file in: {problem.strerror}.",
                remedy="Make room on the disk, or mend the folder's permissions.",
            ) from problem

    def _take_in(self, file: tempfile._TemporaryFileWrapper[bytes], sha: str) -> None:
        file.flush()
        os.fsync(file.fileno())
        place = self.path_of(sha)
        place.parent.mkdir(parents=True, exist_ok=True)
        # A link, not a rename: the temporary file removes itself by its own name afterwards.
        try:
            os.link(file.name, place)
        except FileExistsError:
            return
        except OSError:  # a file system without hard links
            part = place.with_name(f"{sha}.{os.getpid()}.part")
            shutil.copyfile(file.name, part)
            part.replace(place)
