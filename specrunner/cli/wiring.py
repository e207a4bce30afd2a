"""Wiring: from a folder to the desired state and an open target. Adapters are chosen here and nowhere else."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from specrunner.core.errors import SpecrunnerError
from specrunner.core.resources import Desired

STATE_FOLDER = ".specrunner"

_Command = TypeVar("_Command", bound=Callable[..., Any])


def directory_option(command: _Command) -> _Command:
    """`-C DIR`, before or after the command's name."""

    def chosen(context: click.Context, _parameter: click.Parameter, value: str | None) -> Path:
        inherited = context.find_object(Path)
        return Path(value).resolve() if value else (inherited or Path.cwd())

    return click.option(
        "-C",
        "--directory",
        "root",
        metavar="DIR",
        callback=chosen,
        help="Run in this spec repository instead of the current folder.",
    )(command)


def environment_option(command: _Command) -> _Command:
    """`-e ENV`."""
    return click.option(
        "-e", "--environment", metavar="ENV", help="The environment; default: the project's `defaultEnvironment`."
    )(command)


def json_option(command: _Command) -> _Command:
    """`--json`."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON for scripts.")(command)


def load_desired(root: Path, environment: str | None) -> Desired:
    """What the files declare. Raises InvalidSpecs."""
    from specrunner.spec.desired import load

    desired = load(root, environment)
    if desired.target != "local":
        raise SpecrunnerError(
            "This specrunner applies to the embedded engine only.",
            detail=f"The project's target is {desired.target!r}.",
            remedy="Declare `target: local` in specrunner.yaml.",
        )
    return desired
