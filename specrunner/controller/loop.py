"""The loop: which commit is to be live, and having it applied, again and again.

The newest commit of the branch is to be live where its specs are valid; else, and where applying it is refused as a
whole, the last good one stays, and what somebody else changed on the target is healed to that.
"""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import Final, Protocol

from specrunner.controller import memory
from specrunner.controller.memory import Memory
from specrunner.controller.mirror import Mirror
from specrunner.core.errors import SpecrunnerError
from specrunner.core.ports import Clock
from specrunner.core.values import iso

_logger = logging.getLogger(__name__)

_LONGEST: Final = 900.0  # seconds between two tries of what keeps failing


class Verdict(StrEnum):
    """What became of a command; `REFUSED`: nothing was begun; `PARTLY`: it was, and not all of it came to be."""

    DONE = "done"
    PARTLY = "partly"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Result:
    """What a command said: `words` are for people, and empty where all is well."""

    verdict: Verdict
    words: str = ""


class Commands(Protocol):
    """What the loop has done by others; each blocks until it is through, and raises nothing but faults of ours."""

    def validate(self, specs: Path) -> Result:
        """Judge the specs of a commit as a whole."""

    def apply(self, specs: Path) -> Result:
        """Make the target as they declare, and record it."""

    def stop(self) -> None:
        """End what is under way, gently; may be called from any thread."""


@dataclass(slots=True)
class Controller:
    """Follows one branch. `run` blocks until `leave`; `hurry` has it look now. Both may be called from any thread."""

    mirror: Mirror
    commands: Commands
    clock: Clock
    interval: float
    _leaving: threading.Event = field(default_factory=threading.Event)
    _news: threading.Event = field(default_factory=threading.Event)
    _warned: str = ""  # what was said last of a remote that can't be reached: said once
    _kept: set[str] = field(default_factory=set)  # the commits of the last look
    _not_before: float = 0.0  # on the monotonic clock: when what has failed is tried again

    def run(self) -> None:
        """Look, and look again at each interval, or when it is hurried."""
        while not self._leaving.is_set():
            self._news.clear()
            try:
                self.step()
            except SpecrunnerError as problem:
                self._warn(f"action=follow {_words(problem)}")
            except Exception:
                _logger.exception("action=follow it will be tried again")
            self._news.wait(self.interval)

    def hurry(self) -> None:
        """The branch may have news."""
        self._news.set()

    def specs(self) -> Path | None:
        """The folder of the specs that were applied last, or are being applied first; None where there are none yet.

        Raises SpecrunnerError.
        """
        known = memory.load(self.mirror.folder)
        commit = known.good or (known.seen if known.valid else "")
        return self.mirror.specs_at(commit) if commit else None

    def leave(self) -> None:
        """Have `run` return soon."""
        self._leaving.set()
        self._news.set()
        self.commands.stop()

    def step(self) -> Memory:
        """One look at the branch, and what follows from it; what is known then. Raises SpecrunnerError."""
        known = self._looked(memory.load(self.mirror.folder))
        if known.valid and (not known.failures or self.clock.monotonic() >= self._not_before):
            known = self._applied(known)
        if known.good and not (known.valid and known.good == known.seen):
            known = self._healed(known)
        self._keep(known)
        return known

    def _keep(self, known: Memory) -> None:
        """Have the work trees of what is known, and those of the look before: somebody may be reading there yet."""
        wanted = {known.seen, known.good}
        self.mirror.keep(wanted | self._kept)
        self._kept = wanted

    def _looked(self, known: Memory) -> Memory:
        """What is known once the branch was looked at; a remote that can't be reached changes nothing live."""
        remote = self.mirror.remote
        known = replace(known, repository=remote.url, branch=remote.branch)
        try:
            commit = self.mirror.fetch()
        except SpecrunnerError as problem:
            since = known.unreachable_since or self._now()
            known = self._saved(replace(known, unreachable=_words(problem), unreachable_since=since))
            if not known.good:
                raise
            self._warn(f"action=fetch {_words(problem)}; commit {known.good[:12]} stays")
            return known
        self._warned = ""
        known = self._saved(replace(known, looked=self._now(), unreachable="", unreachable_since=""))
        return known if commit == known.seen else self._judged(known, commit)

    def _judged(self, known: Memory, commit: str) -> Memory:
        try:
            found = self.commands.validate(self.mirror.specs_at(commit))
        except SpecrunnerError as problem:
            found = Result(Verdict.REFUSED, _words(problem))
        valid = found.verdict is Verdict.DONE
        _logger.info("action=judge commit=%s valid=%s", commit[:12], str(valid).lower())
        if not valid and self._leaving.is_set():
            return known  # it was cut off, which says nothing about it
        return self._saved(self._told(replace(known, seen=commit, valid=valid, failures=0), found.words))

    def _applied(self, known: Memory) -> Memory:
        found = self.commands.apply(self.mirror.specs_at(known.seen))
        if self._leaving.is_set() and found.verdict is not Verdict.DONE:
            return known  # it was cut off, which says nothing about it
        if found.verdict is Verdict.DONE:
            if known.good != known.seen or known.problem:
                _logger.info("action=apply commit=%s it is live", known.seen[:12])
            return self._saved(self._told(self._standing(replace(known, good=known.seen, failures=0), ""), ""))
        _logger.warning("action=apply commit=%s verdict=%s %s", known.seen[:12], found.verdict, found.words)
        good = known.seen if found.verdict is Verdict.PARTLY else known.good
        self._not_before = self.clock.monotonic() + self._patience(known.failures)
        return self._saved(self._told(replace(known, good=good, failures=known.failures + 1), found.words))

    def _healed(self, known: Memory) -> Memory:
        """Whatever somebody else changed is put as the last good commit declares it; what is known then."""
        found = self.commands.apply(self.mirror.specs_at(known.good))
        if found.verdict is not Verdict.DONE and self._leaving.is_set():
            return known
        if found.words != known.unhealed and found.verdict is not Verdict.DONE:
            _logger.warning("action=heal commit=%s verdict=%s %s", known.good[:12], found.verdict, found.words)
        return self._saved(self._standing(known, "" if found.verdict is Verdict.DONE else found.words))

    def _standing(self, known: Memory, unhealed: str) -> Memory:
        """With that word of what can't be healed, which is since now unless it can't for some time already."""
        since = known.unhealed_since or self._now()
        return replace(known, unhealed=unhealed, unhealed_since=since if unhealed else "")

    def _told(self, known: Memory, problem: str) -> Memory:
        """With that problem, which is since now unless it stood there already."""
        if problem == known.problem:
            return known
        return replace(known, problem=problem, since=self._now() if problem else "")

    def _warn(self, words: str) -> None:
        if words != self._warned:
            _logger.warning("%s", words)
        self._warned = words

    def _now(self) -> str:
        return iso(self.clock.now().replace(microsecond=0))

    def _saved(self, known: Memory) -> Memory:
        memory.save(self.mirror.folder, known)
        return known

    def _patience(self, failures: int) -> float:
        """Seconds until what has failed so often is tried again; a new commit is tried at once."""
        return min(self.interval * 2.0 ** min(failures, 10), max(self.interval, _LONGEST))


def _words(problem: SpecrunnerError) -> str:
    return " ".join(filter(None, (f"{one.summary} {one.detail}".strip() for one in problem.diagnostics)))
