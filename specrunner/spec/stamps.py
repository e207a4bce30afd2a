"""Telling by its inode alone that a file has not changed, as git does, so that it need not even be opened.

A file's stamp is its size, its inode, and when it was changed and its inode was. It says nothing of a file that was
changed just before it was looked at: a second change within the same tick of the clock would leave the stamp as it
is. So a stamp is kept only where it was old already when the reading began, by the clock that sets such times, which
is the file system's own.
"""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

Stamp = tuple[int, int, int, int]  # size, inode, and in nanoseconds when it was modified and when its inode was

# The coarsest clock of a file system in use, FAT's, ticks every two seconds.
_GRACE: Final = 2_500_000_000


def stamp_of(state: os.stat_result) -> Stamp:
    """The stamp of a file as it was looked at."""
    return (state.st_size, state.st_ino, state.st_mtime_ns, state.st_ctime_ns)


def now_in(folder: Path) -> int:
    """The time of the file system that a folder is on, or this machine's where that is behind; 0 if it won't say."""
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            return min(os.fstat(file.fileno()).st_mtime_ns, time.time_ns())
    except OSError:
        return 0


def is_settled(stamp: Stamp, now: int) -> bool:
    """Whether a change after `now` is sure to give another stamp."""
    return max(stamp[2], stamp[3]) + _GRACE < now


def dumped(stamps: Mapping[str, tuple[Stamp, bytes]]) -> bytes:
    """Stamps by path, each with the key of the bytes that it stands for."""
    return json.dumps({path: [*stamp, key.decode()] for path, (stamp, key) in stamps.items()}).encode()


def loaded(text: bytes) -> dict[str, tuple[Stamp, bytes]]:
    """What `dumped` wrote. Raises ValueError and TypeError for anything else."""
    return {
        path: ((size, inode, modified, changed), key.encode())
        for path, (size, inode, modified, changed, key) in json.loads(text).items()
    }
