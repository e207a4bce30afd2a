"""Interpreters that have the platform's own client, installed from the package index and kept between runs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import platformdirs
from filelock import FileLock

from specrunner.engine.engine import default_cache
from tests.sdk.versions import NEW, OLD, OURS

ROOT = Path(__file__).resolve().parents[2]

# The older client's own pins predate Python 3.11. Its requests, gql and httpx stay; what is compiled moves.
_OLD_BESIDES = (
    "attrs>=21.3.0",
    "httpx<0.24,>=0.20",
    "gql==3.4.0",
    "requests<2.32",
    "requests-toolbelt<1",
    "urllib3<2",
    "pyarrow==14.0.1",
    "pandas==2.2.0",
    "numpy==1.26.0",
    "scipy<1.14",
    "pyjwt==2.4.0",
    "python-dateutil==2.8.2",
    "appdirs==1.4.4",
    "ipython==7.31.1",
    "matplotlib==3.9.4",
    "seaborn==0.13.2",
    "pyyaml",
    "aiohttp",
    "orjson",
)
# What the tutorials import beside the client.
_TUTORIALS = ("google-cloud-bigquery>=3.20,<4", "google-auth>=2.30,<3", "db-dtypes>=1.2,<2", "ipython", "requests")
_RECIPES: dict[str, list[tuple[str, ...]]] = {
    NEW: [(f"wallaroo=={NEW}", *_TUTORIALS)],
    OLD: [("--no-deps", f"wallaroo=={OLD}"), (*_OLD_BESIDES, *_TUTORIALS)],
}
_MARK = "installed-1"  # another number when a recipe changes


def python_of(version: str) -> Path:
    """The interpreter that has this client; ours is this one, with `path_of` before everything else."""
    if version == OURS:
        return Path(sys.executable)
    folder = platformdirs.user_cache_path("specrunner-tests") / "sdk" / version
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{folder}.lock"):
        if not (folder / _MARK).exists():
            _install(folder, _RECIPES[version])
            (folder / _MARK).touch()
    return folder / "bin" / "python"


def path_of(version: str) -> str:
    """The PYTHONPATH of a session with this client."""
    return os.pathsep.join([*([str(ROOT / "specrunner/sdk/alias")] if version == OURS else []), str(ROOT)])


def _install(folder: Path, recipe: list[tuple[str, ...]]) -> None:
    uv = str(Path(sys.executable).with_name("uv"))
    _run([uv, "venv", "--quiet", "--clear", "--python", "3.11", str(folder)])
    for packages in recipe:
        _run([uv, "pip", "install", "--quiet", "--python", str(folder / "bin/python"), *packages])


def _run(words: list[str]) -> None:
    # The cache of the engine's environments: what is fetched here is fetched for the runs that need it, too.
    environment = {"UV_CACHE_DIR": str(default_cache() / "uv"), **os.environ}
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(words)}\n{done.stderr}"
