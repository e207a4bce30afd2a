"""When a run's output is read, and what is kept of it."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from specrunner.engine.tasks.capture import Capture

CAP = 2**22


@pytest.fixture
def capture(tmp_path: Path) -> Iterator[Capture]:
    made = Capture(str(tmp_path), CAP, ["secret"])
    yield made
    made.started()
    made.finish(0.0)


def test_the_first_output_after_a_silence_is_written_at_once(capture: Capture, tmp_path: Path) -> None:
    os.write(capture.writer, b"first\n")
    assert capture.read(0.0, 100.0)
    assert (tmp_path / "log").read_bytes() == b"first\n"
    assert capture.pause_until <= 100.0


def test_output_in_quick_succession_may_gather_for_five_milliseconds(capture: Capture) -> None:
    for clock in (100.0, 100.001):
        os.write(capture.writer, b"line\n")
        capture.read(0.0, clock)
    assert capture.pause_until == pytest.approx(100.006)


def test_a_flood_is_read_before_the_pipe_is_full(capture: Capture) -> None:
    half = fcntl.fcntl(capture.writer, fcntl.F_GETPIPE_SZ) // 2
    for clock in (100.0, 100.002):
        os.write(capture.writer, b"x" * half)
        capture.read(0.0, clock)
    assert capture.pause_until == pytest.approx(100.004)  # in two milliseconds came half of it, so in two more will


def test_the_last_line_is_the_last_that_says_anything_and_is_masked(capture: Capture) -> None:
    os.write(capture.writer, b"one\nthe secret\n\n  \n")
    capture.read(0.0, 0.0)
    assert capture.last_line == "the *****"


def test_a_log_that_cannot_be_written_is_said_and_the_pipe_is_still_drained(tmp_path: Path) -> None:
    capture = Capture(str(tmp_path), CAP, [])
    capture._log.close()  # writing to it fails from now on, as on a full disk
    for _ in range(3):
        os.write(capture.writer, b"x" * 60_000)
        assert capture.read(0.0, 0.0)
    assert capture.trouble.startswith("the log is incomplete: ")
    capture.started()
    os.close(capture.reader)
