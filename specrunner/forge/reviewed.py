"""The plan that people have seen: the one in our comment on the pull request that brought a commit.

A comment can be edited by whoever may write to the repository. So the hash also stands in the status of the pull
request's last commit, which nobody can edit: where that says otherwise, the comment does not count.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from specrunner.core.errors import StalePlan
from specrunner.core.plan import Plan
from specrunner.forge.github import GitHub, MissingRight
from specrunner.forge.statuses import own_status
from specrunner.forge.sticky import stickies
from specrunner.report.markdown import PLAN_HEADER
from specrunner.report.reviewed import unpacked


@dataclass(frozen=True, slots=True)
class Merged:
    """A merged pull request: its number, page and last commit."""

    number: int
    url: str
    head: str


@dataclass(frozen=True, slots=True)
class Reviewed:
    """What was shown: the hash, whether all of it was, the steps where they had room, and where it stands."""

    hash: str
    complete: bool
    url: str
    plan: Plan | None = None


def merged_pull_request(github: GitHub, sha: str, branch: str) -> Merged | None:
    """The pull request that brought a commit to a branch; None where it was pushed without one. Raises MissingRight."""
    found = [one for one in github.listed(f"commits/{sha}/pulls") if one.get("merged_at")]
    exact = [one for one in found if one.get("merge_commit_sha") == sha]
    near = [one for one in found if not branch or one["base"]["ref"] == branch]
    chosen: Any = next(iter(exact or near), None)
    return Merged(chosen["number"], chosen.get("html_url", ""), chosen["head"]["sha"]) if chosen else None


def reviewed_plan(
    github: GitHub, pull: Merged, author: str, subject: Mapping[str, str], context: str
) -> Reviewed | None:
    """The plan that our comment on a pull request shows; None where there is no such comment.

    `context` is the name of the status that holds the hash as well. Raises MissingRight, StalePlan for a comment that
    somebody has edited.
    """
    found = stickies(github, pull.number, author, PLAN_HEADER, subject)
    if not found:
        return None
    header = found[-1].header
    text = str(header.get("hash") or "")
    _check_unedited(github, pull, author, context, text)
    complete = header.get("complete") is True
    return Reviewed(text, complete, found[-1].url, unpacked(str(header.get("plan", "")), text))


def hash_words(plan_hash: str) -> str:
    """How a status says which plan it is about."""
    return f"plan {plan_hash[:16]}"


def _check_unedited(github: GitHub, pull: Merged, author: str, context: str, text: str) -> None:
    try:
        said = own_status(github, pull.head, context, author)
    except MissingRight:
        return  # statuses are switched off for this workflow; its comment alone has to do
    if said and hash_words(text) not in said:
        raise StalePlan(
            "The comment on the pull request does not hold the plan that was planned there.",
            detail=f"The comment says {hash_words(text)!r}, the status of commit {pull.head[:12]} says {said!r}.",
            remedy="Somebody may have edited the comment. Look at the plan below and approve it by its hash.",
        )
