"""Steps with several models: how definitions are read and written, who answers, and what is told of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from specrunner.core.errors import BadInput
from specrunner.core.values import Json
from specrunner.engine.ports import TensorField
from specrunner.engine.serving.dataplane import PipelinePlane, Step
from specrunner.engine.serving.runtimes import OnnxModel, OnnxRuntime
from specrunner.engine.serving.splits import Split, check_alike
from specrunner.engine.serving.steps import (
    ByValue,
    ByWeight,
    ModelRef,
    StepPlan,
    models_of,
    read_steps,
    renamed_model,
    spec_step,
    write_step,
)
from tests.unit import serving_samples as samples

REFS = {name: ModelRef(name, f"uuid-{name}", f"sha-{name}") for name in "abc"}
A, B, C = REFS.values()


def entry(name: str) -> dict[str, str]:
    return {"name": name, "version": f"uuid-{name}", "sha": f"sha-{name}"}


def inference(*names: str) -> dict[str, Any]:
    return {"ModelInference": {"models": [entry(name) for name in names]}}


AUDIT: dict[str, Any] = {"AuditResults": {"from": 1, "to": None}}
RANDOM = {
    "RandomSplit": {
        "hash_key": None,
        "weights": [{"model": entry("a"), "weight": 2}, {"model": entry("b"), "weight": 1}],
    }
}
BY_VALUE = {
    "MetaValueSplit": {"split_key": "tier", "control": entry("a"), "routes": {"gold": entry("b"), "7": entry("c")}}
}


@pytest.mark.parametrize(
    ("steps", "plans"),
    [
        ([inference("a")], [StepPlan((A,))]),
        ([inference("a"), inference("b")], [StepPlan((A,)), StepPlan((B,))]),
        ([inference("a", "b", "c"), AUDIT, {"MultiOut": {}}], [StepPlan((A,), shadows=(B, C))]),
        ([inference("a", "b"), AUDIT, inference("c")], [StepPlan((A,), shadows=(B,)), StepPlan((C,))]),
        ([inference("a", "b"), {"Nth": {"index": 1}}], [StepPlan((B,))]),
        ([RANDOM], [StepPlan((A, B), ByWeight((2, 1)))]),
        ([BY_VALUE], [StepPlan((A, B, C), ByValue("tier", {"gold": 1, "7": 2}))]),
        ([], []),
    ],
)
def test_the_steps_that_are_served_are_read(steps: list[Any], plans: list[StepPlan]) -> None:
    assert read_steps({"id": "p", "steps": steps}) == plans


@pytest.mark.parametrize(
    "name", ["Average", "ColumnsSelect", "ColumnsToRows", "RowsToModels", "Check", "MultiOut", "X"]
)
def test_a_step_that_is_not_served_is_refused_by_its_name(name: str) -> None:
    with pytest.raises(BadInput, match=f"'{name}' can't be served") as caught:
        read_steps({"steps": [inference("a"), {name: {}}]})
    assert "RandomSplit" in caught.value.detail and caught.value.remedy


@pytest.mark.parametrize(
    ("steps", "words"),
    [
        ([inference("a", "b")], "which of them answers"),
        ([inference("a", "b"), inference("a")], "which of them answers"),
        ([inference("a", "b"), {"AuditResults": {"from": 0, "to": None}}], "from 0 to None"),
        ([inference("a", "b"), {"AuditResults": {"from": 1, "to": 1}}], "from 1 to 1"),
        ([inference("a", "b"), {"Nth": {"index": 2}}], "index 2"),
        ([inference("a", "b"), {"Nth": {"index": True}}], "index True"),
        ([inference("a", "b"), AUDIT, inference("c", "b"), AUDIT], "'b' is a shadow more than once"),
        ([{"RandomSplit": {"weights": []}}], "needs `weights`"),
        ([{"RandomSplit": {"weights": [{"model": entry("a"), "weight": -1}]}}], "from 0 on; -1"),
        ([{"RandomSplit": {"weights": [{"model": entry("a"), "weight": 0}]}}], "Every weight"),
        ([{"RandomSplit": {"weights": [{"model": "a", "weight": 1}]}}], "where a model belongs"),
        ([{"RandomSplit": {"hash_key": 7, "weights": [{"model": entry("a"), "weight": 1}]}}], "name of a column"),
        ([{"MetaValueSplit": {"control": entry("a"), "routes": {}}}], "name of a column; None"),
        ([{"MetaValueSplit": {"split_key": "k", "control": entry("a"), "routes": []}}], "needs `routes`"),
        ([{"ModelInference": {}, "AuditResults": {}}], "is no step"),
        ([{"ModelInference": []}], "is no step"),
        ([{7: {}}], "is no step"),
    ],
)
def test_a_malformed_step_is_refused_in_words(steps: list[Any], words: str) -> None:
    with pytest.raises(BadInput, match=words):
        read_steps({"steps": steps})


@pytest.mark.parametrize(
    "step",
    [
        {"model": "a"},
        {"model": "a", "shadow": ["b", "c"]},
        {"split": [{"model": "a", "weight": 9}, {"model": "b", "weight": 0.5}]},
        {"split": [{"model": "a", "weight": 1}, {"model": "b", "weight": 1}], "by": "customer"},
    ],
)
def test_a_step_of_a_spec_comes_back_as_it_was_written(step: dict[str, Any]) -> None:
    written = write_step(step, REFS.__getitem__)  # type: ignore[arg-type]  # a version has the same three names
    (plan,) = read_steps({"steps": written})
    assert spec_step(plan) == step


def test_every_model_of_a_definition_is_known_once_and_renamed_wherever_it_stands() -> None:
    steps = [inference("a", "b"), AUDIT, RANDOM, BY_VALUE]
    assert models_of({"steps": steps}) == [A, B, C]
    renamed = models_of({"steps": renamed_model(steps, "b", "d")})
    assert [model.name for model in renamed] == ["a", "d", "c"]


# Who answers


@pytest.fixture
def models(tmp_path: Path) -> dict[str, OnnxModel]:
    """`a` gives the weighted sum, `b` that of an input twice as wide in weights: their answers differ."""
    loaded = {}
    for name, factor in (("a", 1.0), ("b", 2.0), ("c", 3.0)):
        loaded[name] = OnnxRuntime().load(samples.linear(tmp_path / f"{name}.onnx", factor=factor), {})
    return loaded


def plane(
    models: dict[str, OnnxModel], choice: ByWeight | ByValue, names: str, draws: list[float] | None = None
) -> PipelinePlane:
    chosen = tuple(models[name] for name in names)
    drawn = iter(draws or [])
    split = Split(chosen, tuple(REFS[name] for name in names), choice, draw=lambda: next(drawn))
    return PipelinePlane([Step(names[0], chosen[0], split=split)])


def told(answer: pa.Table) -> list[str]:
    return [json.loads(text)[0]["name"] for text in answer.column("out._model_split").to_pylist()]


def keyed(values: list[Any]) -> pa.Table:
    return samples.rows_table(len(values)).append_column("customer", pa.array(values))


def test_without_a_key_a_request_goes_to_one_model_by_weight(models: dict[str, OnnxModel]) -> None:
    found = plane(models, ByWeight((3, 1)), "ab", [0.0, 0.749, 0.75, 0.999])
    answers = [found.infer(samples.rows_table(2), samples.NOON) for _ in range(4)]
    assert [told(answer) for answer in answers] == [["a", "a"], ["a", "a"], ["b", "b"], ["b", "b"]]
    assert answers[0].column("out.variable") != answers[2].column("out.variable")
    assert answers[0].column_names == ["time", "in.tensor", "out.variable", "out._model_split", "check_failures"]


def test_a_model_of_no_weight_never_answers(models: dict[str, OnnxModel]) -> None:
    found = plane(models, ByWeight((0, 1, 0)), "abc", [0.0, 0.5, 1 - 2**-53])
    assert [told(found.infer(samples.rows_table(1), samples.NOON)) for _ in range(3)] == [["b"]] * 3


def test_with_a_key_equal_values_get_equal_models_however_requests_are_cut(models: dict[str, OnnxModel]) -> None:
    found = plane(models, ByWeight((1, 1), "customer"), "ab")
    table = keyed([f"customer {number % 20}" for number in range(60)])
    whole = found.infer(table, samples.NOON)
    assert set(told(whole)) == {"a", "b"}
    assert told(whole)[:20] == told(whole)[20:40] == told(whole)[40:]
    parts = [found.infer(table.slice(first, 7), samples.NOON) for first in range(0, 60, 7)]
    assert pa.concat_tables(parts).combine_chunks() == whole.combine_chunks()


def test_each_row_has_the_answer_of_its_own_model_in_its_own_place(models: dict[str, OnnxModel]) -> None:
    table = keyed(["gold", "none", "7", "gold"])
    found = plane(models, ByValue("customer", {"gold": 1, "7": 2}), "abc").infer(table, samples.NOON)
    assert told(found) == ["b", "a", "c", "b"]
    assert found.column("in.customer").to_pylist() == ["gold", "none", "7", "gold"]
    plain = table.drop_columns(["customer"])
    for row, name in enumerate(told(found)):
        alone = models[name].predict(plain.slice(row, 1))
        assert found.column("out.variable")[row].as_py() == alone.column("variable")[0].as_py()


def test_a_number_is_the_same_value_in_every_encoding(models: dict[str, OnnxModel]) -> None:
    found = plane(models, ByValue("customer", {"7": 1}), "ab")
    for kind in (pa.int8(), pa.int64(), pa.string()):
        keys = pa.array(["7", "8"]).cast(kind)
        table = samples.rows_table(2).append_column("customer", keys)
        assert told(found.infer(table, samples.NOON)) == ["b", "a"]


@pytest.mark.parametrize("broken", ["missing", "twice", "list"])
def test_a_request_without_a_usable_key_is_told_what_to_send(models: dict[str, OnnxModel], broken: str) -> None:
    table = samples.rows_table(1)
    if broken == "twice":
        table = pa.Table.from_arrays(
            [table.column(0), pa.array(["x"]), pa.array(["y"])], ["tensor", "customer", "customer"]
        )
    elif broken == "list":
        table = table.append_column("customer", pa.array([["x"]]))
    with pytest.raises(BadInput, match="no column `customer`") as caught:
        plane(models, ByWeight((1, 1), "customer"), "ab").infer(table, samples.NOON)
    assert "tensor" in caught.value.detail


def test_shares_are_what_the_weights_say(models: dict[str, OnnxModel]) -> None:
    names = told(plane(models, ByWeight((8, 1, 1), "customer"), "abc").infer(keyed(list(range(3000))), samples.NOON))
    shares = [names.count(name) / 3000 for name in "abc"]
    np.testing.assert_allclose(shares, [0.8, 0.1, 0.1], atol=0.03)


def test_models_that_give_other_columns_do_not_share_a_step(models: dict[str, OnnxModel], tmp_path: Path) -> None:
    other = OnnxRuntime().load(samples.linear(tmp_path / "other.onnx", output="price"), {})
    with pytest.raises(BadInput, match="'a' and 'b' of a split give other outputs"):
        check_alike(Split((models["a"], other), (A, B), ByWeight((1, 1))))


def test_a_split_before_the_last_step_is_logged_and_kept_from_the_next(
    models: dict[str, OnnxModel], tmp_path: Path
) -> None:
    after = OnnxRuntime().load(samples.linear(tmp_path / "after.onnx", width=1, output="doubled"), {})
    first = Split((models["a"], models["b"]), (A, B), ByWeight((1, 1)), draw=lambda: 0.9)
    steps = [Step("a", models["a"], split=first), Step("after", after)]
    found = PipelinePlane(steps).infer(samples.rows_table(2), samples.NOON)
    assert found.column_names == ["time", "in.tensor", "out.doubled", "out_a._model_split", "check_failures"]


class Says:
    """A model that answers custom JSON with its name and what came."""

    inputs: tuple[TensorField, ...] = ()
    outputs: tuple[TensorField, ...] = ()

    def __init__(self, name: str) -> None:
        self.name = name

    def predict(self, table: pa.Table) -> pa.Table:
        return table

    def predict_json(self, value: Json) -> Json:
        return [{"by": self.name, "got": value}]

    def close(self) -> None:
        pass


def saying(choice: ByWeight | ByValue | None, shadow: str = "", **more: Any) -> PipelinePlane:
    split = Split((Says("a"), Says("b")), (A, B), choice, **more) if choice else None
    return PipelinePlane([Step("a", Says("a"), {shadow: Says(shadow)} if shadow else {}, split)])


def test_a_split_chooses_one_model_for_the_whole_of_custom_json() -> None:
    plane = saying(ByWeight((1, 1)), draw=lambda: 0.7)
    answer, row = plane.infer_json({"x": 1}, samples.NOON)
    assert answer == [{"by": "b", "got": {"x": 1}}]
    assert json.loads(row["out._model_split"][0].as_py()) == [entry("b")]
    assert row.column_names == ["time", "in.json", "out.json", "out._model_split", "check_failures"]


def test_a_split_by_key_goes_by_what_custom_json_has_under_it_and_keeps_it_from_the_models() -> None:
    plane = saying(ByValue("tier", {"gold": 1}))
    assert plane.infer_json({"x": 1, "tier": "gold"}, samples.NOON)[0] == [{"by": "b", "got": {"x": 1}}]
    answer, row = plane.infer_json({"x": 1, "tier": "lead"}, samples.NOON)
    assert answer == [{"by": "a", "got": {"x": 1}}]
    assert json.loads(row["in.json"][0].as_py()) == {"x": 1, "tier": "lead"}
    for value in ({"x": 1}, {"tier": ["gold"]}, [1, 2], "gold"):
        with pytest.raises(BadInput, match="has no `tier` with one value"):
            plane.infer_json(value, samples.NOON)


def test_a_split_by_key_chooses_for_custom_json_what_it_chooses_for_a_row() -> None:
    split = Split((Says("a"), Says("b")), (A, B), ByWeight((1, 1), "who"))
    for who in range(20):
        keys = pa.table({"who": [who]})
        told = split.predict(pa.table({"x": [1]}), keys)["_model_split"][0].as_py()
        assert split.pick(who)[1] == told


def test_a_shadow_is_asked_in_custom_json_too_and_its_failure_is_its_own() -> None:
    plane = saying(None, shadow="c")
    answer, row = plane.infer_json({"x": 1}, samples.NOON)
    assert answer == [{"by": "a", "got": {"x": 1}}]
    assert json.loads(row["out_c.json"][0].as_py()) == [{"by": "c", "got": {"x": 1}}]
    table_only = PipelinePlane([Step("a", Says("a"), {"t": _TablesOnly()})])
    answer, row = table_only.infer_json({"x": 1}, samples.NOON)
    assert answer == [{"by": "a", "got": {"x": 1}}] and row["out_t.json"].to_pylist() == [None]
    with pytest.raises(BadInput, match="takes tables, not custom JSON"):
        PipelinePlane([Step("t", _TablesOnly())]).infer_json({"x": 1}, samples.NOON)


class _TablesOnly:
    inputs: tuple[TensorField, ...] = ()
    outputs: tuple[TensorField, ...] = ()

    def predict(self, table: pa.Table) -> pa.Table:
        return table

    def close(self) -> None:
        pass
