"""Properties of `fmt`: it is idempotent, loses no comment, and never changes what a text says."""

from __future__ import annotations

import copy
import json
import random
import re
import tempfile
from pathlib import Path
from typing import Any

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from specrunner.core.resources import Desired
from specrunner.spec.desired import load
from specrunner.spec.formatting import changes, formatted, write
from specrunner.spec.loader import parse
from tests.unit.spec_samples import SAMPLE, sample

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "specs" / "house-price"
TEXTS = [
    *(
        "\n".join(line.removeprefix(" " * 8) for line in text.split("\n"))
        for name, text in SAMPLE.items()
        if name.endswith(".yaml")
    ),
    *(path.read_text("utf-8") for path in sorted(EXAMPLE.glob("*.yaml"))),
]


SEEDS = st.integers(0, 2**32).map(random.Random)


def said(text: str) -> str:
    parsed = parse(text)
    return json.dumps([parsed.complete, len(parsed.faults), [value for _, value in parsed.documents]], sort_keys=True)


def shuffled(value: Any, order: random.Random) -> Any:
    if isinstance(value, dict):
        names = list(value)
        order.shuffle(names)
        return {name: shuffled(value[name], order) for name in names}
    return [shuffled(item, order) for item in value] if isinstance(value, list) else value


def with_comments(text: str, order: random.Random) -> str:
    """Numbered comments and blank lines anywhere between lines, at any indentation."""
    lines: list[str] = []
    for line in text.splitlines():
        while order.random() < 0.3:
            lines.append(" " * order.randrange(6) + f"#c{len(lines)}#" if order.random() < 0.7 else "")
        lines.append(f"{line}  #t{len(lines)}#" if order.random() < 0.2 and not line.startswith("---") else line)
    return "\n".join(lines) + "\n"


def mixed(seed: random.Random, flow: bool | None) -> str:
    documents = [value for _, value in parse(seed.choice(TEXTS)).documents]
    return with_comments(
        yaml.safe_dump_all(
            [shuffled(copy.deepcopy(one), seed) for one in documents],
            sort_keys=False,
            default_flow_style=flow,
            width=10_000,
        ),
        seed,
    )


@settings(deadline=None, max_examples=200)
@given(SEEDS, st.sampled_from([False, None]))
def test_meaning_and_comments_stay_and_once_is_enough(seed: random.Random, flow: bool | None) -> None:
    before = mixed(seed, flow)
    after = formatted(before)
    assert said(after) == said(before)
    assert sorted(re.findall(r"#[ct]\d+#", after)) == sorted(re.findall(r"#[ct]\d+#", before))
    assert formatted(after) == after
    assert parse(before).complete
    assert all(list(document)[:3] == ["apiVersion", "kind", "metadata"] for _, document in parse(after).documents)


@given(st.text(max_size=60) | st.text(alphabet="a:-[]{}&*!|>'\"#%@`, \n\t<?", max_size=60))
def test_any_text_at_all_keeps_its_meaning(text: str) -> None:
    after = formatted(text)
    assert said(after) == said(text)
    assert formatted(after) == after


KEYS = st.sampled_from(
    [
        "kind: Task",
        "apiVersion: specrunner/v1",
        "metadata: {name: t}",
        "metadata: &m\n  labels: {}\n  name: n",
        'metadata: "a\n  b"',
        "spec:\n  timeout: |+\n    x\n\n",
        "spec:\n    - a\n    - b",
        "spec: *m",
        "<<: *m",
        "spec:",
        "? spec\n: x",
        "# comment",
        "",
        "   # deep",
        "spec: {retries: {backoff: 1s, limit: 2}}",
        "...",
        "---",
        "spec: >\n  folded\n\n  text",
        "spec:\n- env: {}\n  args: 1",
    ]
)


@settings(max_examples=300)
@given(st.lists(KEYS, max_size=9).map("\n".join))
def test_any_layout_keeps_its_meaning(text: str) -> None:
    after = formatted(text)
    assert said(after) == said(text)
    assert formatted(after) == after
    assert sorted(line.strip() for line in after.splitlines() if line.strip()[:1] == "#") == sorted(
        line.strip() for line in text.splitlines() if line.strip()[:1] == "#"
    )


def essence(desired: Desired) -> Any:
    return (
        desired.owner,
        desired.target,
        desired.status,
        desired.safety,
        {
            key: (one.spec, one.labels, one.description, one.protect, one.secrets, set(one.references))
            for key, one in desired.resources.items()
        },
    )


@settings(deadline=None, max_examples=25)
@given(SEEDS)
def test_a_repository_declares_the_same_afterwards(seed: random.Random) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = sample(Path(folder))
        for path in sorted(root.glob("*.yaml")):
            documents = [shuffled(value, seed) for _, value in parse(path.read_text()).documents]
            path.write_text(with_comments(yaml.safe_dump_all(documents, sort_keys=False, width=10_000), seed))
        before = load(root)
        for change in changes(root)[1]:
            write(root, change)
        assert changes(root)[1] == []
        assert essence(load(root)) == essence(before)


def test_the_example_is_in_form() -> None:
    assert changes(EXAMPLE)[1:] == ([], [])
