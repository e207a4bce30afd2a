"""A stand-in of the REST endpoints of GitHub that specrunner calls: it keeps what is written, and enforces rights.

Shapes, statuses and limits are those of https://docs.github.com/rest. Anything else is answered with 501, so that a
call that nobody thought of fails a test.
"""

from __future__ import annotations

import itertools
import json
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

REPOSITORY = "team/specs"
BOT = "github-actions[bot]"
WRITE = "write"
READ = "read"


@dataclass(frozen=True)
class Asked:
    """One request, as it came."""

    method: str
    path: str
    body: Any
    headers: Mapping[str, str]
    query: Mapping[str, str]


@dataclass
class Answer:
    status: int = 200
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class Fault:
    """What happens to the next request that fits; with `effect` it is carried out, and its answer lost or replaced."""

    method: str
    path: str
    answer: Answer | None
    effect: bool = False


class Api:
    """The state behind the endpoints. `rights` are those of each token, `logins` whom it acts for."""

    def __init__(self) -> None:
        self.rights: dict[str, Mapping[str, str]] = {}
        self.logins: dict[str, str] = {}
        self.asked: list[Asked] = []
        self.faults: list[Fault] = []
        self.comments: dict[int, dict[str, Any]] = {}
        self.issues: dict[int, dict[str, Any]] = {}
        self.pulls: dict[int, dict[str, Any]] = {}
        self.statuses: dict[str, list[dict[str, Any]]] = {}
        self.numbers = itertools.count(1)
        self.ids = itertools.count(1001)
        self.url = ""

    def add_pull(self, **fields: Any) -> int:
        """A pull request, as somebody opened it."""
        number = next(self.numbers)
        self.pulls[number] = {"number": number, "html_url": f"https://forge/pull/{number}", "merged_at": None, **fields}
        return number

    def comments_of(self, number: int, login: str = BOT) -> list[str]:
        """The bodies of somebody's comments."""
        return [c["body"] for c in self.comments.values() if c["number"] == number and c["user"]["login"] == login]

    def writes(self) -> list[Asked]:
        return [asked for asked in self.asked if asked.method != "GET"]

    def answer(self, asked: Asked, token: str) -> Answer | None:
        """The answer, or None for a connection that ends without one."""
        self.asked.append(asked)
        for fault in self.faults:
            if fault.method == asked.method and re.search(fault.path, asked.path):
                self.faults.remove(fault)
                if fault.effect:
                    self._answer(asked, token)
                return fault.answer
        return self._answer(asked, token)

    def _answer(self, asked: Asked, token: str) -> Answer:
        if token not in self.rights:
            return Answer(401, {"message": "Bad credentials"})
        for method, pattern, scopes, action in ROUTES:
            found = re.fullmatch(pattern, asked.path.removeprefix(f"/repos/{REPOSITORY}/"))
            if asked.method == method and found:
                need = READ if method == "GET" else WRITE
                if scopes and not any(self._may(token, scope, need) for scope in scopes(self, found)):
                    return Answer(403, {"message": "Resource not accessible by integration"})
                return action(self, asked, found, self.logins.get(token, BOT))
        return Answer(501, {"message": f"the stand-in knows no {asked.method} {asked.path}"})

    def _may(self, token: str, scope: str, need: str) -> bool:
        given = self.rights[token].get(scope, "none")
        return given == WRITE or (given == READ and need == READ)


def _paged(found: list[Any], asked: Asked) -> Answer:
    size, page = int(asked.query.get("per_page", 30)), int(asked.query.get("page", 1))
    return Answer(200, found[(page - 1) * size : page * size])


def _user(_api: Api, _asked: Asked, _found: re.Match[str], login: str) -> Answer:
    if login == BOT:
        return Answer(403, {"message": "Resource not accessible by integration"})
    return Answer(200, {"login": login})


def _list_comments(api: Api, asked: Asked, found: re.Match[str], _login: str) -> Answer:
    return _paged([one for one in api.comments.values() if one["number"] == int(found[1])], asked)


def _too_long(asked: Asked) -> bool:
    return len((asked.body.get("body") or "").encode("utf-16-le")) // 2 > 65_536


def _add_comment(api: Api, asked: Asked, found: re.Match[str], login: str) -> Answer:
    if _too_long(asked):
        return Answer(422, {"message": "Body is too long (maximum is 65536 characters)"})
    number, key = int(found[1]), next(api.ids)
    made = {"id": key, "number": number, "body": asked.body["body"], "user": {"login": login}}
    api.comments[key] = made | {"html_url": f"https://forge/issues/{number}#issuecomment-{key}"}
    return Answer(201, api.comments[key])


def _edit_comment(api: Api, asked: Asked, found: re.Match[str], _login: str) -> Answer:
    if _too_long(asked):
        return Answer(422, {"message": "Body is too long (maximum is 65536 characters)"})
    api.comments[int(found[1])]["body"] = asked.body["body"]
    return Answer(200, api.comments[int(found[1])])


def _delete_comment(api: Api, _asked: Asked, found: re.Match[str], _login: str) -> Answer:
    del api.comments[int(found[1])]
    return Answer(204)


def _list_issues(api: Api, asked: Asked, _found: re.Match[str], _login: str) -> Answer:
    state, label = asked.query.get("state", "open"), asked.query.get("labels")
    found = [one for one in api.issues.values() if one["state"] == state]
    return _paged([one for one in found if not label or label in [tag["name"] for tag in one["labels"]]], asked)


def _add_issue(api: Api, asked: Asked, _found: re.Match[str], login: str) -> Answer:
    if _too_long(asked):
        return Answer(422, {"message": "Validation Failed"})
    number = next(api.numbers)
    tags = [{"name": name} for name in asked.body.get("labels", [])]
    made = {"number": number, "title": asked.body["title"], "body": asked.body["body"], "labels": tags}
    api.issues[number] = made | {
        "state": "open",
        "user": {"login": login},
        "html_url": f"https://forge/issues/{number}",
    }
    return Answer(201, api.issues[number])


def _edit_issue(api: Api, asked: Asked, found: re.Match[str], _login: str) -> Answer:
    api.issues[int(found[1])] |= asked.body
    return Answer(200, api.issues[int(found[1])])


def _pulls_of(api: Api, asked: Asked, found: re.Match[str], _login: str) -> Answer:
    shas = ("merge_commit_sha",)
    fits = [one for one in api.pulls.values() if found[1] in {one["head"]["sha"], *(one.get(name) for name in shas)}]
    return _paged(fits, asked)


def _add_status(api: Api, asked: Asked, found: re.Match[str], login: str) -> Answer:
    if len(asked.body.get("description", "")) > 140:
        return Answer(422, {"message": "description is too long"})
    api.statuses.setdefault(found[1], []).insert(0, {**asked.body, "creator": {"login": login}})
    return Answer(201, asked.body)


def _list_statuses(api: Api, asked: Asked, found: re.Match[str], _login: str) -> Answer:
    return _paged(api.statuses.get(found[1], []), asked)


_Scopes = Callable[[Api, "re.Match[str]"], tuple[str, ...]]


def _of_number(api: Api, found: re.Match[str]) -> tuple[str, ...]:
    return ("pull-requests", "issues") if int(found[1]) in api.pulls else ("issues",)


def _of_comment(api: Api, found: re.Match[str]) -> tuple[str, ...]:
    known = api.comments.get(int(found[1]))
    return ("pull-requests", "issues") if known and known["number"] in api.pulls else ("issues",)


def _scope(*names: str) -> _Scopes:
    return lambda _api, _found: names


_Action = Callable[[Api, Asked, "re.Match[str]", str], Answer]
ROUTES: list[tuple[str, str, _Scopes | None, _Action]] = [
    ("GET", r"/user", None, _user),
    ("GET", r"issues/(\d+)/comments", _of_number, _list_comments),
    ("POST", r"issues/(\d+)/comments", _of_number, _add_comment),
    ("PATCH", r"issues/comments/(\d+)", _of_comment, _edit_comment),
    ("DELETE", r"issues/comments/(\d+)", _of_comment, _delete_comment),
    ("GET", r"issues", _scope("issues"), _list_issues),
    ("POST", r"issues", _scope("issues"), _add_issue),
    ("PATCH", r"issues/(\d+)", _scope("issues"), _edit_issue),
    ("GET", r"commits/(\w+)/pulls", _scope("pull-requests"), _pulls_of),
    ("POST", r"statuses/(\w+)", _scope("statuses"), _add_status),
    ("GET", r"commits/(\w+)/statuses", _scope("statuses"), _list_statuses),
]


@contextmanager
def serving_api() -> Iterator[Api]:
    """The stand-in on loopback; its address is `url`."""
    api = Api()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _handle(self) -> None:
            parts = urlsplit(self.path)
            size = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(size)) if size else None
            query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
            asked = Asked(self.command, parts.path, body, dict(self.headers), query)
            answer = api.answer(asked, self.headers.get("Authorization", "").removeprefix("Bearer "))
            if answer is None:
                self.close_connection = True
                return
            data = b"" if answer.body is None else json.dumps(answer.body).encode()
            self.send_response(answer.status)
            for name, value in {**answer.headers, "Content-Length": str(len(data))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = do_PATCH = do_DELETE = do_PUT = _handle  # noqa: N815

        def log_message(self, *_words: object) -> None:
            """Nobody reads it."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    api.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield api
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
