"""Sending notifications: a few tries within a time that is set, and no error holds the address, which is a secret."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from specrunner import __version__
from specrunner.core.errors import Diagnostic, Severity
from specrunner.core.values import Json, Secret

if TYPE_CHECKING:
    import httpx

TRIES: Final = 3
BUDGET: Final = 15.0  # seconds for all that is sent at once: whoever waits for the command waits no longer
_TIMEOUT: Final = 5.0  # seconds for one try
_LONGEST_WAIT: Final = 5.0
_SERVER: Final = 500


@dataclass(frozen=True, slots=True)
class Post:
    """One message: the name of the notification, its address, and the JSON."""

    name: str
    url: Secret
    body: Json


def send(posts: Iterable[Post], sleep: Callable[[float], None] = time.sleep) -> tuple[Diagnostic, ...]:
    """Send every message; a warning for each that nobody took."""
    posts = list(posts)
    if not posts:
        return ()
    import httpx

    end = time.monotonic() + BUDGET
    headers = {"User-Agent": f"specrunner/{__version__}"}
    with httpx.Client(timeout=_TIMEOUT, headers=headers, follow_redirects=False) as client:
        return tuple(found for post in posts for found in _sent(client, post, end, sleep))


def _sent(client: httpx.Client, post: Post, end: float, sleep: Callable[[float], None]) -> Iterator[Diagnostic]:
    reason = "there was no time left for it"
    for number in range(TRIES):
        if time.monotonic() > end:
            break
        reason, wait = _tried(client, post)
        if not reason:
            return
        if wait is None or number + 1 == TRIES:
            break
        sleep(min(wait or 0.5 * 2**number, _LONGEST_WAIT))
    yield Diagnostic(
        f"The notification {post.name!r} was not sent: {reason}.",
        remedy="Look at its `url` in specrunner.yaml, and whether this machine reaches it.",
        severity=Severity.WARNING,
    )


def _tried(client: httpx.Client, post: Post) -> tuple[str, float | None]:
    """Why it was not taken, empty where it was; and how long to wait before the next try, None for none."""
    import httpx

    try:
        answer = client.post(str(post.url.reveal()), json=post.body)
    except httpx.TransportError as problem:
        return f"nobody answered ({type(problem).__name__})", 0.0
    except (httpx.InvalidURL, ValueError):
        return "its address is none", None
    if answer.is_success:
        return "", None
    reason = f"the answer was {answer.status_code}"
    if answer.status_code != 429 and answer.status_code < _SERVER:
        return reason, None
    after = answer.headers.get("retry-after", "")
    return reason, float(after) if after.isdigit() else 0.0
