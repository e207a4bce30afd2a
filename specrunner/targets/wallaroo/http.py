"""Requests to a platform: JSON to the routes of its API, files as forms, and the token that opens them."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import httpx

from specrunner import __version__
from specrunner.core.errors import BadInput, Conflict, NotFound, SpecrunnerError, Transient
from specrunner.core.values import Json, Secret
from specrunner.targets.server.http import Connection

API: Final = "/v1/api/"
_TOKEN_PATH: Final = "/auth/realms/master/protocol/openid-connect/token"  # noqa: S105 (a path)
_MARGIN: Final = 10.0  # seconds before its end at which a token is no longer used
_UPLOAD: Final = 600.0  # seconds
_PASSING: Final = frozenset({408, 425, 429, 502, 503, 504})
_NONE: Final[Mapping[str, str]] = {}
_WORDS: Final[Mapping[int, type[SpecrunnerError]]] = {400: BadInput, 404: NotFound, 409: Conflict}


@dataclass(slots=True)
class Login:
    """A user's name and password, and the token that they were exchanged for. Safe to use from several threads."""

    user: str
    password: Secret
    token: str = ""
    until: float = 0.0
    lock: threading.Lock = field(default_factory=threading.Lock)


@dataclass(slots=True)
class Platform(Connection):
    """A platform at a URL, with a token or a log-in. Safe to use from several threads; close it."""

    login: Login | None = None

    def ask_json(self, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """What a route that only reads answers; tried again where the answer was lost. Raises as `tell`."""
        return self._patiently(lambda: self._sent(path, body))

    def tell(self, path: str, body: Mapping[str, Any]) -> Any:
        """What a route that changes something answers, asked once: nobody knows whether a lost one was carried out.

        Raises Transient where it was lost, NotFound, Conflict, BadInput and SpecrunnerError as the platform says.
        """
        return self._sent(path, body)

    def upload(self, path: str, metadata: Mapping[str, Any], file_name: str, data: bytes) -> Any:
        """What an upload is answered with. Raises as `tell`."""
        parts = {
            "metadata": (None, json.dumps(metadata).encode(), "application/json"),
            "file": (file_name, data, "application/octet-stream"),
        }
        return self._exchanged("POST", API + path, files=parts, timeout=_UPLOAD)

    def infer(self, path: str, data: bytes) -> bytes:
        """The answer to rows as an Arrow file, as such a file. Raises as `tell`."""
        media = "application/vnd.apache.arrow.file"
        headers = {"Content-Type": media, "Accept": media, "format": "arrow"}
        return self._response("POST", API + path, content=data, headers=headers).content

    def infer_json(self, path: str, value: Json) -> Json:
        """The answer to custom JSON. Raises as `tell`."""
        media = "application/json; format=wallaroo"
        found: Json = self._exchanged(
            "POST", API + path, content=json.dumps(value).encode(), headers={"Content-Type": media, "Accept": media}
        )
        return found

    def _sent(self, path: str, body: Mapping[str, Any] | None) -> Any:
        return self._exchanged("POST", API + path, json=dict(body or {}))

    def _exchanged(self, method: str, path: str, **more: Any) -> Any:
        response = self._response(method, path, **more)
        if not response.content:
            return None
        try:
            return response.json()
        except ValueError as problem:
            raise self._strange(response) from problem

    def _response(self, method: str, path: str, headers: Mapping[str, str] = _NONE, **more: Any) -> httpx.Response:
        assert self.client is not None, "made with the connection"  # noqa: S101
        with self._explained():
            sent = {"User-Agent": f"specrunner/{__version__}", **self._authorised(), **headers}
            response = self.client.request(method, f"{self.url.rstrip('/')}{path}", headers=sent, **more)
        if not response.is_success:
            raise self._refusal(response)
        return response

    def _authorised(self) -> dict[str, str]:
        token = self.token.reveal() if self.token is not None else self._logged_in()
        return {"Authorization": f"Bearer {token}"} if token else {}

    def _logged_in(self) -> str:
        """A token that is still good, for the user's password; empty where there is no user."""
        if self.login is None:
            return ""
        with self.login.lock:
            if time.monotonic() >= self.login.until:
                self._log_in(self.login)
            return self.login.token

    def _log_in(self, login: Login) -> None:
        assert self.client is not None, "made with the connection"  # noqa: S101
        form = {"grant_type": "password", "client_id": "sdk-client", "username": login.user}
        form["password"] = str(login.password.reveal())
        response = self.client.post(f"{self.url.rstrip('/')}{_TOKEN_PATH}", data=form)
        if not response.is_success:
            raise SpecrunnerError(
                f"{self.place} does not let {login.user!r} in: HTTP {response.status_code}.",
                remedy="See that `userFrom` and `passwordFrom` of the target name a user of that platform.",
            )
        told = response.json()
        login.token, login.until = str(told["access_token"]), time.monotonic() + float(told["expires_in"]) - _MARGIN

    def _refusal(self, response: httpx.Response) -> SpecrunnerError:
        """What an answer that is no success says, in the platform's own words."""
        try:
            told = response.json()
            words = str(told.get("msg") or told.get("error") or "")
        except (ValueError, AttributeError):
            words = ""
        if response.status_code in _PASSING:
            return Transient(f"{self.place} can't answer now: HTTP {response.status_code}.", words)
        if response.status_code in {401, 403}:
            return SpecrunnerError(
                f"{self.place} does not let us do that: HTTP {response.status_code}.",
                detail=words,
                remedy="Name a token in `tokenFrom` of the target, or a user in `userFrom` and `passwordFrom`.",
            )
        if not words:
            return self._strange(response)
        return _WORDS.get(response.status_code, SpecrunnerError)(f"{self.place} refuses: {words}")

    def _strange(self, response: httpx.Response) -> SpecrunnerError:
        return SpecrunnerError(
            f"{self.place} answers with HTTP {response.status_code}, which is no answer of an MLOps API.",
            remedy="See that the address of the target is that of the platform.",
        )
