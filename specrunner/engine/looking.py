"""A state folder for who only looks: what it holds, read without writing to it, and without the libraries of writing.

Most of what `plan` needs to know of the store is all of it, once. That takes plain SQL, and no more than SQLite; the
services load libraries for a third of a second. Nothing here explains, mends, upgrades or makes anything: wherever
something is not as it should be, a store of another revision, a key that does not fit, a run under way whose process
must be asked, `look` or `holdings` gives None, and the whole engine is to be opened, which knows what to say.

A store that nobody has open is read without so much as a lock beside it, so the folder need not be writable. Whoever
opens it meanwhile would be noticed by the file's times; a store that somebody has open is read as SQLite does.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final, TypeVar
from urllib.parse import quote

from specrunner.core.errors import SpecrunnerError
from specrunner.core.resources import Owner
from specrunner.core.values import Secret
from specrunner.engine.artifacts import Artifacts
from specrunner.engine.holdings import Holdings
from specrunner.engine.looking_rows import Ask, holdings
from specrunner.engine.vault import Vault, fresh_key

_QUIET: Final = 1_000_000_000  # nanoseconds; a file changed more recently may be changed again unnoticed
_Answer = TypeVar("_Answer")


def look(folder: Path) -> Look | None:
    """What there is to be seen of a state folder; None where it is not to be opened from here."""
    if not (folder / "state.db").exists():
        return _Nothing(folder, Vault(fresh_key()))
    try:
        found = Look(folder, Vault.open(folder, make=False))
    except (OSError, SpecrunnerError):
        return None
    return found if found.fits() else None


class Look:
    """What is to be seen of one state folder."""

    def __init__(self, folder: Path, vault: Vault) -> None:
        self._vault = vault
        self._file = folder / "state.db"
        self._artifacts = Artifacts(folder / "artifacts")

    def fits(self) -> bool:
        """Whether the store is of the revision that this code knows, and sealed with this key."""
        return self._asked(lambda _ask: True) is not None

    def holdings(self) -> Holdings | None:
        """Every object, with whose it is, as of one instant; None where that can't be told from here."""
        return self._asked(lambda ask: holdings(ask, self._vault))

    def remembers(self, owner: Owner) -> bool | None:
        """Whether all that was applied for this owner is here; None where that can't be told from here."""
        return self._asked(lambda ask: bool(list(ask("select 1 from facts where name = ?", f"remembered:{owner}"))))

    def fingerprint(self, secret: Secret) -> str:
        """The keyed fingerprint of a secret."""
        return self._vault.fingerprint(secret)

    def has_artifact(self, sha: str) -> bool:
        """Whether the bytes of this sha256 are there."""
        return self._artifacts.path_of(sha).exists()

    def _asked(self, question: Callable[[Ask], _Answer | None]) -> _Answer | None:
        try:
            with _opened(self._file) as ask:
                return question(ask) if _is_ours(ask, self._vault) else None
        except (sqlite3.Error, OSError, ValueError, LookupError, SpecrunnerError):
            return None


class _Nothing(Look):
    """A state folder in which nothing was ever applied."""

    def _asked(self, question: Callable[[Ask], _Answer | None]) -> _Answer | None:
        def nothing(_query: str, *_values: object) -> Iterable[tuple[object, ...]]:
            return ()

        return question(nothing)


@contextmanager
def _opened(file: Path) -> Iterator[Ask]:
    """A way to ask the store, all of one instant. Raises OSError where the store has been changed meanwhile."""
    log = file.with_name(f"{file.name}-wal")
    before = file.stat()
    alone = not log.exists() and before.st_mtime_ns + _QUIET < time.time_ns()
    how = "immutable=1" if alone else "mode=ro"
    with closing(sqlite3.connect(f"file:{quote(str(file))}?{how}", uri=True, isolation_level=None)) as connection:
        connection.execute("begin")
        yield lambda query, *values: connection.execute(query, values)
    if alone and (log.exists() or file.stat().st_mtime_ns != before.st_mtime_ns):
        raise OSError(0, "the store was changed while it was read")


def _is_ours(ask: Ask, vault: Vault) -> bool:
    ((revision,),) = ask("select version_num from alembic_version")
    noted = [text for (text,) in ask("select value from facts where name = 'key'")]
    return revision == _newest_revision() and noted in ([], [vault.id])


def _newest_revision() -> str:
    """The newest revision that there is a migration to: `r0003.py` is `0003`."""
    folder = Path(__file__).parent / "store" / "migrations" / "versions"
    return max(path.stem[1:] for path in folder.glob("r[0-9]*.py"))
