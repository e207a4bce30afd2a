"""Secrets at rest: encrypted with Fernet (AES-128-CBC and HMAC-SHA256), fingerprinted with a keyed HMAC.

The key is `SPECRUNNER_KEY`, else the file `key` beside the store, made at first use, readable by its owner
alone. Fingerprints are made with a key derived from it, so that they say nothing to whoever reads a plan.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken

from specrunner.core.errors import SpecrunnerError
from specrunner.core.values import Json, Secret, canonical

KEY_VARIABLE = "SPECRUNNER_KEY"


class Vault:
    """Encrypts, decrypts and fingerprints with one key; `id` tells keys apart and nothing else about them."""

    def __init__(self, key: bytes) -> None:
        # Any text serves as a key: Fernet's 32 bytes are derived from it.
        self._fernet = Fernet(base64.urlsafe_b64encode(_derived(key, b"encrypt")))
        self._print_key = _derived(key, b"fingerprint")
        self._token_key = _derived(key, b"run-token")
        self._further = _derived(key, b"further")
        self.id = _derived(key, b"identity").hex()[:16]

    @classmethod
    def open(cls, folder: Path, environ: Mapping[str, str] = os.environ, *, make: bool = True) -> Vault:
        """The vault of a state folder; makes its key file at first use. Raises SpecrunnerError where it can't.

        Without `make` it is an error that there is none: another key could not read what is stored.
        """
        given = environ.get(KEY_VARIABLE)
        if given:
            return cls(given.encode())
        path = folder / "key"
        try:
            return cls(_key_file(path, make))
        except OSError as problem:
            raise SpecrunnerError(
                f"The key file {path} can't be used: {problem.strerror}.",
                detail="It holds the key that connection details are encrypted with.",
                remedy=f"Let your user read and write it, or set {KEY_VARIABLE}.",
            ) from problem

    def encrypt(self, value: Json) -> bytes:
        """A JSON value as an encrypted token."""
        return self._fernet.encrypt(canonical(value).encode())

    def decrypt(self, token: bytes) -> Json:
        """What `encrypt` was given. Raises SpecrunnerError if the key is another."""
        try:
            return json.loads(self._fernet.decrypt(token))
        except InvalidToken as problem:
            raise SpecrunnerError(
                "A stored secret cannot be read with this key.",
                detail=f"It was encrypted with another {KEY_VARIABLE}, or the file .specrunner/key was exchanged.",
                remedy=f"Set {KEY_VARIABLE} to the key it was stored with, or remove the connection and apply again.",
            ) from problem

    def fingerprint(self, secret: Secret) -> str:
        """Equal for equal values under this key; says nothing else about the value."""
        return hmac.new(self._print_key, canonical(secret.reveal()).encode(), hashlib.sha256).hexdigest()

    def sign(self, text: str) -> str:
        """A keyed signature of a text, for the tokens of runs."""
        return hmac.new(self._token_key, text.encode(), hashlib.sha256).hexdigest()

    def key_for(self, purpose: str) -> bytes:
        """A key for one purpose, which says nothing about any other."""
        return _derived(self._further, purpose.encode())


def _derived(key: bytes, purpose: bytes) -> bytes:
    return hmac.new(key, b"specrunner/" + purpose, hashlib.sha256).digest()


def _key_file(path: Path, make: bool) -> bytes:
    _sweep(path)
    try:
        return path.read_bytes()
    except FileNotFoundError:
        if not make:
            raise _key_is_gone(path) from None
    part = _written_beside(path, fresh_key())
    try:
        os.link(part, path)  # whoever links first has made the key; the others read it
    except FileExistsError:
        pass
    finally:
        part.unlink()
    return path.read_bytes()


def _key_is_gone(path: Path) -> SpecrunnerError:
    return SpecrunnerError(
        f"The key is missing: there is no file {path}, and {KEY_VARIABLE} is not set.",
        detail="What is stored there was encrypted with it. No new key was made, because it could read none of that.",
        remedy=f"Put the file back, or set {KEY_VARIABLE} to the key. If it is lost for good, move the "
        f"folder {path.parent} away and apply again: status files bring back what they have recorded.",
    )


def fresh_key() -> bytes:
    """A random key, as text of one line."""
    return base64.urlsafe_b64encode(os.urandom(32))


def write_key(path: Path, key: bytes) -> None:
    """Put a key file in place, whole, readable by its owner alone, safe from a power failure."""
    _written_beside(path, key).replace(path)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder safe from a power failure."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sweep(path: Path) -> None:
    """Remove keys that were never put in place, because who wrote them was killed."""
    for part in path.parent.glob("key.*.*"):
        writer = part.name.split(".")[1]
        if writer.isdecimal() and not Path("/proc", writer).exists():
            with suppress(OSError):  # somebody else was quicker, or the folder is not ours to write
                part.unlink()


def _written_beside(path: Path, key: bytes) -> Path:
    part = path.with_name(f"key.{os.getpid()}.{base64.urlsafe_b64encode(os.urandom(6)).decode()}")
    descriptor = os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(key)
        file.flush()
        os.fsync(file.fileno())
    return part
