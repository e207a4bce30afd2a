"""What every adapter of the ports ModelRuntime and LoadedModel keeps."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import ClassVar, Protocol

import pyarrow as pa
import pytest

from specrunner.core.errors import BadInput, SpecrunnerError
from specrunner.core.values import JsonObject
from specrunner.engine.ports import LoadedModel, ModelRuntime, TensorField
from specrunner.engine.serving.runtimes import OnnxRuntime
from specrunner.engine.serving.workers.model import PythonRuntime
from tests.integration.engine_samples import StubEnvironments
from tests.integration.model_samples import LINEAR, zipped
from tests.unit import serving_samples as samples


class Kind(Protocol):
    """A runtime with a model for it: `variable = tensor @ weights + 1`."""

    @property
    def suffix(self) -> str: ...

    @property
    def config(self) -> JsonObject: ...

    def runtime(self, folder: Path) -> ModelRuntime: ...

    def linear(self, path: Path) -> Path: ...


class Onnx:
    suffix = ".onnx"
    config: ClassVar[JsonObject] = {}

    def runtime(self, _folder: Path) -> ModelRuntime:
        return OnnxRuntime()

    def linear(self, path: Path) -> Path:
        return samples.linear(path)


class Python:
    suffix = ".zip"
    config: ClassVar[JsonObject] = {
        "inputs": [{"name": "float_input", "type": "float32", "shape": [None, 18]}],
        "outputs": [{"name": "variable", "type": "float32", "shape": [None, 1]}],
    }

    def runtime(self, folder: Path) -> ModelRuntime:
        return PythonRuntime(StubEnvironments(), folder / "models")

    def linear(self, path: Path) -> Path:
        return zipped(path, {"model.py": LINEAR})


@pytest.fixture(params=[Onnx(), Python()], ids=lambda kind: type(kind).__name__)
def kind(request: pytest.FixtureRequest) -> Kind:
    found: Kind = request.param
    return found


@pytest.fixture
def runtime(kind: Kind, tmp_path: Path) -> ModelRuntime:
    return kind.runtime(tmp_path)


@pytest.fixture
def model(kind: Kind, runtime: ModelRuntime, tmp_path: Path) -> Iterator[LoadedModel]:
    loaded = runtime.load(kind.linear(tmp_path / f"linear{kind.suffix}"), kind.config)
    yield loaded
    loaded.close()


def test_a_model_says_what_it_takes_and_gives(model: LoadedModel) -> None:
    assert model.inputs == (TensorField("float_input", "float32", (None, 18)),)
    assert model.outputs == (TensorField("variable", "float32", (None, 1)),)


def test_every_input_row_has_its_output_row_under_the_declared_name(model: LoadedModel) -> None:
    table = samples.rows_table(7)
    found = model.predict(table)
    assert found.column_names == ["variable"]
    expected = [
        [float(sum(x * w for x, w in zip(row, samples.weights()[:, 0], strict=True))) + 1]
        for row in table.column("tensor").to_pylist()
    ]
    assert found.column("variable").to_pylist() == expected


def test_several_threads_infer_at_once_and_each_gets_its_own_answer(model: LoadedModel) -> None:
    table = samples.rows_table(64)
    alone = [model.predict(table.slice(row, 1)) for row in range(table.num_rows)]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda row: model.predict(table.slice(row, 1)), range(table.num_rows)))
    assert together == alone


def test_what_does_not_fit_is_bad_input_with_a_remedy(model: LoadedModel) -> None:
    with pytest.raises(BadInput) as error:
        model.predict(samples.rows_table(2, width=17))
    assert "18" in error.value.detail and "17" in error.value.detail and error.value.remedy


def test_bad_input_leaves_the_model_usable(model: LoadedModel) -> None:
    with pytest.raises(BadInput):
        model.predict(pa.table({"tensor": ["words"]}))
    assert model.predict(samples.rows_table(1)).num_rows == 1


@pytest.mark.parametrize("content", [b"", b"hello" * 50, b"\x00" * 100], ids=["empty", "words", "zeros"])
def test_a_file_that_is_no_model_is_bad_input(
    kind: Kind, runtime: ModelRuntime, tmp_path: Path, content: bytes
) -> None:
    path = tmp_path / f"broken{kind.suffix}"
    path.write_bytes(content)
    with pytest.raises(BadInput, match=rf"broken\{kind.suffix}"):
        runtime.load(path, {})


def test_half_a_file_and_no_file_are_bad_input(kind: Kind, runtime: ModelRuntime, tmp_path: Path) -> None:
    path = kind.linear(tmp_path / f"half{kind.suffix}")
    path.write_bytes(path.read_bytes()[:120])
    with pytest.raises(BadInput):
        runtime.load(path, {})
    with pytest.raises(BadInput):
        runtime.load(tmp_path / f"absent{kind.suffix}", {})


def test_a_closed_model_refuses_and_closes_again(model: LoadedModel) -> None:
    model.close()
    model.close()
    with pytest.raises(SpecrunnerError, match="closed"):
        model.predict(samples.rows_table(1))
