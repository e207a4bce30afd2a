"""What a pickled model answers with where it brings no script: by what it can do, a forecast or a prediction.

Each is made of the model alone, says what it takes where the model tells, and is called like any script's function.
"""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from .shapes import Unusable


class Default(ABC):
    """A model with its way of answering. `inputs` are the columns that it was trained on, where it tells them."""

    column = "output"

    def __init__(self, model: Any) -> None:
        self.model = model
        self.inputs = tuple(map(str, self.trained_on()))

    def trained_on(self) -> Sequence[Any]:
        """The names of the columns; empty where the model has none."""
        return ()

    def zeros(self) -> pd.DataFrame | None:
        """A row of zeros that the model might take; None where nobody knows how wide a row is."""
        return pd.DataFrame(np.zeros((1, len(self.inputs))), columns=list(self.inputs)) if self.inputs else None

    def __call__(self, frame: pd.DataFrame) -> dict[str, Any]:
        """The answer to a frame."""
        return {self.column: self.values(frame)}

    @abstractmethod
    def values(self, frame: pd.DataFrame) -> Any:
        """A value for each row."""

    def _chosen(self, frame: pd.DataFrame) -> pd.DataFrame:
        missing = [name for name in self.inputs if name not in frame.columns]
        if missing:
            raise KeyError(f"the input has no column {', '.join(missing)}; the model takes {', '.join(self.inputs)}")
        return frame[list(self.inputs)] if self.inputs else frame


class Forecast(Default):
    """Results of statsmodels: a forecast of as many steps as rows came, the rows being the regressors."""

    column = "forecast"

    def trained_on(self) -> Sequence[Any]:
        """The names of the regressors."""
        inner = getattr(self.model, "model", None)
        return (getattr(inner, "exog_names", None) or ()) if self._takes_regressors() else ()

    def values(self, frame: pd.DataFrame) -> Any:
        """The next steps."""
        regressors = {"exog": self._chosen(frame)} if self._takes_regressors() else {}
        return np.asarray(self.model.forecast(steps=len(frame), **regressors))

    def _takes_regressors(self) -> bool:
        if getattr(getattr(self.model, "model", None), "exog", None) is None:
            return False
        parameters = inspect.signature(self.model.forecast).parameters.values()
        return any(one.name == "exog" or one.kind is one.VAR_KEYWORD for one in parameters)


class Prediction(Default):
    """Whatever has a method `predict`."""

    column = "prediction"

    def trained_on(self) -> Sequence[Any]:
        """The names of the features."""
        found = getattr(self.model, "feature_names_in_", None)
        if found is None:
            found = getattr(self.model, "feature_names", None)  # an XGBoost booster
        return () if found is None else list(found)

    def zeros(self) -> pd.DataFrame | None:
        """A row of zeros as wide as the model says."""
        width = getattr(self.model, "n_features_in_", None)
        if self.inputs or not isinstance(width, int):
            return super().zeros()
        return pd.DataFrame(np.zeros((1, width)))

    def values(self, frame: pd.DataFrame) -> Any:
        """The predictions."""
        return self.model.predict(self._features(frame))

    def _features(self, frame: pd.DataFrame) -> Any:
        if self.inputs:
            return self._chosen(frame)
        if frame.shape[1] == 1 and frame.dtypes.iloc[0].kind == "O":
            return np.stack(frame.iloc[:, 0].to_list())  # one column of lists: a row each
        return frame.to_numpy()


class BoosterPrediction(Prediction):
    """An XGBoost booster, which takes a matrix of its own kind."""

    def zeros(self) -> pd.DataFrame | None:
        """A row of zeros as wide as the booster says."""
        named = Default.zeros(self)
        return pd.DataFrame(np.zeros((1, self.model.num_features()))) if named is None else named

    def values(self, frame: pd.DataFrame) -> Any:
        """The predictions."""
        import xgboost

        return self.model.predict(xgboost.DMatrix(self._features(frame)))


def default_of(model: Any) -> Default:
    """The way in which this model answers. Raises Unusable where it can neither forecast nor predict."""
    kind: Callable[[Any], Default]
    if callable(getattr(model, "forecast", None)):
        kind = Forecast
    elif type(model).__name__ == "Booster":
        kind = BoosterPrediction
    elif callable(getattr(model, "predict", None)):
        kind = Prediction
    else:
        raise Unusable(
            f"the pickle holds something of the type {type(model).__module__}.{type(model).__qualname__}, which has "
            "neither `forecast` nor `predict`; pickle {'model': ..., 'script': 'the text of a Python script'}"
        )
    return kind(model)
