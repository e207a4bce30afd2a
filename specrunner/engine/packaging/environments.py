"""Environments of runs: requirements to a lock, a lock to a folder that a run can be started in.

Below the cache folder: `locks/` remembers resolutions, `environments/` holds what is built, `bytecode/` compiled
files for the next build, `uv/` uv's own cache, `guards/` the lock files. All of it can be deleted while nothing
runs, and is made again.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from specrunner.core import values
from specrunner.core.errors import PackagingFailed
from specrunner.engine.packaging import base_layer, builds, indexes, interpreters, inventory, locks, old_clients, uv
from specrunner.engine.packaging.bytecode import BytecodePool
from specrunner.engine.packaging.interpreters import Interpreter
from specrunner.engine.packaging.inventory import Kept
from specrunner.engine.packaging.uv import OnOutput, TimeLimitExceeded, Uv
from specrunner.engine.ports import Environment

DEFAULT_TIME_LIMIT = 15 * 60.0  # seconds
UNUSED = timedelta(days=90)  # an environment that nobody has asked for so long is deleted when another is built

_LAYOUT = 1  # of an environment's folder; a new number makes all of them anew
_NAME_LENGTH = 32  # hexadecimal digits of the digest in a folder's name: 128 bits
_UNRESOLVED = "The requirements cannot be resolved"
_RESOLVE_REMEDY = (
    "Mend the requirements, or name the package index that has the distributions "
    "(extra-index-url in pip.conf, or UV_INDEX)."
)


class UvEnvironments:
    """Builds environments with uv, hard-linked out of one cache. Safe to use from several threads and processes.

    `cache` is the folder for all of it. `python` is the interpreter that environments are made of, by default
    the running one. `time_limit` is how many seconds one resolution or one build may take.
    """

    def __init__(self, cache: Path, python: Path | None = None, *, time_limit: float = DEFAULT_TIME_LIMIT) -> None:
        self._cache = cache.absolute()
        self._python = python
        self._time_limit = time_limit
        self._described: Interpreter | None = None

    def lock(self, requirements: str, *, on_output: OnOutput | None = None) -> str:
        """The requirements and the base set resolved: a pin a line, no index and no path in it.

        Equal requirements are resolved once and remembered; forgetting is deleting the cache's `locks`.
        `on_output` gets each line of the resolver's words. Raises PackagingFailed with the last of them.
        """
        wanted = locks.with_base_set(requirements)
        with _file_trouble(self._cache):
            tool = uv.configured(self._cache, os.environ)
            remembered = self._cache / "locks" / f"{self._resolution(wanted, tool)}.txt"
            if remembered.exists():
                return remembered.read_text("utf-8")
            lock = locks.finished(self._resolve(tool, wanted, on_output), requirements)
            _replace_text(remembered, lock)
        return lock

    def ensure(self, lock: str, *, on_output: OnOutput | None = None) -> Environment:
        """The environment of a lock, built if it isn't there, and noted as used now.

        `on_output` gets each line of the installer's words. Raises PackagingFailed with the last of them.
        """
        layer = base_layer.files()
        digest = self._identity(lock, layer)
        folder = self._environments / digest[:_NAME_LENGTH]
        with _file_trouble(self._cache):
            is_new = not builds.is_whole(folder)
            if is_new:
                self._build(folder, lock, layer, on_output)
            builds.touch(folder)
        if is_new:
            self._make_room()
        return Environment(digest, folder, builds.python_of(folder))

    def name(self, lock: str) -> str:
        """The name of the folder that the environment of a lock has or would have."""
        return self._identity(lock, base_layer.files())[:_NAME_LENGTH]

    def kept(self) -> list[Kept]:
        """The environments that are built, those used last first."""
        with _file_trouble(self._cache):
            return inventory.kept(self._environments)

    def collect(self, unused_since: datetime, keep: Collection[str] = ()) -> list[Path]:
        """Delete the environments that `ensure` has not given out since then; their folders.

        Those named in `keep` stay, and those that a living process was started from, or that are being built.
        """
        limit = values.utc(unused_since).timestamp()
        gone = []
        with _file_trouble(self._cache):
            spared = {*keep, *inventory.busy(self._environments)}
            for folder in inventory.folders(self._environments):
                with self._guarded(folder, wait=0.0) as is_ours:
                    if is_ours and folder.name not in spared and builds.last_use(folder) < limit:
                        builds.remove(folder)
                        gone.append(folder)
            self._pool.forget_unused()
        return gone

    def downloads(self) -> int:
        """The bytes in uv's cache that no environment shares; 0 where the cache is not ours but the user's."""
        with _file_trouble(self._cache):
            return 0 if "UV_CACHE_DIR" in os.environ else inventory.alone(self._cache / "uv")

    def trim(self, *, wholly: bool = False) -> int:
        """Have uv drop from its cache what it has no use for any more, or all of it; how many bytes that gave back.

        What was dropped is fetched again when it is needed. Raises PackagingFailed.
        """
        before = self.downloads()
        if before:
            uv.configured(self._cache, os.environ).run(
                "cache", "clean" if wholly else "prune",
                summary="uv's cache can't be trimmed", remedy=f"Look after the permissions of {self._cache}.",
                deadline=time.monotonic() + self._time_limit,
            )  # fmt: skip
        return before - self.downloads()

    def _make_room(self) -> None:
        """Delete what nobody has used for long: whenever there is one more, so that the cache has an end."""
        with suppress(PackagingFailed):  # what was asked for is there
            self.collect(datetime.now(UTC) - UNUSED)

    def _identity(self, lock: str, layer: base_layer.Files) -> str:
        return values.digest(
            {
                "layout": _LAYOUT,
                "lock": lock,
                "python": self._interpreter().identity,
                "base": base_layer.version(layer),
            }
        )

    @property
    def _environments(self) -> Path:
        return self._cache / "environments"

    @property
    def _pool(self) -> BytecodePool:
        return BytecodePool(self._cache / "bytecode")

    def _interpreter(self) -> Interpreter:
        if self._described is None:
            self._described = interpreters.describe(self._python)
        return self._described

    def _resolution(self, wanted: str, tool: Uv) -> str:
        """The identity of a resolution; equal ones have equal outcomes, as far as the indexes stand still."""
        return values.digest(
            {
                "requirements": wanted,
                "python": self._interpreter().identity,
                "base": list(locks.BASE_SET),
                "indexes": indexes.identity(tool.env, tool.options),
                **({"overrides": instead} if (instead := old_clients.overrides(wanted)) else {}),
            }
        )

    def _resolve(self, tool: Uv, wanted: str, on_output: OnOutput | None) -> str:
        deadline = time.monotonic() + self._time_limit
        python = str(self._interpreter().path)

        def compile_(*more: str, heard: OnOutput | None) -> str:
            with _overriding(wanted) as overrides:
                return tool.run(
                    "pip", "compile", "--no-header", "--no-annotate", "--python", python, *overrides, *tool.options,
                    *more, "-",
                    stdin=wanted, deadline=deadline, on_output=heard, summary=_UNRESOLVED, remedy=_RESOLVE_REMEDY,
                )  # fmt: skip

        return _or_from_cache(tool, lambda: compile_(heard=on_output), lambda: compile_("--offline", heard=None))

    def _build(self, folder: Path, lock: str, layer: base_layer.Files, on_output: OnOutput | None) -> None:
        with self._guarded(folder, wait=2 * self._time_limit) as is_ours:
            if not is_ours:
                raise PackagingFailed(
                    "Another process builds this environment and does not come to an end",
                    f"It has held the lock of {folder.name} for over {values.format_duration(2 * self._time_limit)}.",
                    "End that process, then try again.",
                )
            if builds.is_whole(folder):  # built while we waited
                return
            recipe = builds.Recipe(
                uv=uv.configured(self._cache, os.environ),
                interpreter=self._interpreter(),
                lock=lock,
                layer=layer,
                pool=self._pool,
                owns_cache="UV_CACHE_DIR" not in os.environ,
            )
            builds.build(recipe, folder, time.monotonic() + self._time_limit, on_output)

    @contextmanager
    def _guarded(self, folder: Path, wait: float) -> Iterator[bool]:
        """Keep everyone else from building or deleting this folder; False if that could not be had in time.

        The lock is the kernel's (flock), so that a killed holder leaves none behind.
        """
        from filelock import FileLock, Timeout  # it imports asyncio; not needed where all is built

        folder.parent.mkdir(parents=True, exist_ok=True)
        guards = self._cache / "guards"
        guards.mkdir(exist_ok=True)
        guard = FileLock(guards / f"{folder.name}.lock")
        try:
            guard.acquire(timeout=wait)
        except Timeout:
            yield False
            return
        try:
            yield True
        finally:
            guard.release()


@contextmanager
def _overriding(requirements: str) -> Iterator[tuple[str, ...]]:
    """The option that has uv take newer distributions where an old client asks for some that are not to be had."""
    instead = old_clients.overrides(requirements)
    if not instead:
        yield ()
        return
    with tempfile.NamedTemporaryFile("w", prefix="specrunner-", suffix=".txt", encoding="utf-8") as file:
        file.write(instead)
        file.flush()
        yield ("--override", file.name)


def _or_from_cache(tool: Uv, online: Callable[[], str], offline: Callable[[], str]) -> str:
    """What the network gives, or, where that fails, what uv's cache gives; if both fail, the first error."""
    try:
        return online()
    except TimeLimitExceeded:
        raise
    except PackagingFailed as error:
        if tool.is_offline:
            raise
        try:
            return offline()
        except PackagingFailed:
            raise error from None


def _replace_text(path: Path, text: str) -> None:
    """Write a file that readers see whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{os.getpid()}.{time.monotonic_ns()}")
    draft.write_text(text, "utf-8")
    draft.replace(path)


@contextmanager
def _file_trouble(cache: Path) -> Iterator[None]:
    """A full disk or a missing permission, as a packaging error."""
    try:
        yield
    except OSError as error:
        raise PackagingFailed(
            "The environment cannot be written", str(error), f"Look after free space and permissions of {cache}."
        ) from error
