"""user: who may log in to the server here."""

from __future__ import annotations

import os
from pathlib import Path

import click

from specrunner.cli.serving import check_folder
from specrunner.cli.terminal import say, say_json, table
from specrunner.cli.wiring import STATE_FOLDER, directory_option, json_option, open_engine
from specrunner.core.errors import UsageError
from specrunner.core.values import Json, iso
from specrunner.engine.records import User
from specrunner.report.lines import Line

_COLUMNS = ("email", "role", "state", "workspaces", "created")
_password_option = click.option(
    "--password-from-env", "variable", metavar="NAME", help="Take it from this variable instead of asking for it."
)


@click.group()
def user() -> None:
    """Say who may log in to the server of this state folder.

    Until there is somebody, the platform's API on this machine is open to whoever uses it.
    """


@user.command("add")
@click.argument("email")
@click.option("--admin", is_flag=True, help="They may use every workspace, and say who may log in.")
@click.option(
    "--workspace", "workspaces", multiple=True, metavar="NAME", help="They may use it; may be given several times."
)
@_password_option
@directory_option
def add(root: Path, email: str, admin: bool, workspaces: tuple[str, ...], variable: str | None) -> None:
    """Let EMAIL log in with a password, which is asked for."""
    check_folder(root)
    password = _password(variable)
    with open_engine(root / STATE_FOLDER) as engine:
        with engine.transaction():
            found = [engine.workspaces.named(name) for name in workspaces]
            made = engine.users.add(email, password, admin=admin)
            for workspace in found:
                engine.users.join(workspace.id, made.id, "COLLABORATOR")
        engine.audit.add("the command line", "user add", made.email)
    say([Line(f"{made.email} may log in. From now on the server asks who calls.", "create")])


@user.command("list")
@directory_option
@json_option
def list_users(root: Path, as_json: bool) -> None:
    """List who may log in, oldest first."""
    check_folder(root)
    with open_engine(root / STATE_FOLDER) as engine:
        names = {found.id: found.name for found in engine.workspaces.all()}
        rows = [
            _json(one, [names[known] for known in engine.users.workspaces_of(one.id)]) for one in engine.users.all()
        ]
    if as_json:
        say_json(rows)
    elif rows:
        table(_COLUMNS, [tuple(str(row[name]) for name in _COLUMNS) for row in rows])
    else:
        say([Line("Nobody. The API on this machine is open to whoever uses it.", "dim")])


@user.command("remove")
@click.argument("email")
@directory_option
def remove(root: Path, email: str) -> None:
    """Let EMAIL log in no more; what they made stays, and what they were given opens nothing from now on."""
    with open_engine(root / STATE_FOLDER) as engine:
        engine.users.remove(engine.users.named(email))
        engine.audit.add("the command line", "user remove", email)
        open_again = not engine.users.any()
    say([Line(f"{email} was removed.", "delete")])
    if open_again:
        say([Line("Nobody is left: the API on this machine is open again to whoever uses it.", "warning")], stderr=True)


@user.command("password")
@click.argument("email")
@_password_option
@directory_option
def password(root: Path, email: str, variable: str | None) -> None:
    """Give EMAIL another password, which is asked for."""
    new = _password(variable)
    with open_engine(root / STATE_FOLDER) as engine:
        engine.users.change_password(engine.users.named(email), new)
        engine.audit.add("the command line", "user password", email)
    say([Line(f"{email} has another password.", "update")])


def _password(variable: str | None) -> str:
    """The password that was typed, twice, or that stands in a variable. Raises UsageError where it is not set."""
    if variable is None:
        return str(click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True))
    found = os.environ.get(variable)
    if found is None:
        raise UsageError(f"The variable {variable} is not set.", remedy="Set it to the password, or leave it out.")
    return found


def _json(found: User, workspaces: list[str]) -> dict[str, Json]:
    return {
        "email": found.email,
        "role": "admin" if found.admin else "user",
        "state": "enabled" if found.enabled else "disabled",
        "workspaces": "all" if found.admin else ", ".join(sorted(workspaces)),
        "created": iso(found.created_at) if found.created_at else "",
    }
