"""Reaching a server: its address and its token, from what the project declares."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

from specrunner.core.errors import UsageError
from specrunner.core.values import Json, JsonObject, Secret

if TYPE_CHECKING:
    from specrunner.targets.base import Target

TOKEN: Final = "SPECRUNNER_TOKEN"  # noqa: S105 (the name of a variable)


def server_target(root: Path, declared: JsonObject, environment: str | None) -> Target:
    """The server that a project declares. Raises UsageError for an address or a token that can't be used."""
    from specrunner.targets.server.http import Connection
    from specrunner.targets.server.target import ServerTarget

    plain = with_variables(root, declared, environment)
    return ServerTarget(Connection(str(plain["server"]), token_of(root, plain.get("tokenFrom"))))


def with_variables(root: Path, declared: JsonObject, environment: str | None) -> JsonObject:
    """The declaration with the variables of its environment. Raises UsageError for one that is not defined."""
    from specrunner.spec.glance import declared_variables
    from specrunner.spec.variables import Variables, substitute

    values, _ = substitute(declared_variables(root, environment), Variables(env=os.environ))
    variables = Variables(vars=values, env=os.environ)
    found, problems = substitute(dict(declared), variables, ("spec", "target"))
    if problems:
        raise UsageError(
            "The project's target can't be told.",
            detail=f"In specrunner.yaml: {problems[0].summary}.",
            remedy=problems[0].remedy,
        )
    plain: JsonObject = found
    return plain


def token_of(root: Path, source: Json) -> Secret | None:
    """The token that the project names, else that of the environment, else none: an open server needs none."""
    from specrunner.cli.hidden import Remembered
    from specrunner.spec.secrets import FileSecrets

    text = os.environ.get(TOKEN, "") if source is None else str(Remembered(FileSecrets(root)).resolve(source).reveal())
    if not text.strip():
        return None
    if not text.strip().isascii() or not text.strip().isprintable():
        raise UsageError("The token for the server holds what no token holds.", remedy="Copy it once more, as a line.")
    return Secret(text.strip())
