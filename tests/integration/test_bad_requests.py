"""Requests that nobody should send: each is refused in words with a 4xx, and the next good one is answered."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from specrunner.engine.serving import unpacking
from specrunner.engine.tables import Media, encode
from specrunner.server import inference, open_inference
from tests.integration.server_face import Face, arrow_of, check_error, opened
from tests.unit.serving_samples import WIDTH, rows_table

RECORDS = "application/json; format=pandas-records"
GOOD = encode(rows_table(3), Media.ARROW_FILE)
STREAM = encode(rows_table(3), Media.ARROW_STREAM)


def arrow(table: pa.Table, **options: Any) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema, options=pa.ipc.IpcWriteOptions(**options)) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue())


def column(values: Any, kind: pa.DataType | None = None, name: str = "tensor") -> bytes:
    return arrow(pa.table({name: pa.array(values, kind)}))


def flipped(data: bytes, place: int) -> bytes:
    return data[:place] + bytes([data[place] ^ 0xFF]) + data[place + 1 :]


def records(value: Any) -> bytes:
    return json.dumps(value).encode()


def tensor(**changes: Any) -> dict[str, Any]:
    made = {"name": "tensor", "datatype": "FP32", "shape": [1, WIDTH], "data": [1.0] * WIDTH, **changes}
    return {name: value for name, value in made.items() if value is not ...}


def v2(*tensors: Any, **more: Any) -> bytes:
    return json.dumps({"inputs": list(tensors or [tensor()]), **more}).encode()


def parquet_of(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, store_schema=False)
    return bytes(sink.getvalue())


ROW = [1.0] * WIDTH
DEEP = b"[" * 100_000 + b"]" * 100_000
LONG_TEXT = pa.table({"tensor": pa.DictionaryArray.from_arrays(pa.array([0] * 1000, pa.int32()), ["x" * 1000])})
ZEROS = pa.table({"tensor": pa.array(np.zeros(400_000, np.float32))})

# What is sent to the platform's route: media type and body.
BODIES: dict[str, tuple[str, bytes]] = {
    "nothing": (Media.ARROW_FILE, b""),
    "no-arrow": (Media.ARROW_FILE, b"not arrow at all"),
    "only-the-magic": (Media.ARROW_FILE, b"ARROW1\0\0"),
    "a-file-cut-short": (Media.ARROW_FILE, GOOD[:-20]),
    "a-file-cut-in-the-middle": (Media.ARROW_FILE, GOOD[: len(GOOD) // 2]),
    "a-stream-cut-short": (Media.ARROW_STREAM, STREAM[: len(STREAM) // 2]),
    "a-broken-length": (Media.ARROW_STREAM, flipped(STREAM, 7)),
    "a-broken-schema": (Media.ARROW_STREAM, flipped(STREAM, 20)),
    "a-huge-metadata-length": (Media.ARROW_STREAM, b"\xff\xff\xff\xff\xff\xff\xff\x7f" + STREAM[8:]),
    "records-as-arrow": (Media.ARROW_FILE, records([{"tensor": ROW}])),
    "arrow-as-records": (RECORDS, GOOD),
    "arrow-as-csv": (Media.CSV, GOOD),
    "arrow-as-parquet": (Media.PARQUET, GOOD),
    "parquet-cut-short": (Media.PARQUET, encode(rows_table(3), Media.PARQUET)[:-9]),
    "no-such-media-type": ("application/pdf", GOOD),
    "no-media-type": ("", GOOD),
    "no-rows": (Media.ARROW_STREAM, arrow(rows_table(3).slice(0, 0))),
    "no-columns": (Media.ARROW_STREAM, arrow(pa.table({}))),
    "another-column-more": (
        Media.ARROW_STREAM,
        arrow(rows_table(1).append_column("more", pa.array([1]))),
    ),
    "the-column-twice": (
        Media.ARROW_STREAM,
        arrow(pa.Table.from_arrays([rows_table(1).column(0)] * 2, ["tensor", "tensor"])),
    ),
    "rows-too-narrow": (Media.ARROW_STREAM, column([ROW[1:]], pa.list_(pa.float32()))),
    "rows-too-wide": (Media.ARROW_STREAM, column([[*ROW, 1.0]])),
    "ragged-rows": (Media.ARROW_STREAM, column([ROW, ROW[1:]])),
    "a-null-row": (Media.ARROW_STREAM, column([ROW, None])),
    "a-null-value": (Media.ARROW_STREAM, column([[None, *ROW[1:]]])),
    "texts": (Media.ARROW_STREAM, column([["x"] * WIDTH])),
    "bytes": (Media.ARROW_STREAM, column([b"x"])),
    "dates": (Media.ARROW_STREAM, column([0], pa.timestamp("ms"))),
    "structs": (Media.ARROW_STREAM, column([{"a": 1}])),
    "decimals": (Media.ARROW_STREAM, column([1], pa.decimal128(5, 2))),
    "dictionaries": (Media.ARROW_STREAM, arrow(LONG_TEXT)),
    "lists-of-lists": (Media.ARROW_STREAM, column([[ROW]])),
    "a-million-million-nulls": (Media.ARROW_STREAM, arrow(pa.table({"tensor": pa.nulls(10**9)}))),
    "a-bomb": (Media.ARROW_STREAM, arrow(ZEROS, compression="zstd")),
    "a-bomb-of-another-sort": (Media.ARROW_STREAM, arrow(ZEROS, compression="lz4")),
    "a-bomb-in-parquet": (Media.PARQUET, parquet_of(LONG_TEXT)),
    "no-json": (RECORDS, b'[{"tensor": [1.0'),
    "json-that-is-a-text": (RECORDS, records("tensor")),
    "json-that-is-null": (RECORDS, b"null"),
    "one-record-without-a-list": (RECORDS, records({"tensor": ROW})),
    "no-records": (RECORDS, b"[]"),
    "records-that-are-none": (RECORDS, records([1, 2])),
    "records-of-several-types": (RECORDS, records([{"tensor": ROW}, {"tensor": "x"}])),
    "a-record-that-lacks-the-column": (RECORDS, records([{"tensor": ROW}, {}])),
    "json-too-deep": (RECORDS, DEEP),
    "a-record-too-deep": (RECORDS, b'[{"tensor":' + DEEP + b"}]"),
    "half-of-utf-16": (RECORDS, json.dumps([{"tensor": ROW}]).encode("utf-16")[:-1]),
    "half-a-character": (RECORDS, b'[{"tensor": "\xff"}]'),
    "a-lone-surrogate": (RECORDS, rb'[{"\ud800": [1.0]}]'),
    "a-number-too-large": (RECORDS, b'[{"tensor": [1' + b"0" * 400 + b"]}]"),
    "csv-with-ragged-lines": (Media.CSV, b"a,b\n1,2\n3\n"),
    "csv-without-rows": (Media.CSV, b"tensor\n"),
    "csv-with-zero-bytes": (Media.CSV, b"\0" * 100),
    "more-than-a-request-may-have": (Media.CSV, b"tensor\n" + b"1\n" * 700_000),
}

# What is sent to the Open Inference Protocol: the body, and the length of its JSON where bytes follow.
TENSORS: dict[str, tuple[bytes, str | None]] = {
    "nothing": (b"", None),
    "no-json": (b"{", None),
    "no-object": (b"[]", None),
    "too-deep": (b'{"inputs":' + DEEP + b"}", None),
    "no-inputs": (b"{}", None),
    "inputs-that-are-none": (b'{"inputs": [7]}', None),
    "no-name": (v2(tensor(name=...)), None),
    "no-datatype": (v2(tensor(datatype=...)), None),
    "another-datatype": (v2(tensor(datatype="FP128")), None),
    "a-datatype-that-is-a-list": (v2(tensor(datatype=["FP32"])), None),
    "no-shape": (v2(tensor(shape=...)), None),
    "a-shape-of-nothing": (v2(tensor(shape=[])), None),
    "a-negative-shape": (v2(tensor(shape=[-1, WIDTH])), None),
    "an-empty-shape": (v2(tensor(shape=[0, WIDTH], data=[])), None),
    "a-shape-of-truths": (v2(tensor(shape=[True, WIDTH])), None),
    "a-huge-shape": (v2(tensor(shape=[2**31 - 1] * 8)), None),
    "too-many-dimensions": (v2(tensor(shape=[1] * 9, data=[1])), None),
    "no-data": (v2(tensor(data=...)), None),
    "data-that-is-a-text": (v2(tensor(data="1")), None),
    "data-of-texts": (v2(tensor(data=["x"] * WIDTH)), None),
    "data-with-nulls": (v2(tensor(data=[None] * WIDTH)), None),
    "too-little-data": (v2(tensor(data=[1.0])), None),
    "ragged-data": (v2(tensor(shape=[2, WIDTH], data=[ROW, 1.0])), None),
    "fractions-as-whole-numbers": (v2(tensor(datatype="INT8")).replace(b"1.0", b"1.5"), None),
    "numbers-out-of-range": (v2(tensor(datatype="UINT8", data=[-1] * WIDTH)), None),
    "the-input-twice": (v2(tensor(), tensor()), None),
    "inputs-of-different-rows": (v2(tensor(), tensor(name="b", shape=[2], data=[1, 2])), None),
    "an-input-too-many": (v2(tensor(), tensor(name="b", shape=[1], data=[1])), None),
    "rows-of-the-wrong-width": (v2(tensor(shape=[1, 2], data=[1, 2])), None),
    "an-unknown-output": (v2(outputs=[{"name": "absent"}]), None),
    "outputs-that-are-none": (v2(outputs=["variable"]), None),
    "an-id-that-is-a-number": (v2(id=7), None),
    "a-length-that-is-none": (v2(), "ten"),
    "a-length-beyond-the-end": (v2(), "99999"),
    "bytes-of-nobody": (v2() + b"1234", str(len(v2()))),
    "more-bytes-than-came": (v2(tensor(data=..., parameters={"binary_data_size": 72})), None),
    "a-negative-number-of-bytes": (v2(tensor(data=..., parameters={"binary_data_size": -1})), None),
    "bytes-that-are-cut": (v2(tensor(data=..., parameters={"binary_data_size": 71})) + b"x" * 71, "96"),
}


@pytest.fixture(scope="module")
def face(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Face]:
    with opened(tmp_path_factory.mktemp("bad") / "state") as made:
        made.deployed()
        yield made


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Limits that small bodies reach."""
    monkeypatch.setattr(unpacking, "MAX_UNPACKED", 500_000)
    for module in (inference, open_inference):
        monkeypatch.setattr(module, "MAX_INFERENCE_BYTES", 1_000_000)


def check_alive(face: Face) -> None:
    answer = face.infer(1, GOOD)
    assert answer.status_code == 200 and arrow_of(answer.content).num_rows == 3


@pytest.mark.parametrize("name", BODIES)
def test_a_bad_table_is_refused_in_words_and_the_next_good_one_is_answered(face: Face, name: str) -> None:
    media, body = BODIES[name]
    answer = face.infer(1, body, media)
    assert 400 <= answer.status_code < 500, answer.text
    check_error(answer.json(), answer.status_code)
    if "bomb" in name or "more-than" in name or "nulls" in name.removeprefix("a-null"):
        assert answer.status_code == 413
    check_alive(face)


@pytest.mark.parametrize("name", TENSORS)
def test_a_bad_tensor_is_refused_in_words_and_the_next_good_one_is_answered(face: Face, name: str) -> None:
    body, length = TENSORS[name]
    headers = {} if length is None else {"Inference-Header-Content-Length": length}
    answer = face.http.post("/v2/models/prices/infer", content=body, headers=headers)
    assert 400 <= answer.status_code < 500, answer.text
    check_error(answer.json(), answer.status_code)
    check_alive(face)


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/v1/api/pipelines/infer/prices-1/other", 404),
        ("/v1/api/pipelines/infer/prices-2/prices", 404),
        ("/v1/api/pipelines/infer/prices/prices", 404),
        (f"/v1/api/pipelines/infer/prices-{'9' * 40}/prices", 404),
        ("/v1/api/pipelines/infer/prices-1/prices/more", 404),
        ("/v2/models/absent/infer", 404),
        ("/v2/models/prices/versions/1/infer", 404),
        ("/v2/models/prices/infer?workspace=hidden", 404),
        ("/v2/models/%00/infer", 404),
        ("/v2/models/prices/explain", 404),
    ],
)
def test_what_is_not_there_is_not_found(face: Face, path: str, status: int) -> None:
    answer = face.http.post(path, content=v2())
    assert answer.status_code == status
    check_error(answer.json(), status)


@pytest.mark.parametrize("route", ["/v1/api/pipelines/infer/prices-1/prices", "/v2/models/prices/infer"])
def test_nobody_infers_without_a_token_whatever_he_sends(face: Face, route: str) -> None:
    for token in ("", "Bearer", "Bearer x.y", "Basic eDp5", "Bearer " + "9" * 5_000):
        answer = face.anybody.post(route, content=b"x" * 2_000_000, headers={"Authorization": token})
        assert answer.status_code == 401
    assert face.http.get(route).status_code == 405


def test_text_bytes_that_are_none_are_refused(face: Face) -> None:
    head = v2(tensor(datatype="BYTES", shape=[1], data=..., parameters={"binary_data_size": 5}))
    for blob in (struct.pack("<I", 9) + b"x", struct.pack("<I", 1) + b"\xff", b"12345"):
        headers = {"Inference-Header-Content-Length": str(len(head))}
        assert face.http.post("/v2/models/prices/infer", content=head + blob, headers=headers).status_code == 400
