"""A clone of the repository that is followed, and a work tree for each commit that is wanted.

Nothing here is anybody's work: the clone is bare and ours, work trees are made anew when they are not as committed.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from specrunner.core.errors import SpecrunnerError, Transient

_SECONDS: Final = 120.0  # that a call of git may take
_NO_BRANCH: Final = "couldn't find remote ref"
_LONGEST: Final = 600  # characters of git's own words that are told


@dataclass(frozen=True, slots=True)
class Remote:
    """What is followed. `environ` lets git in: it is given to git alone, and never printed."""

    url: str
    branch: str
    environ: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Mirror:
    """The clone in `folder`; `state` is the state folder that every work tree shares, `inside` where the specs are."""

    folder: Path
    remote: Remote
    state: Path
    inside: str = "."

    def fetch(self) -> str:
        """The commit that the branch is at now.

        Raises Transient where the remote can't be reached, SpecrunnerError where it has no such branch.
        """
        self._begin()
        source = f"refs/heads/{self.remote.branch}"
        # Under its usual name, so that whoever works in a work tree finds the branch of its remote there.
        goal = f"refs/remotes/origin/{self.remote.branch}"
        done = self._git("fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "origin", f"+{source}:{goal}")
        if done.returncode:
            raise self._unreachable(done.stderr)
        return self._must("rev-parse", "--verify", "--end-of-options", f"{goal}^{{commit}}")

    def specs_at(self, commit: str) -> Path:
        """The folder of the specs as of a commit that was fetched. Raises SpecrunnerError where they are not there."""
        tree = self._trees / commit
        if not self._is_whole(tree, commit):
            self._remove(tree)
            self._must("worktree", "add", "--quiet", "--detach", "--force", str(tree), commit)
        specs = tree / self.inside
        if not specs.is_dir():
            raise SpecrunnerError(
                f"At commit {commit[:12]} there is no folder {self.inside!r}.",
                remedy="Name the folder of the specs with --path, as it is called in the repository.",
            )
        if not os.path.lexists(specs / self.state.name):
            (specs / self.state.name).symlink_to(self.state, target_is_directory=True)
        return specs

    def knows(self, commit: str) -> bool:
        """Whether a commit is here."""
        return self._git("cat-file", "-e", f"{commit}^{{commit}}").returncode == 0

    def keep(self, commits: Collection[str]) -> None:
        """Remove the work trees of all other commits."""
        for tree in self._trees.iterdir() if self._trees.is_dir() else ():
            if tree.name not in commits:
                self._remove(tree)

    @property
    def _bare(self) -> Path:
        return self.folder / "mirror.git"

    @property
    def _trees(self) -> Path:
        return self.folder / "revisions"

    def _begin(self) -> None:
        if not (self._bare / "HEAD").is_file():
            self.folder.mkdir(parents=True, exist_ok=True)
            shutil.rmtree(self._bare, ignore_errors=True)
            part = self.folder / f"mirror-{os.getpid()}"
            shutil.rmtree(part, ignore_errors=True)
            # Without a template, no hook of the machine gets in.
            words = ("--quiet", "--bare", "--template=", f"--object-format={self._format()}")
            _checked(self._run(["git", "init", *words, str(part)], self.folder))
            part.replace(self._bare)
        self._must("config", "remote.origin.url", self.remote.url)

    def _format(self) -> str:
        """How the remote makes its ids, which the clone must do too. Raises as `fetch` does."""
        asked = self._run(["git", "ls-remote", "--", self.remote.url, f"refs/heads/{self.remote.branch}"], self.folder)
        if asked.returncode or not asked.stdout:
            raise self._unreachable(asked.stderr if asked.returncode else _NO_BRANCH)
        return "sha256" if len(asked.stdout.partition("\t")[0]) == 64 else "sha1"

    def _is_whole(self, tree: Path, commit: str) -> bool:
        if not (tree / ".git").is_file():
            return False
        at = self._run(["git", "rev-parse", "HEAD"], tree)
        status = self._run(["git", "status", "--porcelain", "--untracked-files=no"], tree)
        return at.stdout.strip() == commit and status.returncode == 0 and not status.stdout

    def _remove(self, tree: Path) -> None:
        shutil.rmtree(tree, ignore_errors=True)
        self._git("worktree", "prune")

    def _git(self, *words: str) -> subprocess.CompletedProcess[str]:
        return self._run(["git", *words], self._bare)

    def _must(self, *words: str) -> str:
        return _checked(self._git(*words))

    def _run(self, command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
        # Nobody is there to be asked for a password, and no editor or pager belongs here.
        environ = {**os.environ, **self.remote.environ, "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}
        try:
            return subprocess.run(
                command, cwd=folder, env=environ, capture_output=True, text=True, timeout=_SECONDS, check=False
            )
        except subprocess.TimeoutExpired:
            return subprocess.CompletedProcess(command, 1, "", f"no answer within {_SECONDS:.0f} s")
        except OSError as problem:
            raise SpecrunnerError(
                f"Git can't be started: {problem.strerror}.", remedy="Install git, and see that it is on the PATH."
            ) from problem

    def _unreachable(self, words: str) -> SpecrunnerError:
        if _NO_BRANCH in words:
            return SpecrunnerError(
                f"{self.remote.url} has no branch {self.remote.branch!r}.",
                remedy="Name the branch with --branch; `git ls-remote --heads URL` lists those that are there.",
            )
        return Transient(
            f"{self.remote.url} can't be fetched.",
            detail=_shortened(words),
            remedy="See that the address is right and that this machine may read it; it is tried again.",
        )


def _checked(done: subprocess.CompletedProcess[str]) -> str:
    if done.returncode:
        words = " ".join(str(word) for word in done.args[1:3])
        raise SpecrunnerError(
            f"`git {words}` failed in the controller's clone.",
            detail=_shortened(done.stderr),
            remedy="Remove `.specrunner/controller`; it is made anew.",
        )
    return done.stdout.strip()


def _shortened(words: str) -> str:
    text = words.strip()
    return text if len(text) <= _LONGEST else f"…{text[-_LONGEST:]}"
