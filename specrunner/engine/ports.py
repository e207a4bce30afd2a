"""Ports inside the engine: what an adapter must do to start runs, build environments, load models."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from specrunner.core.lifecycle import Reason, RunState
from specrunner.core.values import Json, JsonObject

if TYPE_CHECKING:
    import pyarrow as pa

DEFAULT_GRACE = 10.0  # seconds between SIGTERM and SIGKILL
DEFAULT_LOG_CAP = 64 * 2**20  # bytes of a run's log that are kept


@dataclass(frozen=True, slots=True)
class RunOrder:
    """All that an executor needs to start one run.

    `folder` is the run's own, made by the caller; `bundle` the zip, `entry` the path in it that is started
    with `python`. `env` is the declared environment of the process, complete; it and `redact` (texts that the
    log must not show) may hold secrets and are never written to disk. `timeout` and `grace` are seconds,
    `memory` and `log_cap` bytes.
    """

    run_id: str
    folder: Path
    bundle: Path
    entry: str
    python: Path
    arguments: JsonObject
    env: Mapping[str, str] = field(repr=False)
    redact: tuple[str, ...] = field(default=(), repr=False)
    timeout: float | None = None
    grace: float = DEFAULT_GRACE
    memory: int | None = None
    log_cap: int = DEFAULT_LOG_CAP


@dataclass(frozen=True, slots=True)
class RunExit:
    """How a run ended. Instants are seconds since the epoch; `results` is what the code left as its result.

    `code_started` is False where the user's code never began, so that nothing of it can have happened.
    """

    state: RunState
    reason: Reason | None
    exit_code: int | None
    started: float | None
    ended: float | None
    detail: str = ""
    results: Json = None
    code_started: bool = True


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line of a run's log; `time` is seconds since the epoch, `text` has no line end."""

    time: float
    text: str


class Executor(Protocol):
    """Starts runs and answers for them, with the semantics of a Kubernetes Job.

    A run is known by its folder. Whoever asks need not be who started it: another process may wait for, kill
    or read a run ("adopt"). What is said of an ended run never changes.
    """

    def start(self, order: RunOrder) -> None:
        """Start the run and return once its supervisor owns it.

        Raises SpecrunnerError where it can't be started; then nothing of it is left running.
        """

    def exit(self, folder: Path) -> RunExit | None:
        """How the run ended, or None while it lives. A run that died without a record is `lost`."""

    def wait(self, folder: Path, timeout: float | None = None) -> RunExit | None:
        """Block until the run has ended or `timeout` seconds are over (None then)."""

    def kill(self, folder: Path, grace: float = DEFAULT_GRACE) -> None:
        """End the run; when this returns no process of it is alive, and its exit record says `killed`.

        Killing an ended run does nothing.
        """

    def log(self, folder: Path, offset: int = 0) -> tuple[list[LogLine], int]:
        """Complete lines from a byte offset on (all of them once the run has ended), and the offset after."""


@dataclass(frozen=True, slots=True)
class Environment:
    """A built environment: its identity, where it lies, and the interpreter to start."""

    digest: str
    folder: Path
    python: Path


class EnvironmentBuilder(Protocol):
    """Turns requirements into an environment that a run can be started in.

    Equal locks give the same environment, built once, also when several processes ask at once.
    """

    def lock(self, requirements: str) -> str:
        """The resolved requirements, one pinned distribution a line, base set included.

        Raises PackagingFailed with the resolver's last lines.
        """

    def ensure(self, lock: str) -> Environment:
        """The environment of a lock, built now if it isn't there.

        Raises PackagingFailed with the installer's last lines.
        """


@dataclass(frozen=True, slots=True)
class TensorField:
    """An input or output of a model: name, Arrow-style element type (`float32`), shape with None for any."""

    name: str
    type: str
    shape: tuple[int | None, ...]


class LoadedModel(Protocol):
    """A model ready to infer, safe to call from several threads.

    `inputs` and `outputs` are empty where nobody knows them; then it takes whatever columns come.
    """

    inputs: tuple[TensorField, ...]
    outputs: tuple[TensorField, ...]

    def predict(self, table: pa.Table) -> pa.Table:
        """One output row per input row, columns named as `outputs`.

        Raises BadInput saying what was expected and what came, ModelFailed where the model's own code fails.
        """

    def close(self) -> None:
        """Free what the model holds."""


@runtime_checkable
class TakesJson(Protocol):
    """A loaded model that answers custom JSON too: a value in, a list of objects out."""

    def predict_json(self, value: Json) -> Json:
        """The answer. Raises BadInput for a value that the model can do nothing with, ModelFailed where it fails."""


class ModelRuntime(Protocol):
    """Loads model files of one framework."""

    def load(self, path: Path, config: JsonObject) -> LoadedModel:
        """Load and try the model. Raises BadInput if the file is not such a model."""


class RunApi(Protocol):
    """Gives runs the address of the engine's API; the command line wires in the server."""

    def address(self) -> str:
        """The base URL, started on first use. Raises SpecrunnerError if no port can be had."""

    def close(self) -> None:
        """Stop listening."""


# Called with the words of what goes on, for people who wait.
Progress = Callable[[str], None]
