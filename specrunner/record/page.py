"""The page that people open: `README.md` of an environment's status, made from the status files beside it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from specrunner.core.keys import Key, Kind
from specrunner.core.resources import Owner
from specrunner.core.values import format_duration
from specrunner.record.badges import WHOLE, badge_path
from specrunner.record.files import object_path, run_name, runs_folder
from specrunner.record.followed import CONTROLLER, Followed
from specrunner.record.summary import LastRun, header_of, last_run, next_run

PAGE = "README.md"
_SHOWN: Final = 12  # digits of a commit
_LONGEST: Final = 200  # characters of what stands against one


@dataclass(frozen=True, slots=True)
class Row:
    """One object as the page tells of it."""

    key: Key
    state: str
    last: LastRun | None = None
    next: str = ""


def row_of(data: bytes, owner: Owner) -> Row | None:
    """The row of a status file; None for one of another owner, and for one that can't be read."""
    head = header_of(data)
    try:
        key = Key.parse(head["key"])
    except (KeyError, ValueError):
        return None
    if head.get("owner") != str(owner):
        return None
    is_task = key.kind is Kind.TASK
    return Row(key, head.get("state", ""), last_run(data) if is_task else None, next_run(data) if is_task else "")


def page(owner: Owner, rows: Mapping[Key, Row], applies: str = "", followed: Followed | None = None) -> bytes:
    """The page in Markdown: the tasks with their last and next runs, then everything else that is live.

    `applies` is the path of the last apply's record, `followed` what a controller has told.
    """
    lines = [f"# {owner.project}: status of `{owner.environment}`", ""]
    tasks = [rows[key] for key in sorted(rows) if key.kind is Kind.TASK]
    lines += [f"![all tasks]({WHOLE})", ""] if tasks else []
    lines += ["Written by specrunner; edits are lost." + (f" [The last apply]({applies})." if applies else ""), ""]
    lines += [_followed(followed), ""] if followed is not None else []
    if tasks:
        head = "| task | workspace | state | last run | ended | took | next run |"
        lines += ["## Tasks", "", head, "|---|---|---|---|---|---|---|", *map(_task, tasks), ""]
    others = [rows[key] for key in sorted(rows) if key.kind is not Kind.TASK]
    if others:
        lines += ["## Everything else", "", "| kind | workspace | name | state |", "|---|---|---|---|"]
        lines += [*map(_other, others), ""]
    return "\n".join(lines).encode()


def _followed(followed: Followed) -> str:
    words = f"Follows the branch `{followed.branch}`; "
    words += f"commit `{followed.live[:_SHOWN]}` is live." if followed.live else "nothing of it is live yet."
    if followed.unhealed:
        words += f" **What is live can't be kept as it declares** ([why]({CONTROLLER})): {_first(followed.unhealed)}"
    if not followed.problem:
        return words
    first = _first(followed.problem)
    what = "was applied in part" if followed.standing == "partly" else "was refused"
    return f"{words} **Commit `{followed.seen[:_SHOWN]}` {what}** ([why]({CONTROLLER})): {first}"


def _first(text: str) -> str:
    return _cell(text.strip().partition("\n")[0][:_LONGEST])


def _task(row: Row) -> str:
    key, following = row.key, _minute(row.next)
    link = f"[{_cell(key.name)}]({_url(object_path(key))})"
    if row.last is None:
        return f"| {link} | {key.workspace} | {row.state} | never | | | {following} |"
    record = f"{runs_folder(key)}{_file_name(row.last)}"
    picture = f"[![{row.last.status}]({_url(badge_path(key))})]({_url(record)})"
    took = format_duration(round(row.last.seconds, 1)) if row.last.seconds is not None else ""
    return f"| {link} | {key.workspace} | {row.state} | {picture} | {_second(row.last.ended)} | {took} | {following} |"


def _file_name(last: LastRun) -> str:
    """As `run_name` gives it; the instant is a text already."""
    plain = last.scheduled[:19].replace("-", "").replace(":", "")
    return f"{plain}Z.yaml" if plain else run_name(last.id, None)


def _other(row: Row) -> str:
    link = f"[{_cell(row.key.name)}]({_url(object_path(row.key))})"
    return f"| {row.key.kind} | {row.key.workspace} | {link} | {row.state} |"


def _second(instant: str) -> str:
    return f"{instant[:19]}Z" if instant else ""


def _minute(instant: str) -> str:
    return f"{instant[:16].replace('T', ' ')} UTC" if instant else ""


def _cell(text: str) -> str:
    return "".join(f"\\{char}" if char in "\\|[]<>*_`" else char for char in text)


def _url(path: str) -> str:
    # The file's own name holds percent signs, which a link must escape once more.
    return path.replace("%", "%25").replace(" ", "%20")
