"""What a look at a machine has found: one record per thing that was looked at."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """How well something serves."""

    OK = "ok"  # all that specrunner promises holds
    LIMITED = "limited"  # it works, and something of it less well or not at all
    BAD = "bad"  # something essential is missing: nothing can be applied or run


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at: what was found, what that means for the user, and what to do about it."""

    name: str
    verdict: Verdict
    found: str
    means: str = ""
    remedy: str = ""


def worst(checks: Iterable[Check]) -> Verdict:
    """The gravest verdict of all; `ok` of none."""
    found = {check.verdict for check in checks}
    return next((verdict for verdict in (Verdict.BAD, Verdict.LIMITED) if verdict in found), Verdict.OK)
