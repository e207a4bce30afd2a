"""Issues that open when something goes wrong, are updated while it does, and close when it no longer does.

An issue is found by its machine header among those of the token's own user, whatever people have made of its title.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from specrunner.core.errors import Transient
from specrunner.forge.github import GitHub
from specrunner.forge.headers import header_of, is_about

LABEL: Final = "specrunner"


@dataclass(frozen=True, slots=True)
class Subject:
    """What an issue is about: its kind (`specrunner-drift`), and the project and environment."""

    name: str
    about: Mapping[str, str]


def keep_open(github: GitHub, author: str, subject: Subject, title: str, body: str) -> str:
    """Open the issue, or bring the open one up to date; its page. Raises MissingRight."""
    try:
        return _keep_open(github, author, subject, title, body)
    except Transient:  # it may have been opened all the same: look again
        return _keep_open(github, author, subject, title, body)


def _keep_open(github: GitHub, author: str, subject: Subject, title: str, body: str) -> str:
    found = _open_one(github, author, subject)
    if found is None:
        answer = github.send("POST", "issues", {"title": title, "body": body, "labels": [LABEL]})
    elif found.get("body") == body:
        answer = found
    else:
        answer = github.send("PATCH", f"issues/{found['number']}", {"title": title, "body": body})
    return str(answer.get("html_url", ""))


def close(github: GitHub, author: str, subject: Subject, why: str) -> str:
    """Close the issue with a last word, where one is open; its page, empty where none was. Raises MissingRight."""
    found = _open_one(github, author, subject)
    if found is None:
        return ""
    github.send("POST", f"issues/{found['number']}/comments", {"body": why})
    answer = github.send("PATCH", f"issues/{found['number']}", {"state": "closed", "state_reason": "completed"})
    return str(answer.get("html_url", ""))


def _open_one(github: GitHub, author: str, subject: Subject) -> Any:
    for found in github.listed("issues", state="open", labels=LABEL, sort="created", direction="asc"):
        if "pull_request" in found or (found.get("user") or {}).get("login") != author:
            continue
        if is_about(header_of(found.get("body"), subject.name), subject.about):
            return found
    return None
