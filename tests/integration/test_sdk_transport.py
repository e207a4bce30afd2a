"""What the transport does when the platform is away, slow, busy, or hangs up: against plain sockets."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from specrunner.sdk.exceptions import CommunicationError, RequestTimeoutError
from specrunner.sdk.transport import Request, Transport

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
BUSY = b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n"
TOO_LARGE = b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\nConnection: close\r\n\r\n[]"
GET = Request("GET", "/")

Script = list[Callable[[socket.socket], None]]


def listening(port: int = 0) -> socket.socket:
    """A listening socket that lets go of its port at once."""
    server = socket.socket()
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    server.bind(("127.0.0.1", port))
    server.listen()
    server.settimeout(10)
    return server


def free_port() -> int:
    with listening() as server:
        return int(server.getsockname()[1])


@contextmanager
def scripted(script: Script, port: int = 0) -> Iterator[str]:
    """A server that treats its n-th connection as the n-th entry of `script` says."""

    def serve() -> None:
        for step in script:
            connection, _ = server.accept()
            with connection:
                connection.settimeout(10)
                step(connection)

    with listening(port) as server:
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.getsockname()[1]}"
        finally:
            thread.join(10)
    assert not thread.is_alive()


def replies(*answers: bytes) -> Callable[[socket.socket], None]:
    """Answer one request after the other on one connection, then hang up."""

    def step(connection: socket.socket) -> None:
        for answer in answers:
            assert connection.recv(65536)
            connection.sendall(answer)

    return step


@contextmanager
def transport(url: str, patience: float = 10) -> Iterator[Transport]:
    made = Transport(url, patience=patience)
    try:
        yield made
    finally:
        made.close()


def test_a_refused_connection_is_tried_until_the_host_is_back() -> None:
    port = free_port()
    answers: list[int] = []

    def ask() -> None:
        with transport(f"http://127.0.0.1:{port}") as client:
            answers.append(client.send(GET._replace(repeatable=False)).status)

    asking = threading.Thread(target=ask)
    asking.start()
    asking.join(0.1)
    assert asking.is_alive()
    with scripted([replies(OK)], port):
        asking.join(10)
    assert answers == [200]


def test_a_host_that_stays_away_is_told_with_its_address() -> None:
    port = free_port()
    with transport(f"http://127.0.0.1:{port}", patience=0.1) as client, pytest.raises(CommunicationError) as caught:
        client.send(GET)
    assert f"127.0.0.1:{port}" in str(caught.value)
    assert "specrunner apply" in caught.value.remedy


def test_a_name_that_does_not_resolve_is_not_tried_again() -> None:
    with transport("http://no-such-host.invalid:1", patience=600) as client, pytest.raises(CommunicationError):
        client.send(GET)


def test_a_busy_platform_is_asked_again_on_the_same_connection() -> None:
    with scripted([replies(BUSY, BUSY, OK)]) as url, transport(url) as client:
        assert client.send(GET._replace(repeatable=False)).status == 200


def test_a_platform_that_stays_busy_gives_its_last_answer() -> None:
    with scripted([replies(BUSY)]) as url, transport(url, patience=0) as client:
        assert client.send(GET).status == 503


def test_an_idle_connection_that_was_closed_is_replaced_without_a_resend() -> None:
    with scripted([replies(OK), replies(OK)]) as url, transport(url) as client:
        for _ in range(2):
            assert client.send(GET._replace(repeatable=False)).json() == {}
            wait_until_closed(client)


def wait_until_closed(client: Transport) -> None:
    """Return when the other side's end of the kept connection has arrived."""
    assert client._wire is not None
    sock = client._wire._local.kept.connection.sock
    sock.settimeout(10)
    assert sock.recv(1, socket.MSG_PEEK) == b""


def test_a_broken_request_is_repeated_only_where_that_is_harmless() -> None:
    with scripted([replies(b""), replies(OK)]) as url, transport(url) as client:
        assert client.send(GET).status == 200
    with scripted([replies(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf")]) as url, transport(url) as client:
        with pytest.raises(CommunicationError) as caught:
            client.send(GET._replace(repeatable=False))
        assert "may have been carried out" in caught.value.detail


def test_a_slow_answer_is_a_timeout_and_is_not_repeated() -> None:
    def wait_for_the_end(connection: socket.socket) -> None:
        while connection.recv(65536):
            pass

    with scripted([wait_for_the_end, replies(OK)]) as url, transport(url) as client:
        with pytest.raises(RequestTimeoutError, match=r"within 0\.05 s"):
            client.send(GET._replace(timeout=0.05))
        assert client.send(GET).status == 200


class Large:
    """A body too large for the buffers of a connection."""

    length = 64 * 2**20

    def __iter__(self) -> Iterator[bytes]:
        for _ in range(64):
            yield bytes(2**20)


def test_a_refusal_that_comes_while_the_body_is_sent_is_the_answer() -> None:
    def refuse(connection: socket.socket) -> None:
        connection.recv(10)
        connection.sendall(TOO_LARGE)
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(1 << 20):
            pass

    with scripted([refuse]) as url, transport(url) as client:
        assert client.send(Request("POST", "/", body=Large(), repeatable=False)).status == 413


def test_every_thread_has_its_own_connection() -> None:
    with scripted([replies(OK), replies(OK)]) as url, transport(url) as client:
        assert client.send(GET).status == 200
        answers: list[int] = []
        thread = threading.Thread(target=lambda: answers.append(client.send(GET).status))
        thread.start()
        thread.join(10)
        assert answers == [200]


def test_a_forked_child_does_not_speak_on_its_parents_connection() -> None:
    with scripted([replies(OK, OK)]) as url, transport(url) as client:
        client.send(GET)
        wire = client._wire
        assert wire is not None
        parents = wire._local.kept.connection
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            # The server takes no second connection: only that another one is begun matters here.
            other = wire._connected() is not parents
            os.write(writer, b"y" if other else b"n")
            os._exit(0)
        os.waitpid(child, 0)
        os.close(writer)
        with os.fdopen(reader, "rb") as answer:
            assert answer.read() == b"y"
        assert client.send(GET).status == 200


def test_a_path_in_the_address_comes_before_every_route() -> None:
    asked: list[bytes] = []

    def note(connection: socket.socket) -> None:
        asked.append(connection.recv(65536))
        connection.sendall(OK)

    with scripted([note]) as url, transport(url + "/team/") as client:
        client.send(Request("GET", "/v1/x", [("dataset[]", "*")]))
    assert asked[0].startswith(b"GET /team/v1/x?dataset%5B%5D=%2A HTTP/1.1\r\n")
