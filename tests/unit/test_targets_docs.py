"""What docs/testing-your-specs.md shows works as it stands, on the example repository."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "testing-your-specs.md"


def test_the_fixture_and_the_tests_of_the_page_pass(tmp_path: Path) -> None:
    specs = tmp_path / "specs"
    shutil.copytree(ROOT / "examples" / "specs" / "house-price", specs)
    fixture, tests = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    (specs / "conftest.py").write_text(fixture, encoding="utf-8")
    (specs / "test_specs.py").write_text(tests, encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(specs), str(specs)]
    done = subprocess.run(
        command, cwd=specs, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=120, check=False
    )
    if done.returncode:
        pytest.fail(done.stdout + done.stderr)
    assert f"{tests.count('def test_')} passed" in done.stdout
