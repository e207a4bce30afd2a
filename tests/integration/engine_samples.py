"""An engine in a temporary folder that builds no environments, and small things to put into it."""

from __future__ import annotations

import io
import sys
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from specrunner.core.errors import PackagingFailed, SpecrunnerError
from specrunner.engine.engine import Engine
from specrunner.engine.ports import Environment, RunApi
from specrunner.engine.records import Orchestration, PipelineVersion, Run, Task, Workspace
from tests.unit import serving_samples

PATIENCE = 20.0
FOREVER = "import threading\nprint('up', flush=True)\nthreading.Event().wait()\n"
ONCE = "open({mark!r}, 'a').write('ran ')\n"  # leaves a mark for each time it runs


class StubEnvironments:
    """The interpreter of these tests as every environment; requirements that say `impossible` can't be had."""

    def __init__(self) -> None:
        self.locked: list[str] = []
        self.broken = False

    def lock(self, requirements: str) -> str:
        self.locked.append(requirements)
        if self.broken or "impossible" in requirements:
            raise PackagingFailed("The requirements can't be resolved.", "no version of impossible is known")
        return requirements

    def ensure(self, lock: str) -> Environment:
        if self.broken:
            raise PackagingFailed("The environment can't be built.", "the disk is full")
        return Environment(f"stub-{len(lock)}", Path(sys.prefix), Path(sys.executable))


class NoApi:
    """An address where nobody listens, for runs that talk to nobody."""

    def address(self) -> str:
        return "http://127.0.0.1:9"

    def close(self) -> None:
        """Nothing listens."""


def no_api(_engine: Engine) -> RunApi:
    return NoApi()


def open_engine(
    folder: Path, api: Callable[[Engine], RunApi] | None = no_api, environments: StubEnvironments | None = None
) -> Engine:
    return Engine(folder, folder / "cache", run_api=api, environments=environments or StubEnvironments())


@contextmanager
def engine_on(folder: Path, api: Callable[[Engine], RunApi] | None = no_api) -> Iterator[Engine]:
    """An engine that is closed at the end, its runs killed."""
    with open_engine(folder, api) as engine:
        try:
            yield engine
        finally:
            for run in engine.history.active():
                engine.runs.kill(run.id, grace=0.0)


def bundle(code: str, requirements: str | None = None) -> bytes:
    """The zip of an orchestration with one file; equal bytes for equal content, whatever the time."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        archive.writestr(zipfile.ZipInfo("main.py"), code)
        if requirements is not None:
            archive.writestr(zipfile.ZipInfo("requirements.txt"), requirements)
    return target.getvalue()


@cache
def model_bytes(width: int = serving_samples.WIDTH) -> bytes:
    """A model that adds up `width` numbers with weights, as the bytes of an ONNX file."""
    with TemporaryDirectory() as folder:
        return serving_samples.linear(Path(folder) / "linear.onnx", width=width).read_bytes()


def add_orchestration(engine: Engine, workspace: Workspace, code: str, name: str = "code") -> Orchestration:
    version = engine.orchestrations.upload(workspace.id, name, f"{name}.zip", bundle(code))
    return engine.orchestrations.package(version.id)


def add_task(
    engine: Engine, code: str, name: str = "job", secret_env: dict[str, str] | None = None, **spec: Any
) -> Task:
    """A run-once task in the workspace `lab`, unless `spec` says otherwise."""
    workspace = engine.workspaces.ensure("lab")
    version = add_orchestration(engine, workspace, code, name)
    return engine.tasks.put(workspace.id, name, version.id, {"orchestration": name, **spec}, secret_env or {})


def run_task(engine: Engine, task: Task, intent: str | None = None) -> Run:
    """Submit and carry out."""
    return engine.runs.carry_out(engine.runs.submit(task, intent).id)


def add_pipeline(engine: Engine, workspace: Workspace, name: str = "prices", model: str = "houses") -> PipelineVersion:
    """A pipeline of one model, not deployed."""
    version = engine.models.upload(workspace.id, model, f"{model}.onnx", model_bytes(), {"framework": "onnx"})
    step = {"ModelInference": {"models": [{"name": model, "version": version.version, "sha": version.sha}]}}
    return engine.pipelines.add_version(workspace.id, name, {"id": name, "steps": [step]})


def said(engine: Engine, run: Run) -> list[str]:
    return [line.text for line in engine.runs.log(engine.history.get(run.id))[0]]


def until(condition: Callable[[], object], what: str) -> None:
    """Wait until it holds, within bounds."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, f"never came: {what}"
        time.sleep(0.005)


def at_once(work: Callable[[int], object], count: int = 8) -> list[object]:
    """The results of `work(0)` to `work(count - 1)`, called at once; what it raises is a result."""
    gate, found = threading.Barrier(count), []

    def one(number: int) -> None:
        gate.wait()
        try:
            found.append(work(number))
        except SpecrunnerError as problem:
            found.append(problem)

    threads = [threading.Thread(target=one, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


class Background:
    """Something that blocks, in a thread."""

    def __init__(self, work: Callable[[], Run]) -> None:
        self._found: list[Run] = []
        self._thread = threading.Thread(target=lambda: self._found.append(work()))
        self._thread.start()

    def result(self) -> Run:
        self._thread.join(PATIENCE)
        assert self._found, "it does not come to an end"
        return self._found[0]


def started(engine: Engine, run: Run) -> Background:
    """Carry a run out in the background; it prints `up`."""
    work = Background(lambda: engine.runs.carry_out(run.id))
    until(lambda: "up" in said(engine, run), "the run's first line")
    return work
