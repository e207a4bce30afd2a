"""What the client makes of servers that answer strangely, late, or not at all."""

from __future__ import annotations

import json
from collections.abc import Callable

import httpx
import pytest

from specrunner.core.errors import InvalidSpecs, NotFound, SpecrunnerError, StalePlan, Transient, UsageError
from specrunner.core.values import Secret
from specrunner.targets.server.http import ALLOW_HTTP, Connection, Sent
from specrunner.targets.wire import events
from specrunner.targets.wire.codec import encode
from specrunner.targets.wire.faults import fault_of
from specrunner.targets.wire.records import Done, Held

ASKED = Sent("GET", "/whoami")
Answer = Callable[[httpx.Request], httpx.Response]


def connection(answer: Answer, patience: float = 0.0) -> Connection:
    return Connection(
        "http://localhost:1", Secret("spr_x"), httpx.Client(transport=httpx.MockTransport(answer)), patience
    )


def answering(*answers: httpx.Response | Exception) -> tuple[Connection, list[httpx.Request]]:
    """A server with these answers, one after the other."""
    left, seen = list(answers), list[httpx.Request]()

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        found = left.pop(0)
        if isinstance(found, Exception):
            raise found
        return found

    return connection(answer, 20.0), seen


FINE = httpx.Response(200, content=encode(Held(held=True)))


def test_what_passes_is_tried_again_with_the_same_key() -> None:
    for passing in (
        httpx.ConnectError("refused"),
        httpx.ReadError("cut off"),
        httpx.RemoteProtocolError("no answer"),
        httpx.Response(502, text="<html>bad gateway</html>"),
        httpx.Response(503, content=encode(fault_of(Transient("soon", retry_after=0.01)))),
        httpx.Response(429, text="slow down", headers={"Retry-After": "0"}),
    ):
        found, seen = answering(passing, FINE)
        assert found.ask(Sent("POST", "/runs", once="key"), Held).held
        assert [request.headers["idempotency-key"] for request in seen] == ["key"] * 2


def test_what_does_not_pass_is_told_as_what_it_is() -> None:
    for problem in (NotFound("no"), StalePlan("old", "why", "again"), InvalidSpecs([]), SpecrunnerError("x")):
        answer = httpx.Response(problem.http_status, content=encode(fault_of(problem)))
        found, seen = answering(answer)
        with pytest.raises(type(problem)) as caught:
            found.ask(ASKED, Held)
        assert (caught.value.summary, caught.value.remedy) == (problem.summary, problem.remedy) and len(seen) == 1


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (httpx.Response(200, text="<html>hello</html>"), "can't be read"),
        (httpx.Response(200, content=b"{}"), "can't be read"),
        (httpx.Response(404, text="<html>not found</html>"), "no answer of specrunner"),
        (httpx.Response(302, headers={"Location": "https://login.example"}), "no answer of specrunner"),
    ],
)
def test_another_program_at_that_address_is_told(answer: httpx.Response, words: str) -> None:
    found, _ = answering(answer)
    with pytest.raises(SpecrunnerError, match=words) as caught:
        found.ask(ASKED, Held)
    assert not isinstance(caught.value, Transient)


def test_patience_ends() -> None:
    def refuse(_request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused")

    with pytest.raises(Transient, match="localhost:1 does not answer"):
        connection(refuse).ask(ASKED, Held)


def test_an_unknown_field_of_a_newer_server_is_no_harm() -> None:
    found, _ = answering(httpx.Response(200, content=json.dumps({"held": True, "since": 1})))
    assert found.ask(ASKED, Held).held


def test_notes_come_through_and_a_stream_that_is_cut_off_is_tried_again() -> None:
    note, done = events.written(events.Event("note", b'"building"')), events.written(events.Event("done", b"{}"))
    found, seen = answering(
        httpx.Response(200, content=note + done[:9]), httpx.Response(200, content=b": alive\n\n" + note + done)
    )
    notes: list[str] = []
    assert found.work(Sent("PUT", "/objects", events=True), Done, notes.append).done
    assert notes == ["building"] * 2 and len(seen) == 2


def test_what_fails_in_a_stream_is_raised() -> None:
    failed = events.written(events.Event("failed", encode(fault_of(StalePlan("old")))))
    found, _ = answering(httpx.Response(200, content=failed))
    with pytest.raises(StalePlan, match="old"):
        found.work(Sent("PUT", "/objects", events=True), Done)


@pytest.mark.parametrize("url", ["ml.example.com", "ftp://x", "https://", "https://u:p@x", "https://x?token=y"])
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(UsageError):
        Connection(url)


def test_a_token_does_not_travel_unencrypted(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="unencrypted"):
        Connection("http://ml.example.com", Secret("spr_x"))
    Connection("http://127.0.0.1:8080", Secret("spr_x")).close()
    Connection("http://ml.example.com").close()
    monkeypatch.setenv(ALLOW_HTTP, "1")
    Connection("http://ml.example.com", Secret("spr_x")).close()


def test_the_token_stands_in_a_header_and_nowhere_else() -> None:
    found, seen = answering(httpx.Response(401, text="no"), FINE)
    with pytest.raises(SpecrunnerError) as caught:
        found.ask(Sent("GET", "/owners", query={"project": "p"}), Held)
    assert seen[0].headers["authorization"] == "Bearer spr_x"
    assert "spr_x" not in str(seen[0].url) + str(caught.value) + caught.value.detail + repr(found)
