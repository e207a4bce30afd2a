"""The status file of a controller: which commit of the followed branch is live, and which was refused, and why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import yaml

from specrunner.core.resources import Owner
from specrunner.core.values import Json
from specrunner.record.files import API_VERSION

CONTROLLER: Final = "controller.yaml"  # below the environment's folder
_KIND: Final = "ControllerStatus"


@dataclass(frozen=True, slots=True)
class Followed:
    """What a controller has to tell, with commits in full.

    `live` is the commit that was applied last, `seen` the newest of the branch, and `standing` what has become of that
    one. `problem` says what stands against it, in words for people, and `since` from when on, as text in UTC.
    `unhealed` says, with its own since, why what is live can't be kept as `live` declares it.
    """

    repository: str
    branch: str
    live: str
    seen: str
    standing: str
    problem: str = ""
    since: str = ""
    unhealed: str = ""
    unhealed_since: str = ""


def controller_file(owner: Owner, followed: Followed) -> dict[str, Json]:
    """What the status file says."""
    return {
        "apiVersion": API_VERSION,
        "kind": _KIND,
        "project": owner.project,
        "environment": owner.environment,
        "repository": followed.repository,
        "branch": followed.branch,
        "live": followed.live or None,
        "seen": followed.seen or None,
        "standing": followed.standing,
        "problem": followed.problem or None,
        "since": followed.since or None,
        **({"unhealed": followed.unhealed, "unhealedSince": followed.unhealed_since} if followed.unhealed else {}),
    }


def followed_in(data: bytes) -> Followed | None:
    """What such a file tells; None for one that can't be read."""
    try:
        found: Any = yaml.safe_load(data)
        if found["kind"] != _KIND:
            return None
        names = ("repository", "branch", "live", "seen", "standing", "problem", "since")
        unhealed, since = (str(found.get(name) or "") for name in ("unhealed", "unhealedSince"))
        told = {name: str(found[name] or "") for name in names}
        return Followed(**told, unhealed=unhealed, unhealed_since=since)
    except (yaml.YAMLError, UnicodeDecodeError, KeyError, TypeError, AttributeError):
        return None
