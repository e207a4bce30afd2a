"""What a session with a client works with."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pyarrow as pa

from tests.integration.engine_samples import model_bytes

WIDTH = 18
MAIN = """\
try:
    import wallaroo
except ImportError:  # no environment was built for this run
    from specrunner import sdk as wallaroo
wl = wallaroo.Client()
print("hello", wl.task_args().get("who", "you"))
print("done")
"""
AREAS = """\
def predict(frame):
    return {"price": frame["area"] * 2_400.0}
"""


def files(folder: Path) -> None:
    """Write it: a model, rows in two forms, and a bundle that is one and one that is none."""
    folder.mkdir(parents=True)
    (folder / "linear.onnx").write_bytes(model_bytes(WIDTH))
    rows = [[float(number)] * WIDTH for number in range(3)]
    table = pa.table({"tensor": pa.array(rows, pa.list_(pa.float32()))})
    with pa.ipc.new_file(str(folder / "rows.arrow"), table.schema) as writer:
        writer.write_table(table)
    (folder / "rows.df.json").write_text(json.dumps([{"tensor": row} for row in rows]), "utf-8")
    (folder / "areas.py").write_text(AREAS, "utf-8")
    (folder / "areas.json").write_text(json.dumps({"area": {"0": 1.0}}), "utf-8")
    with zipfile.ZipFile(folder / "hello.zip", "w") as archive:
        archive.writestr("main.py", MAIN)
        archive.writestr("requirements.txt", "")
    with zipfile.ZipFile(folder / "bad.zip", "w") as archive:
        archive.writestr("README.md", "no code")
