"""References drawn as a tree and as a flowchart."""

from __future__ import annotations

from pathlib import Path

from specrunner.core.errors import Place
from specrunner.core.keys import Key, Kind
from specrunner.core.resources import Desired, Owner, Resource
from specrunner.report.graph import mermaid_lines, tree_lines
from specrunner.spec.desired import load
from tests.unit.spec_samples import sample

TASKS = """\
    apiVersion: specrunner/v1
    kind: Orchestration
    metadata: {name: remote-inference}
    spec: {source: orchestrations/remote}
    ---
    apiVersion: specrunner/v1
    kind: Task
    metadata: {name: prepare}
    spec: {orchestration: remote-inference, args: {p: {ref: Pipeline/house-price}, c: {ref: Connection/inputs}}}
    ---
    apiVersion: specrunner/v1
    kind: Task
    metadata: {name: 'say "hi" [#1] <b>', dependsOn: [Task/prepare]}
    spec: {orchestration: remote-inference}
    """


def desired(root: Path) -> Desired:
    return load(
        sample(
            root,
            tasks=TASKS,
            other="""\
        apiVersion: specrunner/v1
        kind: Connection
        metadata: {name: alone}
        spec: {type: HTTP}
        ---
        apiVersion: specrunner/v1
        kind: Workspace
        metadata: {name: late, dependsOn: [Task/forecasting/prepare]}
        """,
        )
    )


def test_a_tree_shows_what_each_object_needs(tmp_path: Path) -> None:
    assert [line.text for line in tree_lines(desired(tmp_path))] == [
        "Workspace/forecasting",
        '  Task/forecasting/say "hi" [#1] <b>',
        "  ├─ Orchestration/forecasting/remote-inference",
        "  └─ Task/forecasting/prepare",
        "     ├─ Connection/inputs",
        "     ├─ Pipeline/forecasting/house-price",
        "     │  └─ Model/forecasting/house-price",
        "     └─ Orchestration/forecasting/remote-inference",
        "",
        "Workspace/late (needs Task/forecasting/prepare)",
        "",
        "in no workspace",
        "  Connection/alone",
    ]


def test_a_flowchart_has_every_object_and_every_arrow_and_no_raw_syntax_in_labels(tmp_path: Path) -> None:
    assert [line.text for line in mermaid_lines(desired(tmp_path))] == [
        "flowchart LR",
        '  subgraph n0["Workspace/forecasting"]',
        '    n4["Model<br/>house-price"]',
        '    n5["Pipeline<br/>house-price"]',
        '    n6["Orchestration<br/>remote-inference"]',
        '    n7["Task<br/>prepare"]',
        '    n8["Task<br/>say #34;hi#34; #91;#35;1#93; #60;b#62;"]',
        "  end",
        '  subgraph n1["Workspace/late"]',
        "  end",
        '  n2["Connection<br/>alone"]',
        '  n3["Connection<br/>inputs"]',
        "  n1 --> n7",
        "  n3 -.->|attached| n0",
        "  n5 --> n4",
        "  n7 --> n3",
        "  n7 --> n5",
        "  n7 --> n6",
        "  n8 --> n6",
        "  n8 --> n7",
    ]


def connections(count: int) -> Desired:
    """Each needs the two before it: as many paths as Fibonacci's numbers, twice as many references as objects."""
    keys = [Key(Kind.CONNECTION, "", f"c{number:04}") for number in range(count)]
    return Desired(
        Owner("p", "default"),
        {
            key: Resource(key, {}, Place("a.yaml"), references=tuple(keys[max(0, number - 2) : number]))
            for number, key in enumerate(keys)
        },
    )


def test_a_long_chain_with_many_paths_is_drawn_once() -> None:
    assert len(list(tree_lines(connections(3000)))) <= 6002
    assert len(list(mermaid_lines(connections(3000)))) == 1 + 3000 + 2 * 3000 - 3


def test_nothing_declared_is_said() -> None:
    assert [line.text for line in tree_lines(Desired(Owner("p", "default"), {}))] == ["Nothing is declared."]
