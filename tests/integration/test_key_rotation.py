"""The key changes as a whole or not at all, wherever a rotation is cut off, and no secret seems to change by it."""

from __future__ import annotations

import shutil
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from specrunner.cli.main import status_of
from specrunner.core.errors import Busy, SpecrunnerError
from specrunner.core.fields import Action
from specrunner.core.values import Secret
from specrunner.engine.clock import SystemClock
from specrunner.engine.vault import KEY_VARIABLE
from specrunner.reconcile.lease import this_process
from tests.integration.engine_samples import FOREVER, add_task, engine_on, open_engine, until
from tests.integration.rotation_samples import API_KEY, PASSWORD, applied, planned, state, stored

CHECKOUT = Path(__file__).parents[2]
SECRETS = (Secret({"user": "me", "password": PASSWORD}), Secret({"API_KEY": API_KEY}))
POINTS = (
    "settled",
    "key written",
    "begun",
    "connections",
    "tasks",
    "fingerprints",
    "noted",
    "committed",
    "key in place",
)


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return applied(tmp_path_factory.mktemp("rotation") / "specs")


@pytest.fixture
def root(sample: Path, tmp_path: Path) -> Path:
    shutil.copytree(sample, tmp_path / "specs")
    return tmp_path / "specs"


def sealed(root: Path) -> list[bytes]:
    connection = sqlite3.connect(state(root) / "state.db")
    try:
        rows = connection.execute("select details from connections union all select secret_env from tasks").fetchall()
    finally:
        connection.close()
    return [row[0] for row in rows]


def test_a_rotation_seals_everything_anew_and_the_plan_stays_empty(root: Path) -> None:
    key, before = (state(root) / "key").read_bytes(), sealed(root)
    assert status_of(["-C", str(root), "secrets", "rotate-key"]) == 0
    assert (state(root) / "key").read_bytes() != key
    assert (state(root) / "key").stat().st_mode & 0o777 == 0o600
    assert not set(before) & set(sealed(root))
    assert stored(root) == SECRETS
    assert planned(root).steps == ()
    assert [path.name for path in state(root).glob("key*")] == ["key"]


def test_what_the_old_key_sealed_is_not_left_in_any_file(root: Path) -> None:
    before = sealed(root)
    with open_engine(state(root)) as engine:
        engine.rotate_key()
    for path in state(root).glob("state.db*"):
        assert not [one for one in before if one in path.read_bytes()], path.name


def test_a_secret_that_did_change_is_still_seen_after_a_rotation(root: Path) -> None:
    (root / "secrets/api-key").write_text("another-one\n")
    with open_engine(state(root)) as engine:
        engine.rotate_key()
    (step,) = planned(root).steps
    assert (step.key.name, step.action) == ("nightly", Action.UPDATE)
    assert [(change.path, change.old, change.new) for change in step.changes] == [
        ("secretEnv.API_KEY", "(secret)", "(secret)")
    ]


def test_a_fingerprint_of_something_else_than_what_is_stored_does_not_come_to_fit(root: Path) -> None:
    """As after an apply that was cut off between the secret and its record."""
    with open_engine(state(root)) as engine:
        engine.connections.put("store", "S3", {"host": "here"}, {"user": "me", "password": "not recorded"}, ["lab"])
        engine.rotate_key()
    assert [step.key.name for step in planned(root).steps] == ["store"]


@pytest.mark.parametrize("point", POINTS)
def test_killed_anywhere_the_old_key_or_the_new_one_is_in_force(root: Path, point: str) -> None:
    before = sealed(root)
    command = [sys.executable, "-m", "tests.integration.rotation_samples", str(root), point]
    killed = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, timeout=60, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert (sealed(root) != before) == (POINTS.index(point) >= POINTS.index("committed"))
    assert stored(root) == SECRETS
    assert planned(root).steps == ()
    with open_engine(state(root)) as engine:
        engine.rotate_key()
    assert stored(root) == SECRETS
    assert planned(root).steps == ()
    assert [path.name for path in state(root).glob("key*")] == ["key"]


def test_the_points_of_the_test_above_are_all_there_are(root: Path) -> None:
    reached: list[str] = []
    with open_engine(state(root)) as engine:
        engine.rotate_key(reached=reached.append)
    assert tuple(reached) == POINTS


def test_a_fault_in_the_middle_changes_nothing(root: Path) -> None:
    def full(point: str) -> None:
        if point == "fingerprints":
            raise OSError(28, "No space left on device")

    with open_engine(state(root)) as engine, pytest.raises(OSError, match="No space left"):
        engine.rotate_key(reached=full)
    assert stored(root) == SECRETS and planned(root).steps == ()


def test_it_is_refused_while_somebody_applies(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = sealed(root)
    me = this_process(SystemClock(), {})
    with open_engine(state(root)) as engine:
        assert engine.leases.take("rotation/default", me) is None
        assert status_of(["-C", str(root), "secrets", "rotate-key"]) == 1
    assert "Another apply is under way" in capsys.readouterr().err
    assert sealed(root) == before


def test_it_is_refused_while_a_run_is_under_way(tmp_path: Path) -> None:
    with engine_on(tmp_path) as engine:
        run = engine.runs.submit(add_task(engine, FOREVER))
        with pytest.raises(Busy, match="1 run is under way"):
            engine.rotate_key()
        engine.runs.kill(run.id, grace=0.0)
        until(lambda: not engine.history.active(), "the end of the run")
        engine.rotate_key()


def test_who_holds_the_old_key_stores_nothing_with_it(root: Path) -> None:
    with open_engine(state(root)) as late:
        with open_engine(state(root)) as engine:
            engine.rotate_key()
        with pytest.raises(SpecrunnerError, match="key was changed"):
            late.connections.put("store", "S3", {}, {"password": "new"}, ["lab"])
        (task,) = late.tasks.all()
        with pytest.raises(SpecrunnerError, match="key was changed"):
            late.tasks.put(task.workspace_id, task.name, task.orchestration_id, task.spec, {"API_KEY": "new"})
    assert stored(root) == SECRETS


def test_a_key_of_ones_own(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEW_KEY", "a key of one's own, long enough")
    assert status_of(["-C", str(root), "secrets", "rotate-key", "--key-from-env", "NEW_KEY"]) == 0
    assert (state(root) / "key").read_text() == "a key of one's own, long enough"
    assert stored(root) == SECRETS and planned(root).steps == ()
    monkeypatch.setenv(KEY_VARIABLE, "a key of one's own, long enough")  # so the file may go
    (state(root) / "key").unlink()
    assert stored(root) == SECRETS and planned(root).steps == ()


def test_a_key_in_a_variable_is_changed_with_another_variable(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(KEY_VARIABLE, (state(root) / "key").read_text())
    (state(root) / "key").unlink()
    assert status_of(["-C", str(root), "secrets", "rotate-key"]) == 1
    assert "--key-from-env" in capsys.readouterr().err

    monkeypatch.setenv("NEW_KEY", "a key of one's own, long enough")
    assert status_of(["-C", str(root), "secrets", "rotate-key", "--key-from-env", "NEW_KEY"]) == 0
    assert "Set SPECRUNNER_KEY" in capsys.readouterr().out
    assert not list(state(root).glob("key*"))
    with pytest.raises(SpecrunnerError, match="cannot be read with this key"):
        stored(root)
    monkeypatch.setenv(KEY_VARIABLE, "a key of one's own, long enough")
    assert stored(root) == SECRETS and planned(root).steps == ()


@pytest.mark.parametrize("text", [None, "", "short"])
def test_a_key_that_can_be_guessed_is_refused(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], text: str | None
) -> None:
    monkeypatch.delenv("NEW_KEY", raising=False)
    if text is not None:
        monkeypatch.setenv("NEW_KEY", text)
    assert status_of(["-C", str(root), "secrets", "rotate-key", "--key-from-env", "NEW_KEY"]) == 64
    assert "holds no usable key" in capsys.readouterr().err
    assert stored(root) == SECRETS


def test_where_nothing_was_applied_there_is_nothing_to_rotate(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert status_of(["-C", str(tmp_path), "secrets", "rotate-key"]) == 1
    assert "Nothing was applied" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_where_the_key_is_gone_no_other_is_made_and_the_way_out_is_told(root: Path) -> None:
    kept = (state(root) / "key").read_bytes()
    (state(root) / "key").unlink()
    for command in (["plan"], ["apply", "--yes"]):
        assert status_of(["-C", str(root), *command]) == 1
        assert not (state(root) / "key").exists()
    with pytest.raises(SpecrunnerError, match="The key is missing") as caught:
        stored(root)
    assert KEY_VARIABLE in caught.value.remedy and "move the folder" in caught.value.remedy
    (state(root) / "key").write_bytes(kept)
    assert planned(root).steps == ()


def test_the_key_that_is_gone_may_be_given_in_the_variable(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY_VARIABLE, (state(root) / "key").read_text())
    (state(root) / "key").unlink()
    assert stored(root) == SECRETS


def test_without_anything_sealed_a_key_is_made_anew(tmp_path: Path) -> None:
    for _ in range(2):
        open_engine(tmp_path).close()
        (tmp_path / "key").unlink()
    open_engine(tmp_path).close()
    assert (tmp_path / "key").exists()


def test_after_a_rotation_that_was_killed_the_new_key_alone_is_enough(root: Path) -> None:
    command = [sys.executable, "-m", "tests.integration.rotation_samples", str(root), "committed"]
    subprocess.run(command, cwd=CHECKOUT, capture_output=True, timeout=60, check=False)
    assert len(list(state(root).glob("key*"))) == 2
    (state(root) / "key").unlink()
    assert stored(root) == SECRETS
