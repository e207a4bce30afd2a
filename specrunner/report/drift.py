"""Drift in Markdown: what somebody else has changed on the target, for an issue or a job's summary."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from specrunner.core.diff import FieldChange
from specrunner.core.keys import Key
from specrunner.core.resources import Owner
from specrunner.core.textdiff import shown
from specrunner.report.comments import Comment, Part, folded
from specrunner.report.escaping import code, fenced
from specrunner.report.lines import counted
from specrunner.report.markdown import entry_lines

DRIFT_HEADER: Final = "specrunner-drift"


def drift_markdown(owner: Owner, found: Mapping[Key, Sequence[FieldChange]], missing: Iterable[Key] = ()) -> str:
    """What differs from what was applied, shorter than 65,536 characters; its first line is JSON for machines."""
    gone = sorted(set(missing))
    changed = {key: changes for key, changes in sorted(found.items()) if changes and key not in gone}
    return Comment(
        name=DRIFT_HEADER,
        header={"version": 1, "project": owner.project, "environment": owner.environment},
        head=[
            f"### Drift in {code(owner.project)}, environment {code(owner.environment)}",
            "",
            _sum(changed, gone),
            "",
        ],
        columns="| | object | what was found |\n|---|---|---|",
        parts=[
            *_changed(changed),
            *(Part(f"| - | {code(str(key))} | is not on the target any more |") for key in gone),
        ],
        notices=[
            "",
            "Applying puts back what is declared; to keep what was changed, write it into the files.",
        ],
        cut="`specrunner plan --drift` shows all of it.",
    ).text()


def _sum(changed: Mapping[Key, object], gone: Sequence[Key]) -> str:
    if not changed and not gone:
        return "**No drift: what is live is what was applied.**"
    counts = [f"{counted(len(changed), 'object')} changed"] if changed else []
    counts += [f"{counted(len(gone), 'object')} gone"] if gone else []
    return f"**Somebody else has changed what is live: {', '.join(counts)}.**"


def _changed(changed: Mapping[Key, Sequence[FieldChange]]) -> Iterator[Part]:
    for key, changes in changed.items():
        fields = ", ".join(code(change.path) for change in changes)
        entries = ((change, shown(change.old, change.live), "") for change in changes)
        yield Part(
            f"| ~ | {code(str(key))} | {fields} |", folded(f"~ {code(str(key))}", fenced(entry_lines(entries), "diff"))
        )
