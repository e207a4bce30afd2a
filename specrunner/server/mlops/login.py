"""The log-in of the platform's clients: a password, a refresh token, or a device that a person approves on a page."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from html import escape
from typing import Final

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from specrunner.core.errors import BadInput, NotFound, SpecrunnerError
from specrunner.core.values import Json
from specrunner.engine.engine import Engine
from specrunner.engine.records import User
from specrunner.server.access import TooManyFailures, address_of, check_own
from specrunner.server.calls import door_of, guarded, limited
from specrunner.server.mlops.page import ask_page, told_page

_EXPIRES: Final = 600  # seconds that a person has for approving
_INTERVAL: Final = 1  # seconds between two questions of a device
_MOST: Final = 1000  # devices that wait at once
_MAX_FORM: Final = 2**16  # bytes
_LETTERS: Final = "BCDFGHJKLMNPQRSTVWXZ"
_DEVICE: Final = "urn:ietf:params:oauth:grant-type:device_code"


class TooManyDevices(SpecrunnerError):
    """More wait than people can approve."""

    http_status = 429


@dataclass(slots=True)
class Device:
    """A client that waits until a person approves it; `user_id` is then theirs."""

    code: str
    user_code: str
    until: float
    user_id: str | None = None


@dataclass(slots=True)
class Devices:
    """The devices that wait; in this process's memory only."""

    clock: Callable[[], float] = time.monotonic
    _waiting: dict[str, Device] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def begin(self) -> Device:
        """A new device that waits. Raises TooManyDevices."""
        now = self.clock()
        with self._lock:
            self._waiting = {code: one for code, one in self._waiting.items() if one.until > now}
            if len(self._waiting) >= _MOST:
                raise TooManyDevices("Too many devices wait for their approval.", remedy="Try again in some minutes.")
            word = "".join(secrets.choice(_LETTERS) for _ in range(8))
            made = Device(secrets.token_urlsafe(32), f"{word[:4]}-{word[4:]}", now + _EXPIRES)
            self._waiting[made.code] = made
        return made

    def approve(self, user_code: str, user: User) -> None:
        """Let the device with this code in, as that user. Raises NotFound."""
        with self._lock:
            for found in self._waiting.values():
                same = secrets.compare_digest(found.user_code.encode(), user_code.strip().upper().encode())
                if same and found.until > self.clock():
                    found.user_id = user.id
                    return
        raise NotFound("No device waits with this code.", remedy="Log in again where you began.")

    def collect(self, code: str) -> Device | None:
        """The device of this code, forgotten once it was approved; None where its time is over."""
        with self._lock:
            found = self._waiting.get(code)
            if found is None or found.until <= self.clock():
                return None
            if found.user_id is not None:
                del self._waiting[code]
            return found


async def _form(request: Request) -> dict[str, str]:
    async with limited(request, _MAX_FORM).form(max_files=0, max_fields=20) as form:
        return {name: value for name, value in form.items() if isinstance(value, str)}


async def _device(request: Request) -> Response:
    found = _devices(request).begin()
    page = str(request.url_for("device_page", realm=request.path_params["realm"]))
    return JSONResponse(
        {
            "device_code": found.code,
            "user_code": found.user_code,
            "verification_uri": page,
            "verification_uri_complete": f"{page}?user_code={found.user_code}",
            "expires_in": _EXPIRES,
            "interval": _INTERVAL,
        }
    )


async def _token(request: Request) -> Response:
    form = await _form(request)
    grants = {"password": _by_password, "refresh_token": _by_refresh, _DEVICE: _by_device}
    grant = grants.get(form.get("grant_type", ""))
    if grant is None:
        return _no("unsupported_grant_type", "The grant types are password, refresh_token and device_code.")
    user = await run_in_threadpool(grant, request, form)
    if isinstance(user, Response):
        return user
    return JSONResponse(door_of(request).logins.granted(user), headers={"Cache-Control": "no-store"})


def _by_password(request: Request, form: dict[str, str]) -> User | Response:
    user = _checked(request, form.get("username", ""), form.get("password", ""))
    return user or _no("invalid_grant", "Invalid user credentials", 401)


def _by_refresh(request: Request, form: dict[str, str]) -> User | Response:
    user_id = door_of(request).logins.refreshed(form.get("refresh_token", ""))
    return _enabled(_engine(request), user_id) or _no("invalid_grant", "Invalid refresh token")


def _by_device(request: Request, form: dict[str, str]) -> User | Response:
    found = _devices(request).collect(form.get("device_code", ""))
    if found is None:
        return _no("expired_token", "The device code is not known, or its time is over.")
    if found.user_id is None:
        return _no("authorization_pending", "The person has not approved yet.")
    return _enabled(_engine(request), found.user_id) or _no("access_denied", "The user is gone.")


def _checked(request: Request, email: str, password: str) -> User | None:
    """The user with this password; whoever this machine's user is, where nobody need say who they are."""
    engine = _engine(request)
    if door_of(request).stands_open():
        check_own(request)
        return engine.users.local()
    access, address, proof = door_of(request).access, address_of(request), f"{email}\0{password}"
    access.guesses.check(address, proof)
    found = engine.users.authenticated(email, password)
    if found is None:
        access.refused(address)
    elif access.guesses.succeeded(address, proof):
        engine.audit.add(f"user {found.email}", "login", address=address)
    return found


def _enabled(engine: Engine, user_id: str | None) -> User | None:
    if user_id is None:
        return None
    try:
        user = engine.users.get(user_id)
    except NotFound:
        return None
    return user if user.enabled else None


def _no(error: str, words: str, status: int = 400) -> Response:
    body: dict[str, Json] = {"error": error, "error_description": words, "code": status, "msg": words}
    return JSONResponse(body, status, headers={"Cache-Control": "no-store"})


async def _page(request: Request) -> Response:
    code = request.query_params.get("user_code", "")
    is_open = await run_in_threadpool(door_of(request).stands_open)
    return _html(ask_page(escape(code[:20]), is_open=is_open))


async def _approve(request: Request) -> Response:
    form = await _form(request)
    code = form.get("user_code", "")
    try:
        user = await run_in_threadpool(_checked, request, form.get("username", ""), form.get("password", ""))
        if user is None:
            raise BadInput("The e-mail address or the password is wrong.")
        _devices(request).approve(code, user)
    except (BadInput, NotFound, TooManyFailures) as problem:
        words = " ".join(part for part in (problem.summary, problem.remedy) if part)
        return _html(told_page("Not approved", escape(words)), problem.http_status)
    return _html(told_page("Approved", "The device is logged in. You may close this page."))


def _html(text: str, status: int = 200) -> Response:
    policy = "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'"
    headers = {"Content-Security-Policy": policy, "X-Frame-Options": "DENY", "Referrer-Policy": "no-referrer"}
    return HTMLResponse(text, status, {**headers, "Cache-Control": "no-store"})


async def _discovery(request: Request) -> Response:
    realm = str(request.url_for("realm", realm=request.path_params["realm"]))
    protocol = f"{realm}/protocol/openid-connect"
    return JSONResponse(
        {
            "issuer": realm,
            "token_endpoint": f"{protocol}/token",
            "device_authorization_endpoint": f"{protocol}/auth/device",
            "grant_types_supported": ["password", "refresh_token", _DEVICE],
        }
    )


async def _realm(request: Request) -> Response:
    return JSONResponse({"realm": request.path_params["realm"]})


def _engine(request: Request) -> Engine:
    engine: Engine = request.app.state.engine
    return engine


def _devices(request: Request) -> Devices:
    devices: Devices = request.app.state.devices
    return devices


_REALM = "/auth/realms/{realm}"
_PROTOCOL = f"{_REALM}/protocol/openid-connect"
ROUTES = [
    Route(_REALM, _realm, name="realm"),
    Route(f"{_REALM}/.well-known/openid-configuration", _discovery),
    Route(f"{_PROTOCOL}/auth/device", guarded(_device), methods=["POST"]),
    Route(f"{_PROTOCOL}/token", guarded(_token), methods=["POST"]),
    Route(f"{_REALM}/device", guarded(_page), name="device_page"),
    Route(f"{_REALM}/device", guarded(_approve), methods=["POST"]),
]
