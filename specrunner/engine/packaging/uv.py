"""Runs the program uv: with a declared environment, a time limit, and its words kept for the error."""

from __future__ import annotations

import os
import re
import select
import signal
import subprocess
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from specrunner.core.errors import PackagingFailed
from specrunner.engine.packaging import indexes

OnOutput = Callable[[str], None]

_LAST_LINES = 20
_CLEANUP_SECONDS = 5.0  # for killed processes to be reaped
_CREDENTIALS = re.compile(r"(://)[^/@\s]+@")

# Of the ambient environment uv and the build backends it starts see these, and UV_*; nothing else. In particular
# not PYTHONDONTWRITEBYTECODE and PYTHONPATH: they would reach into what is built.
_PASSED = frozenset({
    "PATH", "HOME", "TMPDIR", "LANG", "LC_ALL", "NETRC", "XDG_CONFIG_HOME", "XDG_CONFIG_DIRS",
    "SSL_CERT_FILE", "SSL_CERT_DIR", "SSL_CLIENT_CERT",
    "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "all_proxy", "no_proxy",
})  # fmt: skip
# These would point uv at another interpreter or folder than the one being built, or change what we ask for.
_WITHHELD = frozenset({
    "UV_PYTHON", "UV_SYSTEM_PYTHON", "UV_BREAK_SYSTEM_PACKAGES", "UV_WORKING_DIR", "UV_WORKING_DIRECTORY",
    "UV_PROJECT", "UV_PROJECT_ENVIRONMENT", "UV_VENV_SEED", "UV_VENV_CLEAR", "UV_VENV_RELOCATABLE",
    "UV_REQUIRE_HASHES", "UV_NO_CACHE", "UV_COMPILE_BYTECODE", "UV_CUSTOM_COMPILE_COMMAND",
})  # fmt: skip


class TimeLimitExceeded(PackagingFailed):
    """uv was ended because its time was over; trying once more would only take as long again."""


@dataclass(frozen=True, slots=True)
class Uv:
    """How uv is called: the program, its whole environment, and the options every `uv pip` gets."""

    program: Path
    env: Mapping[str, str]
    options: tuple[str, ...] = ()

    @property
    def is_offline(self) -> bool:
        """Whether the user has cut the network off."""
        return self.env.get("UV_OFFLINE", "").lower() in {"1", "true", "t", "yes", "y", "on"}

    def run(
        self,
        *arguments: str,
        summary: str,
        remedy: str,
        deadline: float,
        stdin: str = "",
        on_output: OnOutput | None = None,
    ) -> str:
        """What uv writes to stdout; `on_output` is called with each line of its stderr.

        `deadline` is a moment of `time.monotonic`. Raises PackagingFailed with `summary`, `remedy` and uv's last
        lines, TimeLimitExceeded when the deadline has passed; no process that uv started is left then.
        """
        lines: deque[str] = deque(maxlen=_LAST_LINES)
        with tempfile.TemporaryFile() as source, tempfile.TemporaryFile() as out:
            source.write(stdin.encode())
            source.seek(0)
            with self._started(arguments, source, out) as process:
                try:
                    for line in _lines(process, deadline):
                        lines.append(line)
                        if on_output is not None:
                            on_output(line)
                    code = process.wait(max(deadline - time.monotonic(), 0.0))
                except (TimeoutError, subprocess.TimeoutExpired):
                    detail = "\n".join(lines)
                    raise TimeLimitExceeded(f"{summary}: the time for it is over", detail, remedy) from None
            if code != 0:
                raise PackagingFailed(summary, "\n".join(lines) or f"uv ended with status {code}", remedy)
            out.seek(0)
            return out.read().decode()

    @contextmanager
    def _started(
        self, arguments: Iterable[str], source: IO[bytes], out: IO[bytes]
    ) -> Iterator[subprocess.Popen[bytes]]:
        """The process, which does not outlive the block."""
        with subprocess.Popen(
            [str(self.program), *arguments],
            env=dict(self.env),
            cwd="/",  # uv looks for project files from here upwards, and those of wherever we run are none of ours
            stdin=source,
            stdout=out,
            stderr=subprocess.PIPE,
            start_new_session=True,
        ) as process:
            try:
                yield process
            finally:
                _end_tree(process)


def configured(cache: Path, environ: Mapping[str, str]) -> Uv:
    """uv as the user has configured it and pip, with its cache below `cache`.

    The cache is ours unless UV_CACHE_DIR is set: it must be on the file system of the environments, else every
    hard link becomes a copy. Raises PackagingFailed where uv is not installed.
    """
    from uv import find_uv_bin  # reads the installation; not needed where nothing is built

    try:
        program = Path(find_uv_bin())
    except FileNotFoundError as error:
        raise PackagingFailed("The program uv is missing", str(error), "Type: pip install uv") from error
    return Uv(program, *_surroundings(cache, environ))


def _surroundings(cache: Path, environ: Mapping[str, str]) -> tuple[dict[str, str], tuple[str, ...]]:
    ambient = {
        name: value
        for name, value in environ.items()
        if name in _PASSED or (name.startswith("UV_") and name not in _WITHHELD)
    }
    mapped = indexes.from_pip(environ)
    ours = {"UV_CACHE_DIR": str(cache / "uv"), "UV_LINK_MODE": "hardlink", "UV_PYTHON_DOWNLOADS": "never"}
    fixed = {"UV_NO_PROGRESS": "1", "UV_NO_WRAP": "1", "NO_COLOR": "1"}
    return ours | dict(mapped.env) | ambient | fixed, mapped.options


def _lines(process: subprocess.Popen[bytes], deadline: float) -> Iterator[str]:
    """The lines of stderr until its end. Raises TimeoutError at the deadline, whoever still holds the pipe then."""
    assert process.stderr is not None  # noqa: S101  # narrows the type
    handle, rest = process.stderr.fileno(), b""
    poller = select.poll()  # not select(), which refuses descriptors from 1024 on
    poller.register(handle, select.POLLIN)
    while True:
        if not poller.poll(max(deadline - time.monotonic(), 0.0) * 1000):
            raise TimeoutError
        chunk = os.read(handle, 1 << 16)
        *whole, rest = (rest + chunk).split(b"\n")
        if not chunk:
            whole, rest = [rest], b""
        for line in whole:
            text = line.decode("utf-8", "replace").rstrip()
            if text:
                yield _CREDENTIALS.sub(r"\1****@", text)
        if not chunk:
            return


def _end_tree(process: subprocess.Popen[bytes]) -> None:
    """Kill uv and all that it started, build backends in sessions of their own included.

    A process that was waited for has ended by itself. One that was not still holds its id, dead or alive, so
    that nobody else can be hit.
    """
    if process.returncode is not None:
        return
    import psutil  # needed only where something went wrong

    with suppress(psutil.NoSuchProcess):
        # uv is stopped before its children are listed: what it starts after the listing would escape.
        leader = psutil.Process(process.pid)
        leader.suspend()
        tree = [*leader.children(recursive=True), leader]
        for member in tree:
            with suppress(psutil.NoSuchProcess):
                member.kill()
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    with suppress(subprocess.TimeoutExpired):
        process.wait(_CLEANUP_SECONDS)
