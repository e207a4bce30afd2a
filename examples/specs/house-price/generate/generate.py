"""Make the model and the data of this example anew: `python generate/generate.py`, from any folder.

Needs the packages of `generate/requirements.txt`. With the versions named there, two runs give the same files byte for
byte: the seeds are fixed, and nothing that changes from run to run (times, random names) is written.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import onnx
import pyarrow as pa
from houses import FEATURES, features, houses
from onnx.reference import ReferenceEvaluator
from skl2onnx import convert_sklearn
from skl2onnx.common.data_types import FloatTensorType
from sklearn.ensemble import RandomForestRegressor
from sklearn.metrics import r2_score

ROOT = Path(__file__).resolve().parent.parent
MODEL = ROOT / "models" / "house_price.onnx"
DATA = ROOT / "data" / "houses-1k.arrow"
SAMPLE = ROOT / "orchestrations" / "bundled_data" / "houses-20.arrow"

TRAINING_SEED, TRAINING_HOUSES = 1, 8_000
DATA_SEED, DATA_HOUSES = 2, 1_000
SAMPLE_SEED, SAMPLE_HOUSES = 3, 20

# The operator sets are named, so that a newer skl2onnx does not choose newer ones.
OPERATOR_SETS = {"": 17, "ai.onnx.ml": 3}


def main() -> None:
    """Write the model and both data files, and say how good the model is."""
    forest = train()
    model = to_onnx(forest)
    rows, prices = arrays(DATA_SEED, DATA_HOUSES)
    check(model, forest, rows)
    write(MODEL, model.SerializeToString(deterministic=True))
    write(DATA, arrow_file(rows))
    write(SAMPLE, arrow_file(arrays(SAMPLE_SEED, SAMPLE_HOUSES)[0]))
    sys.stdout.write(f"R² on the {len(rows):,} houses of {DATA.name}: {r2_score(prices, forest.predict(rows)):.3f}\n")


def arrays(seed: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Features as float32 [count, 18] and prices as float64 [count]."""
    sold = list(houses(seed, count))
    rows = np.array([features(house) for house, _ in sold], dtype=np.float32)
    return rows, np.array([price for _, price in sold])


def train() -> RandomForestRegressor:
    """A forest that is small on purpose: its file stays well below 200 kB."""
    rows, prices = arrays(TRAINING_SEED, TRAINING_HOUSES)
    # All features at every split (the default): with few leaves, a tree cannot afford a poor split.
    forest = RandomForestRegressor(n_estimators=20, max_leaf_nodes=100, min_samples_leaf=5, random_state=TRAINING_SEED)
    return forest.fit(rows, prices)


def to_onnx(forest: RandomForestRegressor) -> onnx.ModelProto:
    """The forest as ONNX: input `float_input` [None, 18], output `variable` [None, 1], both float32."""
    model = convert_sklearn(
        forest,
        name="house-price",  # left out, it is a new random name each time
        initial_types=[("float_input", FloatTensorType([None, len(FEATURES)]))],
        final_types=[("variable", FloatTensorType([None, 1]))],
        target_opset=OPERATOR_SETS,
    )
    model.producer_name, model.producer_version = "house-price example", ""
    model.domain, model.doc_string, model.model_version = "", "", 1
    onnx.checker.check_model(model)
    return model


def check(model: onnx.ModelProto, forest: RandomForestRegressor, rows: np.ndarray) -> None:
    """Raise ValueError unless the ONNX file says of every house what the forest says."""
    (answer,) = ReferenceEvaluator(model).run(["variable"], {"float_input": rows})
    if not np.allclose(answer[:, 0], forest.predict(rows), rtol=1e-5):
        raise ValueError("the exported model and the forest disagree")


def arrow_file(rows: np.ndarray) -> bytes:
    """An Arrow IPC file with the one column `tensor: fixed_size_list<float>[18]`."""
    tensor = pa.FixedSizeListArray.from_arrays(pa.array(rows.ravel()), rows.shape[1])
    table = pa.table({"tensor": tensor})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue().to_pybytes()


def write(path: Path, content: bytes) -> None:
    """Write a file and say how large it is."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    sys.stdout.write(f"{path.relative_to(ROOT)}: {len(content):,} bytes\n")


if __name__ == "__main__":
    main()
