"""From a model's file or folder to the function that answers."""

from __future__ import annotations

import importlib.util
import linecache
import pickle
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from .defaults import Default, default_of
from .shapes import Form, Unusable, form_of

FUNCTIONS = ("predict", "wallaroo_json")  # the first of these that a script defines is called
_SCRIPT = "<script of the model>"


@dataclass(frozen=True)
class Predictor:
    """What answers: the function, what it takes, and what a column without a name is called."""

    function: Callable[[Any], Any]
    form: Form
    column: str
    default: Default | None = None


def load(path: Path) -> Predictor:
    """The predictor in a folder with `model.py`, a `.py` file, a file of XGBoost, or a pickle.

    Raises Unusable, and whatever the model's own code raises.
    """
    if path.is_dir():
        return _of_code(_entry(path))
    if path.suffix == ".py":
        return _of_code(path)
    if path.suffix in {".json", ".ubj"}:
        return _of_default(_booster(path))
    return _of_pickle(_unpickled(path))


def _entry(folder: Path) -> Path:
    """`model.py` at the top, or in the only folder that has one, as zips made of a folder have it."""
    found = [folder / "model.py"] if (folder / "model.py").is_file() else sorted(folder.glob("*/model.py"))
    if len(found) != 1:
        raise Unusable(f"it has {'several' if found else 'no'} model.py; one must define predict(table)")
    return found[0]


def _of_code(file: Path) -> Predictor:
    sys.path.insert(0, str(file.parent))
    spec = importlib.util.spec_from_file_location("model", file)
    if spec is None or spec.loader is None:
        raise Unusable(f"{file.name} is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules["model"] = module
    spec.loader.exec_module(module)
    return _of_function(vars(module), file.name)


def _of_function(names: dict[str, Any], where: str) -> Predictor:
    function = next((names[name] for name in FUNCTIONS if callable(names.get(name))), None)
    if function is None:
        raise Unusable(f"{where} defines no function predict(table)")
    return Predictor(function, form_of(function), "output")


def _of_default(model: Any) -> Predictor:
    default = default_of(model)
    return Predictor(default, Form.FRAME, default.column, default)


def _booster(path: Path) -> Any:
    import xgboost

    return xgboost.Booster(model_file=str(path))


def _unpickled(path: Path) -> Any:
    try:
        # It reads what joblib has written, compressed files among it, and plain pickles too.
        import joblib
    except ImportError:
        with path.open("rb") as file:
            return pickle.load(file)  # noqa: S301 - why this is a process of its own
    return joblib.load(path)


def _of_pickle(found: Any) -> Predictor:
    """`{"model": ..., "script": text}`, or the model itself."""
    if not (isinstance(found, dict) and "model" in found):
        return _of_default(found)
    script = found.get("script")
    if script is None:
        return _of_default(found["model"])
    if not isinstance(script, str):
        raise Unusable(f"the script in the pickle is of the type {type(script).__name__}; it must be text")
    return _of_script(script, found["model"])


def _of_script(text: str, model: Any) -> Predictor:
    """A script sees the model under the name `model`."""
    module = ModuleType("script")
    module.__dict__["model"] = model
    sys.modules["script"] = module
    linecache.cache[_SCRIPT] = (len(text), None, text.splitlines(keepends=True), _SCRIPT)  # for tracebacks
    exec(compile(text, _SCRIPT, "exec"), module.__dict__)  # noqa: S102 - the model's own code, in its own process
    return _of_function(vars(module), "the script in the pickle")
