"""The adapters of the `Target` port that the contract holds for, and small things to apply to them."""

from __future__ import annotations

import hashlib
import io
import threading
import zipfile
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

import httpx
import pyarrow as pa

from specrunner.core.decide import NO_WISHES, Wishes, emptied, make_plan
from specrunner.core.errors import BadInput, PackagingFailed, Place
from specrunner.core.keys import Key, Kind
from specrunner.core.lifecycle import Reason, RunState
from specrunner.core.outcome import RunView
from specrunner.core.plan import Plan, Step
from specrunner.core.ports import Clock
from specrunner.core.resources import Desired, Live, Owner, Payload, Resource, references_of
from specrunner.core.values import Json, Secret
from specrunner.engine.engine import Engine
from specrunner.engine.looking import Look, look
from specrunner.engine.records import Run
from specrunner.server.host import LoopbackApi, Serving
from specrunner.targets.base import PutOrder, Target
from specrunner.targets.local import reading
from specrunner.targets.local.target import LocalTarget
from specrunner.targets.memory import Ended, Hooks, Job, MemoryState, MemoryTarget
from specrunner.targets.server.http import Connection
from specrunner.targets.server.target import ServerTarget
from specrunner.targets.wallaroo import WallarooTarget
from tests.contract.platform_samples import engine_behind, wallaroo
from tests.integration.engine_samples import FOREVER, StubEnvironments, bundle, model_bytes, no_api
from tests.unit.serving_samples import WIDTH

OURS, THEIRS = Owner("shop", "prod"), Owner("shop", "test")
SENTINEL = "swordfish-7c1f2a90"
PLACE = Place("specs.yaml", 1, 1)


class SetClock:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self._now = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)

    def now(self) -> datetime:
        return self._now

    def monotonic(self) -> float:
        return self._now.timestamp()

    def move(self, by: timedelta) -> None:
        self._now += by


class _SeenTwice(LocalTarget):
    """Whatever the engine shows, a look at its store alone shows too; only while runs are under way it may not tell."""

    def read(self) -> Live:
        found = super().read()
        going = self._is_running()
        seen = reading.seen(self._looked())
        assert seen is not None or going or self._is_running()
        # A run may end between the two.
        assert seen in (None, found) or super().read() != found
        return found

    def remembers(self, owner: Owner) -> bool:
        found = super().remembers(owner)
        assert self._looked().remembers(owner) is found
        return found

    def _is_running(self) -> bool:
        return any(run.status is RunState.RUNNING for run in self._engine.history.active())

    def _looked(self) -> Look:
        found = look(self._engine.folder)
        assert found is not None
        return found


def local(folder: Path, clock: Clock | None = None) -> Target:
    environments = StubEnvironments()
    return _SeenTwice(Engine(folder, folder / "cache", run_api=no_api, environments=environments, clock=clock))


class _Hosted(httpx.HTTPTransport):
    """The way to a server of this process, which is ended with it."""

    def __init__(self, engine: Engine, api: LoopbackApi) -> None:
        super().__init__()
        self.engine = engine
        self._api = api

    def close(self) -> None:
        super().close()
        self.engine.runs.stop_waiting()
        self._api.close()
        self.engine.close()


def server(folder: Path, clock: Clock | None = None) -> Target:
    """A client of a real server on loopback, over an engine like that of `local`."""
    engine = Engine(folder, folder / "cache", run_api=no_api, environments=StubEnvironments(), clock=clock)

    def carry(run: Run) -> None:
        threading.Thread(target=engine.runs.carry_out, args=(run.id,)).start()

    api = LoopbackApi(engine, serving=Serving(carry, is_open=lambda: True))
    client = httpx.Client(transport=_Hosted(engine, api), timeout=30)
    return ServerTarget(Connection(api.address(), client=client))


def engine_of(target: Target) -> Engine | None:
    """The engine behind a target, where there is one."""
    if isinstance(target, LocalTarget):
        return target._engine
    if isinstance(target, WallarooTarget):
        return engine_behind(target)
    if isinstance(target, ServerTarget):
        assert target._http.client is not None and isinstance(target._http.client._transport, _Hosted)
        return target._http.client._transport.engine
    return None


_STATES: dict[Path, MemoryState] = {}


def memory(folder: Path, clock: Clock | None = None) -> Target:
    """Targets of one folder share a state, as processes share a database."""
    return MemoryTarget(_STATES.setdefault(folder, MemoryState()), HOOKS, clock)


def memory_file(folder: Path, clock: Clock | None = None) -> Target:
    folder.mkdir(exist_ok=True)
    return MemoryTarget(MemoryState(folder / "state.json"), HOOKS, clock)


def _executed(job: Job) -> Ended:
    """Do what the code of these tests does, without a process."""
    code = _member(job.bundle, "main.py")
    if code == FOREVER:
        job.say("up")
        job.killed.wait()
        return Ended(RunState.KILLED, Reason.KILLED, 143)
    try:
        exec(code, {"print": job.say})
    except SystemExit as ended:
        return Ended(RunState.FAILURE, Reason.EXIT, int(str(ended.code)), f"exit code {ended.code}")
    return Ended()


def _packaged(bundled: Payload) -> None:
    if "impossible" in _member(bundled.read(), "requirements.txt"):
        raise PackagingFailed("The requirements can't be resolved.", "no version of impossible is known")


def _inferred(_pipeline: Key, rows: pa.Table) -> pa.Table:
    if len(rows.column("tensor")[0]) != WIDTH:
        raise BadInput("The rows have another width.")
    return rows


def _member(data: bytes, name: str) -> str:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return archive.read(name).decode() if name in archive.namelist() else ""


def _no_json(_pipeline: Key, _value: Json) -> Json:
    raise BadInput("The model takes tables, not custom JSON.")


HOOKS = Hooks(run=_executed, package=_packaged, infer=_inferred, infer_json=_no_json)


def vanish(target: Target, key: Key) -> None:
    """Remove an object as somebody else would: without a word to the adapter."""
    if isinstance(target, MemoryTarget):
        target.state.lose(key)
        return
    engine = engine_of(target)
    assert engine is not None
    if key.kind is Kind.CONNECTION:
        engine.connections.delete(key.name)
    elif key.kind is Kind.TASK:
        engine.tasks.delete(engine.tasks.named(engine.workspaces.named(key.workspace).id, key.name).id)
    else:
        engine.pipelines.delete(engine.workspaces.named(key.workspace).id, key.name)


class Make(Protocol):
    """Opens a target; a second one on the same folder shares what the first holds."""

    def __call__(self, folder: Path, clock: Clock | None = None) -> Target: ...


def exchange(target: Target, key: Key, path: str, secret: Secret) -> None:
    """Put another secret into an object as somebody else would: without a word to the adapter."""
    if isinstance(target, MemoryTarget):
        target.state.exchange(key, path, secret)
        return
    engine = engine_of(target)
    assert engine is not None
    if key.kind is Kind.CONNECTION:
        found = engine.connections.named(key.name)
        details = engine.connections.open_details(key.name)
        engine.connections.put(key.name, found.type, details, secret.reveal(), found.workspaces)
    else:
        job = engine.tasks.named(engine.workspaces.named(key.workspace).id, key.name)
        others = engine.tasks.secret_env(job.id) | {path.removeprefix("secretEnv."): secret.reveal()}
        engine.tasks.put(job.workspace_id, job.name, job.orchestration_id, job.spec, others)


ADAPTERS: Mapping[str, Make] = {
    "local": local,
    "memory": memory,
    "memory-file": memory_file,
    "server": server,
    "wallaroo": wallaroo,
}


def key(kind: Kind, name: str) -> Key:
    return Key.of(kind, name, "lab")


def resource(kind: Kind, name: str, spec: Mapping[str, Json], **more: Any) -> Resource:
    made = key(kind, name)
    return Resource(made, spec, PLACE, references=references_of(made, spec), **more)


def payload(name: str, data: bytes) -> Payload:
    return Payload(hashlib.sha256(data).hexdigest(), len(data), name, lambda: data)


def workspace() -> Resource:
    return resource(Kind.WORKSPACE, "lab", {})


def connection(host: str = "a", **more: Any) -> Resource:
    spec = {"type": "S3", "details": {"host": host, "port": 1}, "workspaces": ["lab"], "detailsFrom": {"env": "STORE"}}
    return resource(Kind.CONNECTION, "store", spec, secrets={"detailsFrom": {"env": "STORE"}}, **more)


def model(width: int = 18) -> Resource:
    file = payload("houses.onnx", model_bytes(width))
    return resource(Kind.MODEL, "houses", {"framework": "onnx", "path": "houses.onnx", "sha": file.sha}, payload=file)


def pipeline(width: int = 18, **spec: Json) -> Resource:
    shas = {"houses": model(width).spec["sha"]}
    return resource(
        Kind.PIPELINE, "prices", {"steps": [{"model": "houses"}], "modelShas": shas, "deployed": True, **spec}
    )


def orchestration(code: str = "print('hello')", requirements: str | None = None) -> Resource:
    file = payload("code.zip", bundle(code, requirements))
    return resource(Kind.ORCHESTRATION, "code", {"source": "code", "sha": file.sha}, payload=file)


def task(source: Resource, name: str = "job", **spec: Json) -> Resource:
    full = {"orchestration": "code", "orchestrationSha": source.spec["sha"], "history": {"success": 10}, **spec}
    secrets = {f"secretEnv.{variable}": {"env": variable} for variable in spec.get("secretEnv", ())}
    return resource(Kind.TASK, name, full, secrets=secrets)


def everything(code: str = "print('hello')") -> list[Resource]:
    """An object of each kind."""
    source = orchestration(code)
    job = task(source, args={"n": 1}, secretEnv={"KEY": {"env": "KEY"}})
    return [workspace(), connection(), model(), pipeline(), source, job]


class Applying:
    """A project that is applied to a target by the decisions of `core`, one step after the other."""

    def __init__(self, target: Target, owner: Owner = OURS) -> None:
        self.target = target
        self.owner = owner
        self.values: dict[str, Secret] = {"STORE": Secret({"password": SENTINEL}), "KEY": Secret(f"key-{SENTINEL}")}

    def desired(self, resources: list[Resource]) -> Desired:
        return Desired(self.owner, {found.key: found for found in resources})

    def plan(self, resources: list[Resource], wishes: Wishes = NO_WISHES) -> Plan:
        desired = self.desired(resources)
        prints = {
            found.key: {path: self.target.fingerprint(value) for path, value in self.secrets(found).items()}
            for found in resources
        }
        return make_plan(desired if resources else emptied(desired), self.target.read(), prints, wishes)

    def secrets(self, declared: Resource) -> dict[str, Secret]:
        return {path: self.values[source["env"]] for path, source in declared.secrets.items()}

    def order(self, declared: Resource, step: Step) -> PutOrder:
        return PutOrder(declared, step, self.owner, self.secrets(declared))

    def apply(self, resources: list[Resource], wishes: Wishes = NO_WISHES) -> list[RunView]:
        """Do what the plan says; the runs that came of it."""
        by_key, runs = {found.key: found for found in resources}, []
        for step in self.plan(resources, wishes).work:
            if step.deletes:
                self.target.delete(step)
                continue
            self.target.put(self.order(by_key[step.key], step))
            if step.intent:
                runs.append(self.target.run(step.key, step.intent))
        return runs

    def step(self, declared: Resource, others: list[Resource]) -> Step:
        """The step that is planned for one resource."""
        return next(step for step in self.plan([*others, declared]).steps if step.key == declared.key)
