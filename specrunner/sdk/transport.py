"""HTTP requests to one platform, and when to try them again. `wire` does the sending.

What is tried again, for up to `patience` seconds: a refused connection (a host that was restarted binds the same
port again), an answer 503, and a connection that broke after the request had gone out, the last only where the
request is `repeatable`, because then nobody knows whether it was carried out. Timeouts are not tried again.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, Union
from urllib.parse import urlencode, urlsplit

from specrunner.sdk.exceptions import CommunicationError, SdkError
from specrunner.sdk.patience import Patience

if TYPE_CHECKING:
    from specrunner.sdk.wire import Wire

REQUEST_TIMEOUT = 60.0  # seconds
PATIENCE = 60.0  # seconds
UNAVAILABLE = 503


class Streamed(Protocol):
    """A body that is read in pieces, from the beginning each time it is iterated. `length` is its size in bytes."""

    length: int

    def __iter__(self) -> Iterator[bytes]:
        """The pieces in order."""


Body = Union[bytes, memoryview, Streamed]  # noqa: UP007  # evaluated at run time, also by Python 3.9


class Answer(NamedTuple):
    """A whole HTTP answer."""

    status: int
    content: bytes

    @property
    def ok(self) -> bool:
        """Whether the status is one of success."""
        return 200 <= self.status < 300

    def json(self) -> Any:
        """The body as JSON, None when it is empty. Raises CommunicationError when it is not JSON."""
        if not self.content:
            return None
        try:
            return json.loads(self.content)
        except ValueError as fault:
            raise CommunicationError(
                "The answer is not JSON", self.text()[:300], "Check that the address is that of a specrunner server."
            ) from fault

    def text(self) -> str:
        """The body as text; bytes that are not UTF-8 are replaced."""
        return self.content.decode("utf-8", "replace")


class Request(NamedTuple):
    """One HTTP request. `path` begins with a slash, `query` may repeat keys, `timeout` is seconds for each wait."""

    method: str
    path: str
    query: Sequence[tuple[str, str]] = ()
    headers: Mapping[str, str] | None = None
    body: Body | None = None
    timeout: float = REQUEST_TIMEOUT
    repeatable: bool = True

    @property
    def target(self) -> str:
        """Path and query, as they stand in the request line."""
        return f"{self.path}?{urlencode(self.query)}" if self.query else self.path


class NotConnectedError(Exception):
    """The connection was refused, so nothing was sent."""


class InterruptedRequestError(Exception):
    """The request went out, wholly or in part, and no whole answer came."""


class Transport:
    """Requests to the platform at the base URL `endpoint`, each with `token` as bearer where there is one.

    Safe for use by many threads and after a fork. Raises SdkError for an endpoint that is no http or https URL.
    """

    def __init__(self, endpoint: str, token: str = "", *, patience: float = PATIENCE) -> None:
        parts = urlsplit(endpoint)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise SdkError(
                f"{endpoint!r} is not the address of a platform",
                "It must be a URL such as http://host:port.",
                "Set SPECRUNNER_URL to the address of an engine; in a run it is set.",
            )
        self.endpoint = endpoint.rstrip("/")
        self._token = token
        self._patience = patience
        self._wire: Wire | None = None
        self._lock = threading.Lock()

    def auth_header(self) -> dict[str, str]:
        """The header that shows the token; empty where there is no token."""
        return {"Authorization": f"Bearer {self._token}"} if self._token else {}

    def send(self, request: Request) -> Answer:
        """The answer to `request`, whatever its status.

        Raises CommunicationError when the platform cannot be reached or the connection broke, RequestTimeoutError
        when it does not answer in time.
        """
        request = request._replace(headers={**self.auth_header(), **(request.headers or {})})
        patience = Patience(self._patience)
        while True:
            try:
                answer = self._opened().exchange(request)
            except NotConnectedError as fault:
                if not patience.pause():
                    raise unreachable(self.endpoint, fault) from fault
            except InterruptedRequestError as fault:
                if not (request.repeatable and patience.pause()):
                    raise self._broken(request, fault) from fault
            else:
                if answer.status != UNAVAILABLE or not patience.pause():
                    return answer

    def close(self) -> None:
        """Close the connections of all threads; the next request opens one again."""
        if self._wire is not None:
            self._wire.close()

    def _opened(self) -> Wire:
        with self._lock:
            if self._wire is None:
                # The libraries below it take longer to import than all the rest of the SDK.
                from specrunner.sdk.wire import Wire

                self._wire = Wire(self.endpoint)
            return self._wire

    def _broken(self, request: Request, fault: Exception) -> CommunicationError:
        return CommunicationError(
            f"The connection to {self.endpoint} broke",
            f"{request.method} {request.path} was sent and not answered ({fault}); it may have been carried out.",
            "Look whether it was before trying again.",
        )


def unreachable(endpoint: str, fault: Exception) -> CommunicationError:
    """The error of a platform that cannot be reached, with the reason that the system gave."""
    return CommunicationError(
        f"Cannot reach the platform at {endpoint}",
        str(fault) or type(fault).__name__,
        "Start the `specrunner apply` or `run` again that began this: it waits for this run and answers it.",
    )


def multiple(name: str, values: Iterable[str]) -> list[tuple[str, str]]:
    """Query pairs that repeat `name`."""
    return [(name, value) for value in values]
