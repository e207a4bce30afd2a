"""What GitHub tells a step of its run: variables, and the event that began it.

Source: https://docs.github.com/actions/reference/workflows-and-actions/variables and the webhook payloads at
https://docs.github.com/webhooks/webhook-events-and-payloads.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from specrunner.core.errors import UsageError
from specrunner.core.values import JsonObject

_LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "::1"})


@dataclass(frozen=True, slots=True)
class Surroundings:
    """One run of a workflow. `api` and `server` have no slash at their end; `event` is the webhook's payload."""

    repository: str
    sha: str
    api: str = "https://api.github.com"
    server: str = "https://github.com"
    event_name: str = ""
    event: JsonObject = field(default_factory=dict)
    ref: str = ""
    run: str = ""
    summary: Path | None = None
    output: Path | None = None

    @property
    def branch(self) -> str:
        """The branch that was pushed to, empty for a tag or a pull request."""
        return self.ref.removeprefix("refs/heads/") if self.ref.startswith("refs/heads/") else ""

    @property
    def run_url(self) -> str:
        """The page of this run."""
        return f"{self.server}/{self.repository}/actions/runs/{self.run}" if self.run else ""

    @property
    def pull_request(self) -> int | None:
        """The number of the pull request that this run is for."""
        number = _dig(self.event, "pull_request", "number")
        return number if isinstance(number, int) else None

    @property
    def head_sha(self) -> str:
        """The commit that people see: of a pull request its last one, not the trial merge that is checked out."""
        return str(_dig(self.event, "pull_request", "head", "sha") or self.sha)


def read_surroundings(environ: Mapping[str, str]) -> Surroundings:
    """The run that this process is a step of.

    Raises UsageError outside of GitHub Actions, and for an API address that would carry the token in the clear.
    """
    repository = environ.get("GITHUB_REPOSITORY", "")
    if "/" not in repository:
        raise UsageError(
            "This is no step of a GitHub workflow: GITHUB_REPOSITORY is not set.",
            detail="`specrunner ci` reads what GitHub Actions tells its steps, and reports back there.",
            remedy="Elsewhere, call `specrunner plan` and `specrunner apply`.",
        )
    defaults = Surroundings(repository, environ.get("GITHUB_SHA", ""))
    return Surroundings(
        repository,
        defaults.sha,
        api=_address(environ.get("GITHUB_API_URL") or defaults.api),
        server=(environ.get("GITHUB_SERVER_URL") or defaults.server).rstrip("/"),
        event_name=environ.get("GITHUB_EVENT_NAME", ""),
        event=_event(environ.get("GITHUB_EVENT_PATH", "")),
        ref=environ.get("GITHUB_REF", ""),
        run=environ.get("GITHUB_RUN_ID", ""),
        summary=_path(environ.get("GITHUB_STEP_SUMMARY", "")),
        output=_path(environ.get("GITHUB_OUTPUT", "")),
    )


def _address(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme != "https" and parts.hostname not in _LOOPBACK:
        raise UsageError(
            f"GITHUB_API_URL is {url!r}, which is not https.",
            detail="The token would be readable on its way.",
            remedy="Give the https address of your GitHub server's API.",
        )
    return url.rstrip("/")


def _path(name: str) -> Path | None:
    return Path(name) if name else None


def _event(name: str) -> JsonObject:
    try:
        found = json.loads(Path(name).read_bytes()) if name else {}
    except (OSError, ValueError) as problem:
        raise UsageError(
            f"The event of this run can't be read: {problem}.",
            remedy="GITHUB_EVENT_PATH must name the file that GitHub wrote.",
        ) from problem
    return found if isinstance(found, dict) else {}


def _dig(value: Any, *names: str) -> Any:
    for name in names:
        value = value.get(name) if isinstance(value, Mapping) else None
    return value
