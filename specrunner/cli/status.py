"""What is live, as a table."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import click

from specrunner.cli.terminal import say, say_json, table
from specrunner.cli.wiring import directory_option, json_option, open_target
from specrunner.core.keys import Key, Kind
from specrunner.core.outcome import RunView
from specrunner.core.resources import LiveObject
from specrunner.core.values import iso, short_sha
from specrunner.report.as_json import live_json, run_json
from specrunner.report.lines import Line
from specrunner.report.text import run_words
from specrunner.targets.base import SUSPENDED, Target


@click.command()
@directory_option
@json_option
def status(root: Path, as_json: bool) -> None:
    """Show what is live, and how the last run of each task went."""
    with open_target(root, must_exist=True) as target:
        live = {key: _as_it_is(target, found) for key, found in target.read().items()}
        last: dict[Key, RunView] = {}
        for view in target.runs():
            last.setdefault(view.task, view)
    if as_json:
        objects = [live_json(found) for _, found in sorted(live.items())]
        say_json({"objects": objects, "last_runs": [run_json(view) for view in last.values()]})
        return
    if not live:
        say([Line("Nothing is live.")])
        return
    columns = ("kind", "workspace", "name", "state", "last run", "version", "owner")
    table(columns, [_row(found, last.get(key)) for key, found in sorted(live.items())])


def _as_it_is(target: Target, found: LiveObject) -> LiveObject:
    """A service with its state of this moment; what else there is, as it was read."""
    if found.spec.get("service") is None or found.state == SUSPENDED:
        return found
    now = target.service_state(found.key)
    return replace(found, state=str(now)) if now is not None else found


def _last_run(run: RunView) -> str:
    moment = run.ended or run.started
    return f"{run_words(run)}, {iso(moment.replace(microsecond=0))}" if moment else run_words(run)


def _row(found: LiveObject, run: RunView | None) -> tuple[str, ...]:
    key = found.key
    when = _last_run(run) if run else ""
    has_version = key.kind in {Kind.MODEL, Kind.ORCHESTRATION} and found.spec.get("sha")
    version = short_sha(found.spec["sha"]) if has_version else ""
    return (str(key.kind), key.workspace, key.name, found.state, when, version, str(found.owner or "nobody"))
