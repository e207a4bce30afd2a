"""The kinds of models that a platform may know."""

from __future__ import annotations

import os
from enum import Enum


class Framework(str, Enum):  # noqa: UP042  # StrEnum is not in Python 3.9
    """The format of a model file, in the platform's words. Which of them are served is for the server to say."""

    ONNX = "onnx"  # an ONNX graph
    TENSORFLOW = "tensorflow"  # a SavedModel, zipped
    PYTHON = "python"  # Python code, or a pickle of what has a predict or forecast
    KERAS = "keras"  # a Keras file
    SKLEARN = "sklearn"  # a pickled scikit-learn estimator
    PYTORCH = "pytorch"  # a TorchScript file
    XGBOOST = "xgboost"  # a pickled XGBoost estimator
    STATSMODELS = "statsmodels"  # pickled results of statsmodels, with or without a script
    CUSTOM = "custom"  # a zip with code of its own


def framework_of(path: str | os.PathLike[str]) -> str:
    """The framework that a file's suffix tells: ONNX for `.onnx`, else Python, as the tutorials take it."""
    return Framework.ONNX.value if os.fspath(path).lower().endswith(".onnx") else Framework.PYTHON.value
