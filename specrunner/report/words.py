"""The signs and words that every face of a plan has in common."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from specrunner.core.fields import Action
from specrunner.core.lifecycle import RunState
from specrunner.core.outcome import RunView
from specrunner.core.plan import Edit, Plan, Step
from specrunner.core.values import format_duration, parse_iso
from specrunner.report.lines import counted

SYMBOLS: Final[Mapping[Action, tuple[str, str]]] = {
    Action.CREATE: ("+", "create"),
    Action.DELETE: ("-", "delete"),
    Action.KILL: ("-", "delete"),
    Action.REPLACE: ("±", "change"),
    Action.RUN: ("▶", "run"),
}
OTHER: Final = ("~", "change")  # the sign of every other action, and its style
EDITS: Final[Mapping[Edit, tuple[str, str]]] = {
    Edit.ADDED: ("+", "create"),
    Edit.CHANGED: ("~", "change"),
    Edit.REMOVED: ("-", "delete"),
}
SOMEBODY_ELSE: Final = "Changed on the target by somebody else:"
_VERBS: Final[Mapping[Action, str]] = {
    Action.CREATE: "to create",
    Action.ADOPT: "to adopt",
    Action.UPDATE: "to update",
    Action.RUN: "to run",
    Action.RESCHEDULE: "to reschedule",
    Action.UPLOAD: "to upload",
    Action.REDEPLOY: "to redeploy",
    Action.REPLACE: "to replace",
    Action.KILL: "to kill",
    Action.DELETE: "to delete",
}
_ALSO: Final[Mapping[Action, str]] = {
    Action.CREATE: "",
    Action.RUN: "",
    Action.DELETE: "",
    Action.REPLACE: "replace: deleted and created anew",
    Action.KILL: "kill: what runs of it is stopped, the object stays",
}
DONE: Final[Mapping[Action, str]] = {
    Action.CREATE: "created",
    Action.ADOPT: "adopted",
    Action.UPLOAD: "new version uploaded",
    Action.REDEPLOY: "new version in force",
    Action.RESCHEDULE: "rescheduled",
    Action.REPLACE: "replaced",
    Action.KILL: "stopped",
    Action.DELETE: "deleted",
}
_DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")  # strftime's would follow the locale
_MOST_NAMES: Final = 10


def symbol_of(step: Step) -> tuple[str, str]:
    """The sign of a step and the style that goes with it."""
    return SYMBOLS.get(step.action, OTHER)


def remarks_of(step: Step) -> list[str]:
    """What stands in brackets behind a step: its action where the sign does not say it, and its former name."""
    also = _ALSO.get(step.action, str(step.action))
    if step.renamed_from is not None:
        # A rename is an update; beside the name itself the word would say nothing.
        also = "" if step.action is Action.UPDATE else also
        return [*filter(None, [also]), f"renamed from {step.renamed_from}"]
    return [also] if also else []


def runs_beside(step: Step) -> bool:
    """Whether the step does something else and starts a run as well."""
    return bool(step.intent) and step.action is not Action.RUN


def plan_summary(plan: Plan) -> str:
    """`Plan: 3 to create, 1 to run; 4 unchanged.`"""
    unchanged = f"{counted(plan.unchanged, 'object')} as declared" if plan.unchanged else ""
    if not plan.steps:
        return f"No changes: {unchanged or 'nothing is declared, nothing is live'}."
    counts = [f"{count} {_VERBS[action]}" for action, count in plan.counts().items()]
    runs = sum(map(runs_beside, plan.work))
    if runs:
        counts.append(f"{counted(runs, 'run')} to start with them")
    if plan.blocked:
        counts.append(f"{len(plan.blocked)} blocked")
    return f"Plan: {'; '.join(filter(None, (', '.join(counts), unchanged)))}."


def restores_text(plan: Plan) -> str:
    """The sentence about what is brought back first; empty where nothing is."""
    count = len(plan.restores)
    if not count:
        return ""
    verb = "is" if count == 1 else "are"
    return f"{counted(count, 'recorded object')} {verb} brought back first, because this target has lost its memory."


def named(things: Sequence[object], most: int = _MOST_NAMES) -> str:
    """`a, b and 3 more`."""
    shown = ", ".join(map(str, things[:most]))
    return f"{shown} and {len(things) - most} more" if len(things) > most else shown


def instants(found: Iterable[str]) -> list[str]:
    """Instants in ISO 8601 as people read them, in UTC; what is none stands as it is."""
    return [_instant(text) for text in found]


def _instant(text: str) -> str:
    try:
        moment = parse_iso(text)
    except ValueError:
        return text
    clock = f"{moment:%H:%M:%S}" if moment.second else f"{moment:%H:%M}"
    return f"{_DAYS[moment.weekday()]} {moment:%Y-%m-%d} {clock}"


def run_words(run: RunView) -> str:
    """The state of a run with its reason: `failure (exit, code 1)`. Where we ended it, the code says nothing."""
    if run.reason is None or run.status in {RunState.KILLED, RunState.LOST, RunState.TIMED_OUT}:
        return str(run.status)
    code = f", code {run.exit_code}" if run.exit_code not in {None, 0} else ""
    return f"{run.status} ({run.reason}{code})"


def took(seconds: float) -> str:
    """` (12s)`, or nothing for what was over at once."""
    return f" ({format_duration(round(seconds, 1))})" if seconds >= 0.1 else ""
