"""The REST calls to GitHub, or to a GitHub server of one's own.

What certainly had no effect is tried again by itself: a call that was turned away for its rate, and every call that
only reads. A write whose answer was lost is not: whoever wrote looks first whether it is there (`Transient`).
Source: https://docs.github.com/rest/using-the-rest-api/best-practices-for-using-the-rest-api
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Final

from specrunner import __version__
from specrunner.core.errors import SpecrunnerError, Transient
from specrunner.core.values import Json, Secret

if TYPE_CHECKING:
    import httpx

TRIES: Final = 4
LONGEST_WAIT: Final = 60.0  # seconds; who is told to wait longer gives up
_PAGE: Final = 100  # entries of a list at a time, the most that there is
_MOST_PAGES: Final = 100
_TIMEOUT: Final = 30.0  # seconds
_MISSING: Final = frozenset(
    {401, 403, 404, 410}
)  # 404 is how GitHub says no to what one may not see; 410: switched off
_SERVER: Final = 500


class MissingRight(SpecrunnerError):
    """The token may not do this, or what it is about can't be seen with it."""


class GitHub:
    """The API of one repository.

    Raises MissingRight where the token has no right, Transient where nobody answers and it is not safe or no use to
    try again, SpecrunnerError for what GitHub refuses. No error holds the token.
    """

    def __init__(self, api: str, repository: str, token: Secret, sleep: Callable[[float], None] = time.sleep) -> None:
        self.repository = repository
        self._api = api
        self._token = token
        self._sleep = sleep
        self._opened: httpx.Client | None = None

    def close(self) -> None:
        """Give the connection back."""
        if self._opened is not None:
            self._opened.close()

    def get(self, path: str, **parameters: str | int) -> Any:
        """What is at a path; below the repository, unless it begins with a slash."""
        return self._call("GET", path, parameters=parameters).json()

    def listed(self, path: str, **parameters: str | int) -> Iterator[Any]:
        """Every entry of a list, page by page."""
        for page in range(1, _MOST_PAGES + 1):
            found = self.get(path, **parameters, per_page=_PAGE, page=page)
            yield from found
            if len(found) < _PAGE:
                return

    def send(self, method: str, path: str, body: Json = None) -> Any:
        """Change something; what GitHub answers."""
        answer = self._call(method, path, body=body)
        return answer.json() if answer.content else None

    def _call(
        self, method: str, path: str, *, parameters: dict[str, str | int] | None = None, body: Json = None
    ) -> httpx.Response:
        url = path if path.startswith("/") else f"/repos/{self.repository}/{path}"
        again = method in {"GET", "PATCH", "PUT", "DELETE"}  # a second time changes nothing more
        for number in range(TRIES):
            answer = self._answer(method, url, parameters, body, again=again and number + 1 < TRIES)
            wait = None if answer is None else _turned_away(answer)
            if answer is not None and wait is None and (answer.status_code < _SERVER or not again):
                return _checked(answer, method, url)
            if number + 1 == TRIES or (wait or 0) > LONGEST_WAIT:
                break
            self._sleep(wait if wait is not None else 2**number * random.uniform(0.5, 1))  # noqa: S311 - no secret
        if answer is not None and answer.status_code < _SERVER:
            raise _limited(answer)
        return _checked(answer, method, url) if answer is not None else _no_answer(method, url)

    def _answer(
        self, method: str, url: str, parameters: dict[str, str | int] | None, body: Json, *, again: bool
    ) -> httpx.Response | None:
        """The answer, or None where there was none and another try is safe."""
        import httpx

        try:
            return self._client().request(method, url, params=parameters, json=body)
        except httpx.TransportError as problem:
            # `InvalidURL` and the like are our fault; these are the network's.
            if again or isinstance(problem, httpx.ConnectError):
                return None
            raise Transient(
                f"GitHub did not answer {method} {url}.",
                detail=f"{type(problem).__name__}: {problem}.",
                remedy="Run the job again.",
            ) from problem

    def _client(self) -> httpx.Client:
        import httpx

        if self._opened is None:
            headers = {
                "Accept": "application/vnd.github+json",
                "Authorization": f"Bearer {self._token.reveal()}",
                "User-Agent": f"specrunner/{__version__}",
                "X-GitHub-Api-Version": "2022-11-28",
            }
            self._opened = httpx.Client(
                base_url=self._api, headers=headers, timeout=_TIMEOUT, follow_redirects=True, trust_env=True
            )
        return self._opened


def _turned_away(answer: httpx.Response) -> float | None:
    """The seconds to wait where the call was refused for its rate; None where it was not."""
    if answer.status_code not in {403, 429}:
        return None
    after = answer.headers.get("retry-after", "")
    if after.isdigit():
        return float(after)
    if answer.headers.get("x-ratelimit-remaining") == "0":
        reset = answer.headers.get("x-ratelimit-reset", "")
        return max(0.0, float(reset) - time.time()) if reset.isdigit() else LONGEST_WAIT
    limited = answer.status_code == 429 or "rate limit" in _message(answer).lower()
    return LONGEST_WAIT if limited else None


def _limited(answer: httpx.Response) -> Transient:
    return Transient(
        "GitHub turns calls away: there were too many.",
        detail=_message(answer),
        remedy="Run the job again later.",
        retry_after=_turned_away(answer),
    )


def _no_answer(method: str, url: str) -> httpx.Response:
    raise Transient(f"GitHub can't be reached for {method} {url}.", remedy="Run the job again.")


def _checked(answer: httpx.Response, method: str, url: str) -> httpx.Response:
    if answer.is_success:
        return answer
    said = f"GitHub answered {answer.status_code} to {method} {url}: {_message(answer)}"
    if answer.status_code in _MISSING:
        raise MissingRight("The token has no right to this.", said, "Look at `permissions:` of the job.")
    if answer.status_code >= _SERVER:
        raise Transient("GitHub has trouble of its own.", said, "Run the job again.")
    raise SpecrunnerError("GitHub refuses this.", said)


def _message(answer: httpx.Response) -> str:
    try:
        found = answer.json()
    except ValueError:
        return answer.reason_phrase
    return str(found.get("message", "")) if isinstance(found, dict) else ""
