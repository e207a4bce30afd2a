"""Scenes on a disk of their own that may be full or read-only, in a private mount namespace.

That is because root, whom modes do not stop, may run this. A scene is a module that is started with words and prints
what it saw as JSON.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]


def mounted(folder: Path, size: int) -> Path:
    """A disk of so many bytes, below the folder; for a scene."""
    disk = folder / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "none", str(disk)], check=True)
    return disk


def fill(folder: Path) -> Path:
    """Take all the room there is, also what was given back since the last time."""
    filler = folder / "filler"
    with filler.open("ab", buffering=0) as file:
        for size in (4096, 512, 1):
            try:
                while True:
                    file.write(b"\0" * size)
            except OSError:
                continue
    return filler


def seen(module: str, folder: Path, *words: str) -> dict[str, Any]:
    """What a scene saw; skips where no private disk can be made."""
    allowed = subprocess.run(
        [
            "unshare",
            "-m",
            "sh",
            "-c",
            f"mount -t tmpfs none '{folder}' && touch '{folder}/a' && chattr +i '{folder}/a'",
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    if allowed.returncode:
        pytest.skip(f"no private disk can be made here: {allowed.stderr.strip()}")
    command = ["unshare", "-m", sys.executable, "-m", module, *words, str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found
