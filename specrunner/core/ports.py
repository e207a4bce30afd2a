"""Ports that several layers share; an adapter is handed in by the command line."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Protocol

from specrunner.core.values import JsonObject, Secret


class Clock(Protocol):
    """The time. `now` is an aware datetime in UTC and may step; `monotonic` counts seconds and never goes back."""

    def now(self) -> datetime:
        """The present instant, in UTC."""

    def monotonic(self) -> float:
        """Seconds since some fixed moment."""


class SecretSource(Protocol):
    """Gives the value that a secret's reference points to."""

    def resolve(self, source: JsonObject, mapping: bool = False) -> Secret:
        """The secret behind `{env: NAME}`, `{file: path}` or `{exec: [...]}`, as text or as a mapping.

        Raises SpecrunnerError, naming the source and never the value, where it can't be had or is not of that form.
        """


class StatusRepository(Protocol):
    """Where status files live: a set of paths with their bytes, written in batches.

    Paths are relative, with forward slashes. A batch is applied whole or not at all, as far as the medium
    allows; writing what is there already changes nothing.
    """

    def read(self, prefix: str) -> Mapping[str, bytes]:
        """Every file whose path begins with `prefix`."""

    def check(self, prefix: str) -> None:
        """Raise SpecrunnerError if nothing can be written below `prefix`; writes nothing itself."""

    def write(self, files: Mapping[str, bytes | None], message: str) -> None:
        """Write these files; None removes one. `message` says in a line what happened."""


# The bytes at a path, None where there is no file.
Look = Callable[[str], bytes | None]


class Claims(Protocol):
    """Where several machines agree on who does what: one of them alone gets a path."""

    def claim(self, wanted: Mapping[str, bytes], message: str, free: Callable[[str, Look], bool]) -> frozenset[str]:
        """Take these paths, with these bytes, for nobody else to take; those that are ours now.

        `free` says of a path whether it may be taken, asked on every state that others have brought about meanwhile.
        Raises SpecrunnerError where nothing can be taken at all: then nothing is.
        """
