"""The model of tutorial 000, fitted anew from the tutorials' data: the pickle itself is nowhere to be had."""

from __future__ import annotations

import subprocess
from pathlib import Path

from specrunner.engine.ports import EnvironmentBuilder
from specrunner.engine.serving.frameworks import DEFAULT_REQUIREMENTS, Framework

_FIT = """
import pickle, sys, warnings
import pandas as pd
from statsmodels.tsa.statespace.sarimax import SARIMAX

warnings.simplefilter("ignore")
days = pd.read_csv(sys.argv[1])
days = days[days["dteday"] < "2011-03-15"]
assert len(days) == 73
names = ["temp", "holiday", "workingday", "windspeed"]
fitted = SARIMAX(days["cnt"], exog=days[names], order=(1, 0, 1)).fit(disp=0)
script = '''
import json
import pandas as pd

def wallaroo_json(data):
    frame = pd.DataFrame.from_dict(json.loads(data))
    return {"forecast": model.forecast(steps=len(frame), exog=frame).tolist()}
'''
pickle.dump({"model": fitted, "script": script}, open(sys.argv[2], "wb"))
pickle.dump(fitted, open(sys.argv[3], "wb"))
"""


def fitted(environments: EnvironmentBuilder, data: Path, folder: Path) -> tuple[Path, Path]:
    """The model with its script, and the bare results, as pickles in this folder; `data` holds day.csv."""
    lock = environments.lock("\n".join(DEFAULT_REQUIREMENTS[Framework.STATSMODELS]))
    made = folder / "bike_day_model.pkl", folder / "bare_results.pkl"
    words: list[str | Path] = [environments.ensure(lock).python, "-c", _FIT, data / "day.csv", *made]
    subprocess.run(words, check=True)
    return made
