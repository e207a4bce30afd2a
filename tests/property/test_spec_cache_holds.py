"""Whatever a file says, the cache gives back exactly what reading it gave, or nothing."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from specrunner.core.errors import Diagnostic, InvalidSpecs
from specrunner.core.resources import Desired
from specrunner.spec.cache import Remembered, SpecCache, key_of
from specrunner.spec.desired import load
from specrunner.spec.tracked import STATE
from tests.unit.spec_samples import sample

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)
OBJECTS = st.dictionaries(st.text(max_size=5), JSON, max_size=4)


@settings(deadline=None)
@given(values=st.lists(st.tuples(OBJECTS, OBJECTS), max_size=4), data=st.binary(max_size=20))
def test_what_is_put_is_what_is_got(values: list[tuple[Any, Any]], data: bytes) -> None:
    put = [Remembered(number, number + 1, value, whole) for number, (value, whole) in enumerate(values)]
    with tempfile.TemporaryDirectory() as folder:
        cache = SpecCache(Path(folder))
        cache.put(key_of(data), put)
        cache.save()
        found = SpecCache(Path(folder)).get(key_of(data))
    # An infinity is not remembered; the rest comes back with the order of its keys.
    assert found is None or json.dumps(found) == json.dumps(put)
    assert found is not None or "Infinity" in json.dumps(put)


def outcome(root: Path, *, cached: bool) -> Desired | tuple[Diagnostic, ...]:
    try:
        return load(root, cached=cached)
    except InvalidSpecs as error:
        return error.diagnostics


@settings(deadline=None, max_examples=60)
@given(args=OBJECTS, name=st.text(max_size=5) | st.integers())
def test_specs_mean_the_same_read_anew_remembered_and_uncached(args: dict[str, Any], name: Any) -> None:
    document = {
        "apiVersion": "specrunner/v1",
        "kind": "Task",
        "metadata": {"name": name},
        "spec": {"orchestration": "remote-inference", "args": args, "timeout": "5m"},
    }
    with tempfile.TemporaryDirectory() as folder:
        root = sample(Path(folder), extra=json.dumps(document))
        expected = outcome(root, cached=False)
        assert outcome(root, cached=True) == expected
        assert outcome(root, cached=True) == expected


@settings(deadline=None, max_examples=60)
@given(data=st.data())
def test_no_damage_to_the_cache_changes_the_result(data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = sample(Path(folder))
        expected = outcome(root, cached=True)
        file = root / STATE / "cache" / "specs.jsonl"
        content = bytearray(file.read_bytes())
        for _ in range(data.draw(st.integers(1, 3))):
            content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
        file.write_bytes(bytes(content[: data.draw(st.integers(0, len(content)))]))
        assert outcome(root, cached=True) == expected
