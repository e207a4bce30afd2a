"""The example repository holds together: its files, its model, its data and what its documents say of them."""

from __future__ import annotations

import io
import re
import runpy
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import pyarrow as pa
import pytest
import yaml
from jsonschema import Draft202012Validator

from specrunner.core.keys import Key
from specrunner.spec.desired import load
from specrunner.spec.schema import schema_of

ROOT = Path(__file__).resolve().parents[2] / "examples" / "specs" / "house-price"
MODEL = ROOT / "models" / "house_price.onnx"
DATA = ROOT / "data" / "houses-1k.arrow"
SAMPLE = ROOT / "orchestrations" / "bundled_data" / "houses-20.arrow"
MANIFESTS = sorted(ROOT.glob("*.yaml"))


@pytest.fixture(scope="module")
def session() -> ort.InferenceSession:
    return ort.InferenceSession(MODEL, providers=["CPUExecutionProvider"])


@pytest.fixture(scope="module")
def synthetic() -> dict[str, Any]:
    """The names that `generate/houses.py` defines; it needs nothing but the standard library."""
    return runpy.run_path(str(ROOT / "generate" / "houses.py"), run_name="houses")


def documents() -> Iterator[tuple[Path, dict[str, Any]]]:
    for path in MANIFESTS:
        for document in yaml.safe_load_all(path.read_text()):
            yield path, document


def named(kind: str, name: str) -> dict[str, Any]:
    (found,) = (doc for _, doc in documents() if (doc["kind"], doc["metadata"]["name"]) == (kind, name))
    return found


def rows_of(path: Path) -> np.ndarray[Any, Any]:
    table = pa.ipc.open_file(path).read_all()
    assert table.schema == pa.schema([("tensor", pa.list_(pa.float32(), 18))])
    tensor = table["tensor"].combine_chunks()
    return np.asarray(tensor.flatten()).reshape(len(table), 18)


def test_every_document_names_its_version_and_kind() -> None:
    found = list(documents())
    assert {document["apiVersion"] for _, document in found} == {"specrunner/v1"}
    kinds = sorted(document["kind"] for _, document in found)
    assert kinds == sorted(
        ["Project", "Workspace", "Connection", "Model", "Pipeline", "Orchestration", "Orchestration", "Task", "Task"]
    )


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: path.name)
def test_a_file_begins_with_the_schema_of_all_its_documents(path: Path) -> None:
    first = path.read_text().splitlines()[0]
    kinds = {document["kind"].lower() for file, document in documents() if file == path}
    assert [first] == [
        f"# yaml-language-server: $schema=https://specrunner.dev/schemas/v1/{kind}.schema.json" for kind in kinds
    ]


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: path.name)
def test_every_document_fits_its_schema(path: Path) -> None:
    for document in (document for file, document in documents() if file == path):
        Draft202012Validator(schema_of(document["kind"])).validate(document)


def test_what_the_documents_refer_to_exists() -> None:
    named("Workspace", named("Project", "house-price")["spec"]["defaultWorkspace"])
    assert ROOT / named("Model", "house-price")["spec"]["path"] == MODEL
    for step in named("Pipeline", "house-price")["spec"]["steps"]:
        named("Model", step["model"])
    for task in (document for _, document in documents() if document["kind"] == "Task"):
        source = ROOT / named("Orchestration", task["spec"]["orchestration"])["spec"]["source"]
        assert (source / "main.py").is_file()
        for reference in (value["ref"] for value in task["spec"]["args"].values() if isinstance(value, dict)):
            named(*reference.split("/"))


def test_the_spec_reader_finds_nothing_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOUSE_PRICE_DATA_URL", "http://data.example/houses.arrow")
    desired = load(ROOT)
    assert {str(key) for key in desired.resources} == {
        "Workspace/house-price",
        "Connection/houses",
        "Model/house-price/house-price",
        "Pipeline/house-price/house-price",
        "Orchestration/house-price/remote-inference",
        "Orchestration/house-price/bundled-data",
        "Task/house-price/score the houses",
        "Task/house-price/score the bundled houses",
    }
    houses = desired.resources[Key.parse("Connection/houses")]
    assert houses.spec["details"] == {"host": "http://data.example/houses.arrow"}
    task = desired.resources[Key.parse("Task/house-price/score the houses")]
    assert task.spec["args"] == {"workspace": "house-price", "pipeline": "house-price", "connection": "houses"}


def test_the_bundled_data_travels_with_its_code() -> None:
    payload = load(ROOT).resources[Key.parse("Orchestration/house-price/bundled-data")].payload
    assert payload is not None
    with zipfile.ZipFile(io.BytesIO(payload.read())) as bundle:
        assert bundle.namelist() == ["houses-20.arrow", "main.py", "requirements.txt"]


def test_the_connection_points_at_the_committed_data() -> None:
    host = named("Connection", "houses")["spec"]["details"]["host"]
    assert re.fullmatch(r"\$\{env\.HOUSE_PRICE_DATA_URL:-http://127\.0\.0\.1:8473/(.+)\}", host)
    assert f"/{DATA.name}}}" in host


def test_the_model_has_the_inputs_and_outputs_it_is_documented_with(session: ort.InferenceSession) -> None:
    (taken,), (given,) = session.get_inputs(), session.get_outputs()
    assert (taken.name, taken.type, taken.shape[1:]) == ("float_input", "tensor(float)", [18])
    assert (given.name, given.type, given.shape[1:]) == ("variable", "tensor(float)", [1])
    assert MODEL.stat().st_size < 200_000


def test_the_documented_features_are_those_of_the_generator_and_the_model(
    session: ort.InferenceSession, synthetic: dict[str, Any]
) -> None:
    readme = (ROOT / "generate" / "README.md").read_text()
    documented = re.findall(r"^\| (\d+) \| `(\w+)` \|", readme, flags=re.MULTILINE)
    assert [name for _, name in documented] == list(synthetic["FEATURES"])
    assert [int(number) for number, _ in documented] == list(range(1, session.get_inputs()[0].shape[1] + 1))


@pytest.mark.parametrize(("path", "seed", "count"), [(DATA, 2, 1_000), (SAMPLE, 3, 20)], ids=["data", "sample"])
def test_the_committed_data_is_what_the_generator_makes(
    path: Path, seed: int, count: int, synthetic: dict[str, Any]
) -> None:
    made = [synthetic["features"](house) for house, _ in synthetic["houses"](seed, count)]
    np.testing.assert_array_equal(rows_of(path), np.array(made, dtype=np.float32))


def test_the_houses_are_plausible(synthetic: dict[str, Any]) -> None:
    column = dict(zip(synthetic["FEATURES"], rows_of(DATA).T, strict=True))
    np.testing.assert_array_equal(column["living_area"], column["area_above"] + column["area_below"])
    assert np.all(column["area_above"] > 0)
    assert np.all(column["years_since_renovation"] <= column["age"])
    assert set(np.unique(column["waterfront"])) == set(np.unique(column["renovated"])) == {0.0, 1.0}


def test_the_model_prices_every_house_near_what_it_was_sold_for(
    session: ort.InferenceSession, synthetic: dict[str, Any]
) -> None:
    predicted = session.run(["variable"], {"float_input": rows_of(DATA)})[0][:, 0]
    sold = np.array([price for _, price in synthetic["houses"](2, 1_000)])
    assert np.all(np.isfinite(predicted))
    assert predicted.min() > 100_000
    assert predicted.max() < 3_000_000
    assert 1 - np.var(sold - predicted) / np.var(sold) > 0.9


def test_a_larger_house_on_the_water_costs_more(session: ort.InferenceSession, synthetic: dict[str, Any]) -> None:
    house, _ = next(synthetic["houses"](2, 1))
    plain = dict(zip(synthetic["FEATURES"], synthetic["features"](house), strict=True))
    better = {**plain, "living_area": 320, "area_above": 320, "area_below": 0, "waterfront": 1, "view": 4, "grade": 10}
    rows = np.array([list(plain.values()), list(better.values())], dtype=np.float32)
    cheap, dear = session.run(["variable"], {"float_input": rows})[0][:, 0]
    assert dear > 2 * cheap


def test_what_a_run_leaves_behind_is_not_committed() -> None:
    assert ".specrunner/" in (ROOT / ".gitignore").read_text().splitlines()
