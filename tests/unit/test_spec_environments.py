"""Environments, variables and patches."""

from __future__ import annotations

from pathlib import Path

import pytest

from specrunner.spec.desired import load
from specrunner.spec.environments import merged
from specrunner.spec.variables import Variables, substitute
from tests.unit.spec_samples import problem, problems, resource, sample, task, write

HEAD = "apiVersion: specrunner/v1\n"
TASK = "Task/forecasting/t"
PROJECT = (
    HEAD
    + """\
kind: Project
metadata: {name: forecasting}
spec:
  defaultWorkspace: forecasting
  target: {server: "https://base.example.com"}
  status: {branch: records}
  safety: {maxDeletePercent: 10}
  environments:
    staging: {vars: {dataset: bikes_staging, limit: 3, version: 1.10, on: true, tables: [a, b]}}
    prod:
      target: {server: "https://ml.example.com", tokenFrom: {env: PROD_TOKEN}}
      vars: {dataset: bikes, limit: 5, version: 2.0, on: false, tables: []}
      protect: true
  defaultEnvironment: staging
"""
)


def with_task(root: Path, spec: str, project: str = PROJECT) -> Path:
    return sample(root, specrunner=project, zextra=task(spec))


def test_the_default_environment_holds_without_a_choice(tmp_path: Path) -> None:
    desired = load(with_task(tmp_path, "args: {d: '${vars.dataset}'}"))
    assert desired.owner.environment == "staging"
    assert desired.target == {"server": "https://base.example.com", "onUnsupported": "error"}
    assert desired.status == {"branch": "records", "logs": "tail"}
    assert (desired.safety.max_delete_percent, desired.safety.max_update_percent) == (10, 50)
    assert not any(found.protect for found in desired.resources.values())


def test_an_environment_overrides_target_and_protection(tmp_path: Path) -> None:
    desired = load(with_task(tmp_path, "args: {d: '${vars.dataset}'}"), "prod")
    assert desired.owner.environment == "prod"
    assert desired.target["tokenFrom"] == {"env": "PROD_TOKEN"}
    assert all(found.protect for found in desired.resources.values())


def test_a_value_that_is_one_variable_keeps_its_type(tmp_path: Path) -> None:
    text = (
        "args: {a: '${vars.limit}', b: 'x${vars.limit}y', c: '${vars.tables}', d: 'v${vars.version}',"
        " e: '$${vars.limit}', f: '${HOME}'}"
    )
    assert resource(with_task(tmp_path, text), TASK).spec["args"] == {
        "a": 3,
        "b": "x3y",
        "c": ["a", "b"],
        "d": "v1.10",
        "e": "${vars.limit}",
        "f": "${HOME}",
    }


def test_a_variable_in_a_text_field_is_the_text_that_was_written(tmp_path: Path) -> None:
    found = resource(with_task(tmp_path, "env: {V: '${vars.version}', L: '${vars.limit}', O: '${vars.on}'}"), TASK)
    assert found.spec["env"] == {"V": "1.10", "L": "3", "O": "true"}


def test_a_variable_may_stand_in_a_name(tmp_path: Path) -> None:
    root = sample(tmp_path, specrunner=PROJECT, zextra=task("timeout: 1m", "{name: 'load ${vars.dataset}'}"))
    assert "Task/forecasting/load bikes_staging" in [str(key) for key in load(root).resources]


def test_variables_of_the_process_have_defaults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPECRUNNER_TEST_A", "one")
    monkeypatch.delenv("SPECRUNNER_TEST_B", raising=False)
    text = (
        "args: {a: '${env.SPECRUNNER_TEST_A:-x}', b: '${env.SPECRUNNER_TEST_B:-http://h:80/x}',"
        " c: '${env.SPECRUNNER_TEST_B:-}'}"
    )
    assert resource(with_task(tmp_path, text), TASK).spec["args"] == {"a": "one", "b": "http://h:80/x", "c": ""}


def test_an_undefined_variable_has_the_nearest_name(tmp_path: Path) -> None:
    found = problem(with_task(tmp_path, "timeout: '${vars.datset}'"))
    assert found.summary == "the variable 'datset' is not defined"
    assert (found.remedy, str(found.place)) == ("Write `${vars.dataset}`.", "zextra.yaml:6:12")


def test_a_mapping_inside_a_text_is_refused(tmp_path: Path) -> None:
    assert problem(with_task(tmp_path, "args: {a: 'x ${vars.tables}'}")).summary == "${vars.tables} is no text"


@pytest.mark.parametrize(
    ("project", "chosen", "place", "summary", "remedy"),
    [
        (PROJECT, "prdo", "specrunner.yaml:9:3", "there is no environment 'prdo'", "Pass `-e prod`."),
        (
            PROJECT.replace("nment: staging", "nment: stagin"),
            None,
            "specrunner.yaml:15:23",
            "there is no environment 'stagin'",
            "Write `defaultEnvironment: staging`.",
        ),
        (
            PROJECT.replace("  defaultEnvironment: staging\n", ""),
            None,
            "specrunner.yaml:9:3",
            "it is not said which environment is meant",
            "Pass `-e staging`",
        ),
        (
            HEAD + "kind: Project\nmetadata: {name: p}\nspec: {defaultWorkspace: forecasting}\n",
            "prod",
            "specrunner.yaml:1:1",
            "there is no environment 'prod'",
            "Leave `-e` out",
        ),
    ],
)
def test_a_wrong_choice_is_told(
    tmp_path: Path, project: str, chosen: str | None, place: str, summary: str, remedy: str
) -> None:
    found = problem(sample(tmp_path, specrunner=project), chosen)
    assert (found.summary, str(found.place)) == (summary, place)
    assert remedy in found.remedy


def test_a_broken_project_hides_no_other_mistake_and_makes_none(tmp_path: Path) -> None:
    project = PROJECT.replace("defaultWorkspace", "defaultWorkspce")
    found = problems(with_task(tmp_path, "args: {d: '${vars.dataset}'}\n  tiemout: 1m", project))
    assert [one.summary for one in found] == ["unknown key 'defaultWorkspce'", "unknown key 'tiemout'"]


def test_a_patch_merges_over_the_document_of_its_key(tmp_path: Path) -> None:
    root = with_task(tmp_path, "timeout: 10m\n  args: {a: 1, b: {c: 2, d: 3}}\n  env: {A: x}")
    write(
        root,
        {
            "environments/prod/t.yaml": HEAD
            + """\
kind: Task
metadata: {name: t, labels: {tier: one}}
spec: {timeout: null, args: {b: {c: 4, d: null}}, schedule: "${vars.dataset} is not cron"}
""".replace('"${vars.dataset} is not cron"', "'@daily'")
        },
    )
    base, patched = resource(root, TASK), resource(root, TASK, "prod")
    assert base.spec["timeout"] == 600 and "timeout" not in patched.spec
    assert patched.spec["args"] == {"a": 1, "b": {"c": 4}}
    assert patched.spec["schedule"]["cron"] == "0 0 * * *"
    assert (patched.labels, patched.place) == ({"tier": "one"}, base.place)


def test_a_mistake_in_a_patch_is_shown_in_the_patch(tmp_path: Path) -> None:
    root = with_task(tmp_path, "timeout: 10m")
    write(root, {"environments/prod/t.yaml": HEAD + "kind: Task\nmetadata: {name: t}\nspec:\n  timeout: soon\n"})
    assert str(problem(root, "prod").place) == "environments/prod/t.yaml:5:12"
    assert load(root).owner.environment == "staging"


def test_text_from_a_patch_stays_what_was_written(tmp_path: Path) -> None:
    root = with_task(tmp_path, "env: {A: 1.10, B: 1.20}")
    write(root, {"environments/prod/t.yaml": HEAD + "kind: Task\nmetadata: {name: t}\nspec: {env: {B: 2.30}}\n"})
    assert resource(root, TASK, "prod").spec["env"] == {"A": "1.10", "B": "2.30"}


def test_a_patch_for_nothing_is_refused(tmp_path: Path) -> None:
    root = with_task(tmp_path, "timeout: 10m")
    write(
        root,
        {
            "environments/prod/t.yaml": HEAD + "kind: Task\nmetadata: {name: nightly forcast}\nspec: {}\n"
            "---\n" + HEAD + "kind: Task\nspec: {}\n"
        },
    )
    first, second = problems(root, "prod")
    assert first.summary == "this patch names no object" or second.summary == "this patch names no object"
    assert "there is no Task 'nightly forcast' in workspace 'forecasting' to patch" in {first.summary, second.summary}
    assert "Write `name: nightly forecast`." in {first.remedy, second.remedy}


@pytest.mark.parametrize(
    ("base", "patch", "result"),
    [  # the examples of RFC 7386, appendix A
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        (["a", "b"], ["c", "d"], ["c", "d"]),
        ({"a": "b"}, ["c"], ["c"]),
        ({"a": "foo"}, None, None),
        ({"a": "foo"}, "bar", "bar"),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)
def test_merging_follows_rfc_7386(base: object, patch: object, result: object) -> None:
    assert merged(base, patch) == result


def test_kind_and_version_are_never_substituted() -> None:
    value = {"apiVersion": "${vars.a}", "kind": "${vars.a}", "metadata": {"name": "${vars.a}"}}
    assert substitute(value, Variables({"a": "x"})) == ({**value, "metadata": {"name": "x"}}, [])
