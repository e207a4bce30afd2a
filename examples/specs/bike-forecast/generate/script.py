"""The script in the pickle. It sees the fitted results under the name `model`, and answers with `predict`."""

REGRESSORS = ["temp", "holiday", "workingday", "windspeed"]


def predict(frame):
    """A forecast for as many days as the frame has rows, which are the weather and the calendar of those days."""
    forecast = model.forecast(steps=len(frame), exog=frame[REGRESSORS])  # noqa: F821
    return {"forecast": forecast.tolist()}
