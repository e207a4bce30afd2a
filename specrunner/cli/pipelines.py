"""pipeline: a look at pipelines, their deployments and their logs of inferences."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from specrunner.cli.backfilling import instant
from specrunner.cli.rows import TABLE, output_options, printing, show
from specrunner.cli.terminal import say, say_json, table
from specrunner.cli.wiring import directory_option, find_key, json_option, open_target
from specrunner.core.errors import SpecrunnerError
from specrunner.core.keys import Key, Kind
from specrunner.core.values import Json, iso
from specrunner.report.lines import Line, counted

if TYPE_CHECKING:
    from specrunner.targets.serving import PipelineView, Serving, Span, VersionView

_Command = TypeVar("_Command", bound=Callable[..., Any])

# The seeds' words of why a page of the log is not all there is.
_MORE = {
    "RecordLimited": "There are more rows: ask for them with --limit.",
    "ByteLimited": "Pipeline log size limit exceeded: a page has 1 MiB at most.",
    "SchemaChange": "The columns of the log changed here: ask for the other rows by their time.",
}


@click.group()
def pipeline() -> None:
    """Look at pipelines, deploy them by hand, and read their logs of inferences."""


@contextmanager
def _serving(root: Path) -> Iterator[Serving]:
    """The target, if it is one that serves. Raises SpecrunnerError for another."""
    from specrunner.targets.serving import Serving

    with open_target(root, must_exist=True) as target:
        if not isinstance(target, Serving):
            raise SpecrunnerError(
                f"The target {target.name!r} does not tell of its pipelines here.",
                remedy="Ask that platform's own tools.",
            )
        yield target


def _found(target: Any, asked: str) -> Key:
    return find_key(target, Kind.PIPELINE, asked)


@pipeline.command("list")
@directory_option
@json_option
def list_(root: Path, as_json: bool) -> None:
    """List the pipelines: what they run, who keeps them up, and how many rows they have answered."""
    with _serving(root) as target:
        views = target.pipelines()
    if as_json:
        say_json([_view_json(view) for view in views])
    elif not views:
        say([Line("There is no pipeline yet. Declare one and run `specrunner apply`.")])
    else:
        columns = ("pipeline", "state", "held by", "steps", "versions", "rows logged")
        table(columns, [_row(view) for view in views])


def _row(view: PipelineView) -> tuple[str, ...]:
    holders, versions = ", ".join(view.holders), str(len(view.versions))
    return (_name(view.key), _state(view), holders, _steps(view.current), versions, f"{view.logged:,}")


@pipeline.command("show")
@click.argument("name", metavar="PIPELINE")
@directory_option
@json_option
def show_(root: Path, name: str, as_json: bool) -> None:
    """Show one pipeline: its steps, its versions, and who keeps it up."""
    with _serving(root) as target:
        view = _one(target, _found(target, name))
    if as_json:
        say_json(_view_json(view))
        return
    say(
        [
            Line(_name(view.key), "bold"),
            Line(f"  state     {_state(view)}"),
            Line(f"  held by   {', '.join(view.holders) or 'nobody'}"),
            Line(f"  steps     {_steps(view.current) or 'none'}"),
            Line(f"  version   {view.current.version if view.current else 'none'}"),
            Line(f"  versions  {len(view.versions)}"),
            Line(f"  logged    {counted(view.logged, 'row')}"),
        ]
    )


@pipeline.command()
@click.argument("name", metavar="PIPELINE")
@directory_option
@json_option
def versions(root: Path, name: str, as_json: bool) -> None:
    """List the versions of a pipeline, newest first."""
    with _serving(root) as target:
        view = _one(target, _found(target, name))
    if as_json:
        say_json([_version_json(version) for version in view.versions])
        return
    rows = [
        (
            version.version,
            f"{iso(version.created)[:19]}Z",
            _steps(version) or "(empty)",
            "deployed" if version.in_force else "",
        )
        for version in view.versions
    ]
    table(("version", "made", "steps", ""), rows)


@pipeline.command()
@click.argument("name", metavar="PIPELINE")
@click.option("--version", "asked", metavar="VERSION", help="The version to deploy; default: the newest with steps.")
@directory_option
def deploy(root: Path, name: str, asked: str | None) -> None:
    """Keep a pipeline up, until you undeploy it, whatever specs and runs do."""
    with _serving(root) as target:
        view = target.deploy(_found(target, name), asked)
    version = view.current.version if view.current else ""
    say([Line(f"{_name(view.key)} is deployed, version {version}. Held by {', '.join(view.holders)}.")])


@pipeline.command()
@click.argument("name", metavar="PIPELINE")
@click.option("--force", is_flag=True, help="Also what the specs hold; the next plan shows that as drift.")
@directory_option
def undeploy(root: Path, name: str, force: bool) -> None:
    """Give back your hold of a pipeline; it stops when nobody holds it any more."""
    with _serving(root) as target:
        view = target.undeploy(_found(target, name), force=force)
    if not view.holders:
        say([Line(f"{_name(view.key)} is undeployed.")])
        return
    say([Line(f"{_name(view.key)} is undeployed for you; it stays up for {', '.join(view.holders)}.")])
    if "spec" in view.holders:
        say([Line("→ With --force the hold of the specs goes too.", "remedy")])


def _span_options(command: _Command) -> _Command:
    command = click.option("--to", "end", metavar="INSTANT", type=instant, help="Up to this moment; in UTC.")(command)
    return click.option("--from", "start", metavar="INSTANT", type=instant, help="From this moment on; in UTC.")(
        command
    )


@pipeline.command()
@click.argument("name", metavar="PIPELINE")
@click.option("--limit", type=click.IntRange(1), help="Rows at most; default: 100, without a limit for a span of time.")
@_span_options
@output_options
@directory_option
def logs(
    root: Path, name: str, limit: int | None, start: datetime | None, end: datetime | None, output: str, as_json: bool
) -> None:
    """Show what a pipeline was asked and has answered: the newest row first, or a span of time from its beginning."""
    output = "json" if as_json else output
    with _serving(root) as target:
        found = target.logged(_found(target, name), limit, _span(start, end))
    if output == TABLE:
        show(found.rows, found.rows.num_rows)
    else:
        with printing(output) as write:
            write(found.rows)
    if found.more:
        words = _MORE.get(found.more, "There are more rows.")
        say(
            [
                Line(f"Warning: {words}", "warning"),
                Line(f"→ All of them: `specrunner pipeline export {name} rows.parquet`.", "remedy"),
            ],
            stderr=True,
        )


@pipeline.command()
@click.argument("name", metavar="PIPELINE")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@_span_options
@directory_option
def export(root: Path, name: str, file: Path, start: datetime | None, end: datetime | None) -> None:
    """Write the log of a pipeline, or a span of it, to FILE: .arrow, .parquet or .csv."""
    with _serving(root) as target:
        rows = target.export(_found(target, name), file, _span(start, end))
    say([Line(f"{counted(rows, 'row')}: {file}")])


def _span(start: datetime | None, end: datetime | None) -> Span:
    from specrunner.targets.serving import Span

    return Span(start, end)


def _one(target: Serving, key: Key) -> PipelineView:
    return next(view for view in target.pipelines() if view.key == key)


def _name(key: Key) -> str:
    return f"{key.workspace}/{key.name}"


def _state(view: PipelineView) -> str:
    return "running" if view.holders else "undeployed"


def _steps(version: VersionView | None) -> str:
    return " → ".join(_step(step) for step in version.steps) if version is not None else ""


def _step(step: Any) -> str:
    if "split" in step:
        by = f" by {step['by']}" if step.get("by") else ""
        arms = ", ".join(f"{arm['model']} {arm['weight']}" for arm in step["split"])
        return f"split({arms}{by})"
    beside = f" (shadows {', '.join(step['shadow'])})" if step.get("shadow") else ""
    return f"{step['model']}{beside}"


def _version_json(version: VersionView) -> dict[str, Json]:
    steps: Sequence[Json] = [dict(step) for step in version.steps]
    return {"version": version.version, "created": iso(version.created), "steps": steps, "inForce": version.in_force}


def _view_json(view: PipelineView) -> dict[str, Json]:
    return {
        "key": str(view.key),
        "state": _state(view),
        "holders": list(view.holders),
        "givenBack": list(view.given_back),
        "logged": view.logged,
        "versions": [_version_json(version) for version in view.versions],
    }
