"""Reaching a platform that speaks the MLOps API: its address, who logs in, and where what it can't keep is kept."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from specrunner.cli.reaching import token_of, with_variables
from specrunner.core.errors import Diagnostic, InvalidSpecs, UsageError
from specrunner.core.recorded import NO_RECORDS, Records
from specrunner.core.resources import Desired
from specrunner.core.values import JsonObject

if TYPE_CHECKING:
    from specrunner.targets.base import Target
    from specrunner.targets.wallaroo.http import Login


def wallaroo_target(
    folder: Path, root: Path, declared: JsonObject, environment: str | None, desired: Desired | None
) -> Target:
    """The platform that a project declares. Raises UsageError for an address or a log-in that can't be used."""
    from specrunner.targets.memory import MemoryState, MemoryTarget
    from specrunner.targets.wallaroo import WallarooTarget
    from specrunner.targets.wallaroo.http import Platform
    from specrunner.targets.wallaroo.memory import Memory

    plain = with_variables(root, declared, environment)
    url, login = str(plain["wallaroo"]), _login(root, plain)
    token = None if login is not None else token_of(root, plain.get("tokenFrom"))
    platform = Platform(url, token, login=login)
    if desired is not None and desired.status == "none":
        raise UsageError(
            "A platform remembers nothing of what was applied, and this project keeps no records.",
            detail="Whose an object is and which task has run stands in the status files alone.",
            remedy="Remove `status: none` from specrunner.yaml.",
        )
    ours = folder / "wallaroo"
    name = hashlib.sha256(url.rstrip("/").encode()).hexdigest()[:16]  # what one platform keeps, another does not
    ours.mkdir(parents=True, exist_ok=True)
    memory = Memory(ours / f"{name}.json", _records(root, desired))
    warn = _warn if plain.get("onUnsupported") == "warn" else None
    leases = MemoryTarget(MemoryState(ours / f"{name}-leases.json"))  # among the processes of this machine
    return WallarooTarget(platform, memory, leases, warn)


def _records(root: Path, desired: Desired | None) -> Callable[[], Records]:
    from specrunner.cli.recording import records_of
    from specrunner.cli.wiring import read_specs

    if desired is None:
        try:
            desired = read_specs(root, None, offline=True)
        except InvalidSpecs:
            return lambda: NO_RECORDS  # looking at runs must not depend on the specs
    return records_of(root, desired)


def _login(root: Path, declared: JsonObject) -> Login | None:
    from specrunner.core.values import Secret
    from specrunner.spec.secrets import FileSecrets
    from specrunner.targets.wallaroo.http import Login

    user, password = declared.get("userFrom"), declared.get("passwordFrom")
    if user is None and password is None:
        return None
    if user is None or password is None:
        raise UsageError(
            "The target names a user without a password, or a password without a user.",
            remedy="Write both `userFrom` and `passwordFrom`, or `tokenFrom` alone.",
        )
    name, words = (str(FileSecrets(root).resolve(source).reveal()).strip() for source in (user, password))
    return Login(name, Secret(words))


def _warn(problems: Sequence[Diagnostic]) -> None:
    from specrunner.cli.terminal import say
    from specrunner.report.diagnostics import diagnostic_lines

    say(diagnostic_lines(problems), stderr=True)
