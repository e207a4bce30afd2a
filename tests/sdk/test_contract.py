"""Every call of the platform's client against a real server: both public versions, and our SDK under their name.

Each is a test of its own. Those that are known to be different say why, and fail once they are not.
"""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.sdk.environments import NEW, OLD, OURS, ROOT, VERSIONS, path_of, python_of
from tests.sdk.known import DIFFERENT
from tests.sdk.samples import files
from tests.sdk.serving import served


def calls_of(version: str) -> list[str]:
    """The calls that a session of this version makes, read off the modules: they import only where the client is."""
    told = {"OLD": version == OLD, "OURS": version == OURS}
    return [
        str(ast.literal_eval(found.args[0]))
        for path in sorted((ROOT / "tests/sdk").glob("calls_*.py"))
        for found in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(found, ast.Call) and isinstance(found.func, ast.Name) and found.func.id == "call"
        if all(eval(ast.unparse(condition), {}, told) for condition in found.args[1:])
    ]


@pytest.fixture(scope="module")
def sessions(tmp_path_factory: pytest.TempPathFactory) -> Iterator[_Sessions]:
    found = _Sessions(tmp_path_factory.mktemp("sdk"))
    yield found


class _Sessions:
    """What came of each session; made when it is first asked for."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.of = cache(self._of)

    def _of(self, version: str) -> dict[str, str]:
        folder = self._folder / version
        files(folder)
        environment = {
            "PATH": os.defpath,
            "HOME": str(folder / "home"),
            "PYTHONPATH": path_of(version),
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        with served(folder / "server") as url:
            words = [str(python_of(version)), "-m", "tests.sdk.every_call", url, str(folder)]
            done = subprocess.run(words, env=environment, cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith('{"call"')]
        return {line["call"]: line["wrong"] for line in lines}


CALLS = [
    pytest.param(version, call, id=f"{version} {call}", marks=pytest.mark.xdist_group(f"calls {version}"))
    for version in VERSIONS
    for call in calls_of(version)
]


@pytest.mark.parametrize(("version", "call"), CALLS)
def test_call(sessions: _Sessions, version: str, call: str) -> None:
    wrong, known = sessions.of(version)[call], DIFFERENT.get(version, {}).get(call)
    if known is None:
        assert not wrong, wrong
        return
    assert wrong, "it is known to be different and is not: strike it from known.py"
    pytest.xfail(known)


@pytest.mark.parametrize("version", VERSIONS)
def test_what_is_known_to_be_different_is_a_call(version: str) -> None:
    assert DIFFERENT.get(version, {}).keys() <= set(calls_of(version))


def test_our_own_client_is_light_beside_the_public_one(capsys: pytest.CaptureFixture[str]) -> None:
    told = []
    for version in (OURS, NEW):
        code = "import time; began = time.process_time(); import wallaroo; print(time.process_time() - began)"
        words = [str(python_of(version)), "-c", code]
        environment = {"PATH": os.defpath, "PYTHONPATH": path_of(version)}
        done = subprocess.run(words, env=environment, cwd=ROOT, capture_output=True, text=True, check=True)
        told.append(float(done.stdout))
    with capsys.disabled():
        sys.stdout.write(f"\nimport wallaroo: ours {told[0] * 1000:.0f} ms of CPU, {NEW} {told[1] * 1000:.0f} ms\n")
    assert told[0] * 5 < told[1]
