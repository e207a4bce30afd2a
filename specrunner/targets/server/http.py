"""Sending requests, again where the answer was lost: every request is harmless to repeat, or says by a key that it is.

No secret stands in a URL, nor in an error's words. A token goes nowhere unencrypted but to this machine itself.
"""

from __future__ import annotations

import ipaddress
import os
import random
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, BinaryIO, Final, TypeVar
from urllib.parse import urlsplit

import httpx
import msgspec

from specrunner import __version__
from specrunner.core.errors import BadInput, SpecrunnerError, Transient, UsageError
from specrunner.core.keys import Key
from specrunner.core.values import Secret, iso
from specrunner.targets.base import Note, silent
from specrunner.targets.wire import events
from specrunner.targets.wire.codec import EVENTS, decode, encode
from specrunner.targets.wire.faults import Fault, error_of

PREFIX: Final = "/v1/specrunner"
ALLOW_HTTP: Final = "SPECRUNNER_ALLOW_HTTP"  # set to 1, tokens also go unencrypted to other machines
PATIENCE: Final = 30.0  # seconds; a server that is started anew is back by then
FIRST_PATIENCE: Final = 5.0  # until it has answered once: the address may be wrong
_TIMEOUT: Final = httpx.Timeout(60.0, connect=10.0)
_FIRST_PAUSE: Final = 0.1
_LONGEST_PAUSE: Final = 3.0
_PASSING: Final = frozenset({408, 425, 429, 502, 503, 504})

_Record = TypeVar("_Record")
_Result = TypeVar("_Result")
Asked = str | int | float | bool | datetime | Key
Query = Mapping[str, Asked]


@dataclass(frozen=True, slots=True)
class Sent:
    """One request. `once` is its idempotency key; `follow` accepts server-sent events."""

    method: str
    path: str
    body: object = None
    query: Query = field(default_factory=dict)
    content: bytes | None = None
    media: str = "application/json"
    once: str = ""
    events: bool = False
    last_event: str = ""


@dataclass(slots=True)
class Connection:
    """A server at a URL. Safe to use from several threads; close it. `patience` is how many seconds it tries again."""

    url: str
    token: Secret | None = None
    client: httpx.Client | None = None
    patience: float = PATIENCE
    _closed: threading.Event = field(default_factory=threading.Event)
    _reached: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        """Raises UsageError for a URL that is none, or where a token would travel unencrypted."""
        parts = urlsplit(self.url)
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.username or parts.query:
            raise UsageError(
                "The address of the server is no URL such as https://ml.example.com.",
                remedy="Write `target: {server: https://…}` in specrunner.yaml; the token goes into `tokenFrom`.",
            )
        here = _is_here(parts.hostname)
        if self.token is not None and parts.scheme == "http" and not here and os.environ.get(ALLOW_HTTP) != "1":
            raise UsageError(
                f"The token for {self.place} would travel unencrypted.",
                remedy=f"Write https:// in its address, or set {ALLOW_HTTP}=1 where the network is safe.",
            )
        if self.client is None:
            # What goes to this machine itself goes through no proxy.
            verify = _trusted() if parts.scheme == "https" else False
            self.client = httpx.Client(timeout=_TIMEOUT, trust_env=not here, verify=verify)

    @property
    def place(self) -> str:
        """The server, for people."""
        return urlsplit(self.url).netloc

    def ask(self, sent: Sent, record: type[_Record]) -> _Record:
        """The record that a request is answered with. Raises what the server tells, Transient where none is there."""
        return self._patiently(lambda: self._read(self._answer(sent), record))

    def fetch(self, sent: Sent) -> httpx.Response:
        """The answer itself, where it is no record. Raises as `ask`."""
        return self._patiently(lambda: self._answer(sent))

    def download(self, sent: Sent, file: BinaryIO) -> Mapping[str, str]:
        """Write the body of the answer to a file, however large; its headers. Raises as `ask`."""

        def once() -> Mapping[str, str]:
            assert self.client is not None, "made with the connection"  # noqa: S101
            file.seek(0)
            file.truncate()
            with self._explained(), self.client.stream(**self._request(sent)) as response:
                if response.status_code != httpx.codes.OK:
                    response.read()
                    raise self._refused(response)
                for part in response.iter_bytes():
                    file.write(part)
            return response.headers

        return self._patiently(once)

    def work(self, sent: Sent, record: type[_Record], note: Note = silent) -> _Record:
        """Likewise for what takes long: what goes on is noted. Raises as `ask`."""

        def once() -> _Record:
            with self.stream(sent) as found:
                for event in found:
                    if event.name == events.NOTE:
                        note(decode(event.data, str))
                    elif event.name == events.FAILED:
                        raise error_of(decode(event.data, Fault))
                    elif event.name == events.DONE:
                        return self._decoded(event.data, record)
            raise Transient(f"The connection to {self.place} ended before the answer had come.")

        return self._patiently(once)

    @contextmanager
    def stream(self, sent: Sent, stopped: Callable[[], bool] = lambda: False) -> Iterator[Iterator[events.Event]]:
        """The events of an answer, until it ends or `stopped` says so. Raises as `ask`, and tries once."""
        assert self.client is not None, "made with the connection"  # noqa: S101
        with self._explained(), self.client.stream(**self._request(sent)) as response:
            if response.status_code != httpx.codes.OK:
                response.read()
                raise self._refused(response)
            yield events.read(_until(stopped, response.iter_lines()))

    def close(self) -> None:
        """Close the connections; whoever tries again gives up."""
        self._closed.set()
        if self.client is not None:
            self.client.close()

    def _answer(self, sent: Sent) -> httpx.Response:
        assert self.client is not None, "made with the connection"  # noqa: S101
        with self._explained():
            response = self.client.request(**self._request(sent))
        if response.status_code != httpx.codes.OK:
            raise self._refused(response)
        return response

    def _request(self, sent: Sent) -> dict[str, Any]:
        headers = {"User-Agent": f"specrunner/{__version__}"}
        if self.token is not None:
            headers["Authorization"] = f"Bearer {self.token.reveal()}"
        if sent.once:
            headers["Idempotency-Key"] = sent.once
        if sent.events:
            headers["Accept"] = EVENTS
        if sent.last_event:
            headers["Last-Event-ID"] = sent.last_event
        content = encode(sent.body) if sent.body is not None else sent.content
        if content is not None:
            headers["Content-Type"] = sent.media
        url = f"{self.url.rstrip('/')}{PREFIX}{sent.path}"
        params = {name: _text(value) for name, value in sent.query.items()}
        return {"method": sent.method, "url": url, "params": params, "headers": headers, "content": content}

    def _read(self, response: httpx.Response, record: type[_Record]) -> _Record:
        return self._decoded(response.content, record)

    def _decoded(self, data: bytes, record: type[_Record]) -> _Record:
        try:
            return decode(data, record)
        except BadInput as problem:
            raise SpecrunnerError(
                f"The answer of {self.place} can't be read.",
                detail=problem.detail,
                remedy="See that this is a specrunner server, and that it is of about the same version as this one.",
            ) from problem

    def _refused(self, response: httpx.Response) -> SpecrunnerError:
        """What an answer that is no success says."""
        try:
            found = error_of(msgspec.json.decode(response.content, type=Fault))
        except msgspec.DecodeError:
            found = self._strange(response)
        if response.status_code in _PASSING and not isinstance(found, Transient):
            after = response.headers.get("retry-after", "")
            seconds = float(after) if after.isdecimal() else None
            return Transient(found.summary, found.detail, found.remedy, retry_after=seconds)
        return found

    def _strange(self, response: httpx.Response) -> SpecrunnerError:
        """The words for an answer that is none of ours: a proxy's, or another program's."""
        location = response.headers.get("location", "")
        return SpecrunnerError(
            f"{self.place} answers with HTTP {response.status_code}, which is no answer of specrunner.",
            detail=f"It sends us to {location[:200]}." if location else "",
            remedy="See that the address of the target is that of a specrunner server.",
        )

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except httpx.TransportError as problem:
            if (untrusted := _untrusted(problem)) is not None:
                raise SpecrunnerError(
                    f"The certificate of {self.place} is not trusted.",
                    detail=f"{untrusted.verify_message}.",
                    remedy="Name the authority that has signed it in SSL_CERT_FILE, where that is one of your own.",
                ) from problem
            raise Transient(
                f"The server {self.place} does not answer.",
                detail=f"{type(problem).__name__}: {problem}",
                remedy="See that `specrunner serve` runs there, and that this machine reaches it.",
            ) from problem

    def _patiently(self, work: Callable[[], _Result]) -> _Result:
        """Do it again as long as it may work soon."""
        began, pause = time.monotonic(), _FIRST_PAUSE
        while True:
            try:
                found = work()
                self._reached.set()
                return found
            except Transient as problem:
                wait = max(pause * random.uniform(0.5, 1), min(problem.retry_after or 0, 60))  # noqa: S311 (no secret)
                patience = self.patience if self._reached.is_set() else min(self.patience, FIRST_PATIENCE)
                if time.monotonic() + wait > began + patience or self._closed.wait(wait):
                    raise
                pause = min(pause * 2, _LONGEST_PAUSE)


def _until(stopped: Callable[[], bool], lines: Iterator[str]) -> Iterator[str]:
    for line in lines:
        if stopped():
            return
        yield line


def _text(value: str | float | bool | datetime | Key) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return iso(value) if isinstance(value, datetime) else str(value)


def _trusted() -> ssl.SSLContext:
    """Whom we trust: whom this machine does, and those in SSL_CERT_FILE and SSL_CERT_DIR."""
    return ssl.create_default_context(
        cafile=os.environ.get("SSL_CERT_FILE") or None, capath=os.environ.get("SSL_CERT_DIR") or None
    )


def _untrusted(problem: BaseException | None) -> ssl.SSLCertVerificationError | None:
    while problem is not None and not isinstance(problem, ssl.SSLCertVerificationError):
        problem = problem.__cause__ or problem.__context__
    return problem


def _is_here(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
