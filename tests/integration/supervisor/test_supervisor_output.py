"""What goes into a run and what comes out of it: environment, arguments, output, results, memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from specrunner.core.lifecycle import Reason, RunState
from specrunner.engine.packaging.bundles import unpack
from specrunner.engine.tasks import exitfile
from specrunner.engine.tasks.launch import run_environment, write_orders

if TYPE_CHECKING:
    from tests.integration.supervisor.conftest import Runs

SECRET = "s3cr3t-pass-phrase"


def test_the_environment_is_exactly_the_declared_one(runs: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOMETHING_OF_THE_HOST", "1")
    monkeypatch.setenv("PYTHONPATH", "/nowhere")
    env = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "TOKEN": "täuschend\necht"}
    arguments = {"start-date": "2026-01-01", "rows": 3, "deep": {"a": [1, None]}}
    code = "import json\nprint(json.dumps(open('/proc/self/environ').read().split('\\0')[:-1]))"
    order = runs.order(code, env=env, arguments=arguments)
    runs.executor.start(order)
    assert runs.end(order.folder).state is RunState.SUCCESS
    [line] = runs.lines(order.folder)
    folder = order.folder
    assert dict(entry.split("=", 1) for entry in json.loads(line)) == {
        **env,
        "HOME": str(folder / "work"),
        "PYTHONUNBUFFERED": "1",
        "SPECRUNNER_RUN_ID": order.run_id,
        "SPECRUNNER_ARGUMENTS": str(folder / "arguments.json"),
        "SPECRUNNER_RESULTS": str(folder / "results.json"),
        "SPECRUNNER_ARG_START_DATE": "2026-01-01",
        "SPECRUNNER_ARG_ROWS": "3",
        "SPECRUNNER_ARG_DEEP": '{"a": [1, null]}',
    }
    assert json.loads((folder / "arguments.json").read_text()) == arguments


def test_stdin_is_empty_no_descriptor_is_inherited_and_the_folder_is_the_bundle(runs: Runs) -> None:
    code = (
        "import os, sys\nprint(repr(sys.stdin.read()))\nprint(sorted(os.listdir('/proc/self/fd'))[:-1])\n"
        "print(os.getcwd())\nprint(os.getsid(0) == os.getpid(), sorted(os.listdir('.')))"
    )
    ended, lines = runs.run(code)
    assert ended.state is RunState.SUCCESS
    assert lines[:2] == ["''", "['0', '1', '2']"]
    assert lines[2].endswith("/work")
    assert lines[3] == "True ['main.py']"


def test_signals_have_their_default_meaning_for_the_code(runs: Runs, tmp_path: Path) -> None:
    # Not an interpreter of Python, because that begins by ignoring some itself.
    program = tmp_path / "program"
    program.write_text("#!/bin/sh\ngrep -E '^Sig(Ign|Blk)' /proc/self/status\n")
    program.chmod(0o755)
    _, lines = runs.run("", python=program)
    masks = {name: int(mask, 16) for name, mask in (line.split(":\t") for line in lines)}
    of_the_c_library = 1 << 32 - 1 | 1 << 33 - 1  # glibc's posix_spawn ignores its own two until they are needed
    assert masks.keys() == {"SigBlk", "SigIgn"}
    assert masks["SigBlk"] == 0
    assert masks["SigIgn"] & ~of_the_c_library == 0


def test_a_traceback_is_the_end_of_the_log_and_of_the_detail(runs: Runs) -> None:
    ended, lines = runs.run("import sys\nprint('before')\nraise ValueError('boom')")
    assert lines[0] == "before"
    assert lines[1] == "Traceback (most recent call last):"
    assert lines[-1] == "ValueError: boom"
    assert ended.detail == "it ended with exit code 1: ValueError: boom"


def test_stdout_and_stderr_are_one_stream_in_order(runs: Runs) -> None:
    code = "import os\nfor n in range(50):\n    os.write(1 + n % 2, f'{n}\\n'.encode())"
    assert runs.run(code)[1] == [str(n) for n in range(50)]


def test_output_is_visible_while_the_run_lives(runs: Runs) -> None:
    code = "import time\nprint('first')\ntime.sleep(60)"
    folder = runs.start(code)
    runs.until(lambda: runs.lines(folder) == ["first"])
    assert runs.executor.exit(folder) is None
    line = runs.executor.log(folder)[0][0]
    assert 0 <= time.time() - line.time < 10


def test_binary_output_is_kept_and_shown_with_replacements(runs: Runs) -> None:
    code = "import os\nos.write(1, bytes(range(256)) + b'\\r\\nplain\\n')"
    folder = runs.start(code)
    runs.end(folder)
    assert (folder / "log").read_bytes() == bytes(range(256)) + b"\r\nplain\n"
    lines = runs.lines(folder)
    assert lines[-1] == "plain"
    assert lines[1].count("\N{REPLACEMENT CHARACTER}") == 128


def test_a_line_of_ten_megabytes_is_one_line(runs: Runs) -> None:
    _, lines = runs.run("print('x' * 10_000_000)\nprint('after')")
    assert [len(line) for line in lines] == [10_000_000, 5]


def test_a_log_over_its_cap_keeps_head_and_tail_and_says_what_was_cut(runs: Runs) -> None:
    cap = 100_000
    code = "import sys\nfor n in range(100_000):\n    sys.stdout.write(f'line {n:06d}\\n')"
    folder = runs.start(code, log_cap=cap, env={"PATH": "/usr/bin:/bin", "PYTHONUNBUFFERED": ""})
    runs.end(folder)
    lines = runs.lines(folder)
    assert lines[0] == "line 000000"
    assert lines[-1] == "line 099999"
    [cut] = [line for line in lines if "were cut here" in line]
    kept = sum(len(line) + 1 for line in lines if line is not cut)
    said = int("".join(char for char in cut if char.isdigit()))
    assert abs(kept + said - 1_200_000) <= 2  # a line that was cut through counts two line ends
    on_disk = sum(path.stat().st_size for path in folder.iterdir() if path.name.startswith("log"))
    assert cap * 0.7 < on_disk <= cap * 1.02


def test_a_reader_who_follows_a_growing_log_misses_nothing(runs: Runs) -> None:
    folder = runs.start("for n in range(3000):\n    print(n)")
    found: list[str] = []
    offset = 0
    while True:
        over = runs.executor.exit(folder) is not None
        lines, offset = runs.executor.log(folder, offset)
        found += [line.text for line in lines]
        if over:
            break
    assert found == [str(n) for n in range(3000)]


@pytest.mark.parametrize("pieces", [1, 2, 5, len(SECRET)])
def test_a_secret_is_masked_however_it_is_written(runs: Runs, pieces: int) -> None:
    code = (
        "import os, time\ntext = 'token={};\\n'.format(os.environ['TOKEN']).encode()\n"
        f"size = -(-len(text) // {pieces})\n"
        "for at in range(0, len(text), size):\n    os.write(1, text[at:at + size])\n    time.sleep(0.01)\n"
    )
    env = {"PATH": "/usr/bin:/bin", "TOKEN": SECRET}
    folder = runs.start(code, env=env, redact=(SECRET,))
    runs.end(folder)
    assert runs.lines(folder) == ["token=*****;"]


def test_no_secret_is_on_the_disk_after_a_run_that_fails_with_one(runs: Runs) -> None:
    code = (
        "import json, os\njson.dump({'token': os.environ['TOKEN']}, open(os.environ['SPECRUNNER_RESULTS'], 'w'))\n"
        "raise ValueError(os.environ['TOKEN'])"
    )
    env = {"PATH": "/usr/bin:/bin", "TOKEN": SECRET}
    folder = runs.start(code, env=env, redact=(SECRET,))
    ended = runs.end(folder)
    assert ended.detail == "it ended with exit code 1: ValueError: *****"
    assert ended.results == {"token": "*****"}
    holders = [path.name for path in _files(folder) if SECRET.encode() in path.read_bytes()]
    assert holders == []  # what the code itself has put there is gone with its record


@pytest.mark.parametrize(
    ("written", "complaint"),
    [
        ("'{\"a\": '", "not JSON"),
        ("'{\"a\": NaN}'", "NaN is not a JSON value"),
        ("'[' * 100_000", "not JSON"),
        ("'\"' + 'x' * 2**20 + '\"'", "more than 1,048,576 bytes"),
    ],
    ids=["torn", "NaN", "too deep", "too long"],
)
def test_results_that_cannot_be_used_are_dropped_with_a_word(runs: Runs, written: str, complaint: str) -> None:
    ended, _ = runs.run(f"import os\nopen(os.environ['SPECRUNNER_RESULTS'], 'w').write({written})")
    assert (ended.state, ended.results) == (RunState.SUCCESS, None)
    assert complaint in ended.detail


def test_results_in_a_pipe_do_not_hold_the_run_up(runs: Runs) -> None:
    ended, _ = runs.run("import os\nos.mkfifo(os.environ['SPECRUNNER_RESULTS'])")
    assert (ended.state, ended.results) == (RunState.SUCCESS, None)


def test_memory_over_the_limit_is_seen_as_such(runs: Runs) -> None:
    ended, lines = runs.run("block = bytearray(2**30)", memory=256 * 2**20)
    assert (ended.state, ended.reason) == (RunState.FAILURE, Reason.OOM)
    assert "268,435,456 bytes" in ended.detail
    assert lines[-1] == "MemoryError"


def test_an_interpreter_that_cannot_begin_is_told_apart_from_code_that_failed(runs: Runs, tmp_path: Path) -> None:
    broken = tmp_path / "python"
    broken.write_bytes(b"\x7fELF but not really")
    broken.chmod(0o755)
    ended, _ = runs.run("print('never')", python=broken)
    assert (ended.state, ended.reason, ended.code_started) == (RunState.FAILURE, Reason.ENV_FAILED, False)
    assert str(broken) in ended.detail


def test_the_supervisor_can_be_started_by_its_name(runs: Runs) -> None:
    """The program of the module, as another executor would start it on another machine."""
    order = runs.order("print('by its name')")
    unpack(order.bundle, order.folder / "work")
    write_orders(order)
    secret = json.dumps({"env": run_environment(order), "redact": []})
    command = [sys.executable, "-m", "specrunner.engine.tasks.supervisor", str(order.folder)]
    done = subprocess.run(command, input=secret, capture_output=True, text=True, check=True, timeout=30)
    assert (done.stdout, done.stderr) == ("\n", "")
    record = exitfile.read(str(order.folder / exitfile.EXIT))
    assert record is not None
    assert record["state"] == "success"
    assert runs.lines(order.folder) == ["by its name"]


def _files(folder: Path) -> Iterator[Path]:
    for root, _, names in os.walk(folder):
        yield from (Path(root) / name for name in names)
