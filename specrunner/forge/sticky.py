"""A comment that is updated instead of written again: one per pull request, kind and environment.

Only a comment by the token's own user counts as ours: anybody may write one that looks like it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from specrunner.core.errors import Transient
from specrunner.core.values import JsonObject
from specrunner.forge.github import GitHub, MissingRight
from specrunner.forge.headers import header_of, is_about

ACTIONS_BOT: Final = "github-actions[bot]"  # whom the token of a job acts for


@dataclass(frozen=True, slots=True)
class Sticky:
    """A comment of ours: its number, page and machine header."""

    id: int
    url: str
    header: JsonObject


def own_login(github: GitHub, given: str = "") -> str:
    """Whom the token acts for. The one of a job may not ask; it is the bot's, unless another name is `given`."""
    if given:
        return given
    try:
        return str(github.get("/user")["login"])
    except MissingRight:
        return ACTIONS_BOT


def stickies(github: GitHub, number: int, author: str, name: str, subject: Mapping[str, str]) -> list[Sticky]:
    """Our comments of that kind about that environment, oldest first; there is more than one only by accident."""
    return list(_own(github.listed(f"issues/{number}/comments"), author, name, subject))


def _own(comments: Iterator[Any], author: str, name: str, subject: Mapping[str, str]) -> Iterator[Sticky]:
    for found in comments:
        header = header_of(found.get("body"), name)
        if header is not None and is_about(header, subject) and (found.get("user") or {}).get("login") == author:
            yield Sticky(found["id"], found.get("html_url", ""), header)


def put_sticky(github: GitHub, number: int, author: str, name: str, subject: Mapping[str, str], body: str) -> str:
    """Write or update the comment; its page. More than one of them become one.

    Raises MissingRight; where an answer was lost it looks first whether the comment is there.
    """
    try:
        return _put(github, number, author, name, subject, body)
    except Transient:
        return _put(github, number, author, name, subject, body)


def _put(github: GitHub, number: int, author: str, name: str, subject: Mapping[str, str], body: str) -> str:
    found = stickies(github, number, author, name, subject)
    for extra in found[1:]:
        github.send("DELETE", f"issues/comments/{extra.id}")
    if found:
        answer = github.send("PATCH", f"issues/comments/{found[0].id}", {"body": body})
    else:
        answer = github.send("POST", f"issues/{number}/comments", {"body": body})
    return str(answer.get("html_url", ""))
