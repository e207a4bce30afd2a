"""What checks find, before anybody looks up where it stands in a file.

A finding names the offending value by its trail of keys and indexes. Trails cost nothing, positions do: they are
looked up by `positions` for documents that have findings, and for no others.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from specrunner.core.errors import Place, Severity
from specrunner.core.keys import Kind
from specrunner.spec.mistakes import Mistake

Trail = tuple[str | int, ...]
Reference = tuple[Trail, Kind, str]  # where another object is named, its kind and its name


@dataclass(frozen=True, slots=True)
class Finding:
    """One mistake at `trail`; `at_key` points at the key itself instead of at its value.

    `code` is its kind, one of `Mistake`; a warning stops nothing. Where `hidden`, the line may hold a secret and
    is not shown.
    """

    trail: Trail
    summary: str
    detail: str = ""
    remedy: str = ""
    at_key: bool = False
    related: tuple[Place, ...] = ()
    code: str = ""
    severity: Severity = Severity.ERROR
    hidden: bool = False


# Findings that are told of one document, and wrong documents that are told: thousands are one mistake made thousands
# of times.
MOST: Final = 1000


def told(findings: Sequence[Finding]) -> list[Finding]:
    """The findings; of very many the first thousand, and that there are more."""
    if len(findings) <= MOST:
        return list(findings)
    more = Finding(
        (),
        "this document has more problems than are listed",
        f"The first {MOST:,} are.",
        "Mend those first.",
        code=Mistake.REST_UNREAD,
    )
    return [*findings[:MOST], more]


def not_judged(count: int) -> Finding:
    """That so many documents were not looked at, because so many before them are wrong."""
    return Finding(
        (),
        f"{count:,} documents from here on were not checked",
        f"{MOST:,} documents before them have mistakes.",
        "Mend those first; often it is the same mistake in each.",
        code=Mistake.REST_UNREAD,
    )


def dotted(trail: Trail) -> str:
    """A trail as people write it: `spec.steps[0].model`."""
    text = ""
    for part in trail:
        text += f"[{part}]" if isinstance(part, int) else f".{part}"
    return text.lstrip(".")


def nearest(word: str, words: Iterable[str]) -> str | None:
    """The one of `words` that somebody who wrote `word` most likely meant, or None."""
    known = sorted(set(words))
    folded = {other.casefold(): other for other in known}
    found = difflib.get_close_matches(word.casefold(), folded, n=1, cutoff=0.6)
    return folded[found[0]] if found else None


def listed(words: Iterable[str], limit: int = 20) -> str:
    """Words as a readable list, cut after `limit`."""
    known = list(words)
    rest = f" and {len(known) - limit} more" if len(known) > limit else ""
    return ", ".join(known[:limit]) + rest
