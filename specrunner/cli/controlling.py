"""What `specrunner serve --repo` adds: how git is let in, and the commands that the controller gives."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from specrunner.cli.options import gathered, seconds
from specrunner.cli.standing import FOLDER
from specrunner.core.errors import UsageError

if TYPE_CHECKING:
    from starlette.routing import BaseRoute

    from specrunner.controller.loop import Controller
    from specrunner.core.values import Secret

_TOKEN: Final = "SPECRUNNER_REPO_TOKEN"  # noqa: S105 the name of a variable, as controller.access says
_HOOK: Final = "SPECRUNNER_WEBHOOK_SECRET"
_ENDING: Final = 30.0  # seconds that a command is given to end by itself

_FILE: Final = click.Path(exists=True, dir_okay=False, path_type=Path)

_Command = TypeVar("_Command", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Following:
    """What is to be followed, as it was asked for."""

    repo: str | None
    branch: str
    path: str
    environment: str | None
    interval: float
    token_file: Path | None = None
    ssh_key: Path | None = None
    ssh_known_hosts: Path | None = None
    webhook_secret_file: Path | None = None


def following_options(command: _Command) -> _Command:
    """`--repo URL` and what belongs to it, as one argument `following`."""
    options = (
        click.option("--repo", metavar="URL", help="Follow this git repository, and apply what its branch declares."),
        click.option("--branch", default="main", show_default=True, help="The branch to follow."),
        click.option("--path", default=".", metavar="DIR", help="The folder of the specs in that repository."),
        click.option("-e", "--environment", metavar="ENV", help="The environment that is applied."),
        click.option(
            "--interval", type=seconds, default="60s", metavar="TIME", show_default=True, help="Between looks."
        ),
        click.option("--repo-token-file", "token_file", type=_FILE, help=f"A token for HTTPS; or in {_TOKEN}."),
        click.option("--ssh-key", type=_FILE, help="The private key for SSH."),
        click.option("--webhook-secret-file", type=_FILE, help=f"The secret that webhooks sign with; or in {_HOOK}."),
        click.option("--ssh-known-hosts", type=_FILE, help="The host keys to trust; default: those of the user."),
    )

    return gathered(Following, "following", *options)(command)


def controller_of(repo: str, following: Following, state: Path) -> Controller:
    """The controller of a state folder. Raises UsageError for an address that can't be followed."""
    from specrunner.controller.access import Access, address, branch_name, environ_for
    from specrunner.controller.commands import CliCommands
    from specrunner.controller.loop import Controller
    from specrunner.controller.mirror import Mirror, Remote
    from specrunner.engine.clock import SystemClock
    from specrunner.record.plumbing import lend

    if following.interval < 1:
        raise UsageError("--interval has to be one second at least.", remedy="Write for instance `60s`.")
    url = address(repo)
    environ = environ_for(
        Access(_secret(following.token_file, _TOKEN), following.ssh_key, following.ssh_known_hosts), url
    )
    lend(environ)  # the host itself records too, upon the same remote
    remote = Remote(url, branch_name(following.branch), environ)
    state.mkdir(parents=True, exist_ok=True)
    mirror = Mirror(state / FOLDER, remote, state, _inside(following.path))
    return Controller(mirror, CliCommands(following.environment, environ), SystemClock(), following.interval)


@contextmanager
def followed(controller: Controller | None) -> Iterator[None]:
    """The controller at work in a thread of its own, until this ends."""
    if controller is None:
        yield
        return
    thread = threading.Thread(target=controller.run, name="controller", daemon=True)
    thread.start()
    try:
        yield
    finally:
        controller.leave()
        thread.join(_ENDING)


def _inside(path: str) -> str:
    parts = Path(path).parts
    if Path(path).is_absolute() or ".." in parts:
        raise UsageError(
            f"--path {path} leads out of the repository.", remedy="Name a folder inside it: `--path specs`."
        )
    return str(Path(*parts)) if parts else "."


def webhook(following: Following, controller: Controller | None) -> Sequence[BaseRoute]:
    """The route that hurries the controller, where there is a secret to sign with."""
    secret = _secret(following.webhook_secret_file, _HOOK)
    if controller is None or secret is None:
        return ()
    from specrunner.server.webhook import webhook_route

    return (webhook_route(secret, controller.hurry),)


def _secret(file: Path | None, variable: str) -> Secret | None:
    """The secret in a file, or in a variable of the environment. Raises UsageError for a file without one."""
    from specrunner.core.values import Secret

    if file is None:
        found = os.environ.get(variable, "")
        return Secret(found) if found else None
    try:
        text = file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as problem:
        raise UsageError(
            f"The file {file} can't be read as text.", remedy="Name a file that holds the secret."
        ) from problem
    if not text:
        raise UsageError(f"The file {file} is empty.", remedy="Name a file that holds the secret, and nothing else.")
    return Secret(text)
