"""A look at a state folder sees what the engine would show, leaves nothing behind, and gives up where it can't tell."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from specrunner.core.keys import Key, Kind
from specrunner.core.lifecycle import ModelState, RunState
from specrunner.core.resources import Owner, content_identity
from specrunner.core.values import JsonObject, Secret
from specrunner.engine import looking, looking_rows
from specrunner.engine.engine import Engine
from specrunner.engine.holdings import Holdings
from specrunner.engine.looking import look
from specrunner.engine.records import ModelVersion
from specrunner.engine.rekeying import rotate
from specrunner.engine.store.database import HEAD
from specrunner.engine.vault import KEY_VARIABLE, Vault
from specrunner.targets.local import reading
from specrunner.targets.local.target import LocalTarget
from tests.contract.target_samples import OURS, THEIRS, Applying, everything
from tests.integration.engine_samples import engine_on, open_engine

HOUR = 3_600


@pytest.fixture(autouse=True)
def key_in_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(KEY_VARIABLE, raising=False)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A state folder with an object of every kind that nobody has open, and last written to an hour ago."""
    made = tmp_path / "odd name % #1?" / "state"
    with closing(LocalTarget(open_engine(made))) as target:
        Applying(target).apply(everything())
        target.remember(OURS)
    return quiet(made)


def quiet(folder: Path) -> Path:
    then = time.time() - HOUR
    os.utime(folder / "state.db", (then, then))
    return folder


def held(folder: Path) -> Holdings | None:
    found = look(folder)
    return None if found is None else found.holdings()


def listing(folder: Path) -> dict[str, tuple[int, int]]:
    return {str(path): (path.stat().st_size, path.stat().st_mtime_ns) for path in folder.rglob("*")}


def test_what_is_seen_is_what_the_engine_shows_and_nothing_is_left_behind(folder: Path) -> None:
    before, found = listing(folder), look(folder)
    assert found is not None
    seen = reading.seen(found)
    assert (found.remembers(OURS), found.remembers(THEIRS)) == (True, False)
    assert found.fingerprint(Secret("x")) == Vault.open(folder).fingerprint(Secret("x"))
    assert listing(folder) == before
    with engine_on(folder) as engine:
        assert reading.read(engine) == seen
        assert reading.seen(found) == seen  # also while somebody has it open
        assert engine.fingerprint(Secret("x")) == found.fingerprint(Secret("x"))
    assert len(seen or ()) == len(everything())


def test_a_store_that_was_only_just_applied_to_is_not_left_to_the_engine(tmp_path: Path) -> None:
    with closing(LocalTarget(open_engine(tmp_path / "state"))) as target:
        Applying(target).apply(everything())
        assert held(tmp_path / "state") is not None
    assert held(tmp_path / "state") is not None
    assert held(quiet(tmp_path / "state")) is not None


def versions_of(engine: Engine, name: str, *states: ModelState) -> list[ModelVersion]:
    """Versions of a Python model, which came to these states."""
    lab, versions = engine.workspaces.named("lab"), []
    for number, state in enumerate(states):
        config = {"framework": "python", "requirements": [f"attrs=={number}"]}
        version = engine.models.upload(lab.id, name, "m.py", b"whatever", config)
        if state is not ModelState.PENDING_PACKAGING:
            engine.models.move(version, ModelState.PACKAGING)
            version = engine.models.move(engine.models.version(version.id), state, error="no such thing", lock="attrs")
        versions.append(version)
    return versions


def test_models_that_are_not_ready_and_steps_of_several_models_are_seen_as_the_engine_shows_them(folder: Path) -> None:
    steps: list[JsonObject] = [
        {"model": "once", "shadow": ["houses"]},
        {"split": [{"model": "houses", "weight": 2}, {"model": "sound", "weight": 1}], "by": "city"},
    ]
    with engine_on(folder) as engine:
        sound = versions_of(engine, "sound", ModelState.READY)[-1]
        once, _failed, _waiting = versions_of(
            engine, "once", ModelState.READY, ModelState.ERROR, ModelState.PENDING_PACKAGING
        )
        never = versions_of(engine, "never", ModelState.ERROR, ModelState.ERROR)[-1]
        lab = engine.workspaces.named("lab")
        engine.pipelines.configure(lab.id, "mixed", {"resources": {"cpus": 1}, "validations": {"some": "out.y > 0"}})
        engine.pipelines.put_steps(lab.id, "mixed", steps, lambda name: engine.models.in_force(lab.id, name))
        shown = reading.read(engine)
        assert {key: reading.read_one(engine, key) for key in shown} == shown
        assert engine.holdings() == held(folder)
    found = look(quiet(folder))
    assert found is not None and reading.seen(found) == shown
    models = {key.name: live for key, live in shown.items() if key.kind is Kind.MODEL}
    assert models["once"].id == str(once.id) and "not in force" in models["once"].detail
    assert (models["never"].id, models["never"].state, models["never"].spec) == (str(never.id), "error", {})
    mixed = shown[Key(Kind.PIPELINE, "lab", "mixed")].spec
    assert mixed["steps"] == steps and mixed["validations"] == {"some": "out.y > 0"}
    assert mixed["modelShas"]["sound"] == content_identity(sound.sha, sound.config) != sound.sha
    assert mixed["modelShas"]["houses"] == models["houses"].spec["sha"]


def test_what_was_only_just_written_is_seen(folder: Path) -> None:
    with engine_on(folder) as engine:
        for name in ("one", "two"):
            engine.workspaces.create(name)
            found = held(folder)
            assert found is not None and name in found.workspaces.values()
    found = held(folder)
    assert found is not None and {"one", "two"} <= set(found.workspaces.values())


def test_a_store_that_is_changed_while_it_is_read_is_left_to_the_engine(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = looking_rows._owners

    def owners(ask: Callable[..., Iterator[tuple[str, ...]]]) -> object:
        with engine_on(folder) as engine:
            engine.workspaces.create("meanwhile")
        return before(ask)

    monkeypatch.setattr(looking_rows, "_owners", owners)
    assert held(folder) is None


def change(folder: Path, statement: str, *values: str) -> None:
    with closing(sqlite3.connect(folder / "state.db")) as connection:
        connection.execute(statement, values)
        connection.commit()
    quiet(folder)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda folder: change(folder, "update alembic_version set version_num = '0001'"),
        lambda folder: change(folder, "update alembic_version set version_num = '9999'"),
        lambda folder: change(folder, "drop table tasks"),
        lambda folder: change(folder, "update ownership set applied = '{'"),
        lambda folder: change(folder, "update tasks set status = 'unheard-of'"),
        lambda folder: change(folder, "insert into facts (name, value) values ('key', 'another')"),
        lambda folder: (folder / "key").unlink(),
        lambda folder: (folder / "key").write_text("another key"),
        lambda folder: (folder / "state.db").write_bytes(b"no database"),
        lambda folder: (folder / "state.db").write_bytes(b""),
    ],
)
def test_where_something_is_not_as_it_should_be_the_engine_is_to_say(
    folder: Path, spoil: Callable[[Path], None]
) -> None:
    spoil(folder)
    assert held(quiet(folder)) is None


def test_a_run_under_way_is_left_to_the_engine(folder: Path) -> None:
    change(folder, "update runs set status = ?", RunState.RUNNING)
    assert held(folder) is None


def test_a_folder_in_which_nothing_was_applied_holds_nothing_and_stays_so(tmp_path: Path) -> None:
    found = look(tmp_path)
    assert found is not None
    assert reading.seen(found) == {}
    assert found.remembers(Owner("a", "b")) is False
    assert found.fingerprint(Secret("x")) != found.fingerprint(Secret("y"))
    assert list(tmp_path.iterdir()) == []


def test_after_a_rotation_the_new_key_is_seen(folder: Path) -> None:
    with engine_on(folder) as engine:
        rotate(engine._context, None)
    found = look(quiet(folder))
    assert found is not None and found.holdings() is not None


def test_the_newest_revision_is_the_one_that_the_store_is_brought_to() -> None:
    assert looking._newest_revision() == HEAD


def test_a_target_that_only_looks_opens_no_engine(folder: Path) -> None:
    def open_it() -> object:
        raise AssertionError("it was opened")

    with closing(LocalTarget(open_it, look(folder))) as target:  # type: ignore[arg-type]
        assert target.read()
        assert target.remembers(OURS)
        assert target.unsupported([]) == []


def test_a_target_that_looks_opens_the_engine_for_all_else(folder: Path) -> None:
    with closing(LocalTarget(lambda: open_engine(folder), look(folder))) as target:
        seen = target.read()
        assert [run.task for run in target.runs()]
        assert target.read() == seen
