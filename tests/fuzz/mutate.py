"""The mutator: bytes, lines and values of a spec file changed at random, the same for the same seed."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable, Sequence
from typing import Any

import yaml

from tests.fuzz.corpus import documents

_MOST = 100_000  # bytes of an ordinary input
_LARGEST = 5 * 2**20  # of the few large ones: above what the reader takes
_TOKENS = (
    b"&a ",
    b"*a ",
    b"<<: *a\n",
    b"<<: ",
    b"!!python/object/apply:os.system [x] ",
    b"!!binary ",
    b"!x ",
    b"---\n",
    b"...\n",
    b"{",
    b"}",
    b"[",
    b"]",
    b"\t",
    b"- ",
    b"? ",
    b": ",
    b"|\n",
    b">-\n",
    b"'",
    b'"',
    b"#",
    b"%YAML 1.1\n---\n",
    b"%TAG ! x:\n",
    b"\xef\xbb\xbf",
    b"\xff\xfe",
    b"\xff",
    b"\x00",
    b"\x85",
    "\u2028".encode(),
    b'"\\0"',
    b'"\\ud800"',
    b'"\\U0010ffff"',
    "é".encode(),
    "e\u0301".encode(),
    "\U0001f600".encode(),
    b"1e999",
    b"-.inf",
    b".nan",
    b"0x",
    b"0o8",
    b"9" * 5000,
    b"-0",
    b"1_000",
    b"2026-13-45",
    b"12:30:45",
    b"~",
    b"null",
    b"on",
    b"true",
    b"''",
    b"{}",
    b"[]",
    b"${vars.x}",
    b"${vars.}",
    b"${env.X:-${vars.x}}",
    b"${",
    b"$${x}",
    b"${env.HOME}",
    b"* * * * *",
    b"*/0 * * * *",
    b"60 24 32 13 8",
    b"@hourly",
    b"@reboot",
    b"0 0 30 2 *",
    b"0 0 12 1-15 2 2024",
    b"1-0 * * * *",
    b"{'42 * * * *'}",
    b"L W # ? *",
    b"0-59/99999999999 * * * *",
    b"Mars/Base",
    b"../..",
    b"../../../etc/localtime",
    b"/etc/passwd",
    b"/",
    b".",
    b"",
    b"a/../../b",
    b"orchestrations",
    b"specrunner.yaml",
    b"models",
    b"x" * 300,
    b"\\",
    b"CON",
    b"1h1h",
    b"-1s",
    b"99999999999999999999d",
    b"1.5Gi",
    b"Kind/x/y",
    b"Task/nightly forecast",
    b"Task/a/b/c",
    b"apiVersion: specrunner/v1\n",
    b"apiVersion: specruner/v1\n",
    b"kind: Task\n",
    b"kind: Project\n",
    b"<<<<<<< a\n=======\n>>>>>>> b\n",
    b"[" * 70,
    b"{a: " * 70,
    b"- " * 100,
    b"? " * 100,
    b"[" * 3000,
    b"{ref: Pipeline/x}",
    b"{value: x}",
    b"{exec: []}",
    b"{file: .}",
)

Mutation = Callable[[random.Random, bytes], bytes]


class Mutator:
    """Makes inputs of a corpus of texts and of fragments in one line."""

    def __init__(self, texts: Sequence[bytes], fragments: Sequence[bytes]) -> None:
        self._texts = texts
        self._tokens = (*_TOKENS, *fragments)
        self._mutations: tuple[Mutation, ...] = (
            _flip,
            _overwrite,
            _cut,
            _double,
            _truncate,
            _swap_lines,
            _indent,
            _drop_line,
            self._insert,
            self._insert,
            self._value,
            self._value,
            self._value,
            self._splice,
            self._deep,
            self._deep,
            self._deep,
        )

    def mutated(self, source: random.Random, text: bytes) -> bytes:
        """An input near `text`; one in some hundreds is large, one consists of random bytes."""
        kind = source.random()
        if kind < 0.002:
            return source.randbytes(source.randrange(300))
        for _ in range(source.choice((1, 1, 2, 3, 6))):
            text = source.choice(self._mutations)(source, text)[:_MOST]
        return _many_times(source, text) if kind < 0.005 else text

    def _insert(self, source: random.Random, text: bytes) -> bytes:
        at = source.randint(0, len(text))
        return text[:at] + source.choice(self._tokens) + text[at:]

    def _value(self, source: random.Random, text: bytes) -> bytes:
        """Another value behind a colon or a dash."""
        lines = text.split(b"\n")
        at = source.randrange(len(lines))
        head, colon, _ = lines[at].rpartition(source.choice((b": ", b"- ", b", ", b"{")))
        lines[at] = head + colon + source.choice(self._tokens)
        return b"\n".join(lines)

    def _splice(self, source: random.Random, text: bytes) -> bytes:
        other = source.choice(self._texts)
        return text[: source.randint(0, len(text))] + other[source.randint(0, len(other)) :]

    def _deep(self, source: random.Random, text: bytes) -> bytes:
        """Something else at a random path of a random document, and the whole written anew."""
        found = copy.deepcopy(documents(text))
        if not found:
            return text
        token = source.choice(self._tokens).decode("utf-8", "replace")
        place = source.randrange(len(found))
        found[place] = _replaced(source, found[place], token)
        try:
            return yaml.safe_dump_all(found, allow_unicode=True).encode("utf-8", "surrogatepass")
        except (yaml.YAMLError, RecursionError):
            return text


def _replaced(source: random.Random, value: Any, token: str) -> Any:
    if isinstance(value, dict) and value and source.random() < 0.85:
        name = source.choice(list(value))
        match source.randrange(12):
            case 0:
                return {**value, token: value[name]}
            case 1:
                return {other: item for other, item in value.items() if other != name}
        return {**value, name: _replaced(source, value[name], token)}
    if isinstance(value, list) and value and source.random() < 0.85:
        at = source.randrange(len(value))
        return [*value[:at], _replaced(source, value[at], token), *value[at + source.randrange(2) :]]
    return source.choice((token, [token], {token: value}, [value, value], None, 0, -1, True, 1.5, {}, [], "", 10**30))


def _flip(source: random.Random, text: bytes) -> bytes:
    if not text:
        return text
    changed = bytearray(text)
    changed[source.randrange(len(text))] ^= 1 << source.randrange(8)
    return bytes(changed)


def _overwrite(source: random.Random, text: bytes) -> bytes:
    at = source.randint(0, len(text))
    return text[:at] + source.randbytes(source.randrange(1, 4)) + text[at + 1 :]


def _span(source: random.Random, text: bytes) -> tuple[int, int]:
    begin = source.randint(0, len(text))
    return begin, min(len(text), begin + source.choice((1, 2, 5, 20, 100)))


def _cut(source: random.Random, text: bytes) -> bytes:
    begin, end = _span(source, text)
    return text[:begin] + text[end:]


def _double(source: random.Random, text: bytes) -> bytes:
    begin, end = _span(source, text)
    return text[:end] + text[begin:end] * source.choice((1, 1, 2, 50)) + text[end:]


def _truncate(source: random.Random, text: bytes) -> bytes:
    return text[: source.randint(0, len(text))]


def _swap_lines(source: random.Random, text: bytes) -> bytes:
    lines = text.split(b"\n")
    one, other = source.randrange(len(lines)), source.randrange(len(lines))
    lines[one], lines[other] = lines[other], lines[one]
    return b"\n".join(lines)


def _indent(source: random.Random, text: bytes) -> bytes:
    lines = text.split(b"\n")
    at = source.randrange(len(lines))
    lines[at] = source.choice((b" ", b"  ", b"\t", b"")) + (lines[at].lstrip() if source.random() < 0.5 else lines[at])
    return b"\n".join(lines)


def _drop_line(source: random.Random, text: bytes) -> bytes:
    lines = text.split(b"\n")
    del lines[source.randrange(len(lines))]
    return b"\n".join(lines)


def _many_times(source: random.Random, text: bytes) -> bytes:
    begin, end = _span(source, text)
    units = (text + b"\n---\n", text[begin:end] or b"a", b"a: b\n", b"[a,", b"- a\n", b"'a' ", b"*a ", b"{")
    unit = source.choice(units)
    size = source.choice((2**16, 2**19, 2**22, _LARGEST))
    if unit is units[0]:  # explaining a wrong document takes most of a millisecond, and that is no hang
        size = 2**19
    return text[:begin] + unit * (size // len(unit) + 1)
