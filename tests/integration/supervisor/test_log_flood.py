"""Two hundred megabytes of output: kept within the cap, in order, masked, and in little memory."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from specrunner.core.lifecycle import RunState
from specrunner.engine.ports import DEFAULT_LOG_CAP
from specrunner.engine.tasks.logfile import segments

if TYPE_CHECKING:
    from tests.integration.supervisor.conftest import Runs

LINES, LENGTH = 1_000_000, 200  # bytes, with the end of the line
MOST_MEMORY = 50_000  # kB
BUFFERED = {"PATH": "/usr/bin:/bin", "PYTHONUNBUFFERED": ""}
# The parent of the program is the supervisor; it looks up its highest memory when all is written.
PEAK = """
import os, sys
sys.stdout.flush()
with open(f'/proc/{os.getppid()}/status') as status, open('peak', 'w') as peak:
    peak.write(next(line.split()[1] for line in status if line.startswith('VmHWM')))
"""
FLOOD = f"import sys\nfor n in range({LINES}):\n    sys.stdout.write(f'{{n:07d}} {{\"x\" * {LENGTH - 9}}}\\n')\n"


def _peak(folder: Path) -> int:
    """The most memory that the supervisor of a run has had, in kB."""
    return int((folder / "work" / "peak").read_text())


def test_a_million_lines_are_complete_within_the_cap_and_in_order(runs: Runs) -> None:
    folder = runs.start(FLOOD + PEAK, env=BUFFERED)
    assert runs.end(folder).state is RunState.SUCCESS
    lines = runs.lines(folder)
    [cut] = [number for number, line in enumerate(lines) if "were cut here" in line]
    said = int("".join(char for char in lines[cut] if char.isdigit()))
    kept = sum(size for _, size in _files(folder))
    assert kept + said == LINES * LENGTH
    head, tail = lines[:cut], lines[cut + 1 :]
    assert head[:-1] == [_line(number) for number in range(len(head) - 1)]
    assert tail[1:] == [_line(number) for number in range(LINES - len(tail) + 1, LINES)]
    assert _line(len(head) - 1).startswith(head[-1])
    assert _line(LINES - len(tail)).endswith(tail[0])
    assert _peak(folder) < MOST_MEMORY


def test_what_is_on_the_disk_keeps_to_the_cap_and_half_of_it_is_the_end(runs: Runs) -> None:
    folder = runs.start(FLOOD, env=BUFFERED)
    assert runs.end(folder).state is RunState.SUCCESS
    head, *tail = _files(folder)
    on_disk = sum(path.stat().st_size for path in folder.glob("log*"))
    assert on_disk <= DEFAULT_LOG_CAP * 1.02
    assert head[1] >= DEFAULT_LOG_CAP * 0.49
    assert sum(size for _, size in tail) >= DEFAULT_LOG_CAP * 0.35  # a quarter of it goes at a time
    assert all(start + size == following for (start, size), (following, _) in pairwise(tail))


def test_no_secret_comes_through_wherever_the_reads_cut_it(runs: Runs) -> None:
    secret = "s3cr3t-pass-phrase"
    # Writes of a prime length and of one byte: the secret lies across every border there is.
    code = (
        "import os\nsecret = os.environ['TOKEN']\ntext = ''.join(f'{n} {secret}\\n' for n in range(200_000)).encode()\n"
        "at = 0\nwhile at < len(text):\n    at += os.write(1, text[at:at + (4_099 if at % 5 else 1)])\n"
    )
    folder = runs.start(code + PEAK, env={"PATH": "/usr/bin:/bin", "TOKEN": secret}, redact=(secret,))
    assert runs.end(folder).state is RunState.SUCCESS
    assert runs.lines(folder) == [f"{number} *****" for number in range(200_000)]
    assert [path for path in folder.glob("log*") if secret.encode() in path.read_bytes()] == []
    assert _peak(folder) < MOST_MEMORY


def test_one_line_without_an_end_is_as_much_as_a_million_with_one(runs: Runs) -> None:
    code = "import sys\nfor n in range(200):\n    sys.stdout.buffer.write(bytes(range(11, 256)) * 4_000)\n"
    folder = runs.start(code + PEAK, env=BUFFERED)
    assert runs.end(folder).state is RunState.SUCCESS
    kept = [(folder / "log").read_bytes(), Path(segments(str(folder))[-1][1]).read_bytes()]
    pattern = bytes(range(11, 256))
    assert kept[0] == (pattern * (len(kept[0]) // len(pattern) + 1))[: len(kept[0])]
    assert (pattern * (len(kept[1]) // len(pattern) + 1)).endswith(kept[1])
    assert _peak(folder) < MOST_MEMORY


def _line(number: int) -> str:
    return f"{number:07d} " + "x" * (LENGTH - 9)


def _files(folder: Path) -> list[tuple[int, int]]:
    """Offset and size of the files of a log, in order."""
    return [(start, Path(path).stat().st_size) for start, path in segments(str(folder))]
