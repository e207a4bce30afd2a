"""Builds one environment in a folder of its own and moves it to its place when it is whole.

    .<name>-XXXX/   made, installed into, compiled, sealed; its marker is written and synced last
    <name>/         the same folder after one rename

Whoever builds holds the lock of that name, so a temporary folder found then belongs to a builder that died, and
a folder at the final place without a marker was not made here. Both are removed. An environment can be renamed
because uv makes it relocatable and runs start `bin/python` itself.
"""

from __future__ import annotations

import json
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from specrunner.core import values
from specrunner.core.errors import PackagingFailed
from specrunner.core.values import JsonObject
from specrunner.engine.packaging import base_layer
from specrunner.engine.packaging.bytecode import BytecodePool
from specrunner.engine.packaging.interpreters import Interpreter
from specrunner.engine.packaging.uv import OnOutput, TimeLimitExceeded, Uv

_MARKER = "specrunner-environment.json"
_NOT_INSTALLED = "The requirements cannot be installed"
_INSTALL_REMEDY = "Read the installer's words above; try the requirements in a virtual environment of your own."


@dataclass(frozen=True, slots=True)
class Recipe:
    """What an environment is made of. `owns_cache` says that no one else has hard links to uv's cache."""

    uv: Uv
    interpreter: Interpreter
    lock: str
    layer: base_layer.Files
    pool: BytecodePool
    owns_cache: bool


def is_whole(folder: Path) -> bool:
    """Whether an environment lies there complete, and the interpreter it was made of still exists."""
    return (folder / _MARKER).exists() and python_of(folder).exists()


def python_of(folder: Path) -> Path:
    """The interpreter of an environment."""
    return folder / "bin" / "python"


def content_of(folder: Path) -> JsonObject:
    """What an environment was made of, as its marker says; nothing for what is not whole."""
    try:
        found: JsonObject = json.loads((folder / _MARKER).read_text("utf-8"))
        return found
    except (OSError, ValueError):
        return {}


def touch(folder: Path) -> None:
    """Record that the environment is used now."""
    os.utime(folder / _MARKER)


def last_use(folder: Path) -> float:
    """When the environment was used last, in seconds since the epoch; 0 for what is not whole."""
    try:
        return (folder / _MARKER).stat().st_mtime
    except FileNotFoundError:
        return 0.0


def build(recipe: Recipe, folder: Path, deadline: float, on_output: OnOutput | None) -> None:
    """Make the environment at `folder`; the caller holds its lock.

    `deadline` is a moment of `time.monotonic`. Raises PackagingFailed; nothing of the attempt is left then.
    """
    _remove_leftovers(folder)
    with _temporary(folder) as building:
        _install(recipe, building, deadline, on_output)
        _seal(building, recipe.owns_cache)
        _mark(building, recipe)
        building.rename(folder)
    _sync_folder(folder.parent)


def remove(folder: Path) -> None:
    """Delete an environment; the caller holds its lock. It stops being whole at once, before its files go."""
    if not folder.exists():
        return
    doomed = Path(tempfile.mkdtemp(prefix=_prefix(folder), dir=folder.parent))
    folder.rename(doomed)  # onto an empty folder, which rename(2) replaces
    _remove_tree(doomed)


def _install(recipe: Recipe, folder: Path, deadline: float, on_output: OnOutput | None) -> None:
    uv = partial(recipe.uv.run, summary=_NOT_INSTALLED, remedy=_INSTALL_REMEDY, deadline=deadline, stdin=recipe.lock)
    uv("venv", "--relocatable", "--no-project", "--python", str(recipe.interpreter.path), str(folder))
    site_packages = next(folder.glob("lib/*/site-packages"))
    sync = ("pip", "sync", "--python", str(python_of(folder)), *recipe.uv.options, "-")

    def install(*more: str) -> None:
        # Pins are exact, so what uv has in its cache is right: the network is asked only for what is missing.
        try:
            uv(*sync, "--offline", *more)
        except TimeLimitExceeded:
            raise
        except PackagingFailed:
            uv(*sync, *more, on_output=on_output)

    install()
    base_layer.lay(recipe.layer, site_packages, recipe.lock)
    tag = _cache_tag(recipe.interpreter)
    recipe.pool.lend(site_packages, tag)
    install("--compile-bytecode")  # installs nothing new; compiles all of site-packages that has no bytecode yet
    recipe.pool.keep(site_packages, tag)


def _cache_tag(interpreter: Interpreter) -> str:
    """The interpreter's part of the name of a compiled file, as `sys.implementation.cache_tag` has it (PEP 3147)."""
    major, minor, _ = interpreter.version.split(".")
    return f"{interpreter.implementation}-{major}{minor}"


def _seal(folder: Path, owns_cache: bool) -> None:
    """Make folders and files read-only, so that no run changes what other runs share.

    The mode belongs to the inode: where uv's cache is the user's, files that share one with it are left alone.
    """
    for path, _, names in os.walk(folder):
        for name in names:
            file = os.path.join(path, name)  # noqa: PTH118  # thousands of files: Path objects would double the time
            found = os.lstat(file)
            if stat.S_ISREG(found.st_mode) and (owns_cache or found.st_nlink == 1):
                os.chmod(file, found.st_mode & 0o555 | 0o444)  # noqa: PTH101
        if path != str(folder):
            os.chmod(path, 0o555)  # noqa: PTH101, S103  # everybody may read, nobody write


def _mark(folder: Path, recipe: Recipe) -> None:
    """Write and sync the file that says that the environment is whole, then close the folder."""
    content = {"lock": recipe.lock, "python": recipe.interpreter.identity, "base": base_layer.version(recipe.layer)}
    with (folder / _MARKER).open("x", encoding="utf-8") as marker:
        marker.write(values.canonical(content) + "\n")
        marker.flush()
        os.fchmod(marker.fileno(), 0o444)
        os.fsync(marker.fileno())
    _sync_folder(folder)
    folder.chmod(0o555)


@contextmanager
def _temporary(folder: Path) -> Iterator[Path]:
    building = Path(tempfile.mkdtemp(prefix=_prefix(folder), dir=folder.parent))
    try:
        yield building
    finally:
        if building.exists():
            _remove_tree(building)


def _remove_leftovers(folder: Path) -> None:
    for path in folder.parent.glob(f"{_prefix(folder)}*"):
        _remove_tree(path)
    remove(folder)


def _prefix(folder: Path) -> str:
    return f".{folder.name}-"


def _remove_tree(folder: Path) -> None:
    """Delete a tree whose folders may be read-only. What a dying builder still writes into it is left for later."""
    for path, _, _ in os.walk(folder):
        with suppress(FileNotFoundError):
            Path(path).chmod(0o755)
    shutil.rmtree(folder, ignore_errors=True)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
