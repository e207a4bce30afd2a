"""The demo: apply the house-price example and show what came of it.

Works on a copy in `.demo/`, so that the example stays as it is committed, and serves the example's data on
loopback for as long as it takes. Each demo starts with nothing applied; what was built for runs before is kept
in the user's cache, so that a second demo needs no network.
"""

from __future__ import annotations

import functools
import http.server
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

HERE = Path(__file__).parent
EXAMPLE = HERE / "specs" / "house-price"
COPY = HERE.parent / ".demo" / "house-price"
DATA = "houses-1k.arrow"


def main() -> int:
    fresh_copy()
    with served(COPY / "data") as url:
        os.environ["HOUSE_PRICE_DATA_URL"] = f"{url}/{DATA}"
        say("specrunner apply --yes")
        applied = specrunner("apply", "--yes")
    if applied:
        return applied
    say(f"specrunner infer house-price data/{DATA} --limit 5")
    inferred = specrunner("infer", "house-price", f"data/{DATA}", "--limit", "5")
    page = COPY / "status" / "default" / "README.md"
    print(f"\nStatus file: {page.relative_to(Path.cwd()) if page.is_relative_to(Path.cwd()) else page}")
    return inferred


def fresh_copy() -> None:
    shutil.rmtree(COPY, ignore_errors=True)
    shutil.copytree(EXAMPLE, COPY, ignore=shutil.ignore_patterns(".specrunner", "status", "__pycache__"))


@contextmanager
def served(folder: Path) -> Iterator[str]:
    handler = functools.partial(Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_arguments: object) -> None:
        pass


def say(command: str) -> None:
    print(f"\n$ {command}", flush=True)


def specrunner(*words: str) -> int:
    program = Path(sys.executable).with_name("specrunner")
    return subprocess.run([str(program), *words], cwd=COPY, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
