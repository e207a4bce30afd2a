"""How git is let in to a remote: by its environment, so that no command line and no file of ours holds a token."""

from __future__ import annotations

import base64
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from specrunner.core.errors import UsageError
from specrunner.core.values import Secret


@dataclass(frozen=True, slots=True)
class Access:
    """What there is to get in with: a token for HTTPS, a key and the hosts to trust for SSH."""

    token: Secret | None = None
    ssh_key: Path | None = None
    ssh_known_hosts: Path | None = None


TOKEN: Final = "SPECRUNNER_REPO_TOKEN"  # noqa: S105 the name of a variable


def address(repo: str) -> str:
    """The address as git takes it. Raises UsageError for one with a password in it, and for what is none."""
    if repo and "://" not in repo and Path(repo).expanduser().is_dir():
        return str(Path(repo).expanduser().resolve())
    if not repo or repo.startswith("-") or "\n" in repo:
        raise UsageError(f"{repo!r} is no address of a git repository.", remedy="Write `--repo https://…` or `git@…`.")
    parts = urlsplit(repo)
    if parts.password or (parts.scheme in {"http", "https"} and parts.username):
        raise UsageError(
            "The address of --repo has a password or token in it.",
            detail="It would stand in process lists and in git's configuration.",
            remedy=f"Take it out, and give the token in {TOKEN} or with --repo-token-file.",
        )
    return repo


def branch_name(name: str) -> str:
    """The same; git's own rules of names are kept. Raises UsageError for what can be no branch."""
    parts = name.split("/")
    odd = any(char in " ~^:?*[\\" or char < " " for char in name) or ".." in name or "@{" in name
    if (
        odd
        or name.startswith("-")
        or any(not one or one.startswith(".") or one.endswith((".", ".lock")) for one in parts)
    ):
        raise UsageError(f"No branch can be called {name!r}.", remedy="Name the branch to follow: `--branch main`.")
    return name


def environ_for(access: Access, url: str) -> Mapping[str, str]:
    """What git needs in its environment to get in at that address.

    Raises UsageError where the token would travel in the open.
    """
    environ: dict[str, str] = {}
    if access.token is not None:
        _check_encrypted(url)
        basic = base64.b64encode(f"x-access-token:{access.token.reveal()}".encode()).decode()
        environ |= {
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": f"http.{_origin(url)}.extraHeader",
            "GIT_CONFIG_VALUE_0": f"Authorization: Basic {basic}",
        }
    if access.ssh_key or access.ssh_known_hosts:
        environ["GIT_SSH_COMMAND"] = shlex.join(_ssh(access))
    return environ


def _check_encrypted(url: str) -> None:
    parts = urlsplit(url)
    if parts.scheme == "http" and parts.hostname not in {"localhost", "127.0.0.1", "::1"}:
        raise UsageError(
            "The token would go over the network unencrypted.",
            remedy="Write `https://` in --repo, or take the token out.",
        )


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}/"


def _ssh(access: Access) -> list[str]:
    words = ["ssh", "-o", "BatchMode=yes"]
    if access.ssh_key:
        words += ["-i", str(access.ssh_key.resolve()), "-o", "IdentitiesOnly=yes"]
    if access.ssh_known_hosts:
        hosts = str(access.ssh_known_hosts.resolve())
        words += ["-o", f"UserKnownHostsFile={hosts}", "-o", "StrictHostKeyChecking=yes"]
    return words
