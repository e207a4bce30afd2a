"""The one exception tree, and the diagnostic that every message to a person is made of.

* SpecrunnerError
    + UsageError           the command was called wrongly (exit 64)
    + InvalidSpecs         the files have problems, all of them listed (exit 1)
    + Refused              a safety rule forbids the change (exit 3)
    + StalePlan            the target or the files are not those of the plan (exit 4)
    + EngineError
        - NotFound         nothing has that name or id
        - Conflict         something already has that name
        - BadInput         what was sent cannot be used: wrong shape, type, column, size
            . TooLarge     it is more than one request may have
        - Unavailable      it exists but cannot serve now (not deployed, still packaging)
        - PackagingFailed  an orchestration cannot be run: bad bundle or uninstallable requirements
        - ModelFailed      a model's own code failed: it raised, died, took too long, or answered what is no answer
        - Busy             somebody else holds the lock
        - Transient        it did not work now and may work soon: no answer, 408, 429, 5xx
        - IllegalTransition  a state was to change in a way that its table does not have
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """How bad a diagnostic is."""

    ERROR = "error"  # nothing is done until it is mended
    WARNING = "warning"  # done all the same


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """A position in a file; lines and columns count from 1, 0 means unknown."""

    file: str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        """`file:line:column`, as far as known."""
        return ":".join([self.file, *(str(n) for n in (self.line, self.line and self.column) if n)])


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One problem, told so that a person can mend it.

    `summary` is a short sentence, `detail` says what was found and why it is wrong, `remedy` what to write or
    type instead, `source` is the offending line as it stands in the file. `code` names the kind of problem and
    never changes, empty where nobody tells kinds apart.
    """

    summary: str
    detail: str = ""
    remedy: str = ""
    place: Place | None = None
    related: tuple[Place, ...] = ()
    severity: Severity = Severity.ERROR
    source: str = ""
    code: str = ""

    @property
    def sort_key(self) -> tuple[str, int, int, str]:
        """Order by file, line and column; problems without a place come first."""
        place = self.place or Place("")
        return (place.file, place.line, place.column, self.summary)


class SpecrunnerError(Exception):
    """Base of every error that a user may see.

    Subclasses set `exit_code`, the status of the process, and `http_status`, what a server answers.
    """

    exit_code = 1
    http_status = 500

    def __init__(self, summary: str, detail: str = "", remedy: str = "", place: Place | None = None) -> None:
        super().__init__(summary)
        self.summary = summary
        self.detail = detail
        self.remedy = remedy
        self.place = place

    @property
    def diagnostics(self) -> tuple[Diagnostic, ...]:
        """The problems to show, at least one."""
        return (Diagnostic(self.summary, self.detail, self.remedy, self.place),)


class UsageError(SpecrunnerError):
    """The command line was wrong."""

    http_status = 400
    exit_code = 64


class InvalidSpecs(SpecrunnerError):
    """The spec files have problems; all of them are in `diagnostics`, sorted by place."""

    http_status = 422

    def __init__(self, problems: Iterable[Diagnostic]) -> None:
        self._problems = tuple(sorted(problems, key=lambda problem: problem.sort_key))
        errors = sum(problem.severity is Severity.ERROR for problem in self._problems)
        super().__init__(f"{errors} problem{'s' if errors != 1 else ''} in the specs")

    @property
    def diagnostics(self) -> tuple[Diagnostic, ...]:
        """Every problem found, in reading order."""
        return self._problems


class Refused(SpecrunnerError):
    """A safety rule forbids the change."""

    http_status = 403
    exit_code = 3


class StalePlan(SpecrunnerError):
    """What was planned is no longer what is there."""

    http_status = 409
    exit_code = 4


class EngineError(SpecrunnerError):
    """Base of what the engine refuses or fails at."""


class NotFound(EngineError):
    """Nothing has that name or id."""

    http_status = 404


class Conflict(EngineError):
    """Something already has that name."""

    http_status = 409


class BadInput(EngineError):
    """What was sent cannot be used."""

    http_status = 400


class TooLarge(BadInput):
    """What was sent is more than one request may have."""

    http_status = 413


class Unavailable(EngineError):
    """It exists, but cannot serve now."""

    http_status = 404


class PackagingFailed(EngineError):
    """The orchestration cannot be packaged; `detail` ends with the builder's last lines."""

    http_status = 422


class ModelFailed(EngineError):
    """A model's own code has failed over a request; `detail` holds its traceback where there is one."""


class Busy(EngineError):
    """Somebody else holds the lock."""

    http_status = 409


class Transient(EngineError):
    """It did not work now and may work soon; nobody knows whether it had an effect.

    `retry_after` is how many seconds the other side asked to wait, None where it did not say.
    """

    http_status = 503

    def __init__(
        self,
        summary: str,
        detail: str = "",
        remedy: str = "",
        place: Place | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(summary, detail, remedy, place)
        self.retry_after = retry_after


class IllegalTransition(EngineError):
    """A state was to change in a way that its table does not have."""

    http_status = 409
