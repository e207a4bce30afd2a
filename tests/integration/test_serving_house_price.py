"""The tutorials' own model and data: the printed digits, bit by bit, from file to log and back."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnxruntime as ort
import pyarrow as pa
import pytest

from specrunner.engine.serving.codecs import Media, encode, read_table
from specrunner.engine.serving.dataplane import PipelinePlane, Step, select_columns
from specrunner.engine.serving.inference_log import InferenceLog, LogStatus
from specrunner.engine.serving.runtimes import OnnxModel, OnnxRuntime
from tests.unit import serving_samples as samples
from tests.unit.serving_samples import NOON, REAL, needs_real_data

PRINTED = """\
time: timestamp[ms]
in.tensor: list<item: float> not null
  child 0, item: float
out.variable: list<inner: float not null> not null
  child 0, inner: float not null
check_failures: int8"""


@pytest.fixture(scope="module")
def model() -> Iterator[OnnxModel]:
    loaded = OnnxRuntime().load(REAL / "rf_model.onnx", {})
    yield loaded
    loaded.close()


def prices(table: pa.Table, column: str = "variable") -> list[str]:
    return [
        row["p"]
        for row in json.loads(
            encode(
                pa.table({"p": table.column(column).combine_chunks().flatten().cast(pa.string())}), Media.PANDAS_RECORDS
            )
        )
    ]


@needs_real_data
def test_a_thousand_rows_give_the_printed_digits(model: OnnxModel) -> None:
    found = prices(model.predict(read_table(REAL / "xtest-1k.arrow")))
    assert len(found) == 1000
    assert found[:4] == ["718013.75", "615094.56", "448627.72", "758714.2"]


@needs_real_data
def test_one_row_alone_gives_its_printed_digits(model: OnnxModel) -> None:
    assert prices(model.predict(read_table(REAL / "xtest-1.df.json"))) == ["718013.7"]


@needs_real_data
def test_results_are_those_of_bare_onnxruntime_bit_by_bit(model: OnnxModel) -> None:
    options = ort.SessionOptions()
    options.intra_op_num_threads = 4
    bare = ort.InferenceSession(REAL / "rf_model.onnx", options, providers=["CPUExecutionProvider"])
    table = read_table(REAL / "xtest-1k.arrow")
    feed = np.array(table.column("tensor").to_pylist(), np.float32)
    found = model.predict(table).column("variable").combine_chunks().flatten().to_numpy()
    assert found.tobytes() == bare.run(None, {"float_input": feed})[0].tobytes()


@needs_real_data
def test_arrow_and_json_requests_are_answered_and_logged_the_same(model: OnnxModel, tmp_path: Path) -> None:
    log = InferenceLog(tmp_path)
    plane = PipelinePlane([Step("house-price", model)], log)
    answers = [plane.infer(read_table(REAL / name), NOON) for name in ("xtest-1k.arrow", "xtest-1k.df.json")]
    assert answers[0] == answers[1]
    assert str(answers[0].schema) == PRINTED
    page = log.read(limit=2000)
    assert page.table == pa.concat_tables(answers).take(list(range(1999, -1, -1))).combine_chunks(), (
        "the newest row first"
    )
    assert page.status is LogStatus.ALL
    log.close()


@needs_real_data
def test_the_json_answer_reads_as_the_tutorials_print_it(model: OnnxModel) -> None:
    found = PipelinePlane([Step("house-price", model)]).infer(read_table(REAL / "xtest-1.df.json"), NOON)
    assert json.loads(encode(select_columns(found, ["time", "in", "out"]), Media.PANDAS_RECORDS)) == [
        {
            "time": 1684756800123,
            "in.tensor": [
                4.0,
                2.5,
                2900.0,
                5505.0,
                2.0,
                0.0,
                0.0,
                3.0,
                8.0,
                2900.0,
                0.0,
                47.6063,
                -122.02,
                2970.0,
                5251.0,
                12.0,
                0.0,
                0.0,
            ],
            "out.variable": [718013.7],
        }
    ]


@needs_real_data
@pytest.mark.parametrize("suffix", [".arrow", ".parquet", ".csv"])
def test_an_exported_log_holds_every_bit(model: OnnxModel, tmp_path: Path, suffix: str) -> None:
    log = InferenceLog(tmp_path / "log")
    answer = PipelinePlane([Step("house-price", model)], log).infer(read_table(REAL / "xtest-1k.arrow"), NOON)
    assert log.export(tmp_path / f"log{suffix}") == 1000
    found = read_table(tmp_path / f"log{suffix}").column("out.variable").combine_chunks().flatten().cast(pa.float32())
    assert found == answer.column("out.variable").combine_chunks().flatten()
    log.close()


WRITER = """
import sys
from pathlib import Path
from specrunner.engine.serving.inference_log import InferenceLog
from tests.unit.serving_samples import answer, later
log = InferenceLog(Path(sys.argv[1]))
for number in range(50):
    log.append(answer(number, 1, later(number)))
log.flush()
print("flushed", flush=True)
number = 50
while True:
    log.append(answer(number, 1, later(number)))
    number += 1
"""


def test_a_writer_that_is_killed_leaves_all_it_flushed_and_no_gap(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(Path(samples.__file__).parents[2])}
    command = [sys.executable, "-c", WRITER, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "flushed\n"
        writer.send_signal(signal.SIGKILL)
    reader = InferenceLog(tmp_path)
    found = samples.numbers(reader.read(start=NOON, page_bytes=2**30).table)
    assert len(found) >= 50
    assert found == list(range(len(found)))
    reader.append(samples.answer(len(found), 1, samples.later(len(found))))
    assert samples.numbers(reader.read(limit=1).table) == [len(found)]
    reader.close()
