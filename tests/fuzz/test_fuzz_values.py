"""Whatever values stand at the fields of a document: it is read, or what is wrong is said with its place."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from specrunner.core.decide import make_plan
from specrunner.core.errors import InvalidSpecs
from specrunner.core.keys import Kind
from specrunner.core.plan import to_json
from specrunner.core.values import canonical
from specrunner.spec.desired import load
from specrunner.spec.schema import schema_of
from tests.unit.spec_samples import sample

_WORDS = st.sampled_from(
    [
        "house-price",
        "remote-inference",
        "forecasting",
        "models/house_price.onnx",
        "orchestrations/remote",
        "onnx",
        "1h",
        "1Gi",
        "@daily",
        "*/5 * * * *",
        "Europe/Berlin",
        "skip",
        "latest",
        "${vars.x}",
        "${env.HOME}",
        "Task/t",
        "../x",
    ]
)
_SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=20),
    _WORDS,
)
_VALUES = st.recursive(
    _SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8) | _WORDS, inner, max_size=3),
    max_leaves=6,
)


def _like(schema: Any) -> st.SearchStrategy[Any]:
    """Values near a schema: its fields and its examples, and now and then something else."""
    near: list[st.SearchStrategy[Any]] = [st.sampled_from(schema["examples"])] if schema.get("examples") else []
    if schema.get("enum"):
        near.append(st.sampled_from(schema["enum"]))
    if schema.get("properties"):
        fields = {name: _like(part) for name, part in schema["properties"].items()}
        near.append(st.fixed_dictionaries({}, optional=fields))
    if isinstance(schema.get("items"), dict):
        near.append(st.lists(_like(schema["items"]), max_size=3))
    return st.one_of(*near, *near, _VALUES)


def _documents(kind: Kind) -> st.SearchStrategy[dict[str, Any]]:
    parts = schema_of(kind)["properties"]
    return st.fixed_dictionaries(
        {
            "apiVersion": st.just("specrunner/v1"),
            "kind": st.just(str(kind)),
            "metadata": st.just({"name": "made"}) | _like(parts["metadata"]),
            "spec": _like(parts["spec"]),
        }
    )


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(list(Kind)).flatmap(_documents))
def test_any_values_are_read_or_explained(document: dict[str, Any]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = sample(Path(folder))
        (root / "made.yaml").write_text(json.dumps(document), "utf-8")  # JSON is YAML, and says every value
        try:
            desired = load(root)
        except InvalidSpecs as problem:
            assert problem.diagnostics
            assert all(one.summary and one.place and one.place.file for one in problem.diagnostics)
        else:
            canonical(to_json(make_plan(desired, {}, {})))
