"""The journal of an apply: a line before and after each step, so that a process may be killed at any moment.

It is no state: planning from what is live is right without it. It lets the next apply say what had been under way,
use the same idempotency keys for it, and record the apply that could not do so itself. JSON lines, by their `event`:

    apply  the header: which apply, whose, of which plan, since when, by whom
    cut    an earlier apply that was cut off and that nobody has recorded yet
    begin  a step is about to be done; on the disk before anything is done
    end    it has ended; need not outlive a power failure, for then it counts as under way
    over   the apply came to its end

No line holds a value of a spec: keys, actions, fates, digests and ids of runs only.
"""

from __future__ import annotations

import contextlib
import json
import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Final
from urllib.parse import quote

from specrunner.core.errors import SpecrunnerError
from specrunner.core.interrupted import UNDER_WAY, Interrupted, InterruptedStep
from specrunner.core.keys import Key
from specrunner.core.plan import Plan, Step
from specrunner.core.ports import Clock
from specrunner.core.values import JsonObject, digest, iso
from specrunner.reconcile.replay import VERSION, as_json

_LONGEST_CHAIN: Final = 20  # applies cut off one after the other whose records are still to be written
_MOST_DAMAGED: Final = 20  # journals that were moved away; the last one then takes the place of the one before
_LONGEST_NAME: Final = 150  # characters of an environment in the name of a file


def journal_path(folder: Path, environment: str) -> Path:
    """Where the journal of an environment's applies lies in the state folder."""
    name = quote(environment, safe=" ")
    return folder / f"apply-{name if len(name) <= _LONGEST_NAME else digest(environment)[:32]}.journal"


def set_aside(path: Path) -> Path | None:
    """Move a journal away that can't be used; where it lies now, None where it can't be moved."""
    for count in range(1, _MOST_DAMAGED + 1):
        place = path.with_name(f"{path.name}.damaged{'' if count == 1 else f'-{count}'}")
        if not os.path.lexists(place):
            break
    try:
        return path.rename(place)
    except OSError:
        return None


@dataclass(frozen=True, slots=True)
class Header:
    """Which apply it is: its own id, whose, of which plan and commit, since when, by whom."""

    apply: str
    owner: str
    plan: str
    commit: str
    started: datetime
    who: str = ""


def header_of(plan: Plan, clock: Clock, who: str = "") -> Header:
    """The header of an apply of this plan that begins now, under an id that no other apply has."""
    owner = f"{plan.project}/{plan.environment}"
    return Header(os.urandom(16).hex(), owner, plan.hash, plan.commit, clock.now(), who)


def content_of(step: Step) -> str:
    """The digest of what a step is to do; it says whether a step of another plan is the very same order."""
    changes = sorted((change.path, digest([change.old, change.new])) for change in step.changes)
    return digest([step.action, changes, step.intent, step.declared, step.live])


class Journal:
    """Written by one apply, from all of its threads; threads that come at once share one fsync.

    Whoever asks first leads: it syncs all that was written so far, while those who come meanwhile wait for the
    next turn. Every method raises SpecrunnerError where the file can't be written.
    """

    def __init__(self, path: Path, header: Header, interrupted: Interrupted | None) -> None:
        self._path = path
        self._apply = header.apply
        self.started = header.started
        self._inherited = _under_way(interrupted)
        self._file = -1
        self._identity: os.stat_result | None = None
        self._changed = threading.Condition()
        self._written = self._synced = 0
        self._leading = False

    @classmethod
    def begin(cls, path: Path, header: Header, interrupted: Interrupted | None = None) -> Journal:
        """Begin a new journal, in the place of that of an apply that was cut off, which it takes over."""
        journal = cls(path, header, interrupted)
        lines = [{"event": "apply", "version": VERSION, **_header_json(header)}]
        if interrupted is not None:
            lines.append({"event": "cut", "apply": as_json(_shortened(interrupted, _LONGEST_CHAIN))})
        part = path.with_name(f"{path.name}.part")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            journal._file = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o600)
            for line in lines:
                journal._write(line)
            os.fsync(journal._file)
            journal._identity = os.fstat(journal._file)
            part.replace(path)
        except OSError as problem:
            journal.close()
            raise _unwritable(path, problem) from problem
        return journal

    def token(self, step: Step, *, restored: bool = False) -> str:
        """The idempotency key of a step: that of the apply that was cut off in the middle of the very same one."""
        before = self._inherited.get((step.key, restored))
        if before is not None and before.token and before.content == content_of(step):
            return before.token
        return token_of(self._apply, step, restored=restored)

    def began(self, step: Step, *, restored: bool = False) -> str:
        """Write that a step is about to be done; its idempotency key."""
        token = self.token(step, restored=restored)
        line = {"event": "begin", **_what(step.key, restored), "action": str(step.action), "token": token}
        self._append({**line, "content": content_of(step)}, durable=True)
        return token

    def ended(self, step: Step, fate: str, run: str = "", *, restored: bool = False) -> None:
        """Write how a step has ended, with the id of the run that it started."""
        line = {"event": "end", **_what(step.key, restored), "fate": fate}
        self._append(line | ({"run": run} if run else {}), durable=False)

    def over(self) -> None:
        """Write that the apply has come to its end, and keep the file until all is recorded."""
        self._append({"event": "over"}, durable=True)

    def close(self) -> None:
        """Write no more; the file stays, for the next apply to find."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def remove(self) -> None:
        """Everything is done and recorded: the journal has had its use. That of a successor stays."""
        with contextlib.suppress(FileNotFoundError):
            if self._identity is not None and os.path.samestat(self._identity, self._path.lstat()):
                self._path.unlink()
        self.close()

    def _append(self, line: JsonObject, *, durable: bool) -> None:
        try:
            with self._changed:
                self._write(line)
                self._written += 1
                mine = self._written
            if durable:
                self._sync(mine)
        except OSError as problem:
            raise _unwritable(self._path, problem) from problem

    def _write(self, line: JsonObject) -> None:
        """One call for one line, so that lines never mix and only the last one can be torn."""
        data = json.dumps(line, separators=(",", ":")).encode() + b"\n"
        while data:
            data = data[os.write(self._file, data) :]

    def _sync(self, mine: int) -> None:
        """Return when line number `mine` is on the disk."""
        with self._changed:
            while self._leading and self._synced < mine:
                self._changed.wait()
            if self._synced >= mine:
                return
            self._leading, upto = True, self._written
        synced = 0
        try:
            os.fsync(self._file)
            synced = upto
        finally:
            with self._changed:
                self._leading, self._synced = False, max(self._synced, synced)
                self._changed.notify_all()


def _under_way(interrupted: Interrupted | None) -> dict[tuple[Key, bool], InterruptedStep]:
    """The steps that were begun and not ended, by the last apply that knew of each."""
    if interrupted is None:
        return {}
    found = _under_way(interrupted.earlier)
    for step in interrupted.steps:
        found[step.key, step.restored] = step
    return {place: step for place, step in found.items() if step.fate == UNDER_WAY}


def _shortened(interrupted: Interrupted, most: int) -> Interrupted:
    if interrupted.earlier is None:
        return interrupted
    return replace(interrupted, earlier=_shortened(interrupted.earlier, most - 1) if most > 1 else None)


def token_of(apply: str, step: Step, *, restored: bool = False) -> str:
    """The idempotency key of a step of an apply: the same for every try of it."""
    return digest([apply, str(step.key), step.action, restored])


def _header_json(header: Header) -> JsonObject:
    return {
        "apply": header.apply,
        "owner": header.owner,
        "plan": header.plan,
        "commit": header.commit,
        "started": iso(header.started),
        "who": header.who,
    }


def _what(key: Key, restored: bool) -> Mapping[str, str | bool]:
    return {"key": str(key), **({"restored": True} if restored else {})}


def _unwritable(path: Path, problem: OSError) -> SpecrunnerError:
    return SpecrunnerError(
        f"The journal {path} can't be written: {problem.strerror}.",
        detail="Without it nothing is begun, because nobody could tell afterwards what had been under way.",
        remedy="Make room on the disk, or make the folder writable; then `specrunner apply` again.",
    )
