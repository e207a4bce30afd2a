"""The log on disk, written and read back."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from specrunner.engine.ports import LogLine
from specrunner.engine.tasks.logfile import LogWriter
from specrunner.engine.tasks.logs import read_lines, tail

BIG = 2**20


def _write(folder: Path, pieces: list[tuple[bytes, float]], cap: int = BIG) -> None:
    writer = LogWriter(str(folder), cap)
    for data, now in pieces:
        writer.write(data, now)
    writer.close()


def _texts(lines: list[LogLine]) -> list[str]:
    return [line.text for line in lines]


def test_there_is_no_log_before_anything_was_written(tmp_path: Path) -> None:
    assert read_lines(tmp_path) == ([], 0)
    assert read_lines(tmp_path / "none", 7, ended=True) == ([], 7)
    assert tail(tmp_path, 3) == []


def test_a_line_has_the_time_at_which_its_first_byte_came(tmp_path: Path) -> None:
    _write(tmp_path, [(b"a\nb", 10.0), (b"c\nd\n", 20.0), (b"e\n", 30.0)])
    lines, end = read_lines(tmp_path)
    assert [(line.text, line.time) for line in lines] == [("a", 10.0), ("bc", 10.0), ("d", 20.0), ("e", 30.0)]
    assert end == 9
    assert [(line.text, line.time) for line in read_lines(tmp_path, 5)[0]] == [("d", 20.0), ("e", 30.0)]


def test_the_times_hold_when_the_clock_is_set_back(tmp_path: Path) -> None:
    _write(tmp_path, [(b"a\n", 100.0), (b"b\n", 50.0), (b"c\n", 60.0)])
    assert [line.time for line in read_lines(tmp_path)[0]] == [100.0, 50.0, 60.0]


def test_a_log_that_is_there_is_continued(tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(b"building\n")
    _write(tmp_path, [(b"running\n", 5.0)])
    assert _texts(read_lines(tmp_path)[0]) == ["building", "running"]


def test_lines_over_the_borders_of_files_are_whole(tmp_path: Path) -> None:
    data = b"".join(b"line %04d\n" % number for number in range(90))
    _write(tmp_path, [(data, 1.0)], cap=1200)
    assert len(list(tmp_path.glob("log.*"))) > 3
    assert _texts(read_lines(tmp_path)[0]) == [f"line {number:04d}" for number in range(90)]


def test_a_reader_behind_the_cut_is_told(tmp_path: Path) -> None:
    data = b"".join(b"line %06d\n" % number for number in range(1000))
    _write(tmp_path, [(data, 1.0)], cap=1000)
    lines, end = read_lines(tmp_path, 6000, ended=True)
    assert lines[0].text.endswith("bytes of output were cut here, the log is over its limit]")
    assert lines[-1].text == "line 000999"
    assert end == len(data)


def test_the_tail_is_the_end_of_the_lines(tmp_path: Path) -> None:
    data = b"".join(b"%d " % number + b"x" * (number % 3000) + b"\n" for number in range(300))
    _write(tmp_path, [(data, 1.0)])
    lines, _ = read_lines(tmp_path)
    for count in (0, 1, 7, 150, 300, 1000):
        assert tail(tmp_path, count) == (lines[-count:] if count else [])


@settings(max_examples=50, deadline=None)
@given(data=st.binary(max_size=400), cuts=st.lists(st.integers(1, 60), max_size=20), cap=st.integers(2, 600))
def test_head_and_tail_are_those_of_the_stream(data: bytes, cuts: list[int], cap: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        writer = LogWriter(name, cap)
        rest, now = data, 0.0
        for cut in [*cuts, 400]:
            now += 1.0
            writer.write(rest[:cut], now)
            rest = rest[cut:]
        writer.close()
        kept = (folder / "log").read_bytes()
        assert data.startswith(kept)
        for path in sorted(folder.glob("log.0*")):
            if path.suffix != ".index":
                start = int(path.name.removeprefix("log."))
                assert data[start:].startswith(path.read_bytes())
        assert read_lines(folder, ended=True)[1] == len(data)
