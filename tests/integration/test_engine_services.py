"""What the services for workspaces, connections and models promise, and the facade, on a real store."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from specrunner.core.errors import (
    Conflict,
    NotFound,
    SpecrunnerError,
)
from specrunner.core.values import Secret
from specrunner.engine.engine import Engine
from specrunner.engine.records import Workspace
from tests.integration.engine_samples import (
    add_pipeline,
    add_task,
    at_once,
    engine_on,
    model_bytes,
    open_engine,
)

SENTINEL = "swordfish-7c1f2a90"


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    with engine_on(tmp_path / "state") as opened:
        yield opened


@pytest.fixture
def lab(engine: Engine) -> Workspace:
    return engine.workspaces.ensure("lab")


# Workspaces


def test_ensuring_a_workspace_twice_gives_the_same(engine: Engine) -> None:
    found = at_once(lambda _: engine.workspaces.ensure("lab"))
    assert len(set(found)) == 1
    assert engine.workspaces.named("lab") == engine.workspaces.get(engine.workspaces.all()[0].id) == found[0]


def test_creating_a_workspace_twice_is_a_conflict(engine: Engine) -> None:
    engine.workspaces.create("lab")
    with pytest.raises(Conflict, match="'lab' exists already"):
        engine.workspaces.create("lab")


def test_a_workspace_that_is_not_there_is_not_found_and_may_be_deleted(engine: Engine) -> None:
    with pytest.raises(NotFound, match="'lab'"):
        engine.workspaces.named("lab")
    with pytest.raises(NotFound, match="17"):
        engine.workspaces.get(17)
    engine.workspaces.delete("lab")


def test_a_workspace_is_deleted_when_it_is_empty_and_says_what_it_holds_before(engine: Engine, lab: Workspace) -> None:
    add_task(engine, "", name="job")
    add_pipeline(engine, lab)
    with pytest.raises(Conflict) as caught:
        engine.workspaces.delete("lab")
    for words in ("the task 'job'", "the orchestration 'job'", "the pipeline 'prices'", "the model 'houses'"):
        assert words in caught.value.summary
    engine.tasks.delete(engine.tasks.named(lab.id, "job").id)
    engine.orchestrations.delete(lab.id, "job")
    engine.pipelines.delete(lab.id, "prices")
    engine.models.delete(lab.id, "houses", engine.pipelines.using(lab.id, "houses"))
    engine.connections.put("store", "S3", {}, {}, ["lab"])
    engine.workspaces.delete("lab")
    assert engine.workspaces.all() == []
    assert engine.connections.named("store").workspaces == ()


def test_an_id_is_never_used_again(engine: Engine) -> None:
    """Inference logs are kept by the id of their pipeline: a new one must not find those of a deleted one."""
    first = engine.workspaces.create("first")
    version = add_pipeline(engine, first)
    engine.pipelines.delete(first.id, "prices")
    assert add_pipeline(engine, first).pipeline_id != version.pipeline_id
    engine.models.delete(first.id, "houses", [])
    engine.pipelines.delete(first.id, "prices")
    engine.workspaces.delete("first")
    assert engine.workspaces.create("second").id != first.id


# Connections


def test_a_connection_keeps_open_and_secret_details_apart(engine: Engine, lab: Workspace) -> None:
    engine.connections.put("store", "S3", {"host": "a"}, {"password": SENTINEL}, ["lab"])
    assert engine.connections.open_details("store") == {"host": "a"}
    assert engine.connections.all_open_details() == {"store": {"host": "a"}}
    assert engine.connections.secret_details("store") == Secret({"password": SENTINEL})
    assert engine.connections.details("store") == {"host": "a", "password": SENTINEL}
    assert SENTINEL not in repr(engine.connections.all()) + repr(engine.connections.secret_details("store"))
    assert engine.connections.named("store").workspaces == (lab.name,)


def test_putting_a_connection_again_changes_it_in_place(engine: Engine) -> None:
    for name in ("lab", "shop"):
        engine.workspaces.ensure(name)
    engine.connections.put("store", "S3", {"host": "a"}, {}, ["lab", "shop"])
    before = engine.connections.named("store")
    engine.connections.put("store", "HTTP", {"host": "b"}, {}, ["shop"])
    after = engine.connections.named("store")
    assert (after.id, after.created_at) == (before.id, before.created_at)
    assert (after.type, after.workspaces, engine.connections.details("store")) == ("HTTP", ("shop",), {"host": "b"})


def test_creating_a_connection_twice_is_a_conflict(engine: Engine) -> None:
    engine.connections.create("store", "S3", {})
    with pytest.raises(Conflict, match="'store' exists already"):
        engine.connections.create("store", "S3", {})


def test_attaching_and_detaching_may_be_repeated(engine: Engine, lab: Workspace) -> None:
    engine.connections.create("store", "S3", {})
    for _ in range(2):
        engine.connections.attach("store", lab.id)
    assert [found.name for found in engine.connections.all(lab.id)] == ["store"]
    for _ in range(2):
        engine.connections.detach("store", lab.id)
    assert engine.connections.all(lab.id) == []
    assert [found.name for found in engine.connections.all()] == ["store"]


def test_a_connection_that_is_not_there_is_not_found_and_may_be_deleted(engine: Engine) -> None:
    for ask in (engine.connections.named, engine.connections.details, engine.connections.secret_details):
        with pytest.raises(NotFound, match="'store'"):
            ask("store")
    engine.connections.delete("store")


def test_attaching_to_a_workspace_that_is_gone_is_a_conflict(engine: Engine) -> None:
    engine.connections.create("store", "S3", {})
    with pytest.raises(Conflict, match="changed or removed"):
        engine.connections.attach("store", 17)


# Models


def test_the_same_bytes_make_no_new_version(engine: Engine, lab: Workspace) -> None:
    first = engine.models.upload(lab.id, "houses", "a.onnx", b"bytes", {"framework": "onnx"})
    assert engine.models.upload(lab.id, "houses", "b.onnx", b"bytes", {"framework": "onnx"}) == first
    assert (first.size, first.file_name) == (5, "a.onnx")
    other = engine.models.upload(lab.id, "houses", "a.onnx", b"others", {"framework": "onnx"})
    assert other.version != first.version and other.model_id == first.model_id
    assert engine.models.newest(lab.id, "houses") == other
    assert engine.models.version(first.id) == engine.models.by_uuid(first.version) == first
    assert engine.models.all() == [other]


def test_going_back_to_earlier_bytes_is_a_new_version(engine: Engine, lab: Workspace) -> None:
    shas = [engine.models.upload(lab.id, "m", "m", data, {}).sha for data in (b"one", b"two", b"one")]
    assert shas[0] == shas[2] == engine.models.newest(lab.id, "m").sha


def test_another_configuration_is_a_new_version(engine: Engine, lab: Workspace) -> None:
    first = engine.models.upload(lab.id, "m", "m", b"one", {"framework": "onnx"})
    assert engine.models.upload(lab.id, "m", "m", b"one", {"framework": "python"}).id != first.id


def test_uploads_at_once_of_the_same_bytes_are_one_version(engine: Engine, lab: Workspace) -> None:
    found = at_once(lambda _: engine.models.upload(lab.id, "m", "m", b"one", {}))
    assert len({getattr(version, "id", version) for version in found}) == 1


def test_a_model_in_use_is_not_deleted(engine: Engine, lab: Workspace) -> None:
    add_pipeline(engine, lab)
    with pytest.raises(Conflict, match="'houses' is a step of prices"):
        engine.models.delete(lab.id, "houses", engine.pipelines.using(lab.id, "houses"))
    engine.pipelines.delete(lab.id, "prices")
    for _ in range(2):
        engine.models.delete(lab.id, "houses", engine.pipelines.using(lab.id, "houses"))
    with pytest.raises(NotFound, match="'houses'"):
        engine.models.newest(lab.id, "houses")


# The facade


def test_without_an_api_no_run_is_started(tmp_path: Path) -> None:
    with open_engine(tmp_path, api=None) as engine, pytest.raises(SpecrunnerError, match="no API for runs"):
        engine.run_api()


def test_facts_are_remembered(engine: Engine) -> None:
    assert engine.facts.get("port") is None
    engine.facts.put("port", "1")
    engine.facts.put("port", "2")
    assert engine.facts.get("port") == "2"


def test_a_secret_is_nowhere_in_plain_text(engine: Engine, lab: Workspace) -> None:
    engine.connections.put("store", "S3", {"host": "a"}, {"password": SENTINEL}, ["lab"])
    add_task(engine, "", secret_env={"KEY": SENTINEL})
    engine.models.upload(lab.id, "m", "m.onnx", model_bytes(), {})
    engine.fingerprint(Secret(SENTINEL))
    files = [path for path in engine.folder.rglob("*") if path.is_file()]
    assert {"state.db", "state.db-wal", "key"} <= {path.name for path in files}
    assert [path for path in files if SENTINEL.encode() in path.read_bytes()] == []
