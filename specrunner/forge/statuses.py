"""The status of a commit: a line with a mark beside it, for the plan and for the apply of each environment."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Final

from specrunner.forge.github import GitHub

_LONGEST: Final = 140  # characters of a description; GitHub refuses more


class State(StrEnum):
    """How GitHub marks a commit."""

    SUCCESS = "success"
    FAILURE = "failure"  # it went wrong, or is refused
    ERROR = "error"  # nobody could tell


def set_status(github: GitHub, sha: str, context: str, state: State, description: str, url: str) -> None:
    """Mark a commit. Raises MissingRight."""
    short = description if len(description) <= _LONGEST else f"{description[: _LONGEST - 1]}…"
    body = {"state": str(state), "context": context, "description": short}
    github.send("POST", f"statuses/{sha}", {**body, "target_url": url} if url else body)


def own_status(github: GitHub, sha: str, context: str, author: str) -> str:
    """The latest description that the token's own user gave this context; empty where there is none.

    Unlike a comment, nobody can edit it afterwards. Raises MissingRight.
    """
    found: Any
    for found in github.listed(f"commits/{sha}/statuses"):  # newest first
        if found["context"] == context and (found.get("creator") or {}).get("login") == author:
            return str(found.get("description") or "")
    return ""
