"""Clones, bare remotes and both adapters of `StatusRepository`."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from specrunner.record.branch import BranchStatus
from specrunner.record.plumbing import Plumbing
from specrunner.record.remote import Remote

BRANCH = "specrunner-status"
PERSON = ["-c", "user.name=Ada", "-c", "user.email=ada@example.com", "-c", "init.defaultBranch=main"]


def git(folder: Path, *words: str, **environ: str) -> str:
    """Call git as a person does; it must work."""
    done = subprocess.run(
        ["git", *PERSON, *words], cwd=folder, capture_output=True, text=True, check=False, env={**os.environ, **environ}
    )
    assert done.returncode == 0, (words, done.stderr)
    return done.stdout.strip()


@dataclass(frozen=True, slots=True)
class Hub:
    """A bare remote and its clones."""

    folder: Path

    @property
    def bare(self) -> Path:
        return self.folder / "hub.git"

    def clone(self, name: str, *words: str) -> Path:
        git(self.folder, "clone", "-q", *words, self.bare.as_uri(), name)
        return self.folder / name

    def status(self, name: str, branch: str = BRANCH) -> BranchStatus:
        """The status branch as a fresh clone of that name sees it; one that is there already is used."""
        folder = self.folder / name
        return status_in(folder if folder.exists() else self.clone(name), branch)

    def files(self, ref: str = BRANCH) -> dict[str, bytes]:
        """What the remote has on a branch."""
        plumbing = Plumbing(self.bare)
        found = plumbing.listing(ref)
        data = plumbing.blobs(found.values())
        return {path: data[blob] for path, blob in found.items()}

    def history(self, ref: str = BRANCH) -> list[str]:
        """The messages of the remote's commits, newest first."""
        return git(self.bare, "log", "--format=%s", ref).splitlines()

    def hook(self, text: str) -> None:
        """Let the remote ask this script before it takes anything; an empty one is removed."""
        file = self.bare / "hooks" / "pre-receive"
        if not text:
            file.unlink()
            return
        file.write_text(f"#!/bin/sh\n{text}\n")
        file.chmod(0o755)


def status_in(folder: Path, branch: str = BRANCH, remote: str = "origin") -> BranchStatus:
    plumbing = Plumbing(folder)
    return BranchStatus(plumbing, branch, Remote(plumbing, remote, branch) if remote else None)


def make_hub(folder: Path) -> Hub:
    """A bare remote with a first commit on `main`."""
    made = Hub(folder)
    git(folder, "init", "-q", "--bare", made.bare.name)
    git(made.bare, "symbolic-ref", "HEAD", "refs/heads/main")
    first = made.clone("first")
    git(first, "checkout", "-q", "-b", "main")
    (first / "specrunner.yaml").write_text("apiVersion: specrunner/v1\n")
    git(first, "add", "-A")
    git(first, "commit", "-q", "-m", "specs")
    git(first, "push", "-q", "origin", "main")
    return made


def surroundings(folder: Path) -> Mapping[str, bytes]:
    """All that a person has in a clone: the work tree, the index, HEAD, hooks and settings."""
    ours = {".git", ".specrunner"}
    inside = [path for path in folder.rglob("*") if path.is_file() and not ours & {*path.relative_to(folder).parts}]
    own = [folder / ".git" / name for name in ("index", "HEAD", "config", "FETCH_HEAD", "ORIG_HEAD", "shallow")]
    hooks = [path for path in (folder / ".git" / "hooks").rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): path.read_bytes() for path in (*inside, *own, *hooks) if path.exists()}
