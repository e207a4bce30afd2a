"""Python models for tests, good and bad, as files; they run in the interpreter of these tests."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path

from specrunner.core.values import Json
from specrunner.engine.serving.workers.model import PythonModel, PythonRuntime
from tests.integration.engine_samples import StubEnvironments

# `variable = tensor @ weights + 1`, as `serving_samples.linear` makes it in ONNX.
LINEAR = """
import numpy as np

WEIGHTS = (np.arange(1, 19, dtype=np.float32) / np.float32(8)).reshape(18, 1)


def predict(frame):
    rows = np.stack(frame["float_input"].to_list())
    return {"variable": rows @ WEIGHTS + 1}
"""
DOUBLE = "def predict(frame):\n    return {'y': frame['x'] * 2}\n"
X = [{"name": "x", "type": "float64"}]


def zipped(path: Path, files: Mapping[str, str | bytes]) -> Path:
    """A zip of these files; equal bytes for equal content."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name), content)
    return path


def load_code(folder: Path, code: str, **config: Json) -> PythonModel:
    """A model of one `model.py`; close it."""
    path = zipped(folder / "sample.zip", {"model.py": code})
    logs = str(folder / "logs")
    return PythonRuntime(StubEnvironments(), folder / "models").load(
        path, {"name": "sample.zip", "logs": logs} | config
    )
