"""Opening the database: one policy for every process that does.

SQLite in WAL mode: readers never wait for the writer, and a writer waits for another up to the busy timeout.
Every transaction that writes begins IMMEDIATE, so that it can't fail halfway for having read first.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import sqlalchemy as sa
from filelock import FileLock
from sqlalchemy import event
from sqlalchemy.engine import Connection

from specrunner.core.errors import Conflict, SpecrunnerError

HEAD: Final = "0009"  # the newest revision; a test holds it to the folder of revisions
_BUSY_SECONDS: Final = 30
_POOL: Final = 16  # connections that are kept: opening one costs as much as several small transactions


class Database:
    """A handle on the store of one state folder, safe to share between threads."""

    def __init__(self, path: Path) -> None:
        self._path = path
        # Errors are shown, and what was to be stored may be nobody's business.
        self._uri = _uri_of(path)
        self._engine = sa.create_engine(
            sa.URL.create("sqlite", database=self._uri, query={"uri": "true"}),
            connect_args={"timeout": _BUSY_SECONDS},
            hide_parameters=True,
            pool_size=_POOL,
        )
        event.listen(self._engine, "connect", _on_connect_to_read if "?" in self._uri else _on_connect)
        event.listen(self._engine, "begin", _on_begin)
        self._watcher: sqlite3.Connection | None = None
        self._watching = threading.Lock()
        # Threads queue here: waiting for SQLite's own lock means sleeping and trying again.
        self._turn = threading.RLock()
        self._joined = _Joined()
        try:
            with self._explained():
                self._upgrade()
        except BaseException:
            self.close()
            raise

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A connection that sees one consistent state and writes nothing."""
        joined = self._joined.connection
        with self._explained(), nullcontext(joined) if joined is not None else self._reader() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction: committed at the end, rolled back if anything is raised."""
        joined = self._joined.connection
        assert joined is None or not _only_reads(joined), "nothing is written in a snapshot"  # noqa: S101
        with self._explained(), nullcontext(joined) if joined is not None else self._writer() as connection:
            yield connection

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Whatever this thread reads and writes meanwhile is one transaction: all of it is committed, or none.

        Others wait for it to write: nothing slow belongs inside.
        """
        with self.write() as connection, self._joined.by(connection):
            yield

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Whatever this thread reads meanwhile is of one and the same state; it writes nothing."""
        with self.read() as connection, self._joined.by(connection):
            yield

    def checkpoint(self) -> None:
        """Move what was committed from the log into the database and empty the log, as far as readers let us."""
        with self._explained(), self._engine.connect() as connection:
            raw = connection.connection.driver_connection
            assert raw is not None, "the connection is open"  # noqa: S101
            raw.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()  # not within a transaction

    def generation(self) -> int:
        """A number that changes once anybody, of whichever process, has committed; asking costs microseconds.

        Source: SQLite's `PRAGMA data_version`, on a connection of its own that never writes.
        """
        with self._explained(), self._watching:
            if self._watcher is None:
                self._watcher = sqlite3.connect(self._uri, _BUSY_SECONDS, check_same_thread=False, uri=True)
            found: int = self._watcher.execute("PRAGMA data_version").fetchone()[0]
        return found

    def close(self) -> None:
        """Give back every connection."""
        with self._watching:
            if self._watcher is not None:
                self._watcher.close()
                self._watcher = None
        self._engine.dispose()

    def _reader(self) -> Connection:
        return self._engine.connect().execution_options(specrunner_read=True)

    @contextmanager
    def _writer(self) -> Iterator[Connection]:
        with self._turn, self._engine.begin() as connection:
            yield connection

    def _upgrade(self) -> None:
        """Bring the tables to HEAD; cheap when they are there already. Alembic is only loaded when needed."""
        if self._revision() == HEAD:
            return
        with FileLock(f"{self._path}.upgrade"):
            if self._revision() != HEAD:
                self._run_alembic()

    def _revision(self) -> str | None:
        with self._reader() as connection:
            if not sa.inspect(connection).has_table("alembic_version"):
                return None
            found = connection.execute(sa.text("select version_num from alembic_version")).scalar()
        if found is not None and found > HEAD:
            raise SpecrunnerError(
                f"The state in {self._path} was written by a newer specrunner.",
                detail=f"It has revision {found}; this one knows {HEAD}.",
                remedy="Update specrunner.",
            )
        return str(found) if found is not None else None

    def _run_alembic(self) -> None:
        from alembic import command
        from alembic.config import Config

        config = Config()
        config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
        with self._engine.begin() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, "head")

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """What SQLite refuses, in words: a full disk, a read-only folder, a file that is no database, a lost race."""
        try:
            yield
        except sa.exc.OperationalError as problem:
            raise SpecrunnerError(
                f"The state in {self._path} cannot be used: {problem.orig}.",
                remedy="See that the folder is writable, the disk not full, and no other program holds the database.",
            ) from problem
        except sa.exc.IntegrityError as problem:
            raise Conflict(
                "Somebody else has changed or removed what this refers to, at the same moment.",
                detail=f"The database says: {problem.orig}.",
                remedy="Look at what is there now, and try again.",
            ) from problem
        except sa.exc.DatabaseError as problem:
            raise SpecrunnerError(
                f"{self._path} is damaged or no database of specrunner: {problem.orig}.",
                remedy="Restore it from a backup, or move the folder away and apply again.",
            ) from problem


class _Joined(threading.local):
    """The connection that everything of this thread goes through while it is in a transaction or a snapshot."""

    connection: Connection | None = None

    @contextmanager
    def by(self, connection: Connection) -> Iterator[None]:
        before, self.connection = self.connection, connection
        try:
            yield
        finally:
            self.connection = before


def _uri_of(path: Path) -> str:
    """How to open the store. One in a folder that is not ours to write is only read, so nothing is made beside it.

    SQLite can do so where the log of whoever writes to it is there already, or nobody has it open.
    """
    uri = f"file:{quote(str(path))}"
    if not path.exists() or os.access(path.parent, os.W_OK):
        return uri
    return f"{uri}?mode=ro" if path.with_name(f"{path.name}-wal").exists() else f"{uri}?immutable=1"


def _on_connect_to_read(connection: Any, _record: Any) -> None:
    connection.isolation_level = None


def _on_connect(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # transactions begin where `_on_begin` says so, not by sqlite3's guess
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _on_begin(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN" if _only_reads(connection) else "BEGIN IMMEDIATE")


def _only_reads(connection: Connection) -> bool:
    return bool(connection.get_execution_options().get("specrunner_read", False))
