"""import: objects made by hand become specs, and are taken over without a change."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from specrunner.cli.wiring import open_engine
from specrunner.core.keys import Key
from specrunner.core.resources import Owner
from tests.acceptance import samples
from tests.acceptance.in_memory import InMemory, memory
from tests.acceptance.spec_repo import PROJECT, WORKSPACE, SpecRepo
from tests.integration.engine_samples import bundle

__all__ = ["memory"]

SECRET = "swordfish-4711"


def test_what_was_made_by_hand_is_imported_and_adopted_without_a_change(repo: SpecRepo) -> None:
    """On the embedded engine, with objects as the SDK makes them."""
    repo.run("apply", "--yes")
    with open_engine(repo.root / ".specrunner") as engine:
        hand = engine.workspaces.ensure("by hand")
        engine.connections.create("rows", "HTTP", {"host": "db", "password": SECRET})
        engine.connections.create("open", "HTTP", {"host": "db", "port": 1})
        engine.connections.attach("open", hand.id)
        engine.models.upload(hand.id, "small", "small.onnx", samples.model(), {"framework": "onnx"})
        zipped = bundle("print('hello')", None)
        version = engine.orchestrations.upload(hand.id, "greet", "greet.zip", zipped)
        engine.orchestrations.package(version.id, lambda _text: None)
    said = repo.run("import", "--out", "found")
    assert "ROWS_DETAILS  for `detailsFrom` of Connection/rows" in said.err
    files = [path for path in (repo.root / "found").rglob("*") if path.is_file()]
    assert not [path for path in files if SECRET.encode() in path.read_bytes()]
    keys = {key for key, found in repo.objects().items() if found["owner"] is None}
    assert len(keys) == 5
    adopt = [word for key in sorted(keys) for word in ("--adopt", key)]
    steps = {step["key"]: step for step in repo.run("plan", "--json", *adopt).json["steps"]}
    assert set(steps) == keys
    assert {step["action"] for step in steps.values()} == {"adopt"}
    changed = {key: [change["path"] for change in step.get("changes", [])] for key, step in steps.items()}
    # A secret can't be compared with one that nobody has told us yet.
    assert {path.partition(".")[0] for path in changed.pop("Connection/rows")} == {"details", "detailsFrom"}
    assert not any(changed.values()), changed
    repo.run("apply", "--yes", *adopt, ROWS_DETAILS='{"password": "new"}')
    assert repo.run("plan", ROWS_DETAILS='{"password": "new"}').out.startswith("No changes")


@pytest.fixture
def lone(memory: InMemory) -> Iterator[InMemory]:
    """Objects of nobody, of ours that no file declares any more, and of another project."""
    gone = memory.repo.document("Connection", "ours", {"type": "HTTP", "details": {"host": "a"}})
    memory.run("apply", "--yes")
    gone.unlink()
    memory.state.add(Key.parse("Workspace/shop"), {})
    memory.state.add(Key.parse("Connection/lone"), {"type": "HTTP", "workspaces": ["shop"], "details": {"host": "b"}})
    memory.state.add(Key.parse("Model/shop/m"), {"framework": "onnx"}, samples.model())
    memory.repo.document("Connection", "theirs", {"type": "HTTP"})
    memory.repo.write("specrunner.yaml", PROJECT.replace("name: acceptance", "name: other"))
    memory.repo.remove("workspace.yaml")
    memory.run("apply", "--yes")
    memory.repo.write("specrunner.yaml", PROJECT)
    memory.repo.write("workspace.yaml", WORKSPACE)
    memory.repo.remove("connection-theirs.yaml")
    assert memory.live_of("Connection/theirs").owner == Owner("other", "default")
    yield memory


def keys_of(text: str) -> list[str]:
    return [f"{one['kind']}/{one['metadata']['name']}" for one in yaml.safe_load_all(text)]


def test_without_keys_everything_is_imported_that_no_file_declares_and_no_other_owns(lone: InMemory) -> None:
    assert keys_of(lone.run("import").out) == ["Workspace/shop", "Connection/lone", "Connection/ours", "Model/m"]


def test_a_key_comes_with_what_it_needs(lone: InMemory) -> None:
    assert keys_of(lone.run("import", "Connection/lone").out) == ["Workspace/shop", "Connection/lone"]


def test_on_the_terminal_the_bytes_are_not_written_and_that_is_said(lone: InMemory) -> None:
    said = lone.run("import", "Model/shop/m")
    assert "--out" in said.err
    assert not (lone.repo.root / "models").exists()


def test_import_writes_the_files_beside_and_says_what_to_type_next(lone: InMemory) -> None:
    said = lone.run("import", "Model/shop/m", "--out", str(lone.repo.root / "shop" / "specs.yaml")).err
    assert (lone.repo.root / "shop" / "models" / "m.onnx").read_bytes() == samples.model()
    assert "Imported 2 objects to shop/specs.yaml, with 1 file beside." in said
    [command] = [line.strip() for line in said.splitlines() if line.strip().startswith("specrunner plan")]
    assert "adopt" in lone.run(*command.split()[1:]).out


def test_import_overwrites_nothing(lone: InMemory) -> None:
    lone.run("import", "--out", str(lone.repo.root / "found"))
    before = {path: path.read_bytes() for path in lone.repo.root.rglob("*") if path.is_file()}
    (lone.repo.root / "found" / "imported.yaml").unlink()
    refused = lone.run("import", "--out", str(lone.repo.root / "found"), code=3).err
    assert "found/models/m.onnx is there already" in refused
    assert not (lone.repo.root / "found" / "imported.yaml").exists()
    assert {path for path in lone.repo.root.rglob("*") if path.is_file()} <= set(before)


@pytest.mark.parametrize(
    ("key", "code", "words"),
    [
        ("Connection/lonee", 1, "`Connection/lone`"),
        ("Connection/theirs", 3, "other/default"),
        ("Workspace/lab", 3, "workspace.yaml"),
        ("lone", 64, "WORKSPACE/NAME"),
    ],
)
def test_what_can_not_be_imported_is_refused_in_words(lone: InMemory, key: str, code: int, words: str) -> None:
    assert words in lone.run("import", key, code=code).err


def test_import_goes_nowhere_outside_the_specs(lone: InMemory, tmp_path: Path) -> None:
    assert "outside" in lone.run("import", "--out", str(tmp_path / "elsewhere"), code=64).err


def test_where_all_is_declared_there_is_nothing_to_import(memory: InMemory) -> None:
    memory.run("apply", "--yes")
    said = memory.run("import", "--out", str(memory.repo.root / "found"))
    assert "Nothing to import" in said.err
    assert not (memory.repo.root / "found").exists()
