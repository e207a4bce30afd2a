"""`import`: the documents of live objects declare them just as they are."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
import yaml

from specrunner.core.diff import changes
from specrunner.core.keys import Key
from specrunner.core.resources import LiveObject, Owner
from specrunner.spec.desired import load
from specrunner.spec.importing import Imported, imported, write_files
from tests.unit.spec_samples import sample, task, write

PROJECT = """\
    apiVersion: specrunner/v1
    kind: Project
    metadata: {name: forecasting}
    """
EVERYTHING = """\
    apiVersion: specrunner/v1
    kind: Pipeline
    metadata: {name: split, description: "A/B", labels: {team: blue}, protect: true}
    spec:
      deployed: true
      steps: [{split: [{model: house-price, weight: 1}, {model: house-price, weight: 3}]}]
      resources: {replicas: 2, memory: 512Mi}
      log: {retention: 7d}
    ---
    apiVersion: specrunner/v1
    kind: Task
    metadata: {name: nightly}
    spec:
      orchestration: remote-inference
      schedule: {cron: "0 2 * * *", timezone: Europe/Berlin, startingDeadline: 90m}
      retries: {limit: 2}
      env: {A: "$${vars.kept}", NUMBER: "1e3"}
      secretEnv: {TOKEN: {env: REMOTE_TOKEN}}
      timeout: 1h
    ---
    apiVersion: specrunner/v1
    kind: Task
    metadata: {name: hourly}
    spec: {orchestration: remote-inference, schedule: "0 * * * *"}
    """
OURS = Owner("forecasting", "default")


def live_of(root: Path, owner: Owner | None = None) -> tuple[list[LiveObject], dict[str, tuple[str, bytes]]]:
    """What a target would hold that is just as these specs declare, and the bytes there by sha."""
    objects, stored = [], {}
    for key, found in load(root, offline=True).resources.items():
        objects.append(
            LiveObject(
                key=key,
                spec=found.spec,
                id=str(key),
                owner=owner,
                applied=found.spec if owner else None,
                protect=found.protect,
                labels=found.labels,
                description=found.description,
            )
        )
        if found.payload:
            stored[str(key)] = (found.payload.file_name, found.payload.read())
    return objects, stored


def brought_in(objects: Iterable[LiveObject], stored: dict[str, tuple[str, bytes]], root: Path) -> Imported:
    """Import into another, empty repository."""
    found = imported(objects, lambda key: stored.get(str(key)), "live")
    write(root, {"specrunner.yaml": PROJECT})
    write_files(root, {**found.files, "live/imported.yaml": found.text.encode()})
    return found


def test_what_was_imported_declares_no_change(tmp_path: Path) -> None:
    objects, stored = live_of(sample(tmp_path / "a", more=dedent(EVERYTHING)))
    brought_in(objects, stored, tmp_path / "b")
    declared = load(tmp_path / "b", offline=True).resources
    assert set(declared) == {one.key for one in objects}
    for one in objects:
        assert changes(declared[one.key], one) == (), one.key


def test_documents_are_written_as_a_person_writes_them(tmp_path: Path) -> None:
    objects, stored = live_of(sample(tmp_path / "a", more=dedent(EVERYTHING)))
    found = brought_in(objects, stored, tmp_path / "b")
    documents = {(one["kind"], one["metadata"]["name"]): one for one in yaml.safe_load_all(found.text)}
    assert documents["Workspace", "forecasting"].keys() == {"apiVersion", "kind", "metadata"}
    nightly = documents["Task", "nightly"]["spec"]
    assert nightly["schedule"] == {"cron": "0 2 * * *", "timezone": "Europe/Berlin", "startingDeadline": "1h30m"}
    assert (nightly["timeout"], nightly["retries"]) == ("1h", {"limit": 2})
    assert nightly["env"] == {"A": "$${vars.kept}", "NUMBER": "1e3"}
    assert "history" not in nightly
    assert documents["Task", "hourly"]["spec"] == {"orchestration": "remote-inference", "schedule": "0 * * * *"}
    split = documents["Pipeline", "split"]
    assert split["spec"]["resources"] == {"replicas": 2, "memory": "512Mi"}
    assert split["spec"]["log"] == {"retention": "7d"}
    assert (split["metadata"]["protect"], split["metadata"]["labels"]) == (True, {"team": "blue"})
    assert documents["Model", "house-price"]["spec"] == {"path": "live/models/house-price.onnx", "framework": "onnx"}
    assert documents["Orchestration", "remote-inference"]["spec"] == {"source": "live/orchestrations/remote-inference"}


def connection(owner: Owner | None = None, **spec: Any) -> LiveObject:
    return LiveObject(
        Key.parse("Connection/house db"), {"type": "S3", "workspaces": [], **spec}, "1", owner=owner, applied=None
    )


def spec_of(found: Imported) -> Any:
    [document] = yaml.safe_load_all(found.text)
    return document["spec"]


@pytest.mark.parametrize(
    "details",
    [
        {"password": "swordfish"},
        {"apiKey": "swordfish"},
        {"options": {"proxy": {"pass": 1, "passwd": "swordfish"}}},
        {"url": "https://ada:swordfish@example.com/"},
        {"hosts": ["https://ada:swordfish@example.com/"]},
        {"pem": "-----BEGIN PRIVATE KEY-----\nswordfish"},
    ],
)
def test_what_may_be_a_secret_is_not_written_but_listed(details: dict[str, Any]) -> None:
    found = imported([connection(details={"host": "db", **details})], lambda _key: None)
    assert "swordfish" not in found.text
    assert spec_of(found)["details"] == {"host": "db"}
    assert spec_of(found)["detailsFrom"] == {"env": "HOUSE_DB_DETAILS"}
    assert [(one.path, one.variable) for one in found.to_fill_in] == [("detailsFrom", "HOUSE_DB_DETAILS")]


def test_details_without_a_secret_need_nothing_filled_in() -> None:
    found = imported([connection(details={"host": "db", "keyspace": "a", "author": "b"})], lambda _key: None)
    assert spec_of(found) == {"type": "S3", "details": {"host": "db", "keyspace": "a", "author": "b"}}
    assert not found.to_fill_in


def test_a_source_that_is_known_is_kept_and_a_masked_one_asked_for() -> None:
    known = imported([connection(OURS, detailsFrom={"file": "secret.json"})], lambda _key: None)
    assert spec_of(known)["detailsFrom"] == {"file": "secret.json"}
    assert not known.to_fill_in
    masked = imported([connection(OURS, detailsFrom={"value": "*****"}, details={"a": "*****"})], lambda _key: None)
    assert spec_of(masked) == {"type": "S3", "detailsFrom": {"env": "HOUSE_DB_DETAILS"}}
    never_told = imported([replace(connection(OURS), opaque=frozenset({"details"}))], lambda _key: None)
    assert spec_of(never_told)["detailsFrom"] == {"env": "HOUSE_DB_DETAILS"}


def test_a_variable_of_a_task_that_may_be_a_secret_becomes_a_reference() -> None:
    spec = {"orchestration": "o", "env": {"TOKEN": "swordfish", "MODE": "fast"}}
    found = imported([LiveObject(Key.parse("Task/lab/t"), spec, "1")], lambda _key: None)
    assert "swordfish" not in found.text
    assert spec_of(found)["env"] == {"MODE": "fast"}
    assert spec_of(found)["secretEnv"] == {"TOKEN": {"env": "TOKEN"}}


def test_a_bundle_of_another_maker_stays_the_zip_that_it_is(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("main.py", "print('hello')\n" * 100)
    objects, stored = live_of(write(sample(tmp_path / "a", more=task("timeout: 1m")), {}))
    key = "Orchestration/forecasting/remote-inference"
    stored[key] = ("made.zip", buffer.getvalue())
    found = brought_in(objects, stored, tmp_path / "b")
    assert found.files["live/orchestrations/remote-inference.zip"] == buffer.getvalue()
    assert load(tmp_path / "b", offline=True).resources[Key.parse(key)].payload is not None


@pytest.mark.parametrize("name", ["../evil.py", "/evil.py", "a/../../evil.py"])
def test_a_bundle_that_would_unpack_elsewhere_is_not_unpacked(name: str) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(name, "")
    live = LiveObject(Key.parse("Orchestration/lab/o"), {"sha": "x"}, "1")
    found = imported([live], lambda _key: ("o.zip", buffer.getvalue()))
    assert list(found.files) == ["orchestrations/o.zip"]


def test_objects_of_one_file_name_get_files_of_their_own() -> None:
    keys = [Key.parse(f"Model/{workspace}/m") for workspace in ("a", "b")]
    lives = [LiveObject(key, {"framework": "onnx", "sha": "x"}, "1") for key in keys]
    found = imported(lives, lambda key: ("m.onnx", str(key).encode()))
    assert found.files == {"models/m.onnx": b"Model/a/m", "models/m-2.onnx": b"Model/b/m"}


def test_what_the_target_has_lost_is_left_out_and_listed() -> None:
    found = imported([LiveObject(Key.parse("Model/a/m"), {"framework": "onnx"}, "1")], lambda _key: None)
    assert (found.documents, found.missing) == ([], [Key.parse("Model/a/m")])


def test_nothing_is_overwritten_and_nothing_half_written(tmp_path: Path) -> None:
    (tmp_path / "b").write_text("mine")
    with pytest.raises(FileExistsError):
        write_files(tmp_path, {"a": b"1", "b": b"2", "c": b"3"})
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"b": "mine"}
