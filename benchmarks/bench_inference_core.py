"""What the data plane and the inference log cost over bare onnxruntime with Arrow decode and encode, in one process.

`python benchmarks/bench_inference_core.py MODEL.onnx ROWS.arrow [SECONDS]`. All variants answer the same bytes in
turns, in the same run, so that the ratios hold whatever else the machine does; the seconds themselves do not.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

import onnxruntime as ort
import pyarrow as pa

from specrunner.engine.serving.codecs import Media, decode, encode, read_table
from specrunner.engine.serving.dataplane import PipelinePlane, Step
from specrunner.engine.serving.inference_log import InferenceLog
from specrunner.engine.serving.runtimes import DEFAULT_THREADS, OnnxRuntime

Answer = Callable[[bytes], bytes]


def bare(path: Path) -> Answer:
    options = ort.SessionOptions()
    options.intra_op_num_threads = DEFAULT_THREADS
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    name, output = session.get_inputs()[0].name, session.get_outputs()[0].name

    def answer(body: bytes) -> bytes:
        column = pa.ipc.open_file(pa.py_buffer(body)).read_all().column(0).combine_chunks()
        feed = column.flatten().to_numpy().reshape(len(column), -1)
        found = session.run(None, {name: feed})[0]
        table = pa.table({output: pa.FixedSizeListArray.from_arrays(pa.array(found.reshape(-1)), found.shape[1])})
        sink = pa.BufferOutputStream()
        with pa.ipc.new_file(sink, table.schema) as writer:
            writer.write_table(table)
        return bytes(sink.getvalue())

    return answer


def ours(plane: PipelinePlane) -> Answer:
    def answer(body: bytes) -> bytes:
        return encode(plane.infer(decode(body, Media.ARROW_FILE.value), datetime.now(UTC)), Media.ARROW_FILE)

    return answer


def rounds(variants: dict[str, Answer], body: bytes, seconds: float) -> dict[str, list[float]]:
    taken: dict[str, list[float]] = {name: [] for name in variants}
    until = time.perf_counter() + seconds
    while time.perf_counter() < until:
        for name, answer in variants.items():
            begun = time.perf_counter()
            answer(body)
            taken[name].append(time.perf_counter() - begun)
    return taken


def main() -> None:
    model, rows, *rest = sys.argv[1:]
    seconds = float(rest[0]) if rest else 5.0
    with tempfile.TemporaryDirectory() as folder:
        log = InferenceLog(Path(folder))
        variants = {
            "bare": bare(Path(model)),
            "plane": ours(PipelinePlane([Step("model", OnnxRuntime().load(Path(model), {}))])),
            "plane+log": ours(PipelinePlane([Step("model", OnnxRuntime().load(Path(model), {}))], log)),
        }
        whole = read_table(Path(rows))
        for table in (whole, whole.slice(0, 1)):
            taken = rounds(variants, encode(table, Media.ARROW_FILE), seconds)
            base = median(taken["bare"])
            for name, times in taken.items():
                times.sort()
                middle, late = median(times), times[int(len(times) * 0.99)]
                print(
                    f"{table.num_rows:>6} rows  {name:<10} p50 {middle * 1e3:7.3f} ms  p99 {late * 1e3:7.3f} ms  "
                    f"rows/s {100 * base / middle:5.1f} % of bare"
                )
        log.close()


if __name__ == "__main__":
    main()
