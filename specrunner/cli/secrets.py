"""secrets: the key that stored secrets are sealed with."""

from __future__ import annotations

import os
from pathlib import Path

import click

from specrunner.cli.planning import clock
from specrunner.cli.terminal import say
from specrunner.cli.wiring import directory_option, open_engine, state_of
from specrunner.core.errors import UsageError
from specrunner.report.lines import Line, counted

SHORTEST_KEY = 16  # characters; anything shorter can be guessed


@click.group()
def secrets() -> None:
    """Look after the secrets that are stored with the state."""


@secrets.command("rotate-key")
@directory_option
@click.option("--key-from-env", metavar="NAME", help="The new key is the text of this variable; default: a random one.")
def rotate_key(root: Path, key_from_env: str | None) -> None:
    """Seal every stored secret with a new key, all of them or none.

    Refused while an apply or a run is under way. A key that comes from SPECRUNNER_KEY is changed with
    --key-from-env; SPECRUNNER_KEY is yours to set then. The next plan is as it was: no secret has changed.
    """
    from specrunner.core.leases import EVERYTHING
    from specrunner.reconcile.lease import held, this_process
    from specrunner.targets.local.target import LocalTarget

    key = _key(key_from_env) if key_from_env else None
    holder = this_process(clock(), os.environ)
    unlock = "specrunner unlock --all"
    with open_engine(state_of(root)) as engine:
        engine.hosting.check_unhosted()
        with held(LocalTarget(engine), EVERYTHING, holder, clock(), lambda: None, unlock=unlock):
            rotated = engine.rotate_key(key)
    sealed = f"{counted(rotated.connections, 'connection')} and {counted(rotated.tasks, 'task')}"
    say([Line(f"The key was changed; the secrets of {sealed} are sealed with the new one.", "create")])
    if rotated.in_variable:
        say([Line(f"Set SPECRUNNER_KEY to what {key_from_env} holds: the old key opens nothing any more.", "warning")])


def _key(name: str) -> bytes:
    """The key in a variable. Raises UsageError for one that is not set or too short."""
    text = os.environ.get(name, "")
    if len(text) < SHORTEST_KEY:
        raise UsageError(
            f"The variable {name} holds no usable key.",
            detail=f"It is {'not set' if not text else 'too short'}; a key has {SHORTEST_KEY} characters or more.",
            remedy=f'Set it to a random text: `export {name}="$(openssl rand -base64 32)"`.',
        )
    return text.encode()
