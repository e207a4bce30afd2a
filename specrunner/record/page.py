"""The page that people open: `README.md` of an environment's status."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from specrunner.core.keys import Key, Kind
from specrunner.core.outcome import RunView
from specrunner.core.resources import LiveObject, Owner
from specrunner.core.values import format_duration, iso
from specrunner.record.files import object_path, run_path


def page(owner: Owner, objects: Mapping[Key, LiveObject], runs: Mapping[Key, Sequence[RunView]]) -> bytes:
    """The page in Markdown: the tasks with their last runs, then everything else that is live."""
    lines = [f"# {owner.project}: status of `{owner.environment}`", "", "Written by specrunner; edits are lost.", ""]
    tasks = [key for key in sorted(objects) if key.kind is Kind.TASK]
    if tasks:
        lines += ["## Tasks", "", "| task | workspace | state | last run | ended | took |", "|---|---|---|---|---|---|"]
        lines += [_task(objects[key], runs.get(key, ())) for key in tasks]
        lines.append("")
    others = [key for key in sorted(objects) if key.kind is not Kind.TASK]
    if others:
        lines += ["## Everything else", "", "| kind | workspace | name | state |", "|---|---|---|---|"]
        lines += [_other(objects[key]) for key in others]
        lines.append("")
    return "\n".join(lines).encode()


def _task(found: LiveObject, runs: Sequence[RunView]) -> str:
    link = f"[{_cell(found.key.name)}]({_url(object_path(found.key))})"
    if not runs:
        return f"| {link} | {found.key.workspace} | {found.state} | never | | |"
    last = runs[0]
    ended = iso(last.ended.replace(microsecond=0)) if last.ended else ""
    took = format_duration(round(last.seconds, 1)) if last.seconds is not None else ""
    run = f"[{last.status}]({_url(run_path(last))})"
    return f"| {link} | {found.key.workspace} | {found.state} | {run} | {ended} | {took} |"


def _other(found: LiveObject) -> str:
    link = f"[{_cell(found.key.name)}]({_url(object_path(found.key))})"
    return f"| {found.key.kind} | {found.key.workspace} | {link} | {found.state} |"


def _cell(text: str) -> str:
    return "".join(f"\\{char}" if char in "\\|[]<>*_`" else char for char in text)


def _url(path: str) -> str:
    # The file's own name holds percent signs, which a link must escape once more.
    return path.replace("%", "%25").replace(" ", "%20")
