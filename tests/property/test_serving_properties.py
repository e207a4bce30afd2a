"""Serving, for any input: encodings lose nothing, batches do not matter, the log keeps order."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from specrunner.core.errors import BadInput
from specrunner.core.values import JsonObject
from specrunner.engine.serving.codecs import Media, decode, encode
from specrunner.engine.serving.inference_log import InferenceLog, LogStatus
from specrunner.engine.serving.runtimes import OnnxModel, OnnxRuntime
from tests.unit import serving_samples as samples

FEW = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
NUMBERS = {
    pa.float32(): st.floats(width=32, allow_nan=False, allow_infinity=False),
    pa.float64(): st.floats(allow_nan=False, allow_infinity=False),
    pa.int64(): st.integers(-(2**63), 2**63 - 1),
    pa.int8(): st.integers(-128, 127),
}
NAMES = st.lists(st.text("abcxyz._ ü", min_size=1, max_size=6), min_size=1, max_size=4, unique=True)


@st.composite
def tables(draw: st.DrawFn) -> pa.Table:
    """Tables of numbers, of lists of numbers that are not all empty, and of words that look like no number."""
    rows = draw(st.integers(1, 6))
    columns: dict[str, pa.Array] = {}
    for name in draw(NAMES):
        kind = draw(st.sampled_from([*NUMBERS, "words"]))
        if kind == "words":
            word = st.text("qrsw ,\"\n'", max_size=8).map(lambda text: f"w{text}")
            columns[name] = pa.array(draw(st.lists(word, min_size=rows, max_size=rows)))
            continue
        cells, is_listed = NUMBERS[kind], draw(st.booleans())
        if is_listed:
            columns[name] = pa.array(
                draw(st.lists(st.lists(cells, min_size=1, max_size=4), min_size=rows, max_size=rows)), pa.list_(kind)
            )
        else:
            columns[name] = pa.array(draw(st.lists(cells, min_size=rows, max_size=rows)), kind)
    return pa.table(columns)


@FEW
@given(tables(), st.sampled_from(Media))
def test_a_table_through_any_encoding_is_the_same_table(table: pa.Table, media: Media) -> None:
    found = decode(encode(table, media), media.value)
    assert found.column_names == table.column_names
    assert found.cast(table.schema) == table


@FEW
@given(st.binary(max_size=300), st.sampled_from(Media))
def test_any_bytes_are_a_table_or_bad_input(body: bytes, media: Media) -> None:
    try:
        decode(body, media.value).validate(full=True)
    except BadInput as error:
        assert error.summary


@FEW
@given(st.sampled_from([Media.ARROW_FILE, Media.ARROW_STREAM, Media.PARQUET]), st.data())
def test_a_table_with_a_byte_changed_is_a_table_or_bad_input(media: Media, data: st.DataObject) -> None:
    body = bytearray(encode(samples.rows_table(3), media))
    body[data.draw(st.integers(0, len(body) - 1))] ^= data.draw(st.integers(1, 255))
    try:
        decode(body, media.value).validate(full=True)
    except BadInput as error:
        assert error.summary


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OnnxModel]:
    loaded = OnnxRuntime().load(samples.linear(tmp_path_factory.mktemp("model") / "linear.onnx"), {})
    yield loaded
    loaded.close()


@FEW
@given(rows=st.integers(1, 40), cuts=st.lists(st.integers(0, 40), max_size=5))
def test_splitting_a_batch_changes_no_result(model: OnnxModel, rows: int, cuts: list[int]) -> None:
    table = samples.rows_table(rows)
    edges = sorted({0, rows, *(cut for cut in cuts if cut < rows)})
    parts = [table.slice(left, right - left) for left, right in pairwise(edges)]
    assert pa.concat_tables(map(model.predict, parts)).combine_chunks() == model.predict(table)


@FEW
@given(
    sizes=st.lists(st.lists(st.integers(1, 7), max_size=5), min_size=1, max_size=4),
    gap=st.integers(0, 3),
    limit=st.integers(1, 40),
    page_bytes=st.integers(1, 2000),
    newest_first=st.booleans(),
)
def test_paging_through_a_log_gives_every_row_once_and_in_order(
    sizes: list[list[int]], gap: int, limit: int, page_bytes: int, newest_first: bool
) -> None:
    """`sizes` are the requests of each writer in turn; `gap` is the milliseconds between two requests."""
    requests: list[list[int]] = []
    with TemporaryDirectory() as folder:
        for writer in sizes:
            log = InferenceLog(Path(folder), segment_bytes=900)
            for rows in writer:
                first = sum(map(len, requests))
                log.append(samples.answer(first, rows, samples.later(gap * len(requests))))
                requests.append(list(range(first, first + rows)))
            log.close()
        ordered = list(chain.from_iterable(requests))[:: -1 if newest_first else 1]
        assert paged(InferenceLog(Path(folder)), limit, page_bytes, newest_first) == ordered
        assert InferenceLog(Path(folder)).count() == sum(map(len, requests))


def paged(log: InferenceLog, limit: int, page_bytes: int, newest_first: bool) -> list[int]:
    found: list[int] = []
    after: JsonObject | None = None
    while True:
        page = log.read(limit, page_bytes=page_bytes, newest_first=newest_first, after=after)
        assert page.table.num_rows <= limit
        found += samples.numbers(page.table)
        assert (page.next is None) == (page.status is LogStatus.ALL)
        if page.next is None:
            return found
        after = page.next


@FEW
@given(st.lists(st.integers(0, 5), min_size=1, max_size=12), st.integers(0, 5), st.integers(0, 5))
def test_a_span_of_time_holds_exactly_the_rows_within_it(stamps: list[int], start: int, end: int) -> None:
    with TemporaryDirectory() as folder:
        log = InferenceLog(Path(folder))
        for number, stamp in enumerate(stamps):
            log.append(samples.answer(number, 1, samples.later(stamp)))
        found = samples.numbers(log.read(start=samples.later(start), end=samples.later(end)).table)
        log.close()
    order = np.argsort(stamps, kind="stable").tolist()
    assert found == [number for number in order if start <= stamps[number] <= end]
