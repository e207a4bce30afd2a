"""The commands that the loop gives: each is a `specrunner` of its own, in a process of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from specrunner.controller.loop import Result, Verdict

_LONGEST: Final = 2_000  # characters of a command's words that are kept


@dataclass(slots=True)
class CliCommands:
    """Adapter of the loop's `Commands`: each is a `specrunner` of its own, in a process of its own."""

    environment: str | None
    environ: Mapping[str, str]
    _stopped: bool = False
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _process: subprocess.Popen[str] | None = None

    def validate(self, specs: Path) -> Result:
        """`specrunner validate`."""
        code, out, err = self._run(specs, "validate", *self._environment())
        return Result(Verdict.DONE) if code == 0 else Result(Verdict.REFUSED, _words(out, err))

    def apply(self, specs: Path) -> Result:
        """`specrunner apply`, whose runs are not waited for: the host has them in hand."""
        options = ("--yes", "--json", "--no-wait", "--lock-timeout", "60s")
        code, out, err = self._run(specs, "apply", *options, *self._environment())
        outcome = _outcome(out)
        if code == 0:
            return Result(Verdict.DONE)
        if outcome is None or "steps" not in outcome:
            return Result(Verdict.REFUSED, _problems(outcome or {}) or _words(out, err))
        return Result(Verdict.PARTLY, _failures(outcome) or f"apply ended with exit status {code}")

    def stop(self) -> None:
        """SIGTERM for what is under way, and nothing is begun any more."""
        with self._lock:
            self._stopped = True
            if self._process is not None:
                with suppress(ProcessLookupError):
                    self._process.send_signal(signal.SIGTERM)

    def _environment(self) -> tuple[str, ...]:
        return ("-e", self.environment) if self.environment else ()

    def _run(self, specs: Path, *words: str) -> tuple[int, str, str]:
        command = [sys.executable, "-m", "specrunner", "-C", str(specs), *words]
        with self._lock:
            if self._stopped:
                return 130, "", "The controller is leaving."
            process = self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                errors="replace",
                env={**os.environ, **self.environ, "NO_COLOR": "1"},
                start_new_session=True,  # a Ctrl-C at the host's terminal ends it through `stop`, once
            )
        try:
            out, err = process.communicate()
        finally:
            with self._lock:
                self._process = None
        return process.returncode, out, err


def _outcome(text: str) -> dict[str, Any] | None:
    try:
        found = json.loads(text)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _problems(outcome: Mapping[str, Any]) -> str:
    found = outcome.get("problems") or []
    return _shortened("; ".join(str(one.get("summary", "")) for one in found if isinstance(one, dict)))


def _failures(outcome: Mapping[str, Any]) -> str:
    ended = [one for one in outcome["steps"] if one.get("fate") in {"failed", "blocked"}]
    words = [f"{one.get('key')}: {(one.get('problem') or {}).get('summary') or one['fate']}" for one in ended]
    return _shortened("; ".join(filter(None, [*words, _problems(outcome)])))


def _words(out: str, err: str) -> str:
    return _shortened((err.strip() or out.strip()) or "it ended without a word")


def _shortened(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
