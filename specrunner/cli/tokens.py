"""token and audit: who may call the server here, and who did what."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

from specrunner.cli.options import seconds
from specrunner.cli.planning import clock
from specrunner.cli.serving import check_folder
from specrunner.cli.terminal import say, say_json, table
from specrunner.cli.wiring import STATE_FOLDER, directory_option, json_option, open_engine
from specrunner.core.access import Scope
from specrunner.core.values import Json, iso
from specrunner.report.lines import Line

if TYPE_CHECKING:
    from specrunner.engine.engine import Engine
    from specrunner.engine.tokens import Token

_COLUMNS = ("id", "name", "scopes", "workspaces", "expires", "state")
_AUDIT_COLUMNS = ("when", "who", "action", "subject", "address", "outcome")


@click.group()
def token() -> None:
    """Say who may call the server of this state folder, and what they may do."""


@token.command("create")
@click.argument("name")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    type=click.Choice([str(scope) for scope in Scope]),
    help="What it may do; may be given several times. Default: read. apply includes plan, run and read.",
)
@click.option(
    "--workspace", "workspaces", multiple=True, metavar="NAME", help="Only there; may be given several times."
)
@click.option(
    "--expires", metavar="TIME", type=seconds, help="How long it is valid, as in 90d; default: until revoked."
)
@directory_option
@json_option
def create(
    root: Path, name: str, scopes: tuple[str, ...], workspaces: tuple[str, ...], expires: float | None, as_json: bool
) -> None:
    """Make a token called NAME and print it: this once, it is stored nowhere.

    From then on the server asks for a token on this machine too, unless it is started with --open.
    """
    end = None if expires is None else clock().now() + timedelta(seconds=expires)
    wanted = [Scope(scope) for scope in scopes] or [Scope.READ]
    with _engine(root) as engine:
        made, secret = engine.tokens.create(name, wanted, workspaces or None, end)
        engine.audit.add("the command line", "token create", made.name)
    if as_json:
        say_json({**_json(made), "token": secret.reveal()})
        return
    click.echo(secret.reveal())
    say([Line("It is shown this once. Keep it where secrets are kept, as in SPECRUNNER_TOKEN.", "dim")], stderr=True)


@token.command("list")
@directory_option
@json_option
def list_(root: Path, as_json: bool) -> None:
    """List every token that was made, without their secrets."""
    with _engine(root) as engine:
        found = engine.tokens.all()
    if as_json:
        say_json([_json(one) for one in found])
    elif not found:
        say([Line("No token was made yet.")])
    else:
        table(_COLUMNS, [_row(one) for one in found])


@token.command("revoke")
@click.argument("name")
@directory_option
def revoke(root: Path, name: str) -> None:
    """Let the token called NAME, or of that id, open nothing any more, from the next request on."""
    with _engine(root) as engine:
        revoked = engine.tokens.revoke(name)
        engine.audit.add("the command line", "token revoke", revoked.name)
    say([Line(f"The token {revoked.name!r} ({revoked.id}) opens nothing any more.")])


@click.command()
@click.option("--limit", type=click.IntRange(1, 100_000), default=50, show_default=True, help="How many to show.")
@directory_option
@json_option
def audit(root: Path, limit: int, as_json: bool) -> None:
    """Show who did what through the server, newest first: applies, runs, kills, log-ins, details that were read."""
    with _engine(root) as engine:
        found = engine.audit.latest(limit)
    if as_json:
        keys = ("who", "action", "subject", "address", "outcome")
        say_json([{"at": iso(one.at), **{name: getattr(one, name) for name in keys}} for one in found])
    elif not found:
        say([Line("Nothing was done through the server yet.")])
    else:
        moment = (iso(one.at.replace(microsecond=0)) for one in found)
        rows = zip(moment, found, strict=True)
        table(_AUDIT_COLUMNS, [(when, e.who, e.action, e.subject, e.address, e.outcome) for when, e in rows])


def _engine(root: Path) -> Engine:
    check_folder(root)
    return open_engine(root / STATE_FOLDER)


def _row(found: Token) -> tuple[str, ...]:
    places = ", ".join(found.workspaces) if found.workspaces is not None else "all"
    end = iso(found.expires.replace(microsecond=0)) if found.expires else "never"
    return (found.id, found.name, ", ".join(found.scopes), places, end, _state(found))


def _state(found: Token) -> str:
    if found.revoked is not None:
        return "revoked"
    return "valid" if found.is_valid(clock().now()) else "expired"


def _json(found: Token) -> dict[str, Json]:
    return {
        "id": found.id,
        "name": found.name,
        "scopes": list(found.scopes),
        "workspaces": None if found.workspaces is None else list(found.workspaces),
        "created": iso(found.created),
        "expires": iso(found.expires) if found.expires else None,
        "state": _state(found),
    }
