"""The inference log: what was appended is there, in order, page by page, whatever broke in between."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event, Thread

import pyarrow as pa
import pytest

from specrunner.core.errors import BadInput, EngineError, Unavailable
from specrunner.core.values import JsonObject
from specrunner.engine.serving import log_writer
from specrunner.engine.serving.codecs import read_table
from specrunner.engine.serving.inference_log import InferenceLog, LogRetention, LogStatus
from specrunner.engine.serving.segments import Segment, SegmentWriter, index_path, segment_paths
from tests.unit.serving_samples import NOON, answer, later, numbers


@pytest.fixture
def log(tmp_path: Path) -> Iterator[InferenceLog]:
    opened = InferenceLog(tmp_path / "log")
    yield opened
    opened.close()


def fill(log: InferenceLog, sizes: list[int], first: int = 0, start: int = 0) -> int:
    """Requests of these sizes, a millisecond apart, their rows numbered on; the number after the last."""
    for index, rows in enumerate(sizes):
        log.append(answer(first, rows, later(start + index)))
        first += rows
    return first


def test_an_empty_log_has_an_empty_page(log: InferenceLog) -> None:
    page = log.read()
    assert (page.table.num_rows, page.status, page.next, log.count()) == (0, LogStatus.ALL, None, 0)


def test_what_was_appended_is_read_back_at_once_and_exactly(log: InferenceLog) -> None:
    table = answer(0, 3, NOON)
    log.append(table)
    page = log.read(start=NOON)
    assert page.table == table
    assert page.status is LogStatus.ALL


def test_without_times_the_newest_row_comes_first(log: InferenceLog) -> None:
    fill(log, [2, 3, 1])
    assert numbers(log.read().table) == [5, 4, 3, 2, 1, 0]


def test_a_limit_leaves_the_last_rows_of_the_newest_request_and_the_next_page_goes_on_before_them(
    log: InferenceLog,
) -> None:
    fill(log, [2, 50])
    page = log.read(limit=10)
    assert (numbers(page.table), page.status) == (list(range(51, 41, -1)), LogStatus.RECORD_LIMITED)
    page = log.read(limit=100, after=page.next)
    assert (numbers(page.table), page.status) == (list(range(41, -1, -1)), LogStatus.ALL)


def test_with_times_the_oldest_comes_first_and_both_ends_count(log: InferenceLog) -> None:
    fill(log, [1, 2, 1, 1])
    assert numbers(log.read(start=later(1), end=later(2)).table) == [1, 2, 3]
    assert numbers(log.read(start=later(2)).table) == [3, 4]
    assert numbers(log.read(end=later(0)).table) == [0]
    assert numbers(log.read(start=later(1), end=later(2), newest_first=True).table) == [3, 2, 1]
    assert (log.count(), log.count(later(1), later(2)), log.count(end=later(1))) == (5, 3, 3)


def test_the_default_limit_is_a_hundred_rows_and_none_with_times(log: InferenceLog) -> None:
    fill(log, [30] * 5)
    page = log.read()
    assert (page.table.num_rows, page.status) == (100, LogStatus.RECORD_LIMITED)
    assert numbers(page.table) == list(range(149, 49, -1))
    assert log.read(start=NOON).table.num_rows == 150


def test_a_limit_that_is_just_met_is_all(log: InferenceLog) -> None:
    fill(log, [2, 2])
    assert log.read(limit=4).status is LogStatus.ALL
    assert log.read(limit=3).status is LogStatus.RECORD_LIMITED


def test_a_page_is_cut_by_bytes_and_the_next_goes_on_inside_the_request(log: InferenceLog) -> None:
    fill(log, [1000])
    found, after = [], None
    while True:
        page = log.read(limit=1000, page_bytes=4096, after=after)
        assert 0 < page.table.nbytes <= 4096
        found += numbers(page.table)
        if page.next is None:
            break
        assert page.status is LogStatus.BYTE_LIMITED
        after = page.next
    assert page.status is LogStatus.ALL
    assert found == list(range(999, -1, -1))


def test_a_page_has_one_row_however_small_it_is_to_be(log: InferenceLog) -> None:
    fill(log, [3])
    assert numbers(log.read(page_bytes=1).table) == [2]
    assert numbers(log.read(page_bytes=1, newest_first=False).table) == [0]


def test_requests_appended_while_someone_pages_do_not_disturb_the_pages(log: InferenceLog) -> None:
    fill(log, [1] * 4)
    page = log.read(limit=2)
    fill(log, [1] * 3, first=4, start=10)
    assert numbers(log.read(limit=10, after=page.next).table) == [1, 0]


@pytest.mark.parametrize("after", [{}, {"segment": "x"}, {"segment": "x", "number": 0, "row": "?", "time": 0}])
def test_a_position_that_no_page_gave_is_refused(log: InferenceLog, after: JsonObject) -> None:
    fill(log, [1])
    with pytest.raises(BadInput, match="position"):
        log.read(after=after)


@pytest.mark.parametrize("limit", [0, -1])
def test_a_limit_below_one_is_refused(log: InferenceLog, limit: int) -> None:
    with pytest.raises(BadInput, match="limit"):
        log.read(limit)


def test_a_table_that_is_no_answer_is_refused(log: InferenceLog) -> None:
    for table in (pa.table({"a": [1]}), answer(0, 0, NOON), pa.table({"time": [1]})):
        with pytest.raises(BadInput, match="no result"):
            log.append(table)


def test_two_open_logs_of_one_folder_see_what_the_other_has_flushed(log: InferenceLog, tmp_path: Path) -> None:
    other = InferenceLog(tmp_path / "log")
    log.append(answer(0, 1, later(0)))
    other.append(answer(1, 1, later(1)))
    log.append(answer(2, 1, later(2)))
    log.flush()
    assert numbers(other.read().table) == [2, 1, 0]
    other.close()
    assert numbers(log.read(start=NOON).table) == [0, 1, 2]


def test_a_restart_goes_on_in_a_new_segment_also_within_the_same_millisecond(tmp_path: Path) -> None:
    for first in range(5):
        log = InferenceLog(tmp_path)
        log.append(answer(first, 1, NOON))
        log.close()
    assert numbers(InferenceLog(tmp_path).read(start=NOON).table) == [0, 1, 2, 3, 4]
    assert len(segment_paths(tmp_path)) == 5


def test_segments_are_rotated_by_size(tmp_path: Path) -> None:
    log = InferenceLog(tmp_path, segment_bytes=2000)
    fill(log, [20] * 30)
    log.close()
    assert len(segment_paths(tmp_path)) > 5
    assert numbers(log.read(start=NOON).table) == list(range(600))


def torn(path: Path, kind: str) -> None:
    content = path.read_bytes()
    path.write_bytes(
        {
            "half a message": content[:-40],
            "no mark": content[:-8],
            "zeros": content[:-8] + bytes(500),
            "garbage": content[:-8] + b"\xff\xff\xff\xff\x10\x00\x00\x00garbage!" * 5,
            "half a schema": content[:30],
            "nothing": b"",
        }[kind]
    )


@pytest.mark.parametrize(
    ("kind", "kept"),
    [
        ("half a message", [0, 1]),
        ("no mark", [0, 1, 2]),
        ("zeros", [0, 1, 2]),
        ("garbage", [0, 1, 2]),
        ("half a schema", []),
        ("nothing", []),
    ],
)
def test_a_torn_segment_is_cut_and_the_log_goes_on(tmp_path: Path, kind: str, kept: list[int]) -> None:
    log = InferenceLog(tmp_path)
    fill(log, [1, 1, 1])
    log.close()
    torn(segment_paths(tmp_path)[0], kind)
    after = InferenceLog(tmp_path)
    after.append(answer(9, 1, later(99)))
    assert numbers(after.read(start=NOON).table) == [*kept, 9]
    after.close()


def test_a_reader_sees_a_message_once_the_rest_of_it_has_come(tmp_path: Path) -> None:
    log = InferenceLog(tmp_path / "whole")
    fill(log, [1, 1])
    log.close()
    content = segment_paths(tmp_path / "whole")[0].read_bytes()
    path = tmp_path / "grown" / segment_paths(tmp_path / "whole")[0].name
    path.parent.mkdir()
    reader, seen = InferenceLog(path.parent), []
    for length in range(0, len(content) + 1, 8):
        path.write_bytes(content[:length])
        seen.append(reader.count())
    assert seen == sorted(seen)
    assert (seen[0], seen[-1]) == (0, 2)
    assert 1 in seen


def test_another_schema_ends_the_page_and_begins_the_next(log: InferenceLog) -> None:
    log.append(answer(0, 2, later(0)))
    log.append(answer(2, 2, later(1), extra="out.word"))
    page = log.read()
    assert (numbers(page.table), page.status) == ([3, 2], LogStatus.SCHEMA_CHANGE)
    page = log.read(after=page.next)
    assert (numbers(page.table), page.status, page.next) == ([1, 0], LogStatus.ALL, None)


@pytest.mark.parametrize("suffix", [".arrow", ".parquet", ".csv"])
def test_an_export_has_everything_and_nulls_where_a_column_was_not_there(
    log: InferenceLog, tmp_path: Path, suffix: str
) -> None:
    log.append(answer(0, 2, later(0)))
    log.append(answer(2, 1, later(1), extra="out.word"))
    path = tmp_path / f"out{suffix}"
    assert log.export(path) == 3
    found = read_table(path)
    assert numbers(found) == [0, 1, 2]
    assert found.column("out.word").to_pylist()[2] == "out.word-2"
    assert [found.column("out.word").to_pylist()[0] or None] == [None]
    assert [entry.name for entry in tmp_path.iterdir() if entry.name.startswith(".")] == []


def test_an_export_of_a_span_knows_only_the_columns_of_that_span(log: InferenceLog, tmp_path: Path) -> None:
    log.append(answer(0, 2, later(0)))
    log.append(answer(2, 1, later(1), extra="out.word"))
    assert log.export(tmp_path / "a.arrow", end=later(0)) == 2
    assert read_table(tmp_path / "a.arrow") == answer(0, 2, later(0))


def test_an_export_of_an_empty_log_is_a_file_without_rows(log: InferenceLog, tmp_path: Path) -> None:
    assert log.export(tmp_path / "a.parquet") == 0
    assert read_table(tmp_path / "a.parquet").column_names == ["time"]


def test_what_can_not_be_exported_is_told(log: InferenceLog, tmp_path: Path) -> None:
    log.append(answer(0, 1, later(0)))
    with pytest.raises(BadInput, match="no file to export to"):
        log.export(tmp_path / "a.xls")
    with pytest.raises(BadInput, match="can't be written"):
        log.export(tmp_path / "absent" / "a.csv")
    table = answer(1, 1, later(1))
    log.append(table.set_column(1, "in.number", pa.array([["a"]])))
    with pytest.raises(BadInput, match="can't be united"):
        log.export(tmp_path / "a.arrow")
    assert not (tmp_path / "a.arrow").exists()


def test_retention_deletes_old_segments_and_keeps_to_a_size(tmp_path: Path) -> None:
    for start in range(4):
        log = InferenceLog(tmp_path)
        fill(log, [10], first=start * 10, start=start)
        log.close()
    reader = InferenceLog(tmp_path)
    assert reader.retain(oldest=later(1)) > 0
    assert numbers(reader.read(start=NOON).table) == list(range(10, 40))
    size = segment_paths(tmp_path)[0].stat().st_size
    assert reader.retain(max_bytes=size) > 0
    assert numbers(reader.read(start=NOON).table) == list(range(30, 40))
    assert reader.retain(oldest=later(1), max_bytes=2 * size) == 0


def test_a_writer_whose_segment_was_deleted_begins_another(log: InferenceLog) -> None:
    fill(log, [1])
    assert log.retain(oldest=later(50)) > 0
    fill(log, [1], first=7, start=60)
    assert numbers(log.read().table) == [7]


def test_many_threads_lose_nothing_and_each_ones_order_holds(log: InferenceLog) -> None:
    def write(thread: int) -> None:
        for index in range(25):
            log.append(answer(thread * 100 + index, 1, NOON))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, range(4)))
    found = numbers(log.read(start=NOON).table)
    assert sorted(found) == sorted(thread * 100 + index for thread in range(4) for index in range(25))
    for thread in range(4):
        own = [number for number in found if number // 100 == thread]
        assert own == sorted(own)


def test_a_full_queue_holds_the_next_request_back_until_there_is_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    allowed, reached = Event(), Event()

    class Slow(SegmentWriter):
        def write(self, batch: pa.RecordBatch) -> None:
            reached.set()
            assert allowed.wait(10)
            super().write(batch)

    monkeypatch.setattr(log_writer, "SegmentWriter", Slow)
    log = InferenceLog(tmp_path, queue_bytes=1)
    log.append(answer(0, 1, later(0)))
    assert reached.wait(10)
    second = Thread(target=log.append, args=[answer(1, 1, later(1))])
    second.start()
    second.join(0.05)
    assert second.is_alive()
    allowed.set()
    second.join(10)
    assert not second.is_alive()
    log.close()
    assert numbers(log.read(start=NOON).table) == [0, 1]


def test_a_disk_that_refuses_is_told_once_and_the_log_goes_on(
    log: InferenceLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(segment: SegmentWriter, batch: pa.RecordBatch) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(SegmentWriter, "write", refuse)
        log.append(answer(0, 1, later(0)))
        with pytest.raises(EngineError, match="could not be written") as error:
            log.flush()
    assert "No space left" in error.value.detail
    log.append(answer(1, 1, later(1)))
    assert numbers(log.read().table) == [1]


def test_a_closed_log_is_read_and_takes_nothing(log: InferenceLog) -> None:
    fill(log, [1])
    log.close()
    log.close()
    assert numbers(log.read().table) == [0]
    with pytest.raises(Unavailable):
        fill(log, [1])


def test_dictionaries_are_kept_as_their_values(log: InferenceLog) -> None:
    table = answer(0, 2, NOON).append_column("in.word", pa.array(["a", "b"]).dictionary_encode())
    log.append(table)
    assert log.read(newest_first=False).table.column("in.word").to_pylist() == ["a", "b"]


# The index beside each segment


def many(folder: Path, segments: int = 5, requests: int = 4) -> None:
    """Sealed segments of so many requests, of one row each, a millisecond apart."""
    for number in range(segments):
        log = InferenceLog(folder)
        fill(log, [1] * requests, first=number * requests, start=number * requests)
        log.close()


def reading(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the segments of which batches are read from now on."""
    read: list[str] = []
    batches = Segment.batches

    def told(segment: Segment, wanted: list[int]) -> list[pa.RecordBatch | None]:
        read.append(segment.name)
        return batches(segment, wanted)

    monkeypatch.setattr(Segment, "batches", told)
    return read


def test_a_span_of_time_is_read_from_the_segments_that_have_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    many(tmp_path)
    names = [path.name for path in segment_paths(tmp_path)]
    read = reading(monkeypatch)
    log = InferenceLog(tmp_path)
    assert numbers(log.read(start=later(9), end=later(13)).table) == [9, 10, 11, 12, 13]
    assert set(read) == {names[2], names[3]}
    read.clear()
    assert numbers(log.read(limit=3).table) == [19, 18, 17]
    assert set(read) == {names[4]}


@pytest.mark.parametrize("harm", ["gone", "empty", "behind", "torn", "of-another", "unsealed"])
def test_an_index_that_is_harmed_changes_nothing(tmp_path: Path, harm: str) -> None:
    many(tmp_path, 2)
    path = index_path(segment_paths(tmp_path)[1])
    data = path.read_bytes()
    if harm == "gone":
        path.unlink()
    elif harm == "of-another":
        path.write_bytes(data[:-40] + b"\0" * 40 + data[-40:])
    else:
        path.write_bytes(data[: {"empty": 0, "behind": 80, "torn": 100, "unsealed": -40}[harm]])
    log = InferenceLog(tmp_path)
    assert numbers(log.read(start=NOON).table) == list(range(8))
    assert (log.count(), log.count(later(5)), log.count(end=later(4))) == (8, 3, 5)
    assert numbers(log.read(start=later(6), end=later(6)).table) == [6]


def test_a_request_that_no_longer_reads_is_left_out_and_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    many(tmp_path, 1)
    path = segment_paths(tmp_path)[0]
    place = int.from_bytes(index_path(path).read_bytes()[40:48], "little")
    data = bytearray(path.read_bytes())
    data[place : place + 8] = b"\0" * 8
    path.write_bytes(bytes(data))
    assert numbers(InferenceLog(tmp_path).read(start=NOON).table) == [0, 2, 3]
    assert "inference log broken" in caplog.text


def test_what_is_too_old_is_not_read_and_goes_with_its_segment(tmp_path: Path) -> None:
    many(tmp_path, 3)
    kept = LogRetention(oldest=later(5))
    log = InferenceLog(tmp_path, retention=lambda: kept)
    assert numbers(log.read(start=NOON).table) == list(range(5, 12))
    assert numbers(log.read(limit=100).table) == list(range(11, 4, -1))
    assert (log.count(), len(segment_paths(tmp_path))) == (7, 3)
    fill(log, [1], first=12, start=12)
    log.flush()
    assert len(segment_paths(tmp_path)) == 3 and len(list(tmp_path.glob("*.index"))) == 3
    log.close()


def test_the_oldest_go_when_the_log_is_too_large(tmp_path: Path) -> None:
    many(tmp_path, 4)
    size = segment_paths(tmp_path)[0].stat().st_size
    log = InferenceLog(tmp_path, retention=lambda: LogRetention(max_bytes=2 * size))
    assert log.expire() > 0
    assert numbers(log.read(start=NOON).table) == list(range(8, 16))


def test_a_segment_spans_a_day_at_most(tmp_path: Path) -> None:
    log = InferenceLog(tmp_path)
    fill(log, [1])
    fill(log, [1], first=1, start=24 * 3_600_000 - 1)
    fill(log, [1], first=2, start=24 * 3_600_000)
    log.close()
    assert len(segment_paths(tmp_path)) == 2


def test_what_was_written_is_brought_to_the_disk_within_a_second(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced = Event()
    monkeypatch.setattr(SegmentWriter, "sync", lambda _segment: synced.set())
    monkeypatch.setattr(log_writer, "_SYNC", 0.01)
    log = InferenceLog(tmp_path)
    fill(log, [1])
    assert synced.wait(10)
    log.close()


def test_a_retention_that_can_not_be_asked_stops_no_writing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    kept = iter([LogRetention(), LogRetention(), LogRetention()])
    asked: list[int] = []

    def ask() -> LogRetention:
        asked.append(1)
        if len(asked) == 1:
            raise OSError("the store is away")
        return next(kept)

    log = InferenceLog(tmp_path, retention=ask)
    fill(log, [1, 1])
    log.close()
    assert numbers(log.read(start=NOON).table) == [0, 1] and "the store is away" in caplog.text
