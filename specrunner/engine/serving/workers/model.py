"""The runtime for Python models: a `LoadedModel` whose answers come from worker processes.

Its configuration, beside `framework`, `inputs` and `outputs` as the specs have them: `name` for messages, `lock` of
its environment, `replicas`, `memory` in bytes for each, `threads`, `timeout` in seconds for one inference, and `logs`,
the folder for what its workers print.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pyarrow as pa

from specrunner.core.errors import BadInput, ModelFailed, SpecrunnerError
from specrunner.core.values import Json, JsonObject
from specrunner.engine.ports import EnvironmentBuilder, TensorField
from specrunner.engine.serving.codecs import Media, decode, encode
from specrunner.engine.serving.workers import columns
from specrunner.engine.serving.workers.pool import Pool
from specrunner.engine.serving.workers.process import Setting, Worker, WorkerDied, WorkerTooSlow
from specrunner.engine.serving.workers.scratch import KEPT_LOGS, Scratch, fresh_log

DEFAULT_TIMEOUT = 60.0  # seconds for one inference
LOAD_TIMEOUT = 300.0  # seconds to load a model and try it
DEFAULT_THREADS = 4
_SMALLEST_LIMIT = 2 * 2**30  # bytes; libraries alone set hundreds of megabytes of addresses aside
# What a model's code raises over input that nobody has declared; for declared input all is the model's own fault.
_REFUSALS = frozenset({"ValueError", "TypeError", "KeyError", "IndexError", "LookupError"})


@dataclass(frozen=True, slots=True)
class Schema:
    """What a model takes and gives, as far as it is known; empty is unknown. `declared` says that the inputs were."""

    inputs: tuple[TensorField, ...] = ()
    outputs: tuple[TensorField, ...] = ()
    declared: bool = False


class PythonRuntime:
    """Loads models of every framework that is Python, each in workers of its own. `folder` is for their files."""

    def __init__(self, environments: EnvironmentBuilder, folder: Path) -> None:
        self._environments = environments
        self._folder = folder

    def load(self, path: Path, config: JsonObject) -> PythonModel:
        """Start the workers, load the model in each, and try it on a zero row where it is known what it takes.

        Raises BadInput with the model's own traceback where that fails, PackagingFailed where its environment can't be
        had, Unavailable where processes can't be started.
        """
        name = str(config.get("name", path.name))
        if not path.is_file():
            raise BadInput(f"{name} is not there", f"There is no file {path}.", "Upload the model again.")
        environment = self._environments.ensure(str(config.get("lock", "")))
        scratch = Scratch(self._folder / "loaded")
        try:
            return PythonModel(scratch, environment.python, scratch.lay(path, name), {**config, "name": name})
        except BaseException:
            scratch.close()
            raise


class PythonModel:
    """A loaded model. Safe to call from several threads; as many answer at once as there are replicas.

    `inputs` and `outputs` are declared, or read from the model; empty where it does not tell, and then every column is
    handed on.
    """

    def __init__(self, scratch: Scratch, python: Path, laid: Path, config: JsonObject) -> None:
        self._scratch = scratch
        self._name = str(config["name"])
        self._load_order = _load_order(laid, config)
        self._logs = Path(config.get("logs") or scratch.folder / "logs")
        replicas = int(config.get("replicas", 1))
        self._keep_logs = max(KEPT_LOGS, 2 * replicas)
        self._setting = Setting(
            python=python,
            code=scratch.code,
            cwd=laid if laid.is_dir() else laid.parent,
            home=scratch.home,
            memory=int(config.get("memory") or default_memory()),
            threads=int(config.get("threads") or min(DEFAULT_THREADS, os.cpu_count() or 1)),
        )
        self._schema = Schema()
        # What it gave for zeros is good to know; to hold it to the types of that would be too much.
        self._promised = columns.declared(config.get("outputs") or ())
        self._pool = Pool(self._name, self._loaded_worker, replicas, float(config.get("timeout", DEFAULT_TIMEOUT)))
        self.inputs, self.outputs = self._schema.inputs, self._promised or self._schema.outputs

    def predict(self, table: pa.Table) -> pa.Table:
        """One output row per input row.

        Raises BadInput saying what was expected and what came, ModelFailed where the model's code fails, Transient
        where it is too busy, and Unavailable once it is closed.
        """
        fitted = columns.fitted(self.inputs, table)
        head, body = self._pool.ask({"op": "table"}, encode(fitted, Media.ARROW_STREAM))
        self._raise_error(head)
        return columns.answered(self._name, self._promised, _table_of(self._name, body), table.num_rows)

    def predict_json(self, value: Json) -> Json:
        """The answer to custom JSON, a list of objects. Raises as `predict` does."""
        head, body = self._pool.ask({"op": "json"}, json.dumps(value).encode())
        self._raise_error(head)
        try:
            return json.loads(bytes(body))
        except (ValueError, RecursionError) as error:
            raise _no_answer(self._name, str(error)) from error

    def close(self) -> None:
        """End its workers and remove its files; an inference that runs now fails."""
        self._pool.close()
        self._scratch.close()

    def _loaded_worker(self) -> Worker:
        """A worker that has loaded the model. Raises BadInput with the model's words where it can't."""
        worker = Worker(self._setting, fresh_log(self._logs, self._keep_logs))
        try:
            head, _ = worker.ask(self._load_order, b"", LOAD_TIMEOUT)
            if "error" in head:
                raise _not_loaded(self._name, head["error"], worker)
            self._schema = _schema(head, bool(self._load_order["inputs"]))
        except (WorkerDied, WorkerTooSlow) as error:
            problem = _died_loading(self._name, error, worker)
            worker.kill()
            raise problem from error
        except BaseException:
            worker.kill()
            raise
        return worker

    def _raise_error(self, head: JsonObject) -> None:
        found = head.get("error")
        if found is None:
            return
        kind, words = str(found.get("kind")), _words(found)
        refused = kind == "model" and not self._schema.declared and found.get("type") in _REFUSALS
        if kind == "request" or refused:
            remedy = "Send what the model was made for, or declare its `inputs`, so that this is checked."
            raise BadInput(f"{self._name} can't infer this input", words, remedy)
        if kind == "answer":
            raise _no_answer(self._name, str(found.get("message")))
        if kind == "memory":
            raise ModelFailed(
                f"{self._name} ran out of memory.",
                f"Its limit is {self._setting.memory:,} bytes. {found.get('traceback')}",
                "Send fewer rows, or raise `resources.memory` of the pipeline.",
            )
        raise ModelFailed(f"{self._name} failed: {words}", str(found.get("traceback")), "Mend the model's code.")


def default_memory() -> int:
    """Bytes that a worker may take where nothing is said: half of the machine's, but enough for the libraries."""
    return max(_SMALLEST_LIMIT, int(psutil.virtual_memory().total) // 2)


def _load_order(laid: Path, config: JsonObject) -> dict[str, Any]:
    return {
        "op": "load",
        "path": str(laid),
        "inputs": [_field_json(field) for field in columns.declared(config.get("inputs") or ())],
        "outputs": [_field_json(field) for field in columns.declared(config.get("outputs") or ())],
    }


def _field_json(field: TensorField) -> dict[str, Json]:
    return {"name": field.name, "type": field.type, "shape": list(field.shape)}


def _schema(head: JsonObject, declared: bool) -> Schema:
    try:
        inputs, outputs = (columns.declared(head[name]) for name in ("inputs", "outputs"))
    except (KeyError, TypeError, SpecrunnerError) as error:
        raise BadInput(
            "The worker said what is no schema", str(error), "Look at what the model's code does."
        ) from error
    return Schema(inputs, outputs, declared)


def _table_of(name: str, body: bytearray) -> pa.Table:
    try:
        return decode(body, Media.ARROW_STREAM)
    except BadInput as error:
        raise _no_answer(name, error.detail) from error


def _no_answer(name: str, detail: str) -> ModelFailed:
    words = detail[:1].upper() + detail[1:]
    return ModelFailed(f"{name} gave what is no answer.", words, "Let its predict return one row for each that came.")


def _not_loaded(name: str, error: JsonObject, worker: Worker) -> BadInput:
    where = "does not load" if error.get("kind") in {"load", "memory"} else "fails on a row of zeros"
    told = error.get("message") if error.get("kind") == "answer" else error.get("traceback")
    said = worker.tail()
    return BadInput(
        f"{name} {where}: {_words(error)}",
        str(told) + (f"\nIt printed:\n{said}" if said else ""),
        "Mend the model, or its requirements.",
    )


def _words(error: JsonObject) -> str:
    """The last line of a traceback; what the worker says itself has no type."""
    return ": ".join(str(error[part]) for part in ("type", "message") if error.get(part))


def _died_loading(name: str, error: Exception, worker: Worker) -> BadInput:
    said = worker.tail()
    return BadInput(
        f"{name} does not load: its process died, or did not come to an end.",
        f"Of it is known: {str(error).rstrip('.')}." + (f"\n{said}" if said else ""),
        "Mend the model, or give it more memory: `resources.memory` of the pipeline.",
    )
