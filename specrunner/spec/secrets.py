"""Secrets from their sources: an environment variable, a file, the output of a program.

What `detailsFrom` names is a mapping, whatever the source: its text is read as JSON, or else as YAML. What
`secretEnv` names is a text, taken as it is but for one line end at its end. No error shows what a source gave.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from specrunner.core.errors import SpecrunnerError
from specrunner.core.values import Json, JsonObject, Secret, canonical
from specrunner.spec.loader import parse

EXEC_TIMEOUT: Final = 60.0  # seconds
MAX_SECRET_BYTES: Final = 2**20  # of one source; more is a mistake, such as a program that prints a data set
_CHUNK: Final = 2**16


class FileSecrets:
    """The `SecretSource` of a spec repository.

    Relative files and programs start from `root`. `{value: …}` holds only with `allow_plaintext`, for tests.
    With `offline`, variables and programs are not asked: they may be there, but this checkout has no say over
    them. Errors name the source and never what it gave.
    """

    def __init__(self, root: Path, allow_plaintext: bool = False, offline: bool = False) -> None:
        self._root = root
        self._allow_plaintext = allow_plaintext
        self._offline = offline

    def resolve(self, source: JsonObject, mapping: bool = False) -> Secret:
        """The secret behind a source, as text or as a mapping of names to values.

        Raises SpecrunnerError where it can't be had, or is not of that form.
        """
        match dict(source):
            case {"env": str(name)}:
                label, value = f"the environment variable {name}", self._env(name)
            case {"file": str(name)}:
                label, value = f"the secret's file {name}", self._file(name)
            case {"exec": list(command)} if command:
                label, value = f"the output of {command[0]}", self._exec([str(part) for part in command])
            case {"value": value}:
                label, value = "the secret in plain text", self._value(value)
            case _:
                keys = ", ".join(map(str, source)) or "(none)"
                raise SpecrunnerError(
                    "this is no source of a secret",
                    f"It has the keys {keys}.",
                    "Write one of `{env: NAME}`, `{file: path}` and `{exec: [program, argument]}`.",
                )
        return Secret(_mapping(value, label) if mapping else _text(value, label))

    def _env(self, name: str) -> str:
        self._check_online(f"the environment variable {name}")
        if name not in os.environ:
            raise SpecrunnerError(
                f"the environment variable {name} is not set",
                "A secret is to come from it.",
                f"Set it: `export {name}=…`.",
            )
        return os.environ[name]

    def _file(self, name: str) -> str:
        path = (self._root / name).resolve()
        if not path.is_relative_to(self._root.resolve()):
            raise SpecrunnerError(
                f"the secret's file {name} leaves the repository",
                "It must stand below its root.",
                "Use `{exec: […]}` or `{env: NAME}` for what lies elsewhere.",
            )
        try:
            return _read(path)
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else str(error)
        raise SpecrunnerError(
            f"the secret's file {name} can't be read",
            f"{_sentence(reason)}.",
            "Create it, or correct the path; never commit it.",
        )

    def _exec(self, command: list[str]) -> str:
        name = command[0]
        self._check_online(f"the program {name}")
        try:
            return _decoded(_output_of(command, self._root, EXEC_TIMEOUT))
        except OSError as error:
            reason = f"it can't be started: {error.strerror}"
        except ValueError as error:
            reason = str(error)
        raise SpecrunnerError(
            f"the secret from {name} can't be had",
            f"{_sentence(reason)}.",
            f"Start `{name}` by hand in {self._root} to see why.",
        )

    def _value(self, value: Json) -> Json:
        if not self._allow_plaintext:
            raise SpecrunnerError(
                "a secret stands in the specs in plain text",
                "`{value: …}` is for tests only.",
                "Use `{env: NAME}`, or pass --allow-plaintext in a test.",
            )
        return value

    def _check_online(self, what: str) -> None:
        if self._offline:
            raise SpecrunnerError(
                f"{what} is not asked offline",
                "Only files of the repository are read.",
                "Plan without --offline, and not for a fork's pull request.",
            )


def _read(path: Path) -> str:
    """A file's text. Raises OSError, and ValueError that says what is wrong with it."""
    if path.exists() and not path.is_file():
        raise ValueError("it is no ordinary file")
    with path.open("rb") as stream:
        data = stream.read(MAX_SECRET_BYTES + 1)
    if len(data) > MAX_SECRET_BYTES:
        raise ValueError(f"it has more than {MAX_SECRET_BYTES:,} bytes")
    try:
        return _decoded(data)
    except ValueError:
        raise ValueError("it is not UTF-8") from None


def _decoded(data: bytes) -> str:
    """Text without the line end at its end. The decoder's own error would hold the bytes."""
    try:
        return data.decode().removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        raise ValueError("its output is not UTF-8") from None


def _output_of(command: list[str], folder: Path, seconds: float) -> bytes:
    """What a program prints. Raises OSError, and ValueError that says what went wrong.

    Its messages are dropped: nobody knows what a decryption tool prints on failure.
    """
    deadline = time.monotonic() + seconds
    with subprocess.Popen(
        command,
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as process:
        try:
            output = _read_until(process, deadline)
            code = process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            raise ValueError(f"it did not end within {seconds:g} seconds") from None
        finally:
            if process.poll() is None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)  # with what it has started
    if code:
        raise ValueError(f"it ended with exit code {code}" if code > 0 else f"it was ended by signal {-code}")
    return output


def _read_until(process: subprocess.Popen[bytes], deadline: float) -> bytes:
    """Everything up to the end of its output. Raises TimeoutExpired, and ValueError for too much."""
    assert process.stdout is not None, "asked for above"  # noqa: S101
    output = bytearray()
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while True:
            left = deadline - time.monotonic()
            if left <= 0 or not selector.select(left):
                raise subprocess.TimeoutExpired(process.args, left)
            chunk = os.read(process.stdout.fileno(), _CHUNK)
            output += chunk
            if len(output) > MAX_SECRET_BYTES:
                raise ValueError(f"it prints more than {MAX_SECRET_BYTES:,} bytes")
            if not chunk:
                return bytes(output)


def _text(value: Json, label: str) -> str:
    text = canonical(value) if isinstance(value, int | float) else value
    if not isinstance(text, str):
        raise SpecrunnerError(
            f"{label} is no text", "The value of an environment variable is text.", "Write it as text in quotes."
        )
    if "\0" in text or not _is_unicode(text):
        raise SpecrunnerError(
            f"{label} is no text",
            "It holds bytes that no environment variable can.",
            "Store it encoded, as base64 for one, and decode it where it is used.",
        )
    return text


def _mapping(value: Json, label: str) -> JsonObject:
    found = _parsed(value) if isinstance(value, str) else value
    if not isinstance(found, Mapping):
        # What a parser says may quote the text; so only the source is told.
        raise SpecrunnerError(
            f"{label} is no JSON or YAML object",
            "Details are names with values.",
            'Let it give an object such as `{"user": "…", "password": "…"}`.',
        )
    return dict(found)


def _parsed(text: str) -> Json:
    """The value that a text says in JSON, or else in YAML; None where it says none."""
    constants: list[str] = []  # NaN and infinities, which Python's reader takes and JSON has not
    try:
        found = json.loads(text, parse_constant=constants.append)
        written = json.dumps(found, ensure_ascii=False, allow_nan=False)
    except (ValueError, RecursionError):
        parsed = parse(text)
        return None if parsed.faults or len(parsed.documents) != 1 else parsed.documents[0][1]
    return None if constants or not _is_unicode(written) else found


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _sentence(text: str | None) -> str:
    return f"{text[0].upper()}{text[1:]}" if text else "It can't be opened"
