"""env: the environments that runs are started in, kept in one cache for all spec repositories of a user."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

from specrunner.cli.options import seconds
from specrunner.cli.planning import clock
from specrunner.cli.terminal import say, say_json, table
from specrunner.cli.wiring import STATE_FOLDER, directory_option, json_option, open_engine
from specrunner.core.errors import UsageError
from specrunner.core.values import Json, iso
from specrunner.report.lines import Line, counted
from specrunner.report.sizes import ago, size

if TYPE_CHECKING:
    from specrunner.engine.environments import Kept

Users = Mapping[str, list[str]]

_COLUMNS = ("environment", "size", "last used", "python", "packages", "used here by")
_NAME = 12  # characters of a name that tell environments apart


@click.group()
def env() -> None:
    """Look after the environments that runs are started in."""


@env.command("list")
@directory_option
@json_option
def list_(root: Path, as_json: bool) -> None:
    """List the environments that are built: how large they are, when they were last used, and by what.

    They lie in one cache for all your spec repositories; only what this one uses is known by name.
    """
    from specrunner.engine.engine import default_cache
    from specrunner.engine.environments import kept

    cache = default_cache()
    found, used = kept(cache), _users(root, cache)
    if as_json:
        say_json([_json(one, used) for one in found])
        return
    if not found:
        say([Line("No environment is built yet; the first apply of an orchestration builds one.")])
        return
    now = clock().now()
    table(_COLUMNS, [_row(one, used, now) for one in found])
    total = size(sum(one.size for one in found))
    say([Line(f"{counted(len(found), 'environment')} in {cache}, {total}; files that several have are stored once.")])


@env.command()
@click.option(
    "--older-than",
    "unused",
    metavar="TIME",
    type=seconds,
    default="30d",
    show_default=True,
    help="Those that nobody has used for so long.",
)
@click.option("--downloads", is_flag=True, help="Also what uv has fetched and no environment shares.")
@click.option("--dry-run", is_flag=True, help="Only say which would be deleted.")
@directory_option
def prune(root: Path, unused: float, downloads: bool, dry_run: bool) -> None:
    """Delete environments that nobody has used for a while.

    What runs, and what the orchestrations that are live here run in, is kept. What another spec repository needs again
    is built again at its next run, from uv's cache and without a network; with --downloads it is fetched again.
    """
    from specrunner.engine.engine import default_cache
    from specrunner.engine.environments import prune as delete

    cache, now = default_cache(), clock().now()
    gone = delete(cache, _since(now, unused), _users(root, cache), really=not dry_run)
    verb = "would be deleted" if dry_run else "deleted"
    for one in gone:
        say([Line(f"  - {one.name[:_NAME]}  {size(one.size)}, last used {ago(now - one.last_used)}", "delete")])
    if gone:
        say([Line(f"{counted(len(gone), 'environment')} {verb}.")])
    else:
        say([Line("Nothing to delete: every environment is in use, or was used lately.")])
    if freed := _trimmed(cache, wholly=downloads, dry_run=dry_run):
        say([Line(f"{size(freed)} in uv's cache {verb}.")])


def _trimmed(cache: Path, *, wholly: bool, dry_run: bool) -> int:
    """The bytes that go from uv's cache, or would."""
    from specrunner.engine import environments

    if dry_run:  # what uv itself would drop, it does not say beforehand
        return environments.downloads(cache) if wholly else 0
    return environments.trim(cache, wholly=wholly)


def _since(now: datetime, unused: float) -> datetime:
    try:
        return now - timedelta(seconds=unused)
    except OverflowError as problem:
        raise UsageError("Nothing is as old as that.", remedy="Write for instance `--older-than 30d`.") from problem


def _users(root: Path, cache: Path) -> Users:
    from specrunner.engine.environments import users

    folder = root / STATE_FOLDER
    if not (folder / "state.db").exists():
        return {}
    with open_engine(folder) as engine:
        return users(engine, cache)


def _row(one: Kept, used: Users, now: datetime) -> tuple[str, ...]:
    by = [*used.get(one.name, ()), *(["(runs now)"] if one.busy else [])]
    return (
        one.name[:_NAME],
        size(one.size),
        ago(now - one.last_used),
        one.python,
        str(one.distributions),
        ", ".join(by) or "-",
    )


def _json(one: Kept, used: Users) -> dict[str, Json]:
    return {
        "name": one.name,
        "folder": str(one.folder),
        "size": one.size,
        "last_used": iso(one.last_used),
        "python": one.python,
        "packages": one.distributions,
        "used_by": used.get(one.name, []),
        "runs_now": one.busy,
    }
