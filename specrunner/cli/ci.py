"""ci: what the GitHub Actions of a spec repository call. `action.yml` passes its inputs in variables.

The steps of a workflow hold no logic: it is here, where it can be tested.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from specrunner.cli.desk import open_desk
from specrunner.cli.offline import offline_option
from specrunner.cli.options import new_file
from specrunner.cli.wiring import directory_option

_Command = TypeVar("_Command", bound=Callable[..., Any])
_VARIABLE = "SPECRUNNER_CI_"


def _environment_option(command: _Command) -> _Command:
    return click.option(
        "-e",
        "--environment",
        metavar="ENV",
        envvar=f"{_VARIABLE}ENVIRONMENT",
        help="The environment; default: the project's `defaultEnvironment`.",
    )(command)


def _author_option(command: _Command) -> _Command:
    return click.option(
        "--author",
        metavar="LOGIN",
        default="",
        envvar=f"{_VARIABLE}AUTHOR",
        help="Whom the token acts for, `my-app[bot]` for an App of your own; default: asked, or github-actions[bot].",
    )(command)


@click.group()
def ci() -> None:
    """Report to GitHub from a workflow; `docs/guides/github-actions.md` has the workflows."""
    from specrunner.cli.ci_surroundings import take_secrets

    take_secrets(os.environ)


@ci.command()
@directory_option
@_environment_option
@offline_option
@_author_option
def validate(root: Path, environment: str | None, offline: bool, author: str) -> int:
    """Check the specs; every problem becomes an annotation at its line."""
    from specrunner.cli.ci_plan import validated

    with open_desk(os.environ, root, author) as desk:
        return validated(desk, root, environment, offline)


@ci.command()
@directory_option
@_environment_option
@offline_option
@_author_option
@click.option("--out", metavar="FILE", envvar=f"{_VARIABLE}OUT", help="Save the plan as JSON, to be kept with the run.")
def plan(root: Path, environment: str | None, offline: bool, author: str, out: str | None) -> int:
    """Plan for a pull request: its comment, the status of its commit, the job's summary and outputs."""
    from specrunner.cli.ci_plan import planned

    file = new_file(Path(out).resolve(), "--out") if out else None
    with open_desk(os.environ, root, author) as desk:
        return planned(desk, root, environment, offline, file)


@ci.command()
@directory_option
@_environment_option
@_author_option
@click.option(
    "--expect", metavar="HASH", envvar=f"{_VARIABLE}EXPECT", help="Approve the plan of this hash, and no other."
)
@click.option(
    "--review/--no-review",
    default=True,
    show_default=True,
    envvar=f"{_VARIABLE}REVIEW",
    help="Apply only what a merged pull request has shown, or whatever is pushed.",
)
@click.option("--force", is_flag=True, envvar=f"{_VARIABLE}FORCE", help="Also when a large part of it would change.")
def apply(root: Path, environment: str | None, author: str, expect: str | None, review: bool, force: bool) -> int:
    """Apply what the merged pull request has shown, and nothing else; report what came of it."""
    from specrunner.cli.ci_apply import Wanted, applied

    with open_desk(os.environ, root, author) as desk:
        return applied(desk, root, Wanted(environment, expect, review, force))


@ci.command()
@directory_option
@_environment_option
@_author_option
def drift(root: Path, environment: str | None, author: str) -> int:
    """Look for what somebody else has changed; one issue says so, and is closed when it is gone."""
    from specrunner.cli.ci_plan import drifted

    with open_desk(os.environ, root, author) as desk:
        return drifted(desk, root, environment)


@ci.command()
@directory_option
@_environment_option
@_author_option
def tick(root: Path, environment: str | None, author: str) -> int:
    """Run what is due, as `specrunner tick` does; one issue tells of runs that fail."""
    from specrunner.cli.ci_passing import passed

    with open_desk(os.environ, root, author) as desk:
        return passed(desk, root, environment, "tick")


@ci.command()
@directory_option
@_environment_option
@_author_option
def record(root: Path, environment: str | None, author: str) -> int:
    """Write the status of what is live, as `specrunner record` does."""
    from specrunner.cli.ci_passing import passed

    with open_desk(os.environ, root, author) as desk:
        return passed(desk, root, environment, "record")
