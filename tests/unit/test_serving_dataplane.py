"""The data plane of a pipeline: the columns of an answer, chains of models, shadows, and column selection."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pytest
from onnx import TensorProto

from specrunner.core.errors import BadInput, Unavailable
from specrunner.core.values import JsonObject
from specrunner.engine.ports import TensorField
from specrunner.engine.serving.dataplane import PipelinePlane, Step, milliseconds, select_columns
from specrunner.engine.serving.runtimes import OnnxModel, OnnxRuntime
from tests.unit import serving_samples as samples

PRINTED = """\
time: timestamp[ms]
in.tensor: list<item: float> not null
  child 0, item: float
out.variable: list<inner: float not null> not null
  child 0, inner: float not null
check_failures: int8"""


class Doubling:
    """A model that doubles its input under another name, and can be told to fail."""

    inputs: tuple[TensorField, ...] = (TensorField("variable", "float32", (None, 1)),)
    outputs: tuple[TensorField, ...] = (TensorField("doubled", "float32", (None, 1)),)
    closed = False

    def __init__(self, fails: bool = False) -> None:
        self._fails = fails

    def predict(self, table: pa.Table) -> pa.Table:
        if self._fails:
            raise BadInput("It can't be doubled")
        rows = [[2 * row[0]] for row in table.column(0).to_pylist()]
        kind = pa.list_(pa.field("inner", pa.float32(), nullable=False))
        return pa.table([pa.array(rows, kind)], schema=pa.schema([pa.field("doubled", kind, nullable=False)]))

    def close(self) -> None:
        self.closed = True


class Remembering:
    """A sink that keeps what it is given."""

    def __init__(self) -> None:
        self.results: list[pa.Table] = []

    def append(self, result: pa.Table) -> None:
        self.results.append(result)


@pytest.fixture
def model(tmp_path: Path) -> OnnxModel:
    return OnnxRuntime().load(samples.linear(tmp_path / "linear.onnx"), {})


def test_the_answer_has_exactly_the_columns_and_types_of_the_tutorials(model: OnnxModel) -> None:
    found = PipelinePlane([Step("linear", model)]).infer(samples.rows_table(3), samples.NOON)
    assert str(found.schema) == PRINTED
    assert found.schema.metadata is None
    assert found.column("in.tensor").to_pylist() == samples.rows_table(3).column("tensor").to_pylist()
    assert found.column("check_failures").to_pylist() == [0, 0, 0]


@pytest.mark.parametrize("kind", [pa.list_(pa.float64()), pa.large_list(pa.int64()), pa.list_(pa.float32())], ids=str)
def test_the_same_request_in_another_list_type_is_answered_the_same(model: OnnxModel, kind: pa.DataType) -> None:
    plane = PipelinePlane([Step("linear", model)])
    table = samples.rows_table(3)
    other = table.cast(pa.schema([pa.field("tensor", kind)]))
    assert plane.infer(other, samples.NOON) == plane.infer(table, samples.NOON)


def test_all_rows_of_a_request_have_one_stamp_in_whole_milliseconds(model: OnnxModel) -> None:
    found = PipelinePlane([Step("linear", model)]).infer(samples.rows_table(2), samples.NOON)
    assert found.column("time").cast(pa.int64()).to_pylist() == [milliseconds(samples.NOON)] * 2
    assert milliseconds(samples.NOON) == 1684756800123


def test_a_time_without_a_zone_is_refused(model: OnnxModel) -> None:
    with pytest.raises(ValueError, match="no time zone"):
        PipelinePlane([Step("linear", model)]).infer(samples.rows_table(1), datetime(2023, 1, 1))  # noqa: DTZ001


def test_scalar_columns_stay_as_they_are(tmp_path: Path) -> None:
    model = OnnxRuntime().load(samples.add(tmp_path / "add.onnx"), {})
    found = PipelinePlane([Step("add", model)]).infer(pa.table({"left": [1], "right": [0.5]}), samples.NOON)
    assert found.column_names == ["time", "in.left", "in.right", "out.sum", "check_failures"]
    assert found.schema.field("in.left").type == pa.int64()
    assert found.column("out.sum").to_pylist() == [1.5]


def test_text_lists_are_logged_as_text(tmp_path: Path) -> None:
    model = OnnxRuntime().load(samples.identity(tmp_path / "same.onnx", TensorProto.STRING, [None, 2]), {})
    found = PipelinePlane([Step("same", model)]).infer(pa.table({"x": [["a", "b"]]}), samples.NOON)
    assert found.column("in.x").to_pylist() == found.column("out.y").to_pylist() == [["a", "b"]]


def test_each_step_takes_what_the_one_before_put_out(model: OnnxModel) -> None:
    table = samples.rows_table(4)
    plane = PipelinePlane([Step("linear", model), Step("double", Doubling())])
    found = plane.infer(table, samples.NOON)
    assert found.column_names == ["time", "in.tensor", "out.doubled", "check_failures"]
    once = model.predict(table).column("variable").to_pylist()
    assert found.column("out.doubled").to_pylist() == [[2 * row[0]] for row in once]


def test_a_step_that_does_not_fit_the_one_before_is_named(model: OnnxModel) -> None:
    plane = PipelinePlane([Step("first", model), Step("second", model)])
    with pytest.raises(BadInput, match=r"Step 2 \(`second`\)") as error:
        plane.infer(samples.rows_table(1), samples.NOON)
    assert "18" in error.value.detail


def test_shadows_are_logged_beside_the_answer(model: OnnxModel, tmp_path: Path) -> None:
    other = OnnxRuntime().load(samples.linear(tmp_path / "other.onnx", output="price"), {})
    plane = PipelinePlane([Step("linear", model, {"candidate": other})])
    found = plane.infer(samples.rows_table(2), samples.NOON)
    assert found.column_names == ["time", "in.tensor", "out.variable", "out_candidate.price", "check_failures"]
    assert found.column("out_candidate.price").to_pylist() == found.column("out.variable").to_pylist()


def test_a_shadow_that_fails_is_null_in_the_same_type(model: OnnxModel) -> None:
    steps = [Step("linear", model), Step("double", Doubling(), {"new": Doubling(fails=True), "old": Doubling()})]
    found = PipelinePlane(steps).infer(samples.rows_table(2), samples.NOON)
    assert found.column("out_new.doubled").to_pylist() == [None, None]
    assert found.schema.field("out_new.doubled").type == found.schema.field("out_old.doubled").type


def test_every_answer_is_handed_to_the_log_and_no_refusal_is(model: OnnxModel) -> None:
    sink = Remembering()
    plane = PipelinePlane([Step("linear", model)], sink)
    found = plane.infer(samples.rows_table(2), samples.NOON)
    with pytest.raises(BadInput):
        plane.infer(samples.rows_table(1, width=2), samples.NOON)
    assert sink.results == [found]


def test_closing_frees_every_model(model: OnnxModel) -> None:
    shadow = Doubling()
    plane = PipelinePlane([Step("linear", model, {"new": shadow})])
    plane.close()
    assert shadow.closed
    with pytest.raises(Unavailable):
        plane.infer(samples.rows_table(1), samples.NOON)


def test_a_pipeline_without_steps_is_refused() -> None:
    with pytest.raises(BadInput, match="no steps"):
        PipelinePlane([])


ANSWER = pa.table({name: [1] for name in ["time", "in.a", "in.b.c", "out.y", "out_new.y", "check_failures"]})


@pytest.mark.parametrize(
    ("asked", "names"),
    [
        ({}, ["time", "in.a", "in.b.c", "out.y", "out_new.y", "check_failures"]),
        ({"dataset": ["time", "out"]}, ["time", "out.y"]),
        ({"dataset": ["out", "time"]}, ["time", "out.y"]),
        ({"dataset": ["in.b.c"]}, ["in.b.c"]),
        ({"dataset": ["in.b"]}, ["in.b.c"]),
        ({"dataset": ["*"], "exclude": ["in", "metadata"]}, ["time", "out.y", "out_new.y", "check_failures"]),
        (
            {"dataset": ["*", "metadata"], "exclude": ["out.y"]},
            ["time", "in.a", "in.b.c", "out_new.y", "check_failures"],
        ),
        ({"dataset": ["in"], "separator": "_"}, ["in_a", "in_b.c"]),
    ],
)
def test_a_dataset_selects_columns_and_groups(asked: JsonObject, names: list[str]) -> None:
    assert select_columns(ANSWER, **asked).column_names == names


def test_a_dataset_of_nothing_is_refused_with_what_there_is() -> None:
    with pytest.raises(BadInput, match="selects no column") as error:
        select_columns(ANSWER, ["input"])
    assert "in.a" in error.value.detail


def test_a_pipeline_is_quick_again_soon_after_one_request_that_waited_for_the_machine(
    model: OnnxModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    plane, now = PipelinePlane([Step("linear", model)]), 0.0
    taken: list[float] = []

    def clock() -> float:
        nonlocal now
        now += taken.pop(0) if taken else 0.0
        return now

    def ask(*seconds: float) -> bool:
        for one in seconds:
            taken[:] = [0.0, one]  # when it begins, and when it is done
            plane.infer(samples.rows_table(1), samples.NOON)
        return plane.is_quick

    monkeypatch.setattr("specrunner.engine.serving.dataplane.time.perf_counter", clock)
    assert not ask(0.0005), "nobody knows yet"
    assert ask(*[0.0005] * 20)
    assert ask(5.0), "one request tells nothing"
    assert not ask(5.0, 5.0), "three are slow"
    assert ask(*[0.0005] * 20)
