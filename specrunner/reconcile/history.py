"""What was declared at earlier commits: where the bytes are that only a record names."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from specrunner.core.keys import Key
from specrunner.core.recorded import Recorded
from specrunner.core.resources import Payload, Resource

AtCommit = Callable[[str], Mapping[Key, Resource] | None]


def unknown_commit(_commit: str) -> None:
    """An `AtCommit` for who has no history: nothing is known of any commit."""
    return


def recorded_payload(recorded: Recorded, at_commit: AtCommit) -> Payload | None:
    """The bytes that a record names, from the files of the commit that it names; None where they are not there."""
    resources = at_commit(recorded.commit) if recorded.commit else None
    payloads = (resource.payload for resource in (resources or {}).values())
    sha = recorded.applied.get("sha")
    return next((payload for payload in payloads if payload is not None and payload.sha == sha), None)
