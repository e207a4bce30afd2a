"""Every call of the platform's client against a real server: both public versions, and our SDK under their name.

Each is a test of its own. Those that are known to be different say why, and fail once they are not; those that a client
does not have are told too.
"""

from __future__ import annotations

import ast
import json
import os

import pytest

from tests.sdk.environments import ROOT, path_of, python_of
from tests.sdk.known import DIFFERENT, LACKING
from tests.sdk.samples import files
from tests.sdk.serving import served
from tests.sdk.sessions import Driver, Session, Sessions
from tests.sdk.versions import VERSIONS


def every_call() -> list[str]:
    """The calls, read off their modules: these import only where the client is."""
    return [
        str(ast.literal_eval(found.args[0]))
        for path in sorted((ROOT / "tests/sdk").glob("calls_*.py"))
        for found in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(found, ast.Call) and isinstance(found.func, ast.Name) and found.func.id == "call"
    ]


def called(driver: Driver, version: str) -> dict[str, str]:
    """What was wrong with each call; empty where nothing was."""
    files(driver.folder / "files")
    environment = {
        "PATH": os.defpath,
        "HOME": str(driver.folder / "home"),
        "PYTHONPATH": path_of(version),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    with served(driver.folder / "server") as url:
        words = [str(python_of(version)), "-m", "tests.sdk.every_call", url, str(driver.folder / "files")]
        out = driver.run(words, environment, ROOT)
    lines = [json.loads(line) for line in out.splitlines() if line.startswith('{"call"')]
    return {line["call"]: line["wrong"] for line in lines}


CALLS = [
    pytest.param(Session(f"calls {version}", called, (version,), 2.0), version, call, id=f"{version} {call}")
    for version in VERSIONS
    for call in every_call()
]


@pytest.mark.parametrize(("session", "version", "call"), CALLS)
def test_call(sessions: Sessions, session: Session, version: str, call: str) -> None:
    if call in LACKING[version]:
        pytest.skip(f"not in {version}: {LACKING[version][call]}")
    wrong, known = sessions.outcome(session)[call], DIFFERENT.get(version, {}).get(call)
    if known is None:
        assert not wrong, wrong
        return
    assert wrong, "it is known to be different and is not: strike it from known.py"
    pytest.xfail(known)


@pytest.mark.parametrize("version", VERSIONS)
def test_what_is_known_to_be_different_is_a_call(version: str) -> None:
    assert {*DIFFERENT.get(version, {}), *LACKING[version]} <= set(every_call())
