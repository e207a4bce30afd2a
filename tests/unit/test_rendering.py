"""`render`: plain documents that declare the same."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from specrunner.core.errors import InvalidSpecs
from specrunner.core.resources import Desired
from specrunner.spec.desired import load
from specrunner.spec.loader import parse
from specrunner.spec.rendering import dumped, rendered
from tests.unit.spec_samples import SAMPLE, sample, write

PROJECT = """\
    apiVersion: specrunner/v1
    kind: Project
    metadata: {name: forecasting, labels: {team: pricing}}
    spec:
      defaultWorkspace: forecasting
      exclude: [drafts/]
      status: {branch: records}
      safety: {maxDeletePercent: 5}
      environments:
        staging: {vars: {dataset: bikes_staging, count: 1.10}}
        prod: {target: {server: "https://${vars.dataset}.example.com"}, vars: {dataset: bikes}, protect: true}
    """
TASKS = """\
    apiVersion: specrunner/v1
    kind: Orchestration
    metadata: {name: remote-inference}
    spec: {source: orchestrations/remote}
    ---
    apiVersion: specrunner/v1
    kind: Task
    metadata:
      name: nightly
      labels: {version: 1.10, on: no, number: "1e3", octal: "0o17", date: 2024-01-01}
      dependsOn: [Connection/inputs]
    spec:
      orchestration: remote-inference
      args:
        pipeline: {ref: Pipeline/house-price}
        table: "t_${vars.dataset}"
        plain: "$${vars.dataset}"
        text: "a\\nb\\n"
      schedule: {cron: "@daily", timezone: Europe/Berlin, from: 2026-01-31}
      timeout: 10m
      env: {A: "${env.UNSET_BY_ALL:-x}", B: "007", C: '~'}
      secretEnv: {KEY: {env: FORECAST_KEY}}
      resources: {memory: 512Mi}
    """


def essence(desired: Desired) -> Any:
    """All of it but places."""
    return (
        desired.owner,
        desired.target,
        desired.status,
        desired.safety,
        {
            key: (
                one.spec,
                one.labels,
                one.description,
                one.protect,
                one.secrets,
                set(one.references),
                one.payload.sha if one.payload else None,
            )
            for key, one in desired.resources.items()
        },
    )


def again(root: Path, folder: Path, environment: str | None, *, defaults: bool) -> Desired:
    """What the rendered documents declare, beside the same files."""
    text = rendered(root, environment, defaults=defaults)
    write(folder, {name: content for name, content in SAMPLE.items() if not name.endswith(".yaml")})
    (folder / "specrunner.yaml").write_text(text, "utf-8")
    return load(folder)


@pytest.mark.parametrize("defaults", [True, False])
@pytest.mark.parametrize("environment", ["staging", "prod"])
def test_what_is_rendered_declares_the_same(tmp_path: Path, environment: str, defaults: bool) -> None:
    root = sample(
        tmp_path / "a",
        specrunner=PROJECT,
        tasks=TASKS,
        **{
            "environments/prod/patch": """\
        apiVersion: specrunner/v1
        kind: Pipeline
        metadata: {name: house-price, labels: {patched: "yes"}}
        spec: {deployed: true, steps: [{split: [{model: house-price, weight: 1}, {model: house-price, weight: 2}]}]}
        """
        },
    )
    assert essence(again(root, tmp_path / "b", environment, defaults=defaults)) == essence(load(root, environment))


def test_rendering_again_changes_nothing(tmp_path: Path) -> None:
    root = sample(tmp_path / "a", specrunner=PROJECT, tasks=TASKS)
    again(root, tmp_path / "b", "staging", defaults=True)
    assert rendered(tmp_path / "b") == rendered(root, "staging")


def test_documents_are_sorted_by_key_whatever_the_files(tmp_path: Path) -> None:
    root = sample(tmp_path)
    before = rendered(root)
    shutil.move(root / "tasks.yaml", root / "a-first.yml")
    assert rendered(root) == before
    kinds = [document["kind"] for _, document in parse(before).documents]
    assert kinds == ["Project", "Workspace", "Connection", "Model", "Pipeline", "Orchestration", "Task"]


def test_without_defaults_only_what_was_written_shows(tmp_path: Path) -> None:
    text = rendered(sample(tmp_path, specrunner=PROJECT, tasks=TASKS), "staging", defaults=False)
    task = next(document for _, document in parse(text).documents if document["kind"] == "Task")
    assert task["spec"]["timeout"] == "10m"
    assert "history" not in task["spec"]
    assert task["spec"]["args"] == {
        "pipeline": {"ref": "Pipeline/house-price"},
        "table": "t_bikes_staging",
        "plain": "$${vars.dataset}",
        "text": "a\nb\n",
    }
    assert task["spec"]["secretEnv"] == {"KEY": {"env": "FORECAST_KEY"}}


def test_wrong_specs_are_not_rendered(tmp_path: Path) -> None:
    with pytest.raises(InvalidSpecs):
        rendered(sample(tmp_path, tasks="apiVersion: specrunner/v1\nkind: Task\n"))


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**20), 10**20)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=("Cc", "Cs", "Cn", "Co")), max_size=8)
    | st.text(alphabet="0123456789.eExo+-:_~ab#\n ", max_size=6),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(alphabet="ab<1.e~ ", max_size=4), inner, max_size=3)
    ),
    max_leaves=10,
)


@given(JSON)
def test_what_is_written_is_read_as_it_was(value: Any) -> None:
    assert [found for _, found in parse(dumped([{"value": value}])).documents] == [{"value": value}]


def test_files_of_secrets_need_not_be_there(tmp_path: Path) -> None:
    text = rendered(
        sample(
            tmp_path,
            connection="""\
        apiVersion: specrunner/v1
        kind: Connection
        metadata: {name: inputs}
        spec: {type: HTTP, detailsFrom: {file: secrets/key.json}}
        """,
        )
    )
    (found,) = [document for _, document in parse(text).documents if document["kind"] == "Connection"]
    assert found["spec"]["detailsFrom"] == {"file": "secrets/key.json"}
