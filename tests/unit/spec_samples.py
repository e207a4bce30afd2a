"""A small valid spec repository with one object of every kind, and how to change a file of it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from textwrap import dedent

import pytest

from specrunner.core.errors import Diagnostic, InvalidSpecs
from specrunner.core.keys import Key
from specrunner.core.resources import Resource
from specrunner.spec.desired import load

SAMPLE: Mapping[str, str] = {
    "specrunner.yaml": """\
        apiVersion: specrunner/v1
        kind: Project
        metadata: {name: forecasting}
        spec:
          defaultWorkspace: forecasting
        """,
    "workspace.yaml": """\
        apiVersion: specrunner/v1
        kind: Workspace
        metadata: {name: forecasting}
        """,
    "connection.yaml": """\
        apiVersion: specrunner/v1
        kind: Connection
        metadata: {name: inputs}
        spec:
          type: HTTPFILE
          workspaces: [forecasting]
          details: {host: "http://127.0.0.1/inputs.arrow"}
        """,
    "serving.yaml": """\
        apiVersion: specrunner/v1
        kind: Model
        metadata: {name: house-price}
        spec: {path: models/house_price.onnx, framework: onnx}
        ---
        apiVersion: specrunner/v1
        kind: Pipeline
        metadata: {name: house-price}
        spec:
          steps: [{model: house-price}]
        """,
    "tasks.yaml": """\
        apiVersion: specrunner/v1
        kind: Orchestration
        metadata: {name: remote-inference}
        spec: {source: orchestrations/remote}
        ---
        apiVersion: specrunner/v1
        kind: Task
        metadata: {name: nightly forecast}
        spec:
          orchestration: remote-inference
          args: {pipeline_name: {ref: Pipeline/house-price}}
          timeout: 10m
        """,
    "models/house_price.onnx": "not read, only summed\n",
    "orchestrations/remote/main.py": "print('hello')\n",
}


def write(root: Path, files: Mapping[str, str]) -> Path:
    """Write files below `root`, dedented; gives `root`."""
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(text), "utf-8")
    return root


def sample(root: Path, **replaced: str) -> Path:
    """The sample at `root`; a keyword replaces a YAML file of that name or adds one."""
    return write(root, {**SAMPLE, **{f"{name}.yaml": text for name, text in replaced.items()}})


def task(spec: str, metadata: str = "{name: t}") -> str:
    """The document of a task with this flow-style spec; the orchestration is the sample's."""
    return (
        f"apiVersion: specrunner/v1\nkind: Task\nmetadata: {metadata}\n"
        f"spec:\n  orchestration: remote-inference\n  {spec}\n"
    )


def problems(root: Path, environment: str | None = None) -> list[Diagnostic]:
    """What is wrong with the specs at `root`; fails where nothing is."""
    with pytest.raises(InvalidSpecs) as caught:
        load(root, environment)
    return list(caught.value.diagnostics)


def problem(root: Path, environment: str | None = None) -> Diagnostic:
    """The one thing that is wrong with the specs at `root`."""
    found = problems(root, environment)
    assert len(found) == 1, "\n".join(f"{one.place}: {one.summary}" for one in found)
    return found[0]


def resource(root: Path, key: str, environment: str | None = None) -> Resource:
    """One resource of valid specs."""
    return load(root, environment).resources[Key.parse(key)]
