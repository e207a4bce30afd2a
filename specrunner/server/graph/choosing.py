"""`where:` arguments: which records of the engine fit one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from specrunner.core.errors import BadInput
from specrunner.core.values import parse_iso

Where = Mapping[str, Any]
Test = Callable[[Any], bool]


def fits(where: Where | None, tests: Mapping[str, Test]) -> bool:
    """Whether everything that `where` says holds; `tests` has one for each of its fields.

    What is null is not said.
    """
    for name, said in (where or {}).items():
        if said is None:
            continue
        holds = all(fits(part, tests) for part in said) if name == "_and" else tests[name](said)
        if not holds:
            return False
    return True


def equal_to(value: Any) -> Test:
    """A test of `{_eq: ...}` on a value; a number may come as text."""
    return lambda said: said.get("_eq") is None or str(said["_eq"]) == str(value)


def is_(value: bool) -> Test:
    """A test of `{_eq: ...}` on a truth."""
    return lambda said: said.get("_eq") is None or bool(said["_eq"]) is value


def between(value: datetime) -> Test:
    """A test of `{_gte, _lte, _eq}` on an instant."""

    def holds(said: Where) -> bool:
        limits = {name: _instant(text) for name, text in said.items() if text is not None}
        return limits.get("_gte", value) <= value <= limits.get("_lte", value) and limits.get("_eq", value) == value

    return holds


def within(tests: Mapping[str, Test]) -> Test:
    """A test of a `where` in a `where`."""
    return lambda said: fits(said, tests)


def wanted_id(where: Where, name: str) -> Any:
    """The one value that `where` asks for under a name, at whatever depth of `_and`. Raises BadInput without."""
    for part in [where, *(where.get("_and") or ())]:
        said = part.get(name)
        if said and said.get("_eq") is not None:
            return said["_eq"]
    raise BadInput(f"`where` must say which {name}.")


def _instant(text: Any) -> datetime:
    try:
        return parse_iso(str(text).replace(" ", "T"))
    except ValueError as problem:
        raise BadInput(f"{str(text)[:50]!r} is no instant.") from problem
