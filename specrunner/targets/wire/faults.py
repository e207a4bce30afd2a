"""Errors on the wire: told by the server with their kind, and raised again as that kind by the client."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import msgspec

from specrunner.core import errors
from specrunner.core.errors import Diagnostic, InvalidSpecs, Place, SpecrunnerError, Transient


class Fault(msgspec.Struct, frozen=True):
    """What went wrong, in words for people; `type` names the kind of error, and never changes.

    `problems` are there where there are several; `retry_after` is seconds, where it may work then.
    """

    type: str
    summary: str
    detail: str = ""
    remedy: str = ""
    place: Place | None = None
    problems: list[Diagnostic] = []
    retry_after: float | None = None


def fault_of(problem: SpecrunnerError) -> Fault:
    """An error as it travels."""
    kind = type(problem)
    known = next((one.__name__ for one in kind.__mro__ if one.__name__ in _KINDS), SpecrunnerError.__name__)
    return Fault(
        kind.__name__ if known == SpecrunnerError.__name__ else known,
        problem.summary,
        problem.detail,
        problem.remedy,
        problem.place,
        list(problem.diagnostics) if isinstance(problem, InvalidSpecs) else [],
        problem.retry_after if isinstance(problem, Transient) else None,
    )


def error_of(fault: Fault) -> SpecrunnerError:
    """The error that was told; a SpecrunnerError where its kind is not known here."""
    if fault.type == InvalidSpecs.__name__:
        return InvalidSpecs(fault.problems)
    kind = _KINDS.get(fault.type, SpecrunnerError)
    if issubclass(kind, Transient):
        return kind(fault.summary, fault.detail, fault.remedy, fault.place, fault.retry_after)
    return kind(fault.summary, fault.detail, fault.remedy, fault.place)


def _tree(kind: type[SpecrunnerError]) -> Iterator[type[SpecrunnerError]]:
    yield kind
    for below in kind.__subclasses__():
        if below.__module__ == errors.__name__:
            yield from _tree(below)


_KINDS: Final = {kind.__name__: kind for kind in _tree(SpecrunnerError)}
