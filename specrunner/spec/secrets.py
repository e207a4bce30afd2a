"""Secrets from their sources: an environment variable, a file, the output of a program."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from specrunner.core.errors import SpecrunnerError
from specrunner.core.values import Json, JsonObject, Secret
from specrunner.spec.loader import parse

EXEC_TIMEOUT: Final = 60.0  # seconds


class FileSecrets:
    """The `SecretSource` of a spec repository.

    Relative files and programs start from `root`. `{value: …}` holds only with `allow_plaintext`, for tests.
    Errors name the source and never what it gave.
    """

    def __init__(self, root: Path, allow_plaintext: bool = False) -> None:
        self._root = root
        self._allow_plaintext = allow_plaintext

    def resolve(self, source: JsonObject) -> Secret:
        """The secret behind a source: text, or an object where a JSON or YAML file holds one.

        Raises SpecrunnerError where it can't be had.
        """
        match dict(source):
            case {"env": str(name)}:
                return Secret(self._env(name))
            case {"file": str(name)}:
                return Secret(self._file(name))
            case {"exec": list(command)} if command:
                return Secret(self._exec([str(part) for part in command]))
            case {"value": value}:
                return Secret(self._value(value))
        raise SpecrunnerError(
            "this is no source of a secret",
            f"It has the keys {', '.join(source) or '(none)'}.",
            "Write one of `{env: NAME}`, `{file: path}` and `{exec: [program, argument]}`.",
        )

    def _env(self, name: str) -> str:
        if name not in os.environ:
            raise SpecrunnerError(
                f"the environment variable {name} is not set",
                "A secret is to come from it.",
                f"Set it: `export {name}=…`.",
            )
        return os.environ[name]

    def _file(self, name: str) -> Json:
        path = (self._root / name).resolve()
        if not path.is_relative_to(self._root.resolve()):
            raise SpecrunnerError(
                f"the secret's file {name} leaves the repository",
                "It must stand below its root.",
                "Use `{exec: […]}` or `{env: NAME}` for what lies elsewhere.",
            )
        try:
            text = path.read_bytes().decode()
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
            raise SpecrunnerError(
                f"the secret's file {name} can't be read",
                f"{reason}.",
                "Create it, or correct the path; never commit it.",
            ) from None
        if path.suffix in {".json", ".yaml", ".yml"}:
            return self._object(name, path.suffix, text)
        return text.removesuffix("\n").removesuffix("\r")

    def _object(self, name: str, suffix: str, text: str) -> Json:
        # What a parser says may quote the text; so only the place is told, and the cause is cut off.
        problem = SpecrunnerError(
            f"the secret's file {name} is no valid {suffix[1:].upper()}",
            "It can't be parsed.",
            "Correct its syntax, or give it another suffix if it is plain text.",
        )
        if suffix == ".json":
            try:
                return json.loads(text)
            except ValueError:
                raise problem from None
        parsed = parse(text)
        if parsed.faults or len(parsed.documents) != 1:
            raise problem
        return parsed.documents[0][1]

    def _exec(self, command: list[str]) -> str:
        name = command[0]
        try:
            done = subprocess.run(
                command,
                cwd=self._root,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=EXEC_TIMEOUT,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise self._exec_failed(name, f"it did not end within {EXEC_TIMEOUT:.0f} seconds") from None
        except OSError as error:
            raise self._exec_failed(name, f"it can't be started: {error.strerror}") from None
        if done.returncode:
            # Its messages are not shown: nobody knows what a decryption tool prints on failure.
            raise self._exec_failed(name, f"it ended with exit code {done.returncode}")
        try:
            return done.stdout.decode().removesuffix("\n").removesuffix("\r")
        except UnicodeDecodeError:
            raise self._exec_failed(name, "its output is not UTF-8") from None

    def _exec_failed(self, name: str, reason: str) -> SpecrunnerError:
        return SpecrunnerError(
            f"the secret from {name} can't be had",
            f"{reason[0].upper()}{reason[1:]}.",
            f"Start `{name}` by hand in {self._root} to see why.",
        )

    def _value(self, value: Json) -> Json:
        if not self._allow_plaintext:
            raise SpecrunnerError(
                "a secret stands in the specs in plain text",
                "`{value: …}` is for tests only.",
                "Use `{env: NAME}`, or pass --allow-plaintext in a test.",
            )
        return dict(value) if isinstance(value, Mapping) else value
