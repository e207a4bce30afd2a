"""The facade: one engine on one state folder, one service per noun.

Several processes may open the same folder; the database is their meeting point. What is loaded and what is
waited for is each process's own.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from specrunner.core.errors import Busy, SpecrunnerError
from specrunner.core.keys import Key
from specrunner.core.ports import Clock
from specrunner.core.values import Secret
from specrunner.engine.answers import Answers
from specrunner.engine.artifacts import Artifacts
from specrunner.engine.audit import Audit
from specrunner.engine.clock import SystemClock
from specrunner.engine.connections import Connections
from specrunner.engine.context import Context
from specrunner.engine.facts import Facts
from specrunner.engine.holdings import Holdings, held_by
from specrunner.engine.hosting import Hosting
from specrunner.engine.leases import Leases
from specrunner.engine.models import Models
from specrunner.engine.ownership import Ownerships
from specrunner.engine.packaging.environments import UvEnvironments
from specrunner.engine.packaging.orchestrations import Orchestrations
from specrunner.engine.ports import EnvironmentBuilder, Executor, RunApi
from specrunner.engine.prints import Prints
from specrunner.engine.records import SPEC, Run
from specrunner.engine.rekeying import Reached, Rotated, nowhere, open_vault, rotate
from specrunner.engine.remarks import Remarks
from specrunner.engine.renaming import rename
from specrunner.engine.serving.deployments import USER, Deployments, run_holder
from specrunner.engine.serving.loading import ModelLoading
from specrunner.engine.serving.pipelines import Pipelines
from specrunner.engine.serving.planes import Planes
from specrunner.engine.store.database import Database
from specrunner.engine.tags import Tags
from specrunner.engine.tasks.executors.local import LocalExecutor
from specrunner.engine.tasks.history import History
from specrunner.engine.tasks.retention import Retention
from specrunner.engine.tasks.runs import Colleagues, Runs
from specrunner.engine.tasks.services import Services
from specrunner.engine.tasks.tasks import Tasks
from specrunner.engine.tokens import Tokens
from specrunner.engine.users import Users
from specrunner.engine.workspaces import Workspaces

if TYPE_CHECKING:
    from specrunner.engine.host import Host

ApiFactory = Callable[["Engine"], RunApi]


class Engine:
    """An open engine; close it, or use it as a context manager.

    `run_api` makes what gives runs the address of this engine; without it, runs can't be started.
    """

    spec_holder = SPEC  # holds the deployments that specs declare
    user_holder = USER  # holds those that a person asked for

    def __init__(
        self,
        folder: Path,
        cache: Path,
        run_api: ApiFactory | None = None,
        clock: Clock | None = None,
        executor: Executor | None = None,
        environments: EnvironmentBuilder | None = None,
    ) -> None:
        _prepare(folder)
        clock = clock or SystemClock()
        database = Database(folder / "state.db")
        try:
            vault = open_vault(folder, database)
        except BaseException:
            database.close()
            raise
        context = Context(folder, database, Artifacts(folder / "artifacts"), vault, clock)
        self._context = context
        self._api_factory = run_api
        self._api: RunApi | None = None
        self.folder = folder
        self.facts = Facts(context)
        self.leases = Leases(context)
        self.ownership = Ownerships(context)
        self.prints = Prints(context)
        self.users = Users(context)
        self.tags = Tags(context)
        self.remarks = Remarks(context)
        self.tokens = Tokens(context)
        self.audit = Audit(context)
        self.answers = Answers(context)
        self.workspaces = Workspaces(context)
        self.connections = Connections(context)
        self.models = Models(context)
        self.pipelines = Pipelines(context)
        self.deployments = Deployments(context)
        builder = environments or UvEnvironments(cache)
        self.loading = ModelLoading(context, self.models, builder)
        self.planes = Planes(context, self.models, self.pipelines, self.deployments, self.loading)
        self.orchestrations = Orchestrations(context, builder)
        self.tasks = Tasks(context)
        self.history = History(context)
        colleagues = Colleagues(self.tasks, self.history, self.orchestrations, self.connections, self.deployments)
        self.runs = Runs(context, colleagues, executor or LocalExecutor(), self.run_api)
        self.runs.ended = self._run_ended
        self._ended: set[str] = set()  # tasks of which this process has seen a run end
        self.services = Services(self.history)
        self.hosting = Hosting(folder, self.leases, clock)
        self.runs.hosted_elsewhere = lambda: self.hosting.living() is not None
        self.runs.ring = self.hosting.ring

    def run_api(self) -> RunApi:
        """The API that runs talk to, started at first use. Raises SpecrunnerError if none was wired in."""
        if self._api is None:
            if self._api_factory is None:
                raise SpecrunnerError("This engine has no API for runs, so it can't start any.")
            self._api = self._api_factory(self)
        return self._api

    def host(self, max_runs: int) -> Host:
        """What hosts this state folder, not yet serving; at most `max_runs` runs are under way at once."""
        from specrunner.engine.host import Host

        return Host(self._context, self.runs, self.hosting, max_runs)

    def transaction(self) -> AbstractContextManager[None]:
        """Whatever this thread reads and writes meanwhile is done as a whole or not at all; for quick work only."""
        return self._context.database.transaction()

    def snapshot(self) -> AbstractContextManager[None]:
        """Whatever this thread reads meanwhile is of one and the same state; it writes nothing."""
        return self._context.database.snapshot()

    def holdings(self) -> Holdings:
        """Every object, with whose it is, as of one instant."""
        return held_by(self)

    def sweep(self) -> None:
        """Remove what is no longer kept of the tasks whose runs ended here; a living host does so by itself."""
        while self._ended and self.hosting.living() is None:
            Retention(self._context).sweep(self._ended.pop())

    def _run_ended(self, run: Run) -> None:
        self._ended.add(run.task_id)
        self.planes.sweep()

    def rename(self, old: Key, new: Key) -> None:
        """Give an object another key; its contents, its runs and what names it follow. Raises as `renaming` says."""
        rename(self._context, old, new)

    def keep(self, data: bytes) -> str:
        """Take bytes in, ahead of the object that they belong to; their sha256."""
        return self._context.artifacts.put(data)

    def keep_stream(self, stream: BinaryIO) -> tuple[str, int]:
        """Take in what a stream gives, never whole in memory; its sha256 and its size in bytes."""
        return self._context.artifacts.put_stream(stream)

    def artifact(self, sha: str) -> bytes | None:
        """The bytes of this sha256, or None where they are gone."""
        try:
            return self._context.artifacts.path_of(sha).read_bytes()
        except FileNotFoundError:
            return None

    def has_artifact(self, sha: str) -> bool:
        """Whether the bytes of this sha256 are there."""
        return self._context.artifacts.path_of(sha).exists()

    def holder_of_run(self, run_id: str) -> str:
        """The name under which a run holds deployments."""
        return run_holder(run_id)

    def now(self) -> datetime:
        """The present instant, in UTC, by this engine's clock."""
        return self._context.clock.now()

    def generation(self) -> int:
        """A number that changes once anybody has written to the store: what was read before may then be old."""
        return self._context.database.generation()

    def key_for(self, purpose: str) -> bytes:
        """A secret key for one purpose, derived from this state folder's; rotating that ends what it signed."""
        return self._context.vault.key_for(purpose)

    def fingerprint(self, secret: Secret) -> str:
        """The keyed fingerprint of a secret."""
        return self._context.vault.fingerprint(secret)

    def rotate_key(self, key: bytes | None = None, reached: Reached = nowhere) -> Rotated:
        """Put another key in force and seal everything anew; close this engine then, it holds the old one.

        Whoever calls this makes sure that nobody applies meanwhile. Raises Busy while runs are under way, and what
        `rotate` raises.
        """
        going = [run for run in map(self.runs.recovered, self.history.active()) if not run.status.ended]
        if going:
            raise Busy(
                f"{len(going)} run{'s are' if len(going) > 1 else ' is'} under way.",
                detail="Their access to the engine is signed with the key: it would end in the middle of their work.",
                remedy="Wait until they have ended; `specrunner runs` shows them.",
            )
        return rotate(self._context, key, reached=reached)

    def close(self) -> None:
        """Stop waiting, stop listening, unload. Runs go on under their supervisors."""
        self.runs.stop_waiting()
        if self._api is not None:
            self._api.close()
        self.planes.close()
        self._context.database.close()

    def __enter__(self) -> Engine:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()


def default_cache(environ: Mapping[str, str] = os.environ) -> Path:
    """Where environments are kept: `SPECRUNNER_CACHE`, else the user's cache folder, shared by all their specs."""
    import platformdirs

    given = environ.get("SPECRUNNER_CACHE")
    return Path(given) if given else platformdirs.user_cache_path("specrunner")


def _prepare(folder: Path) -> None:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        ignore = folder / ".gitignore"
        if not ignore.exists():
            # State is never committed, also where the user's own .gitignore forgets it.
            ignore.write_text("*\n", encoding="utf-8")
    except OSError as problem:
        raise SpecrunnerError(
            f"The state folder {folder} can't be made: {problem.strerror}.",
            remedy="Run specrunner where you may write, or give the folder to your user.",
        ) from problem
