"""What is stored sealed of objects, by the paths at which specs name it, and its fingerprints."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from specrunner.core.keys import Key, Kind
from specrunner.core.values import Secret
from specrunner.engine.records import Ownership
from specrunner.engine.vault import Vault

_ENVIRONMENT = "secretEnv."

Secrets = dict[str, Secret]
_Row = tuple[Any, ...]


def of_connection(name: str, opened: Mapping[str, Any]) -> tuple[Key, Secrets]:
    """The secrets of a connection, from its sealed details."""
    return Key(Kind.CONNECTION, "", name), {"detailsFrom": Secret(opened["secret"])}


def of_task(workspace: str, name: str, opened: Mapping[str, str]) -> tuple[Key, Secrets]:
    """The secrets of a task, from its sealed environment."""
    found = {f"{_ENVIRONMENT}{variable}": Secret(text) for variable, text in opened.items()}
    return Key(Kind.TASK, workspace, name), found


def prints(vault: Vault, secrets: Mapping[str, Secret], record: Ownership) -> dict[str, str]:
    """The keyed fingerprints of those secrets that somebody has applied; others are not ours."""
    return {path: vault.fingerprint(secret) for path, secret in secrets.items() if path in record.secrets}


def held(
    vault: Vault, owners: Mapping[Key, Ownership], connections: Iterable[_Row], tasks: Iterable[_Row]
) -> dict[Key, dict[str, str]]:
    """Those of every object to which secrets were applied.

    Of connections name and seal are given, of tasks workspace, name and seal; nothing is opened that need not be.
    """
    applied = {key: record for key, record in owners.items() if record.secrets}
    if not applied:
        return {}
    named = {Key(Kind.CONNECTION, "", name): seal for name, seal in connections}
    found = [of_connection(key.name, vault.decrypt(seal)) for key, seal in named.items() if key in applied]
    named = {Key(Kind.TASK, workspace, name): seal for workspace, name, seal in tasks}
    found += [of_task(key.workspace, key.name, vault.decrypt(seal)) for key, seal in named.items() if key in applied]
    return {key: prints(vault, secrets, applied[key]) for key, secrets in found}
