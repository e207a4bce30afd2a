"""What a step of a workflow has to hand on: secrets to the specs, and the token to git."""

from __future__ import annotations

import base64
import re
import subprocess
from collections.abc import Iterator, Mapping, MutableMapping
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import click

from specrunner.core.errors import UsageError
from specrunner.core.values import Secret
from specrunner.report.github import command_data

SECRETS: Final = "SPECRUNNER_CI_SECRETS"
_LINE: Final = re.compile(r"(?P<name>[A-Za-z_][A-Za-z0-9_]*)=(?P<value>.*)")
_OURS: Final = ("GITHUB_", "RUNNER_", "ACTIONS_")  # what the runner says is not changed from here


def take_secrets(environ: MutableMapping[str, str]) -> None:
    """Give each line `NAME=value` of the action's input `secrets` its own variable.

    GitHub masks a secret as a whole; the values are masked here. Raises UsageError, which names lines by number only.
    """
    for number, line in enumerate(environ.pop(SECRETS, "").splitlines(), 1):
        if not line.strip():
            continue
        found = _LINE.fullmatch(line.strip())
        if found is None or found["name"].startswith(_OURS):
            raise UsageError(
                f"Line {number} of the action's `secrets` is no `NAME=value`.",
                detail="A name has letters, digits and `_`, and does not begin with GITHUB_, RUNNER_ or ACTIONS_.",
                remedy="Mend the secret that it comes from.",
            )
        mask(found["value"])
        environ[found["name"]] = found["value"]


def mask(text: str) -> None:
    """Have the runner show `***` for a text."""
    if text:
        click.echo(f"::add-mask::{command_data(text)}")


def git_environ(token: Secret, server: str, root: Path, environ: Mapping[str, str]) -> dict[str, str]:
    """The variables with which git gets in with the token; nothing is written to the checkout.

    None where git has an authorization for the server already, from `actions/checkout`: the server refuses two.
    """
    key = f"http.{server}/.extraheader"
    if _configured(root, key, environ) or not _is_ours(_configured(root, "remote.origin.url", environ), server):
        return {}
    basic = base64.b64encode(f"x-access-token:{token.reveal()}".encode()).decode()
    mask(basic)
    count = int(environ.get("GIT_CONFIG_COUNT") or 0)
    return {
        "GIT_CONFIG_COUNT": str(count + 1),
        f"GIT_CONFIG_KEY_{count}": key,
        f"GIT_CONFIG_VALUE_{count}": f"AUTHORIZATION: basic {basic}",
    }


def _is_ours(remote: str, server: str) -> bool:
    here, there = urlsplit(server), urlsplit(remote)
    return bool(remote) and (there.scheme, there.netloc) == (here.scheme, here.netloc)


def _configured(root: Path, key: str, environ: Mapping[str, str]) -> str:
    try:
        found = subprocess.run(
            ["git", "config", "--get-all", key],  # noqa: S607 - the git of the path, as everywhere
            cwd=root,
            env=dict(environ),
            capture_output=True,
            text=True,
            check=False,
        )
    except OSError:
        return ""
    return next(_lines(found.stdout), "")


def _lines(text: str) -> Iterator[str]:
    return (line for line in text.splitlines() if line)
