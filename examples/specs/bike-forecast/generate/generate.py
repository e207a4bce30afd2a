"""Make the model and the data of this example anew: `python generate/generate.py`, from any folder.

Needs the packages of `generate/requirements.txt`, whose versions the model's environment has as well: a pickle loads
where it was made.
"""

from __future__ import annotations

import csv
import json
import pickle
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import pandas as pd
from bikes import Day, days
from statsmodels.tsa.statespace.sarimax import SARIMAX, SARIMAXResults

ROOT = Path(__file__).resolve().parent.parent
MODEL = ROOT / "models" / "bike_forecast.pkl"
WEEK_CSV = ROOT / "data" / "next-week.csv"
WEEK_JSON = ROOT / "orchestrations" / "weekly_forecast" / "next-week.json"
SCRIPT = Path(__file__).with_name("script.py")

SEED, TRAINING_DAYS, FORECAST_DAYS = 1, 120, 7
REGRESSORS = ["temp", "holiday", "workingday", "windspeed"]


def main() -> None:
    """Write the model and the week after the days that it was trained on."""
    all_days = list(days(SEED, TRAINING_DAYS + FORECAST_DAYS))
    history, week = all_days[:TRAINING_DAYS], all_days[TRAINING_DAYS:]
    results = train(history)
    MODEL.parent.mkdir(exist_ok=True)
    MODEL.write_bytes(pickle.dumps({"model": results, "script": SCRIPT.read_text("utf-8")}, protocol=4))
    write_week(week)
    forecast = results.forecast(steps=len(week), exog=frame(week)[REGRESSORS])
    for day, expected in zip(week, forecast, strict=True):
        sys.stdout.write(f"{day.date}: {expected:7.1f} forecast, {day.bikes} rented\n")


def frame(chosen: Sequence[Day]) -> pd.DataFrame:
    """The days as a table."""
    return pd.DataFrame([asdict(day) for day in chosen])


def train(history: Sequence[Day]) -> SARIMAXResults:
    """A SARIMAX of the rented bikes, with the weather and the calendar as regressors."""
    table = frame(history)
    return SARIMAX(table["bikes"], exog=table[REGRESSORS], order=(1, 0, 1)).fit(disp=0, maxiter=500)


def write_week(week: Sequence[Day]) -> None:
    """The regressors of a week as CSV, and as JSON in the form of `DataFrame.to_dict()`."""
    for path in (WEEK_CSV, WEEK_JSON):
        path.parent.mkdir(parents=True, exist_ok=True)
    with WEEK_CSV.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(REGRESSORS)
        writer.writerows([getattr(day, name) for name in REGRESSORS] for day in week)
    columns = {name: {str(row): getattr(day, name) for row, day in enumerate(week)} for name in REGRESSORS}
    WEEK_JSON.write_text(json.dumps(columns, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
