"""The store: one upgrade path, and words for whatever keeps it from being used."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from specrunner.core.errors import Conflict, SpecrunnerError
from specrunner.engine.engine import Engine
from specrunner.engine.store import database, tables
from specrunner.engine.store.database import Database

MIGRATIONS = Path(database.__file__).parent / "migrations"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    Database(tmp_path / "state.db").close()
    return tmp_path / "state.db"


def query(path: Path, text: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(path)) as connection:
        found: list[tuple[object, ...]] = connection.execute(text).fetchall()
        connection.commit()
        return found


def test_the_revisions_reach_exactly_the_tables(path: Path) -> None:
    engine = sa.create_engine(f"sqlite:///{path}")
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, tables.metadata) == []
    engine.dispose()


def test_the_revisions_make_the_very_tables_that_the_code_describes(path: Path, tmp_path: Path) -> None:
    """What autogenerate does not compare: foreign keys' actions, unique constraints, ids that are not used again."""
    described = tmp_path / "described.db"
    engine = sa.create_engine(f"sqlite:///{described}")
    tables.metadata.create_all(engine)
    engine.dispose()
    for table in tables.metadata.tables:
        for pragma, numbering in (("foreign_key_list", 2), ("table_info", 1)):
            found, wanted = (query(file, f"PRAGMA {pragma}({table})") for file in (path, described))
            assert {row[numbering:] for row in found} == {row[numbering:] for row in wanted}, (table, pragma)
    for_ever = "select name from sqlite_master where sql like '%AUTOINCREMENT%' order by name"
    assert query(path, for_ever) == query(described, for_ever) != []


def test_head_is_the_newest_revision() -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    assert ScriptDirectory.from_config(config).get_current_head() == database.HEAD


def test_opening_again_changes_nothing(path: Path) -> None:
    before = query(path, "select name, sql from sqlite_master order by name")
    Database(path).close()
    assert query(path, "select name, sql from sqlite_master order by name") == before


def test_the_journal_is_a_write_ahead_log(path: Path) -> None:
    assert query(path, "PRAGMA journal_mode") == [("wal",)]


def test_a_newer_revision_is_refused_in_words(path: Path) -> None:
    query(path, "update alembic_version set version_num = '9999'")
    with pytest.raises(SpecrunnerError, match="written by a newer specrunner") as caught:
        Database(path)
    assert "9999" in caught.value.detail and database.HEAD in caught.value.detail
    assert caught.value.remedy == "Update specrunner."


@pytest.mark.parametrize("content", [b"this is no database" * 100, b"SQLite format 3\x00" + b"\xff" * 4096])
def test_a_damaged_file_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "state.db").write_bytes(content)
    with pytest.raises(SpecrunnerError, match="damaged or no database") as caught:
        Database(tmp_path / "state.db")
    assert "state.db" in caught.value.summary and "backup" in caught.value.remedy


def test_a_database_that_is_a_folder_is_told(tmp_path: Path) -> None:
    (tmp_path / "state.db").mkdir()
    with pytest.raises(SpecrunnerError, match="cannot be used"):
        Database(tmp_path / "state.db")


@pytest.mark.parametrize("place", ["file", "file/below"])
def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(SpecrunnerError, match="can't be made") as caught:
        Engine(tmp_path / place, tmp_path / "cache")
    assert "write" in caught.value.remedy


def migrated(path: Path, move: str, revision: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    engine = sa.create_engine(f"sqlite:///{path}")
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        getattr(command, move)(config, revision)
    engine.dispose()


def test_schedules_that_were_stored_before_anybody_kept_them_count_from_the_upgrade(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    migrated(path, "upgrade", "0002")
    day = "2026-03-01T00:00:00.000000Z"
    query(path, f"insert into workspaces values (1, 'lab', '{day}')")
    query(path, f"insert into orchestrations values ('o', 1, 'o', '', '', '', 'ready', '', '', '', '{day}', '{day}')")
    query(path, f"insert into tasks values ('t', 1, 't', 'o', '{{}}', '', 'started', '{day}', '{day}')")
    columns = "id, task_id, task_key, workspace_id, orchestration_id, sha, environment, intent, attempt, args, status,"
    columns += " reason, detail, code_started, created_at"
    for run, intent in (("a", "'order'"), ("b", "null")):
        values = f"'{run}', 't', 'k', 1, 'o', '', '', {intent}, 1, '{{}}', 'success', '', '', 1, '{day}'"
        query(path, f"insert into runs ({columns}) values ({values})")
    Database(path).close()
    ((since, suspended),) = query(path, "select since, suspended from tasks")
    assert str(since) > day and suspended == 0
    assert query(path, "select id, origin from runs order by id") == [("a", "intent"), ("b", "hand")]
    migrated(path, "downgrade", "0002")
    migrated(path, "upgrade", "0003")
    assert len(query(path, "select * from tasks")) == 1 and len(query(path, "select * from runs")) == 2


def test_state_never_gets_into_git(tmp_path: Path) -> None:
    Engine(tmp_path / "state", tmp_path / "cache").close()
    assert (tmp_path / "state" / ".gitignore").read_text() == "*\n"
    assert (tmp_path / "state").stat().st_mode & 0o077 == 0


OPEN = """\
import sys
from pathlib import Path
from specrunner.engine.store.database import Database
sys.stdin.read(1)
Database(Path(sys.argv[1])).close()
"""


def test_processes_that_open_a_fresh_folder_at_once_all_work(tmp_path: Path) -> None:
    command = [sys.executable, "-c", OPEN, str(tmp_path / "state.db")]
    gate_out, gate_in = os.pipe()
    openers = [subprocess.Popen(command, stdin=gate_out, stderr=subprocess.PIPE, text=True) for _ in range(3)]
    os.close(gate_out)
    os.close(gate_in)  # the end of the input lets all of them go
    for opener in openers:
        _, words = opener.communicate(timeout=60)
        assert opener.returncode == 0, words
    assert query(tmp_path / "state.db", "select version_num from alembic_version") == [(database.HEAD,)]


def test_threads_that_write_at_once_wait_for_one_another(path: Path) -> None:
    shared, failed = Database(path), []

    def write(number: int) -> None:
        try:
            for turn in range(10):
                with shared.write() as connection:
                    # Reads first: a transaction that began as a reader could not become a writer here.
                    connection.execute(sa.select(sa.func.count()).select_from(tables.facts)).scalar()
                    connection.execute(sa.insert(tables.facts).values(name=f"{number}/{turn}", value=""))
        except SpecrunnerError as problem:
            failed.append(problem)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    shared.close()
    assert failed == []
    assert query(path, "select count(*) from facts") == [(80,)]


def test_what_is_raised_in_a_transaction_takes_it_back(path: Path) -> None:
    opened = Database(path)
    with pytest.raises(ZeroDivisionError), opened.write() as connection:
        connection.execute(sa.insert(tables.facts).values(name="half", value=""))
        raise ZeroDivisionError
    opened.close()
    assert query(path, "select * from facts") == []


def test_foreign_keys_hold_and_a_lost_race_is_a_conflict(path: Path) -> None:
    opened = Database(path)
    orphan = {"workspace_id": 7, "name": "orphan", "created_at": ""}
    with pytest.raises(Conflict, match="changed or removed"), opened.write() as connection:
        connection.execute(sa.insert(tables.models).values(orphan))
    opened.close()


def test_a_read_does_not_wait_for_a_writer(path: Path) -> None:
    opened = Database(path)
    with opened.write() as writer:
        writer.execute(sa.insert(tables.facts).values(name="new", value=""))
        with opened.read() as reader:
            assert reader.execute(sa.select(tables.facts)).all() == []
        Database(path).close()  # nor does another process's opening
    opened.close()


def names(opened: Database) -> set[str]:
    with opened.read() as connection:
        return set(connection.execute(sa.select(tables.facts.c.name)).scalars())


def add(opened: Database, name: str) -> None:
    with opened.write() as connection:
        connection.execute(sa.insert(tables.facts).values(name=name, value=""))


def test_what_a_thread_does_in_a_transaction_is_done_as_a_whole(path: Path) -> None:
    opened = Database(path)
    with pytest.raises(ZeroDivisionError), opened.transaction():
        add(opened, "one")
        assert names(opened) == {"one"}  # it sees what it has written itself
        raise ZeroDivisionError
    assert names(opened) == set()
    with opened.transaction():
        add(opened, "one")
        with opened.transaction():
            add(opened, "two")
    assert names(opened) == {"one", "two"}
    opened.close()


def test_other_threads_see_a_transaction_when_it_has_ended(path: Path) -> None:
    opened, seen = Database(path), []
    with opened.transaction():
        add(opened, "one")
        other = threading.Thread(target=lambda: seen.append(names(opened)))
        other.start()
        other.join()
    assert seen == [set()] and names(opened) == {"one"}
    opened.close()


def test_a_snapshot_stays_as_it_was(path: Path) -> None:
    opened, other = Database(path), Database(path)
    with opened.snapshot():
        assert names(opened) == set()
        add(other, "one")
        assert names(opened) == set()
        with pytest.raises(AssertionError, match="snapshot"):
            add(opened, "two")
    assert names(opened) == {"one"}
    opened.close()
    other.close()


def test_a_state_of_the_first_release_remembers_whose_objects_it_holds(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    engine = sa.create_engine(f"sqlite:///{path}")
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
        columns = "(key, project, environment, applied, secrets, labels, description, protect, updated_at)"
        for key, environment in (("Workspace/a", "prod"), ("Workspace/b", "prod"), ("Workspace/c", "test")):
            row = f"('{key}', 'shop', '{environment}', '{{}}', '{{}}', '{{}}', '', 0, '')"
            connection.execute(sa.text(f"insert into ownership {columns} values {row}".replace(":", "\\:")))
    engine.dispose()
    Database(path).close()
    found = query(path, "select name from facts order by name")
    assert found == [("remembered:shop/prod",), ("remembered:shop/test",)]
