"""The notifications that a project declares."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from specrunner.core.notifications import FIELDS, Notification, Occasion, unknown_fields
from specrunner.core.values import JsonObject
from specrunner.spec.findings import Finding, Trail, listed
from specrunner.spec.mistakes import Mistake
from specrunner.spec.variables import Variables, substitute

_TRAIL: Final[Trail] = ("spec", "notifications")


def read_notifications(
    declared: Sequence[JsonObject], variables: Variables
) -> tuple[tuple[Notification, ...], list[Finding]]:
    """The notifications with their variables replaced, and what is wrong with them beyond their form."""
    value, findings = substitute(list(declared), variables, _TRAIL)
    findings += _twice(declared)
    findings += (finding for number, one in enumerate(declared) for finding in _unknown(number, one))
    return tuple(map(_notification, value)), findings


def _notification(declared: dict[str, Any]) -> Notification:
    return Notification(
        name=declared["name"],
        url=declared.get("url", ""),
        url_from=declared.get("urlFrom", {}),
        on=frozenset(Occasion(name) for name in declared["on"]),
        template=declared["template"],
    )


def _twice(declared: Sequence[JsonObject]) -> Iterator[Finding]:
    seen: set[str] = set()
    for number, one in enumerate(declared):
        if one["name"] in seen:
            yield Finding(
                (*_TRAIL, number, "name"),
                f"there are two notifications {one['name']!r}",
                "Messages about them go by their names.",
                "Give one of them another name.",
                code=Mistake.REPEATED_ITEM,
            )
        seen.add(one["name"])


def _unknown(number: int, one: JsonObject) -> Iterator[Finding]:
    if isinstance(one["template"], str):
        return
    for name in unknown_fields(one["template"]):
        yield Finding(
            (*_TRAIL, number, "template"),
            f"news has no field {name!r}",
            f"A text of a template may hold, in braces, {listed(FIELDS)}.",
            "Use one of these, or leave the braces out.",
            at_key=True,
            code=Mistake.BAD_VALUE,
        )
