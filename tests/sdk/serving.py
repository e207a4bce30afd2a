"""A real `specrunner serve`, as somebody starts it beside an empty spec repository."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PROJECT = "apiVersion: specrunner/v1\nkind: Project\nmetadata: {name: notebooks}\n"


@contextmanager
def served(folder: Path, *more: str) -> Iterator[str]:
    """Its address, with `more` on the command line; ended as an init system does."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "specrunner.yaml").write_text(PROJECT, "utf-8")
    words = [sys.executable, "-m", "specrunner", "-C", str(folder), "serve", *more]
    with (folder / "serve.log").open("wb") as log:
        process = subprocess.Popen(
            words, stdout=subprocess.PIPE, stderr=log, text=True, env={**os.environ, "PYTHONUNBUFFERED": "1"}
        )
        with process:
            try:
                yield _address(process)
                process.send_signal(signal.SIGTERM)
                assert process.wait(60) == 0, (folder / "serve.log").read_text("utf-8")
            finally:
                process.kill()


def _address(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    for line in process.stdout:
        if "http://" in line:
            return line[line.index("http://") :].strip()
    raise AssertionError("it ended before it said where it listens")
