"""Figures of one run, side by side: percentiles and ratios, as lines of text."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

_NAME_WIDTH = 34
_UNUSUAL = frozenset({"SPECRUNNER_NO_CACHE", "PYTHONDONTWRITEBYTECODE"})


def usual_environment() -> dict[str, str]:
    """This process's environment, but for what makes a command slower than an installation is: no bytecode, no cache.

    Compiling every module anew takes longer than most of what is measured.
    """
    return {name: value for name, value in os.environ.items() if name not in _UNUSUAL}


def percentile(values: Sequence[float], part: float) -> float:
    """The value below which `part` (0 to 1) of the values lie, by nearest rank. There must be at least one."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * part))]


def compared(taken: Mapping[str, Sequence[float]], base: str, rows: int = 0) -> Iterator[str]:
    """A line per variant: p50, p90 and p99 of its seconds in milliseconds, and p50 as a multiple of the base's.

    With `rows`, the rows of one request, also rows a second at p50, and these in percent of the base's.
    """
    bare = percentile(taken[base], 0.5)
    for name, seconds in taken.items():
        late = "  ".join(f"p{part} {percentile(seconds, part / 100) * 1e3:8.3f} ms" for part in (50, 90, 99))
        middle = percentile(seconds, 0.5)
        throughput = f"  {rows / middle:>9,.0f} rows/s  {100 * bare / middle:5.1f} %" if rows else ""
        yield f"  {name:<{_NAME_WIDTH}} {late}  x{middle / bare:6.2f}{throughput}"


def stages(moments: Sequence[Mapping[str, float]]) -> Iterator[str]:
    """A line per stage: the p50 of the time since the moment before it, and of the time since the first.

    `moments` has one mapping per round: what was reached, in order, at which second.
    """
    names = [name for name in moments[0] if all(name in found for found in moments)]
    for earlier, later in pairwise(names):
        step = percentile([found[later] - found[earlier] for found in moments], 0.5)
        whole = percentile([found[later] - found[names[0]] for found in moments], 0.5)
        yield f"    {later:<{_NAME_WIDTH}} {step * 1e3:+9.1f} ms  at {whole * 1e3:9.1f} ms"
