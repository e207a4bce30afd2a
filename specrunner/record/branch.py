"""Status files on a branch of their own: facts that are replayed, and claims that are not.

Three refs say all: the branch itself holds what is recorded here, `refs/specrunner/base/…` the commit of the remote
upon which that was written, and what lies between is still to be pushed. So nothing is lost while a remote can't be
reached: the next writer brings it along. A push is a fetch, a replay on top, and another try; it never forces.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from filelock import FileLock, Timeout

from specrunner.core.errors import Busy, Diagnostic, Severity, SpecrunnerError
from specrunner.core.ports import Look
from specrunner.record.known import Known
from specrunner.record.merging import news
from specrunner.record.plumbing import NewCommit, Plumbing
from specrunner.record.remote import Remote, Unpushed

_PATIENCE: Final = 120.0  # seconds until a push gives way to others that are always quicker
_REFUSALS: Final = 3  # pushes that fail in a row while nobody else pushes
_LONGEST_PAUSE: Final = 2.0
_LOCKED: Final = 300.0  # seconds that another process in this clone is waited for
_FRESH: Final = 2.0  # seconds for which a look at the remote holds


@dataclass(slots=True)
class BranchStatus:
    """Adapter of the ports `StatusRepository` and `Claims`: a branch, and the remote that shares it where there is one.

    `pause` waits so many seconds. `warnings` are what a person should know of what was read.
    """

    git: Plumbing
    branch: str
    remote: Remote | None = None
    pause: Callable[[float], None] = time.sleep
    warnings: list[Diagnostic] = field(default_factory=list)
    _looked: float = field(default=float("-inf"))
    _known: Known = field(default_factory=Known)

    @property
    def place(self) -> str:
        """What the place of the files is called."""
        return f"branch {self.branch}"

    @property
    def ref(self) -> str:
        """The branch in full."""
        return f"refs/heads/{self.branch}"

    @property
    def base(self) -> str:
        """The ref of the remote's commit upon which the branch stands."""
        return f"refs/specrunner/base/{self.branch}"

    def read(self, prefix: str) -> Mapping[str, bytes]:
        """Every file whose path begins with `prefix`, as the remote has it where it can be asked.

        Where it can't, what is here counts, with a warning; raises Unpushed where nothing is here.
        """
        self._look()
        tip = self.git.tip(self.ref)
        return self._known.files(self.git, tip, prefix) if tip else {}

    def check(self, prefix: str) -> None:
        """Raise SpecrunnerError if nothing can be written to the branch; writes nothing itself."""
        if self.git.run("check-ref-format", self.ref).code:
            raise SpecrunnerError(
                f"No branch can be called {self.branch!r}.",
                remedy="Write `status: {branch: specrunner-status}` in specrunner.yaml.",
            )
        self._check_unused()
        tip = self.git.tip(self.ref)
        top = self.git.must("ls-tree", "--full-tree", tip).text.splitlines() if tip else []
        other = [line.partition("\t")[2] for line in top if " blob " in line and not line.endswith("\tREADME.md")]
        if other:
            raise SpecrunnerError(
                f"The branch {self.branch} holds other things than status: {', '.join(other[:3])}.",
                detail="Nothing was applied: what is done would be recorded in the middle of them.",
                remedy="Name a branch for status alone: `status: {branch: specrunner-status}` in specrunner.yaml.",
            )

    def _check_unused(self) -> None:
        """A branch that is checked out can't be moved: its work tree would no longer be that of its commit."""
        lines = self.git.must("worktree", "list", "--porcelain").text.splitlines()
        if f"branch {self.ref}" in lines:
            where = lines[lines.index(f"branch {self.ref}") - 2].removeprefix("worktree ")
            raise SpecrunnerError(
                f"The branch {self.branch} is checked out in {where}, so that nothing can be recorded on it.",
                detail="It holds status alone; to record moves it, and the files there would no longer be its own.",
                remedy=f"Switch to another branch there; `git show {self.branch}:` looks without a checkout.",
            )

    def write(self, files: Mapping[str, bytes | None], message: str) -> None:
        """Commit these files to the branch here; `push` shares them."""
        self.check("")
        with self._locked():
            for _ in range(_REFUSALS):
                tip = self.git.tip(self.ref)
                there = self.git.at(tip, list(files))
                wanted = {path: data for path, data in files.items() if not self._is_there(data, there.get(path, ""))}
                if not wanted:
                    return
                commit = self._commit(tip, NewCommit(wanted, message))
                if self.git.place({self.ref: (tip, commit)}):
                    return
        raise Busy(f"The branch {self.branch} is moved by somebody else all the time.", remedy="Do it again.")

    def push(self) -> None:
        """Share what is recorded here: fetch, replay on top, push, until the remote has it. Raises Unpushed."""
        if self.remote is None:
            return
        with self._locked():
            self._push(self.remote)

    @property
    def is_shared(self) -> bool:
        """Whether the remote has all that is recorded here, as far as is known."""
        return self.remote is None or self.git.tip(self.ref) == self.git.tip(self.base)

    def claim(self, wanted: Mapping[str, bytes], message: str, free: Callable[[str, Look], bool]) -> frozenset[str]:
        """Have these files be ours and nobody else's; the paths that were won.

        `free` says of a path, on every newer state of the branch, whether it may be taken. A claim counts once the
        remote has it, and is never replayed. Raises Unpushed where that can't be: then nothing is claimed.
        """
        with self._locked():
            tries = _Tries(self.pause)
            while True:
                if self.remote is not None:
                    self._push(self.remote)  # facts first: a claim stands on what everybody knows
                tip = self.git.tip(self.ref)
                look = self._looking(tip)
                ours = {path for path, data in wanted.items() if look(path) == data}  # the answer was lost
                mine = {path: data for path, data in wanted.items() if path not in ours and free(path, look)}
                if not mine:
                    return frozenset(ours)
                if self._claimed(tip, NewCommit(mine, message), tries):
                    return frozenset(ours | mine.keys())

    def _claimed(self, tip: str, claim: NewCommit, tries: _Tries) -> bool:
        commit = self._commit(tip, claim)
        if self.remote is None:
            return self.git.place({self.ref: (tip, commit)})
        done = self.remote.push(commit)
        if done.code == 0:
            self.git.place({self.ref: (tip, commit), self.base: (self.git.tip(self.base), commit)})
            return True
        if not tries.again(moved=self.remote.tip() != tip):
            raise self.remote.refused(done)
        return False

    def _push(self, remote: Remote) -> None:
        tries = _Tries(self.pause)
        there = self._replay(remote)
        while (tip := self.git.tip(self.ref)) != there:
            done = remote.push(tip)
            if done.code == 0:
                self._pushed(remote, tip)
                return
            before, there = there, self._replay(remote)
            if self.git.tip(self.ref) != there and not tries.again(moved=there != before):
                raise remote.refused(done)

    def _replay(self, remote: Remote) -> str:
        """Put what the remote lacks on top of what it has; the commit that it is at."""
        there, here, base = remote.tip(), self.git.tip(self.ref), self.git.tip(self.base)
        self._looked = time.monotonic()
        if not there or there in {here, base}:
            if there and there != base:
                self._pushed(remote, there)
            return there
        top = there
        for commit in self._pending(there, here, base):
            held = self.git.changes(commit)
            left = news(held, self.git.at(top, [one.path for one in held]), lambda blob: self.git.blobs([blob])[blob])
            if left:
                top = self._commit(top, self._again(commit, left))
        if not self.git.place({self.ref: (here, top), self.base: (base, there)}):
            raise Unpushed(f"The branch {self.branch} was moved by somebody else meanwhile.", remedy="Do it again.")
        return there

    def _pending(self, there: str, here: str, base: str) -> list[str]:
        """The commits of ours that are not on the remote, oldest first."""
        if not here:
            return []
        if not base:  # nothing was pushed from here yet
            base = self.git.run("merge-base", there, here).text
        return self.git.must(
            "rev-list", "--reverse", "--first-parent", here, *([f"^{base}"] if base else [])
        ).text.split()

    def _again(self, commit: str, left: Mapping[str, str | None]) -> NewCommit:
        shown = self.git.must("show", "--no-patch", "--format=%an <%ae> %at +0000%n%B", commit).text
        author, _, message = shown.partition("\n")
        return NewCommit(left, message.rstrip("\n"), author)

    def _pushed(self, remote: Remote, commit: str) -> None:
        self.git.place({ref: (self.git.tip(ref), commit) for ref in (self.base, remote.fetched)})

    def _commit(self, parent: str, made: NewCommit) -> str:
        return self.git.commit(parent, [made], int(time.time()))

    def _look(self) -> None:
        if self.remote is None or time.monotonic() - self._looked < _FRESH:
            return
        try:
            with self._locked():
                self._replay(self.remote)
        except Unpushed as problem:
            if not self.git.tip(self.ref):
                raise
            words = f"{problem.summary} What was recorded here last counts."
            self.warnings.append(Diagnostic(words, problem.detail, problem.remedy, severity=Severity.WARNING))

    def _looking(self, tip: str) -> Look:
        def look(path: str) -> bytes | None:
            found = self.git.at(tip, [path])
            return self.git.blobs(found.values())[found[path]] if found else None

        return look

    def _is_there(self, data: bytes | None, blob: str) -> bool:
        return not blob if data is None else bool(blob) and self.git.blob_id(data, blob) == blob

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Alone among the processes that work with this clone; ends with its holder, however that ends."""
        lock = FileLock(self.git.common / "specrunner.lock", timeout=_LOCKED)
        try:
            lock.acquire()
        except (Timeout, OSError) as problem:
            raise SpecrunnerError(
                f"Nothing can be recorded in {self.git.common}: "
                + ("another process works there." if isinstance(problem, Timeout) else f"{problem.strerror}."),
                remedy="Let your user write there, or wait for the other process; then do it again.",
            ) from problem
        try:
            yield
        finally:
            lock.release()


@dataclass(slots=True)
class _Tries:
    """How often a push is tried again: as long as others are quicker, within bounds; seldom where nobody else is."""

    pause: Callable[[float], None]
    _begun: float = field(default_factory=time.monotonic)
    _count: int = 0
    _refused: int = 0

    def again(self, *, moved: bool) -> bool:
        """Whether to try again; if so, a pause has passed."""
        self._count += 1
        self._refused = 0 if moved else self._refused + 1
        if self._refused >= _REFUSALS or time.monotonic() - self._begun > _PATIENCE:
            return False
        longest = min(_LONGEST_PAUSE, 0.05 * 2 ** min(self._count, 6))
        self.pause(random.uniform(0, longest))  # noqa: S311 (nothing is guarded by it)
        return True
