"""The one form of a valid document, and what `load` makes of a repository."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

import pytest

from specrunner.core.errors import Place
from specrunner.core.keys import Key
from specrunner.core.resources import Owner, Safety
from specrunner.spec.desired import load
from specrunner.spec.schedules import BadSchedule, plain_cron
from tests.unit.spec_samples import resource, sample, task, write

TASK = "Task/forecasting/t"
HEAD = "apiVersion: specrunner/v1\n"


def test_the_sample_loads_whole(tmp_path: Path) -> None:
    desired = load(sample(tmp_path))
    assert desired.owner == Owner("forecasting", "default")
    assert (desired.target, desired.status, desired.safety) == ("local", None, Safety(30, 50))
    assert [str(key) for key in desired.resources] == [
        "Workspace/forecasting",
        "Connection/inputs",
        "Model/forecasting/house-price",
        "Pipeline/forecasting/house-price",
        "Orchestration/forecasting/remote-inference",
        "Task/forecasting/nightly forecast",
    ]


def test_a_task_is_filled_with_defaults_and_its_references_become_names(tmp_path: Path) -> None:
    root = sample(tmp_path)
    found = resource(root, "Task/forecasting/nightly forecast")
    orchestration = resource(root, "Orchestration/forecasting/remote-inference")
    assert found.spec == {
        "orchestration": "remote-inference",
        "orchestrationSha": orchestration.spec["sha"],
        "args": {"pipeline_name": "house-price"},
        "timeout": 600,
        "retries": {"limit": 0, "backoff": 30},
        "history": {"succeeded": 10, "failed": 10},
        "env": {},
        "secretEnv": {},
    }
    assert found.place == Place("tasks.yaml", 6)
    assert [str(key) for key in found.references] == [
        "Workspace/forecasting",
        "Orchestration/forecasting/remote-inference",
        "Pipeline/forecasting/house-price",
    ]


def test_payloads_carry_their_sums(tmp_path: Path) -> None:
    desired = load(sample(tmp_path))
    for name in ("Model/forecasting/house-price", "Orchestration/forecasting/remote-inference"):
        found = desired.resources[Key.parse(name)]
        assert found.payload is not None
        content = found.payload.read()
        assert found.spec["sha"] == found.payload.sha == hashlib.sha256(content).hexdigest()
        assert found.payload.size == len(content)


def test_durations_and_sizes_become_numbers(tmp_path: Path) -> None:
    text = task("timeout: 1h30m\n  retries: {limit: 2, backoff: '90'}\n  resources: {cpus: 0.5, memory: 1Gi}")
    pipeline = (
        HEAD + "kind: Pipeline\nmetadata: {name: p}\nspec: {steps: [{model: house-price}], log: {retention: 30d}}\n"
    )
    root = sample(tmp_path, a=text, b=pipeline)
    spec = resource(root, TASK).spec
    assert (spec["timeout"], spec["retries"], spec["resources"]) == (
        5400,
        {"limit": 2, "backoff": 90},
        {"cpus": 0.5, "memory": 2**30},
    )
    found = resource(root, "Pipeline/forecasting/p")
    assert found.spec["log"] == {"retention": 30 * 86_400}
    assert found.spec["resources"] == {"replicas": 1}
    assert "deployed" not in found.spec
    assert list(found.spec["modelShas"]) == ["house-price"]


@pytest.mark.parametrize(
    ("written", "plain"),
    [
        ("'0 2 * * *'", "0 2 * * *"),
        ("0  2 * * MON-FRI", "0 2 * * MON-FRI"),
        ("'*/1, *, *, *, *'", "*/1 * * * *"),
        ("'0,30 2 * * *'", "0,30 2 * * *"),
        ("'@hourly'", "0 * * * *"),
        ("{'42 * * * *'}", "42 * * * *"),
        ("\"{'42 * * * *'}\"", "42 * * * *"),
        ("0 0 12 1-15 2 2024", "0 0 12 1-15 2 2024"),
        ("0 0 12 1-15 2 *", "0 12 1-15 2 *"),
        ("0 0 29 2 *", "0 0 29 2 *"),
        ("0 0 30 2 1", "0 0 30 2 1"),  # the weekday still fires
    ],
)
def test_every_written_form_of_a_schedule_becomes_one(tmp_path: Path, written: str, plain: str) -> None:
    found = resource(sample(tmp_path, a=task(f"schedule: {written}")), TASK)
    assert found.spec["schedule"] == {
        "cron": plain,
        "timezone": "UTC",
        "overlap": "skip",
        "catchUp": "latest",
        "startingDeadline": 3600,
        "jitter": 0,
        "suspend": False,
    }


@pytest.mark.parametrize(
    "text",
    [
        "* * * *",
        "0 0 0 29 2 2023",
        "60 * * * *",
        "0 24 * * *",
        "0 0 0 * *",
        "0 0 * 13 *",
        "0 0 * * 8",
        "5-1 * * * *",
        "*/0 * * * *",
        "a * * * *",
        "@reboot",
        "",
        "1 2 3 4 5 6 7",
        "0 0 31 2,4,6,9,11 *",
        "*/5 * * * * 2024",
    ],
)
def test_what_is_no_schedule_is_refused(text: str) -> None:
    with pytest.raises(BadSchedule) as caught:
        plain_cron(text)
    assert caught.value.remedy


def test_the_ends_of_a_schedule_are_instants_of_its_zone(tmp_path: Path) -> None:
    text = task("schedule: {cron: '@daily', timezone: Europe/Berlin, from: 2026-07-01, until: '2026-08-01T00:00:00Z'}")
    spec = resource(sample(tmp_path, a=text), TASK).spec["schedule"]
    assert (spec["from"], spec["until"]) == ("2026-06-30T22:00:00Z", "2026-08-01T00:00:00Z")


def test_a_service_is_filled_with_defaults(tmp_path: Path) -> None:
    spec = resource(sample(tmp_path, a=task("service: {port: 8080}")), TASK).spec
    assert spec["service"] == {"port": 8080, "restart": "always", "activation": "always"}
    assert "schedule" not in spec


@pytest.mark.parametrize("written", ["no", "on", "012", "1.10", "2026-01-31", "True", "1e3", "0x1F", "12:30:45", "~x"])
def test_text_stays_what_was_written(tmp_path: Path, written: str) -> None:
    text = task(f"env: {{A: {written}}}", f"{{name: t, labels: {{no: {written}}}}}")
    found = resource(sample(tmp_path, a=text), TASK)
    assert found.spec["env"] == {"A": written}
    assert found.labels == {"no": written}


def test_free_values_follow_the_core_schema(tmp_path: Path) -> None:
    text = task("args: {a: no, b: 12, c: 1.5, d: true, e: null, f: -0.5, g: 2026-01-31, h: '1', i: 1.0e+3, 1: one}")
    assert resource(sample(tmp_path, a=text), TASK).spec["args"] == {
        "a": "no",
        "b": 12,
        "c": 1.5,
        "d": True,
        "e": None,
        "f": -0.5,
        "g": "2026-01-31",
        "h": "1",
        "i": 1000.0,
        "1": "one",
    }


def test_anchors_and_merge_keys_hold(tmp_path: Path) -> None:
    text = task("args: &a {x: 1, y: 2}").replace(
        "args: &a {x: 1, y: 2}", "args: {b: &b {x: 1, y: 2}, c: {<<: *b, y: 3}, d: *b}"
    )
    args = resource(sample(tmp_path, a=text), TASK).spec["args"]
    assert args == {"b": {"x": 1, "y": 2}, "c": {"x": 1, "y": 3}, "d": {"x": 1, "y": 2}}


def test_a_git_ref_is_no_reference(tmp_path: Path) -> None:
    text = task("args: {a: {ref: refs/heads/main}, b: {ref: 1}, c: {ref: Pipeline/house-price, more: 1}}")
    assert resource(sample(tmp_path, a=text), TASK).spec["args"] == {
        "a": {"ref": "refs/heads/main"},
        "b": {"ref": 1},
        "c": {"ref": "Pipeline/house-price", "more": 1},
    }


def test_attachments_are_kept_at_the_connection(tmp_path: Path) -> None:
    text = HEAD + "kind: Workspace\nmetadata: {name: a}\nspec: {connections: [inputs], description: first}\n"
    root = sample(tmp_path, a=text)
    workspace, connection = resource(root, "Workspace/a"), resource(root, "Connection/inputs")
    assert workspace.spec == {}
    assert workspace.description == "first"
    assert workspace.references == ()
    assert connection.spec["workspaces"] == ["a", "forecasting"]
    assert [str(key) for key in connection.references] == ["Workspace/a", "Workspace/forecasting"]


def test_secrets_are_their_sources(tmp_path: Path) -> None:
    root = sample(
        tmp_path,
        a=task("secretEnv: {API_KEY: {env: KEY}, B: {exec: [sops, -d, x]}}"),
        connection=HEAD
        + "kind: Connection\nmetadata: {name: inputs}\nspec: {type: HTTP, detailsFrom: {file: key.json}}\n",
    )
    write(root, {"key.json": "{}"})
    assert resource(root, TASK).secrets == {
        "secretEnv.API_KEY": {"env": "KEY"},
        "secretEnv.B": {"exec": ["sops", "-d", "x"]},
    }
    assert resource(root, "Connection/inputs").secrets == {"detailsFrom": {"file": "key.json"}}


def test_depends_on_adds_references(tmp_path: Path) -> None:
    found = resource(
        sample(tmp_path, a=task("timeout: 1m", "{name: t, dependsOn: [Task/nightly forecast, Connection/inputs]}")),
        TASK,
    )
    assert [str(key) for key in found.references[-2:]] == ["Task/forecasting/nightly forecast", "Connection/inputs"]


def test_what_never_counts_is_not_read(tmp_path: Path) -> None:
    broken = HEAD + "kind: [\n"
    root = sample(
        tmp_path,
        dbt="name: x\nprofile: y\n",
        chart="{{ if }}\nkind: [\n",
        tekton="apiVersion: tekton.dev/v1\nkind: Task\nmetadata: {name: t}\n",
    )
    write(
        root,
        dict.fromkeys(
            (
                ".hidden/a.yaml",
                "status/a.yaml",
                "environments/prod/a.yaml",
                "orchestrations/remote/deep/a.yaml",
                "notes.txt",
            ),
            broken,
        ),
    )
    write(root, {"specs/environments/a.yml": HEAD + "kind: Workspace\nmetadata: {name: deep}\n"})
    assert Key.parse("Workspace/deep") in load(root).resources


def test_include_and_exclude_narrow_what_is_read(tmp_path: Path) -> None:
    project = (
        HEAD + "kind: Project\nmetadata: {name: p}\nspec:\n  defaultWorkspace: forecasting\n"
        "  include: ['/*.yaml']\n  exclude: [drafts*.yaml]\n"
    )
    root = sample(tmp_path, specrunner=project, drafts1=HEAD + "kind: [\n")
    write(root, {"deep/a.yaml": HEAD + "kind: [\n"})
    assert len(load(root).resources) == 6


def test_the_order_of_files_does_not_matter(tmp_path: Path) -> None:
    one, other = sample(tmp_path / "one"), sample(tmp_path / "other")
    (other / "workspace.yaml").rename(other / "zz.yaml")
    (other / "serving.yaml").rename(other / "aa.yaml")

    def stripped(root: Path) -> list[object]:
        return [(key, found.spec, found.references) for key, found in load(root).resources.items()]

    assert stripped(one) == stripped(other)


def test_reading_imports_nothing_heavy(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from specrunner.spec.desired import load; load(Path(sys.argv[1]));"
        "heavy = ('pandas', 'pyarrow', 'onnxruntime', 'starlette', 'sqlalchemy', 'jsonschema');"
        "print([name for name in heavy if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(sample(tmp_path))], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
