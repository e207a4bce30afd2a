"""Properties of the spec reader: what holds for every text, tree and folder."""

from __future__ import annotations

import copy
import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from specrunner.core.errors import InvalidSpecs
from specrunner.spec.bundle import orchestration_payload
from specrunner.spec.desired import load
from specrunner.spec.environments import merged
from specrunner.spec.findings import Finding, Trail
from specrunner.spec.loader import parse
from specrunner.spec.positions import Document, SourceFile, diagnose, written
from specrunner.spec.schedules import BadSchedule, plain_cron
from tests.unit.spec_samples import SAMPLE, sample

WORDS = st.text(st.characters(exclude_categories=("Cc", "Cs", "Cn", "Co")), max_size=8)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**20), 10**20)
    | st.floats(allow_nan=False, allow_infinity=False)
    | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=12,
)


def scalars(value: Any, trail: Trail = ()) -> Iterator[tuple[Trail, Any]]:
    if isinstance(value, dict):
        for name, item in value.items():
            yield from scalars(item, (*trail, name))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from scalars(item, (*trail, index))
    else:
        yield trail, value


@given(JSON)
def test_json_is_read_as_json(value: Any) -> None:
    """YAML 1.2 is meant to be a superset of JSON; here it is, but for `<<`, which merges."""
    text = json.dumps(value, ensure_ascii=False)
    parsed = parse(text)
    assert parsed.faults == ()
    assert [found for _, found in parsed.documents] == [value]


@given(st.text(max_size=60) | st.text(alphabet="a:-[]{}&*!|>'\"#%@`, \n\t<?", max_size=60))
def test_no_text_makes_the_reader_fail(text: str) -> None:
    parsed = parse(text)
    assert all(fault.line >= 1 and fault.column >= 1 and fault.remedy for fault in parsed.faults)


@given(JSON)
def test_every_scalar_is_found_where_it_stands(value: Any) -> None:
    text = yaml.safe_dump({"root": value}, allow_unicode=True)
    document = Document(SourceFile("a.yaml", text), 0, 1, None)
    again = parse(text).documents[0][1]
    for trail, _ in scalars(again):
        if not any(part == "<<" for part in trail):
            assert written([document], trail) is not None or not trail
        place = diagnose([document], Finding((*trail, "beyond"), "x")).place
        assert place is not None and place.line >= 1


@given(JSON, JSON)
def test_merging_twice_is_merging_once(base: Any, patch: Any) -> None:
    once = merged(base, patch)
    assert merged(once, patch) == once


@given(st.text(alphabet="0123456789*/-, @?LWa", max_size=20))
def test_a_plain_schedule_stays_as_it_is(text: str) -> None:
    try:
        plain = plain_cron(text)
    except BadSchedule:
        return
    assert plain_cron(plain) == plain


FILES = st.dictionaries(
    st.lists(
        st.text("abcé ._-", min_size=1, max_size=4).filter(lambda part: part.strip(". ") and part != "."),
        min_size=1,
        max_size=3,
    )
    .map("/".join)
    .filter(lambda name: ".git" not in name),
    st.binary(max_size=20),
    max_size=5,
)


@settings(deadline=None)
@given(files=FILES, order=st.randoms(), mask=st.sampled_from([0o022, 0o077, 0o002]), stamp=st.integers(0, 2**31))
def test_a_bundle_depends_on_names_and_bytes_only(files: dict[str, bytes], order: Any, mask: int, stamp: int) -> None:
    files = {
        **{name: data for name, data in files.items() if not any(other.startswith(name + "/") for other in files)},
        "main.py": b"",
    }
    shuffled = list(files)
    order.shuffle(shuffled)
    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as other:
        _write(Path(one), sorted(files), files)
        before = os.umask(mask)
        try:
            _write(Path(other), shuffled, files)
        finally:
            os.umask(before)
        for name in files:
            os.utime(Path(other) / name, (stamp, stamp))
        first, second = orchestration_payload(Path(one)), orchestration_payload(Path(other))
        assert first.read() == second.read()
        assert first.sha == second.sha


def _write(root: Path, names: list[str], files: dict[str, bytes]) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(files[name])


@settings(deadline=None, max_examples=150)
@given(data=st.data())
def test_any_value_anywhere_is_accepted_or_told_at_a_place(data: st.DataObject) -> None:
    """Whatever stands in a field: specs load, or every problem has a file, a line and a remedy."""
    name = data.draw(st.sampled_from([name for name in SAMPLE if name.endswith(".yaml")]))
    documents = [value for _, value in parse(_dedented(SAMPLE[name])).documents]
    trails = [
        trail[:depth] for document in documents for trail, _ in scalars(document) for depth in range(1, len(trail) + 1)
    ]
    trail = data.draw(st.sampled_from(trails))
    changed = copy.deepcopy(documents)
    for document in changed:
        _replace(document, trail, data.draw(JSON))
    with tempfile.TemporaryDirectory() as folder:
        root = sample(Path(folder), **{name.removesuffix(".yaml"): yaml.safe_dump_all(changed, allow_unicode=True)})
        try:
            load(root)
        except InvalidSpecs as error:
            assert all(one.place and one.place.file and one.remedy and one.detail for one in error.diagnostics)


def _dedented(text: str) -> str:
    return "\n".join(line.removeprefix(" " * 8) for line in text.split("\n"))


def _replace(document: Any, trail: Trail, value: Any) -> None:
    """Put `value` at `trail`, where the document has such a place."""
    for part in trail[:-1]:
        if part not in _parts(document):
            return
        document = document[part]
    if isinstance(document, dict) or trail[-1] in _parts(document):
        document[trail[-1]] = value


def _parts(document: Any) -> list[Any]:
    if isinstance(document, dict):
        return list(document)
    return list(range(len(document))) if isinstance(document, list) else []
