"""What people call all day long starts quickly: it imports nothing heavy."""

from __future__ import annotations

import os
import subprocess
import sys

from tests.acceptance.spec_repo import SpecRepo

HEAVY = {"pandas", "pyarrow", "onnxruntime", "starlette", "uvicorn", "numpy", "httpx"}
# What `validate` and `plan` do without where nothing is new, and what a check of unchanged files does without.
NEEDLESS = {"sqlalchemy", "alembic", "rich", "git", "pathspec", "jsonschema", "filelock", "psutil"}
LIGHT_RUN = """\
import sys
from specrunner.cli.main import status_of
code = status_of(sys.argv[1:])
print("imported:", *sorted({name.partition(".")[0] for name in sys.modules}))
sys.exit(code)
"""


def imported(repo: SpecRepo, *words: str) -> set[str]:
    """The top-level modules that were imported by a command."""
    ran = subprocess.run(
        [sys.executable, "-c", LIGHT_RUN, *words],
        cwd=repo.root,
        env={**os.environ, **repo.environ},
        capture_output=True,
        text=True,
        check=True,
    )
    label, *names = ran.stdout.splitlines()[-1].split()
    assert label == "imported:"
    return set(names)


def test_help_validate_and_plan_import_nothing_heavy(repo: SpecRepo) -> None:
    repo.orchestration("idle", "print('hello')")
    repo.document("Connection", "inputs", {"type": "HTTP", "workspaces": ["lab"], "details": {"host": "localhost"}})
    repo.task("once", "idle")
    assert "yaml" in imported(repo, "validate")  # the probe sees what is imported
    for words in (["--help"], ["plan", "--help"], ["validate"], ["plan"]):
        assert not imported(repo, *words) & HEAVY, words
    repo.run("apply", "--yes")
    assert not imported(repo, "plan") & HEAVY


def test_where_nothing_is_new_looking_loads_no_library_of_writing(repo: SpecRepo) -> None:
    repo.document("Connection", "inputs", {"type": "HTTP", "workspaces": ["lab"], "details": {"host": "localhost"}})
    for words in (["validate"], ["plan"]):  # nothing was applied yet
        assert not imported(repo, *words) & NEEDLESS, words
    repo.run("apply", "--yes")
    for words in (["validate"], ["plan"]):
        assert not imported(repo, *words) & {*NEEDLESS, "jsonschema_rs"}, words
