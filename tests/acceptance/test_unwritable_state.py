"""Who may read a state folder and not write to it can still look at what is live."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator

import pytest

from tests.acceptance.spec_repo import SCRIPT, Result, SpecRepo, finished

# root may write everywhere, unless the capabilities to do so are taken from him.
AS_A_READER = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search"] if os.geteuid() == 0 else []


@pytest.fixture
def applied(repo: SpecRepo) -> Iterator[SpecRepo]:
    """A repository that was applied, and whose state folder nobody may write to any more."""
    if AS_A_READER and shutil.which("setpriv") is None:
        pytest.skip("root can't be kept from writing here")
    repo.document("Connection", "inputs", {"type": "HTTP", "workspaces": ["lab"], "details": {"host": "a"}})
    repo.orchestration("hello", "print('hello')")
    repo.task("greet", "hello")
    repo.run("apply", "--yes")
    state = repo.root / ".specrunner"
    _allow(state, 0o500, 0o400)
    try:
        yield repo
    finally:
        _allow(state, 0o700, 0o600)


def _allow(state: os.PathLike[str], folders: int, files: int) -> None:
    for folder, _, names in os.walk(state):
        os.chmod(folder, folders)  # noqa: PTH101 - names of os.walk
        for name in names:
            os.chmod(f"{folder}/{name}", files)  # noqa: PTH101


def looked(repo: SpecRepo, *words: str, code: int = 0) -> Result:
    command = [*AS_A_READER, str(SCRIPT), *words]
    environ = {**os.environ, **repo.environ}
    with subprocess.Popen(
        command, cwd=repo.root, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        return finished(process, code)


def test_what_is_live_can_be_looked_at_without_leave_to_write_and_not_be_changed(applied: SpecRepo) -> None:
    assert "No changes" in looked(applied, "plan").out
    assert "Connection" in looked(applied, "status").out
    assert "success" in looked(applied, "runs").out
    assert "hello" in looked(applied, "logs", "greet").out
    applied.document("Connection", "inputs", {"type": "HTTP", "workspaces": ["lab"], "details": {"host": "b"}})
    assert "details.host" in looked(applied, "plan").out
    refused = looked(applied, "apply", "--yes", code=1)
    assert "cannot be used" in refused.err or "can't be" in refused.err
    assert "Traceback" not in refused.said
