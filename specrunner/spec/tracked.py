"""Whether git tracks the state folder: who can commit files must not be able to say what other files mean."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Final

STATE: Final = ".specrunner"


def is_tracked(root: Path) -> bool | None:
    """Whether git tracks the `.specrunner` of this root, itself or anything in it; None where that can't be told.

    Looks for the name in git's index; only where that leaves room for doubt is git itself asked.
    """
    root = root.resolve()
    top = next((folder for folder in (root, *root.parents) if (folder / ".git").exists()), None)
    return _asked(root) if top is not None and _may_be_tracked(top / ".git") else False


def _may_be_tracked(git: Path) -> bool:
    """Whether the index might name it. Format: https://git-scm.com/docs/index-format."""
    try:
        if git.is_file():  # a worktree or a submodule
            git = git.parent / git.read_text("utf-8", "replace").removeprefix("gitdir:").strip()
        index = (git / "index").read_bytes()
        is_split = any(name.startswith("sharedindex.") for name in os.listdir(git))  # noqa: PTH208 - names suffice
    except FileNotFoundError:
        return False
    except OSError:
        return True
    # Version 4 shortens names, and a split index has some of them in another file.
    whole = index[:8] in {b"DIRC\0\0\0\2", b"DIRC\0\0\0\3"} and not is_split
    return not whole or STATE.encode() in index


def _asked(root: Path) -> bool | None:
    command = ["git", "-c", "core.fsmonitor=false", "ls-files", "--cached", "-z", "--", STATE]
    # Inside a hook, git's own variables would speak of another index.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    try:
        done = subprocess.run(
            command, cwd=root, env=environment, stdin=subprocess.DEVNULL, capture_output=True, timeout=30, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return bool(done.stdout) if done.returncode == 0 else None
