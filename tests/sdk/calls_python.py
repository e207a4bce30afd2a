"""Models that are code, and inference in custom JSON."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from tests.sdk.drive import FOLDER, OLD, S, call, framework, status_of, until


def _of_python() -> dict[str, Any]:
    """How a model that is code is uploaded: what it takes and gives must be said, where the client has words for it."""
    if OLD:
        return {}
    taken, given = pa.schema([("area", pa.float64())]), pa.schema([("price", pa.float64())])
    return {**framework("PYTHON"), "input_schema": taken, "output_schema": given}


@call("wl.upload_model(name, path of Python)")
def _() -> None:
    found = S.wl.upload_model("areas", str(FOLDER / "areas.py"), **_of_python()).configure(runtime="python")
    assert found.name() == "areas"
    until(lambda: status_of(found) in {"ready", "error"}, "the model's environment")
    assert status_of(found) == "ready"


@call("wl.upload_model(name, path of Python, convert_wait=False)")
def _() -> None:
    found = S.wl.upload_model("areas", str(FOLDER / "areas.py"), **_of_python(), convert_wait=False)
    assert found.name() == "areas"


@call("pipeline.infer(dict), pipeline.infer_from_file(custom-json)")
def _() -> None:
    pipeline = S.wl.build_pipeline("areas")
    pipeline.add_model_step(S.wl.upload_model("areas", str(FOLDER / "areas.py"), **_of_python()))
    pipeline.deploy()
    assert pipeline.infer({"area": {"0": 2.0, "1": 3.0}}) == [{"price": [4800.0, 7200.0]}]
    found = pipeline.infer_from_file(str(FOLDER / "areas.json"), data_format="custom-json")
    assert found == [{"price": [2400.0]}]
    pipeline.undeploy()
