"""When secrets are not asked for: on request, and for a pull request that comes from a fork.

Who opens a pull request from a fork writes what the checkout says, `{exec: …}` and `{env: …}` included. So no
program named there is started and no variable read, whatever the command line says.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import click

_Command = TypeVar("_Command", bound=Callable[..., Any])


def offline_option(command: _Command) -> _Command:
    """`--offline`; on by itself for the pull request of a fork."""

    def chosen(_context: click.Context, _parameter: click.Parameter, value: bool) -> bool:
        return value or from_fork()

    return click.option(
        "--offline",
        is_flag=True,
        callback=chosen,
        help="Start no program and read no variable for a secret; on by itself for a pull request from a fork.",
    )(command)


def from_fork(environ: Mapping[str, str] = os.environ) -> bool:
    """Whether this is GitHub's run for a pull request whose commits are in another repository.

    Source: the webhook payloads of `pull_request`, `pull_request_target` and `workflow_run`, which GitHub puts
    into the file `GITHUB_EVENT_PATH`. A payload that can't be read counts as a fork's; one whose head repository
    is gone too. `pull_request_target` counts because such a workflow holds secrets and may check out the head.
    """
    event = environ.get("GITHUB_EVENT_NAME", "")
    if not event.startswith("pull_request") and event != "workflow_run":
        return False
    try:
        payload = json.loads(Path(environ.get("GITHUB_EVENT_PATH", "")).read_bytes())
        if event == "workflow_run":
            head, base = payload["workflow_run"]["head_repository"], payload["repository"]
        else:
            head, base = payload["pull_request"]["head"]["repo"], payload["pull_request"]["base"]["repo"]
        return bool(head["full_name"] != base["full_name"])
    except (OSError, ValueError, KeyError, TypeError):
        return True
