"""Models of scikit-learn and XGBoost, fitted, pickled and served in the environments that they get by themselves."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pyarrow as pa
import pytest

from specrunner.engine.packaging.environments import UvEnvironments
from specrunner.engine.serving.frameworks import DEFAULT_REQUIREMENTS, Framework
from specrunner.engine.serving.workers.model import PythonModel, PythonRuntime
from tests.conftest import Soak

DATA = """
import pickle, sys
import numpy as np, pandas as pd
folder = sys.argv[1]
X = pd.DataFrame({"a": [1.0, 2, 3, 4], "b": [0.0, 1, 0, 1]})
y = [1.0, 2, 3, 4]
"""
FIT = {
    Framework.SKLEARN: DATA
    + """
import joblib
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
Z = pd.DataFrame({"a": [1.0, 2, 3, 4], "k": ["u", "v", "u", "v"]})
encoder = make_column_transformer((OneHotEncoder(), ["k"]), remainder="passthrough")
pickle.dump(LinearRegression().fit(X, y), open(f"{folder}/named.pkl", "wb"))
pickle.dump(LinearRegression().fit(X.to_numpy(), y), open(f"{folder}/bare.pkl", "wb"))
joblib.dump(make_pipeline(StandardScaler(), LinearRegression()).fit(X, y), f"{folder}/packed.joblib", compress=3)
joblib.dump(make_pipeline(encoder, LinearRegression()).fit(Z, y), f"{folder}/texts.joblib")
""",
    Framework.XGBOOST: DATA
    + """
import xgboost
exact = dict(n_estimators=200, learning_rate=0.5, reg_lambda=0, min_child_weight=0)
pickle.dump(xgboost.XGBRegressor(**exact).fit(X, y), open(f"{folder}/named.pkl", "wb"))
booster = xgboost.train({"eta": 0.5, "lambda": 0, "min_child_weight": 0}, xgboost.DMatrix(X, label=y), 200)
booster.save_model(f"{folder}/native.json")
booster.save_model(f"{folder}/native.ubj")
pickle.dump(booster, open(f"{folder}/booster.pkl", "wb"))
""",
}
NAMED = pa.table({"a": [1.0, 4.0], "b": [0.0, 1.0]})
ASKED = {
    "bare.pkl": pa.table({"t": [[1.0, 0.0], [4.0, 1.0]]}),
    "texts.joblib": pa.table({"a": [1.0, 4.0], "k": ["u", "v"]}),
}
UNREAD = {"bare.pkl", "texts.joblib"}  # nothing tells which columns, or of which types, these take


@pytest.mark.parametrize("framework", FIT, ids=str)
def test_each_framework_serves_its_files_in_its_default_environment(
    framework: Framework, soak: Soak, pytestconfig: pytest.Config, tmp_path: Path
) -> None:
    if not soak.is_full:
        pytest.skip("it builds the environments of scikit-learn and XGBoost: --soak full")
    given, kept = os.environ.get("SPECRUNNER_CACHE"), getattr(pytestconfig, "cache", None)
    cache = Path(given) if given else Path(kept.mkdir("specrunner")) if kept else tmp_path / "cache"
    environments = UvEnvironments(cache)
    lock = environments.lock("\n".join(DEFAULT_REQUIREMENTS[framework]))
    files = tmp_path / "files"
    files.mkdir()
    subprocess.run([environments.ensure(lock).python, "-c", FIT[framework], files], check=True)
    runtime = PythonRuntime(environments, tmp_path / "models")
    for file in sorted(files.iterdir()):
        model = runtime.load(file, {"framework": framework, "lock": lock})
        try:
            check(model, file.name)
        finally:
            model.close()


def check(model: PythonModel, name: str) -> None:
    assert [field.name for field in model.inputs] == ([] if name in UNREAD else ["a", "b"]), name
    table = ASKED.get(name, NAMED)
    assert model.predict(table)["prediction"].to_pylist() == pytest.approx([1.0, 4.0], abs=0.01), name
    (first,) = model.predict_json(table.to_pydict())
    assert first["prediction"] == pytest.approx([1.0, 4.0], abs=0.01), name
