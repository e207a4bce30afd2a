"""Messages over a stream socket: a head, which is a JSON object, and a body, which is bytes.

On the wire: the head's length as 4 bytes and the body's as 8, in network order, then both. Neither side believes the
other's lengths: what is over a limit ends the conversation.
"""

from __future__ import annotations

import json
import socket
import struct
from typing import Any

MAX_HEAD = 4 * 2**20  # bytes
_LENGTHS = struct.Struct("!IQ")
_PIECE = 2**20  # bytes of a body that memory is taken for before they are there


class BadFrame(Exception):
    """What came is no message."""


def send(sock: socket.socket, head: dict[str, Any], body: bytes | memoryview = b"") -> None:
    """Send one message. Raises OSError, TimeoutError among them, as the socket does."""
    text = json.dumps(head).encode()
    sock.sendall(_LENGTHS.pack(len(text), len(body)) + text)
    if len(body):
        sock.sendall(body)


def receive(sock: socket.socket, max_body: int) -> tuple[dict[str, Any], bytearray]:
    """The next message. Raises EOFError where there is none any more, BadFrame for what is none, and OSError."""
    head_length, body_length = _LENGTHS.unpack(_exactly(sock, _LENGTHS.size))
    if head_length > MAX_HEAD or body_length > max_body:
        raise BadFrame(f"it announces {head_length:,} and {body_length:,} bytes")
    text = _exactly(sock, head_length)
    try:
        head = json.loads(bytes(text))
    except (ValueError, RecursionError) as error:
        raise BadFrame(f"its head is no JSON: {error}") from error
    if not isinstance(head, dict):
        raise BadFrame("its head is no JSON object")
    return head, _exactly(sock, body_length)


def _exactly(sock: socket.socket, count: int) -> bytearray:
    found = bytearray()
    while len(found) < count:
        piece = sock.recv(min(count - len(found), _PIECE))
        if not piece:
            raise EOFError("the other side has closed the socket")
        found += piece
    return found
