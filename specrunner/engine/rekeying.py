"""Changing the key: everything that the old one has sealed is sealed anew, or nothing is.

Two places must change as one, the key file and the database, so the database decides. A rotation

1. writes the new key to `key.<id>` beside the old one, safe from a power failure;
2. seals all secrets anew, computes their fingerprints anew and notes `<id>` as the key in force: one transaction;
3. puts `key.<id>` in the place of `key`.

Whoever opens the state folder uses the key whose id the database notes, from whichever of the two files. Killed
before the transaction has ended, the old key is in force; after it, the new one. What a killed rotation has left is
put in order by the next. With the key in `SPECRUNNER_KEY` there are no files, and the user sets the new text.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.engine import Connection as Transaction

from specrunner.core.errors import SpecrunnerError
from specrunner.core.keys import Key
from specrunner.engine import sealed
from specrunner.engine.context import Context
from specrunner.engine.store import tables
from specrunner.engine.store.database import Database
from specrunner.engine.vault import KEY_VARIABLE, Vault, fresh_key, sync_folder, write_key

_FACT = "key"  # the id of the key in force; absent until the first rotation
_NOTED = sa.select(tables.facts.c.value).where(tables.facts.c.name == _FACT)
_LEFT = re.compile(r"key\.[0-9a-f]{16}")
_LOOKS = 100  # at a key and the note of its id, between which a rotation may fall

Reached = Callable[[str], None]


def nowhere(_point: str) -> None:
    """A `Reached` for when nobody looks."""


def open_vault(folder: Path, database: Database, environ: Mapping[str, str] = os.environ) -> Vault:
    """The vault with the key in force. Raises SpecrunnerError where that key is not to be had."""
    for _ in range(_LOOKS):
        noted, in_file = _noted(database), not environ.get(KEY_VARIABLE)
        gone = in_file and not (folder / "key").exists()
        if gone and noted is not None and (found := _pending(folder, noted)):
            return found
        vault = Vault.open(folder, environ, make=not (gone and _has_sealed(database)))
        if noted in {None, vault.id}:
            return vault
        if in_file and (found := _pending(folder, str(noted))):
            return found
        if _noted(database) == noted and Vault.open(folder, environ).id == vault.id:
            break
    raise _another_key()


def check_in_force(transaction: Transaction, vault: Vault) -> None:
    """Raises SpecrunnerError if the key was changed since this vault was opened: nobody could read what it seals."""
    noted = _noted_in(transaction)
    if noted not in {None, vault.id}:
        raise SpecrunnerError(
            "The key was changed while this was under way.",
            detail="A secret that is stored now with the old one could not be read any more. Nothing was stored.",
            remedy="Start it again.",
        )


@dataclass(frozen=True, slots=True)
class Rotated:
    """What a rotation has sealed anew, and whether its key is one that the user has to set."""

    connections: int
    tasks: int
    fingerprints: int
    in_variable: bool


def rotate(
    context: Context, key: bytes | None, environ: Mapping[str, str] = os.environ, reached: Reached = nowhere
) -> Rotated:
    """Put another key in force: `key`, or a random one. Nobody else may apply meanwhile.

    `reached` is called at each point where a kill would leave another picture on the disk. Raises
    SpecrunnerError where no key is given and the one in force comes from `SPECRUNNER_KEY`.
    """
    in_variable = bool(environ.get(KEY_VARIABLE))
    if in_variable and key is None:
        raise SpecrunnerError(
            f"The key in force comes from {KEY_VARIABLE}, which specrunner can't set.",
            remedy=f"Put the new key into another variable, call `specrunner secrets rotate-key --key-from-env NAME`, "
            f"then set {KEY_VARIABLE} to it.",
        )
    folder, new_key = context.folder, key or fresh_key()
    new = Vault(new_key)
    if not in_variable:
        _settle(folder, context.vault)
        reached("settled")
        write_key(folder / f"key.{new.id}", new_key)
        reached("key written")
    counts = _seal_anew(context, new, reached)
    reached("committed")
    if not in_variable:
        _settle(folder, new)
        reached("key in place")
    return Rotated(*counts, in_variable)


def _settle(folder: Path, in_force: Vault) -> None:
    """Put the key in force in its place, and remove those that never came to be."""
    pending = folder / f"key.{in_force.id}"
    if pending.exists():
        pending.replace(folder / "key")
    for path in folder.iterdir():
        if _LEFT.fullmatch(path.name):
            path.unlink()
    sync_folder(folder)


def _seal_anew(context: Context, new: Vault, reached: Reached) -> tuple[int, int, int]:
    with context.database.write() as transaction:
        # What the old key has sealed is overwritten, not only unlinked: a key is changed when it may be known.
        transaction.exec_driver_sql("PRAGMA secure_delete=ON")
        check_in_force(transaction, context.vault)
        reached("begun")
        connections = _columns(transaction, tables.connections, "details", context.vault, new)
        reached("connections")
        tasks = _columns(transaction, tables.tasks, "secret_env", context.vault, new)
        reached("tasks")
        fingerprints = _fingerprints(transaction, context.vault, new)
        reached("fingerprints")
        _note(transaction, new.id)
        reached("noted")
    context.database.checkpoint()
    return connections, tasks, fingerprints


def _columns(transaction: Transaction, table: sa.Table, name: str, old: Vault, new: Vault) -> int:
    """Seal one column anew; how many rows that were."""
    rows = transaction.execute(sa.select(table.c.id, table.c[name])).all()
    for identity, token in rows:
        values = {name: new.encrypt(old.decrypt(token))}
        transaction.execute(sa.update(table).where(table.c.id == identity).values(values))
    return len(rows)


def _fingerprints(transaction: Transaction, old: Vault, new: Vault) -> int:
    """Compute anew the fingerprints of what is stored; how many.

    One that is not of what is stored (an apply was cut off in between) stays: under no key does it fit, so the next
    plan says that the secret changed, as it would have before.
    """
    stored = {**_connection_secrets(transaction, new), **_task_secrets(transaction, new)}
    count = 0
    for key, secrets in transaction.execute(sa.select(tables.ownership.c.key, tables.ownership.c.secrets)).all():
        values = stored.get(Key.parse(key), {})
        fresh = {
            path: new.fingerprint(values[path]) if path in values and old.fingerprint(values[path]) == found else found
            for path, found in secrets.items()
        }
        here = tables.ownership.c.key == key
        transaction.execute(sa.update(tables.ownership).where(here).values(secrets=fresh))
        count += len(fresh)
    return count


def _connection_secrets(transaction: Transaction, vault: Vault) -> dict[Key, sealed.Secrets]:
    rows = transaction.execute(sa.select(tables.connections.c.name, tables.connections.c.details))
    return dict(sealed.of_connection(name, vault.decrypt(details)) for name, details in rows)


def _task_secrets(transaction: Transaction, vault: Vault) -> dict[Key, sealed.Secrets]:
    columns = (tables.workspaces.c.name, tables.tasks.c.name, tables.tasks.c.secret_env)
    rows = transaction.execute(sa.select(*columns).select_from(tables.tasks.join(tables.workspaces)))
    return dict(sealed.of_task(workspace, name, vault.decrypt(environment)) for workspace, name, environment in rows)


def _note(transaction: Transaction, identity: str) -> None:
    here = tables.facts.c.name == _FACT
    if not transaction.execute(sa.update(tables.facts).where(here).values(value=identity)).rowcount:
        transaction.execute(sa.insert(tables.facts).values(name=_FACT, value=identity))


def _noted(database: Database) -> str | None:
    with database.read() as transaction:
        return _noted_in(transaction)


def _has_sealed(database: Database) -> bool:
    """Whether there is anything that only the key in force can read."""
    holders = (tables.connections, tables.tasks)
    with database.read() as transaction:
        rows = (transaction.execute(sa.select(table.c.id).limit(1)).first() for table in holders)
        return _noted_in(transaction) is not None or any(rows)


def _noted_in(transaction: Transaction) -> str | None:
    found = transaction.execute(_NOTED).scalar()
    return None if found is None else str(found)


def _pending(folder: Path, identity: str) -> Vault | None:
    try:
        return Vault((folder / f"key.{identity}").read_bytes())
    except FileNotFoundError:
        return None


def _another_key() -> SpecrunnerError:
    return SpecrunnerError(
        "The stored secrets cannot be read with this key.",
        detail=f"They were sealed with another {KEY_VARIABLE}, or the file .specrunner/key was exchanged. A key that "
        "was changed with `specrunner secrets rotate-key` is in force from then on.",
        remedy=f"Set {KEY_VARIABLE} to the key that they were sealed with last.",
    )
