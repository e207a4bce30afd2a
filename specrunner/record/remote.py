"""The branch as another repository has it: asked for, fetched and pushed to; never forced."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from specrunner.core.errors import SpecrunnerError
from specrunner.record.plumbing import Done, Plumbing, without_credentials

AWAY: Final = 60.0  # seconds that a command may take that asks another machine
_ABSENT: Final = 2  # status of `ls-remote --exit-code` where nothing matches
_MOST_WORDS: Final = 12  # lines of what a remote said that are told


class Unpushed(SpecrunnerError):
    """What is recorded here can't be brought to the remote now; it is kept."""


@dataclass(frozen=True, slots=True)
class Remote:
    """A remote of a repository by its name or address, and the branch there."""

    git: Plumbing
    name: str
    branch: str

    @property
    def shown(self) -> str:
        """Its name for people, without credentials."""
        return without_credentials(self.name)

    @property
    def fetched(self) -> str:
        """The ref under which its branch is known here, as of the last look."""
        return f"refs/specrunner/remote/{self.branch}"

    def tip(self) -> str:
        """The commit that the branch there is at, with all that it needs fetched; empty where there is no branch.

        Raises Unpushed where the remote can't be asked.
        """
        asked = self.git.run("ls-remote", "--exit-code", "--", self.name, f"refs/heads/{self.branch}", seconds=AWAY)
        if asked.code == _ABSENT:
            return ""
        if asked.code:
            raise self.unreachable(asked)
        there = asked.text.split("\t")[0]
        return there if self.git.tip(self.fetched) == there else self._fetch()

    def _fetch(self) -> str:
        words = ["fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--no-auto-gc"]
        # A clone with a part of the history stays one; another must not become one.
        words += ["--depth=1"] if self.git.is_shallow else []
        refs = f"+refs/heads/{self.branch}:{self.fetched}"
        done = self.git.run(*words, "--", self.name, refs, seconds=5 * AWAY)
        if done.code:
            raise self.unreachable(done)
        return self.git.tip(self.fetched)

    def push(self, commit: str) -> Done:
        """Ask the remote to move its branch forward to a commit; whether it did, it alone knows if this fails."""
        words = ("push", "--porcelain", "--no-verify", "--quiet")
        return self.git.run(*words, "--", self.name, f"{commit}:refs/heads/{self.branch}", seconds=5 * AWAY)

    def unreachable(self, done: Done) -> Unpushed:
        """The error for a remote that can't be asked."""
        return Unpushed(
            f"The remote {self.shown} can't be asked for the branch {self.branch}.",
            detail=said(done),
            remedy="Look at the network, the address and your rights: "
            f"`git ls-remote {self.shown}` asks the same. `--no-push` records here alone.",
        )

    def refused(self, done: Done) -> Unpushed:
        """The error for a remote that does not take what is pushed."""
        return Unpushed(
            f"The remote {self.shown} does not take what is pushed to its branch {self.branch}.",
            detail=said(done),
            remedy="Whoever records needs the right to push to this branch: on GitHub `permissions: contents: write`, "
            "and no rule that protects it. `specrunner record` pushes what is kept.",
        )


def said(done: Done) -> str:
    """What git and the remote said, as one text of a few lines."""
    lines = [line.removeprefix("remote: ").strip() for line in done.words.splitlines()]
    told = [line for line in lines if line and not line.startswith("hint:")]
    told += [line.rpartition("\t")[2] for line in done.text.splitlines() if line.startswith("!")]  # of `--porcelain`
    return "\n".join(told[-_MOST_WORDS:])
