"""One test per kind of mistake: where it is shown, what is said, how to mend it."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from tests.unit.spec_samples import SAMPLE, problem, problems, sample, task, write

HEAD = "apiVersion: specrunner/v1\n"

# document (file extra.yaml), line, column, summary, a part of the remedy
MISTAKES = {
    "unknown key": (task("tiemout: 10m"), 6, 3, "unknown key 'tiemout'", "Write `timeout:` instead."),
    "nothing like it": (task("colour: red"), 6, 3, "unknown key 'colour'", "Delete it"),
    "missing key": (
        HEAD + "kind: Model\nmetadata: {name: m}\nspec: {path: models/house_price.onnx}\n",
        4,
        1,
        "'framework' is missing",
        "Add `framework: onnx`.",
    ),
    "missing key misspelt": (
        HEAD + "kind: Model\nmetadata: {name: m}\nspec: {path: models/house_price.onnx, framwork: onnx}\n",
        4,
        39,
        "unknown key 'framwork'",
        "Write `framework:` instead.",
    ),
    "wrong type": (task("args: [1, 2]"), 6, 9, "`spec.args` must be a mapping", "Write for instance `args: {"),
    "no duration": (task("timeout: soon"), 6, 12, "`spec.timeout` must be a duration", "`timeout: 10m`"),
    "fraction of a second": (task("timeout: 1.5"), 6, 12, "`spec.timeout` must be a duration", "`timeout: 10m`"),
    "no size": (task("resources: {memory: big}"), 6, 23, "`spec.resources.memory` must be a size", "`memory: 512Mi`"),
    "not allowed": (
        task("schedule: {cron: '0 2 * * *', overlap: skp}"),
        6,
        42,
        "`spec.schedule.overlap` can't be 'skp'",
        "Write `overlap: skip`.",
    ),
    "too small": (task("retries: {limit: -1}"), 6, 20, "`spec.retries.limit` must be at least 0", "`limit: 2`"),
    "bad variable name": (task("env: {A-B: x}"), 6, 9, "'A-B' can't be a key here", "Write `A_B:` instead."),
    "both schedule and service": (
        task("schedule: '@daily'\n  service: {port: 80}"),
        7,
        3,
        "`schedule` and `service` exclude each other",
        "Delete one",
    ),
    "two sources of a secret": (
        task("secretEnv: {K: {env: A, file: tasks.yaml}}"),
        6,
        18,
        "`spec.secretEnv.K` must be exactly one of env, file, exec and value",
        "{env: ",
    ),
    "bad cron": (
        task("schedule: 61 * * * *"),
        6,
        13,
        "this is no cron expression",
        "A minute is a number from 0 to 59",
    ),
    "never fires": (
        task("schedule: 0 0 30 2 *"),
        6,
        13,
        "this schedule never fires",
        "Choose a day that the month has.",
    ),
    "seconds": (
        task("schedule: 5 0 2 * * 1"),
        6,
        13,
        "a schedule has no seconds",
        "Write the five fields `0 2 * * 1`.",
    ),
    "no macro": (task("schedule: '@dialy'"), 6, 13, "this is no cron expression", "Write `@daily`, or five fields."),
    "no time zone": (
        task("schedule: {cron: '@daily', timezone: Europe/Belrin}"),
        6,
        40,
        "there is no such time zone",
        "Write `timezone: Europe/Berlin`.",
    ),
    "no such day": (
        task("schedule: {cron: '@daily', from: 2026-02-30}"),
        6,
        36,
        "there is no such instant",
        "2026-01-31T06:00:00Z",
    ),
    "unknown kind": (
        HEAD + "kind: Taks\nmetadata: {name: t}\nspec: {}\n",
        2,
        7,
        "there is no kind 'Taks'",
        "`kind: Task`",
    ),
    "no kind": (HEAD + "metadata: {name: t}\nspec: {}\n", 1, 1, "'kind' is missing", "Add `kind:`"),
    "near miss of apiVersion": (
        "apiVersion: specruner/v1\nkind: Workspace\nmetadata: {name: w}\n",
        1,
        13,
        "`apiVersion` can't be 'specruner/v1'",
        "Write `apiVersion: specrunner/v1`.",
    ),
    "unknown version": (
        "apiVersion: specrunner/v9\nkind: Workspace\nmetadata: {name: w}\n",
        1,
        13,
        "`apiVersion` can't be 'specrunner/v9'",
        "Write `apiVersion: specrunner/v1`.",
    ),
    "no apiVersion": (
        "kind: Workspace\nmetadata: {name: w}\n",
        1,
        1,
        "'apiVersion' is missing",
        "Add `apiVersion: specrunner/v1`.",
    ),
    "foreign document in a file of ours": (
        HEAD + "kind: Workspace\nmetadata: {name: w}\n---\nname: x\n",
        5,
        1,
        "this document is not one of specrunner's",
        "a file of its own",
    ),
    "name is no DNS label": (
        HEAD + "kind: Model\nmetadata: {name: My_Model}\nspec: {path: models/house_price.onnx, framework: onnx}\n",
        3,
        18,
        "`metadata.name` must be a DNS label",
        "`name: my-model`",
    ),
    "duplicate resource": (
        HEAD + "kind: Workspace\nmetadata: {name: forecasting}\n",
        3,
        18,
        "Workspace/forecasting is declared twice",
        "Rename or delete one of them.",
    ),
    "unknown orchestration": (
        HEAD + "kind: Task\nmetadata: {name: t}\nspec: {orchestration: remote-inferenec}\n",
        4,
        23,
        "there is no Orchestration 'remote-inferenec' in workspace 'forecasting'",
        "Write `remote-inference`.",
    ),
    "unknown model": (
        HEAD + "kind: Pipeline\nmetadata: {name: p}\nspec: {steps: [{model: hous-price}]}\n",
        4,
        24,
        "there is no Model 'hous-price' in workspace 'forecasting'",
        "Write `house-price`.",
    ),
    "unknown workspace": (
        task("timeout: 1m", "{name: t, workspace: forecastin}").replace("remote-inference", "x"),
        3,
        32,
        "there is no Workspace 'forecastin'",
        "Write `forecasting`.",
    ),
    "unknown workspace of a connection": (
        HEAD + "kind: Connection\nmetadata: {name: c}\nspec: {type: HTTP, workspaces: [other]}\n",
        4,
        33,
        "there is no Workspace 'other'",
        "`kind: Workspace`",
    ),
    "unknown connection of a workspace": (
        HEAD + "kind: Workspace\nmetadata: {name: w}\nspec: {connections: [input]}\n",
        4,
        22,
        "there is no Connection 'input'",
        "Write `inputs`.",
    ),
    "unknown reference in args": (
        task("args: {a: [{ref: Pipeline/house-prices}]}"),
        6,
        20,
        "there is no Pipeline 'house-prices' in workspace 'forecasting'",
        "Write `house-price`.",
    ),
    "unknown kind in args": (
        task("args: {a: {ref: Pipelin/house-price}}"),
        6,
        19,
        "there is no kind 'Pipelin'",
        "{ref: Pipeline/house-price}",
    ),
    "unknown dependsOn": (
        task("timeout: 1m", "{name: t, dependsOn: [Task/nightly forcast]}"),
        3,
        33,
        "there is no Task 'nightly forcast' in workspace 'forecasting'",
        "Write `nightly forecast`.",
    ),
    "variable twice": (
        task("env: {A: x}\n  secretEnv: {A: {env: B}}"),
        7,
        15,
        "'A' stands in `env` and in `secretEnv`",
        "Delete one",
    ),
    "missing model": (
        HEAD + "kind: Model\nmetadata: {name: m}\nspec: {path: models/house_pric.onnx, framework: onnx}\n",
        4,
        14,
        "there is no 'models/house_pric.onnx'",
        "Write `models/house_price.onnx`.",
    ),
    "missing source": (
        HEAD + "kind: Orchestration\nmetadata: {name: o}\nspec: {source: nowhere/x}\n",
        4,
        16,
        "there is no 'nowhere/x'",
        "Create it",
    ),
    "source of another type": (
        HEAD + "kind: Orchestration\nmetadata: {name: o}\nspec: {source: tasks.yaml}\n",
        4,
        16,
        "tasks.yaml can't be used as a bundle",
        "Name the folder that holds main.py",
    ),
    "missing secret file": (
        HEAD + "kind: Connection\nmetadata: {name: c}\nspec: {type: HTTP, detailsFrom: {file: secrets/key.json}}\n",
        4,
        40,
        "there is no 'secrets/key.json'",
        "Create it",
    ),
    "path leaves by dots": (
        HEAD + "kind: Model\nmetadata: {name: m}\nspec: {path: models/../../x.onnx, framework: onnx}\n",
        4,
        14,
        "'models/../../x.onnx' leaves the repository",
        "below the root",
    ),
    "absolute path": (
        HEAD + "kind: Model\nmetadata: {name: m}\nspec: {path: /x.onnx, framework: onnx}\n",
        4,
        14,
        "'/x.onnx' is an absolute path",
        "relative to the root",
    ),
    "variable in a file name": (
        HEAD + "kind: Model\nmetadata: {name: m}\nspec: {path: 'models/${vars.x}', framework: onnx}\n",
        4,
        14,
        "`spec.path` can't contain a variable",
        "Write the name out",
    ),
    "undefined variable": (
        task("args: {a: 'x-${vars.datset}'}"),
        6,
        13,
        "the variable 'datset' is not defined",
        "Add `datset: …`",
    ),
    "unset environment variable": (
        task("args: {a: '${env.SPECRUNNER_NOT_SET}'}"),
        6,
        13,
        "the environment variable 'SPECRUNNER_NOT_SET' is not set",
        "${env.SPECRUNNER_NOT_SET:-a default}",
    ),
    "no such scope": (task("args: {a: '${var.x}'}"), 6, 13, "${var.x} is no variable", "Write `${vars.x}`"),
    "step without a model": (
        HEAD + "kind: Pipeline\nmetadata: {name: p}\nspec:\n  steps:\n    - {shadow: [house-price]}\n",
        6,
        7,
        "`spec.steps[0]` needs `model` or `split`",
        "Write for instance",
    ),
    "step with both": (
        HEAD + "kind: Pipeline\nmetadata: {name: p}\nspec:\n  steps:\n"
        "    - {model: a, split: [{model: b, weight: 1}, {model: c, weight: 1}]}\n",
        6,
        18,
        "`model` and `split` exclude each other",
        "Keep one of",
    ),
    "by without split": (
        HEAD + "kind: Pipeline\nmetadata: {name: p}\nspec:\n  steps:\n    - {model: house-price, by: x}\n",
        6,
        28,
        "'by' needs 'split'",
        "Add `split`",
    ),
    "second project": (HEAD + "kind: Project\nmetadata: {name: p}\n", 2, 7, "a project is declared outside", "Delete"),
    # YAML itself
    "duplicate key": (task("timeout: 1m\n  timeout: 2m"), 7, 3, "the key 'timeout' stands twice", "Delete one"),
    "tab": (task("args:\n\t\ta: 1"), 7, 1, "a tab is used for indentation", "two spaces"),
    "merge conflict": (
        task("timeout: 1m") + "<<<<<<< HEAD\nx: 1\n=======\nx: 2\n>>>>>>> other\n",
        7,
        1,
        "a merge conflict was left in the file",
        "Keep the side you want",
    ),
    "syntax": (task("args: {a: 1"), 6, 9, "a comma or a closing bracket is missing", "Close the bracket"),
    "tag": (
        task("args: {a: !!timestamp 2026-01-01}"),
        6,
        13,
        "the tag !!timestamp is not allowed",
        "Delete !!timestamp",
    ),
    "infinity": (task("args: {a: .inf}"), 6, 13, "this number can't be used", "finite"),
    "control character": (task('args: {a: "\x07"}'), 6, 14, "a control character stands in the file", "Delete it"),
    "list as a key": (task("args: {[a]: 1}"), 6, 10, "a key must be text", "in quotes"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_told_once_at_its_place_with_its_remedy(tmp_path: Path, name: str) -> None:
    text, line, column, summary, remedy = MISTAKES[name]
    found = problem(sample(tmp_path, zextra=text))
    assert found.place is not None
    assert (found.place.file, found.place.line, found.place.column) == ("zextra.yaml", line, column)
    assert found.summary.startswith(summary)
    assert remedy in found.remedy
    assert found.detail.endswith((".", "…"))
    assert found.source == text.split("\n")[line - 1]


def test_a_file_with_five_mistakes_reports_five(tmp_path: Path) -> None:
    text = task(
        "tiemout: 10m\n  schedule: 0 0 31 4 *\n  args: {p: {ref: Pipeline/nope}}\n  retries: {limit: many}"
    ).replace("remote-inference", "nowhere")
    found = problems(sample(tmp_path, zextra=text))
    assert [one.place.line for one in found if one.place] == [5, 6, 7, 8, 9]


def test_both_places_of_a_duplicate_are_named(tmp_path: Path) -> None:
    found = problem(sample(tmp_path, zextra=SAMPLE["workspace.yaml"]))
    assert [str(place) for place in found.related] == ["workspace.yaml:1"]
    assert "workspace.yaml:1" in found.detail


def test_a_cycle_is_printed_whole(tmp_path: Path) -> None:
    text = (
        task("timeout: 1m", "{name: a, dependsOn: [Task/b]}")
        + "---\n"
        + task("timeout: 1m", "{name: b, dependsOn: [Task/a]}")
    )
    found = problem(sample(tmp_path, zextra=text))
    assert found.summary == "references form a cycle"
    assert found.detail.startswith("Task/forecasting/a → Task/forecasting/b → Task/forecasting/a")
    assert str(found.place) == "zextra.yaml:3:33"


def test_a_cycle_through_an_attachment_is_found(tmp_path: Path) -> None:
    text = (
        HEAD
        + "kind: Workspace\nmetadata: {name: w, dependsOn: [Connection/c]}\nspec: {connections: [c]}\n---\n"
        + HEAD
        + "kind: Connection\nmetadata: {name: c}\nspec: {type: HTTP}\n"
    )
    assert problem(sample(tmp_path, zextra=text)).summary == "references form a cycle"


def test_an_unknown_default_workspace_is_told_once_at_the_project(tmp_path: Path) -> None:
    root = sample(tmp_path, connection=HEAD + "kind: Connection\nmetadata: {name: inputs}\nspec: {type: HTTP}\n")
    (root / "workspace.yaml").unlink()
    found = problem(root)
    assert found.summary == "there is no Workspace 'forecasting'"
    assert str(found.place) == "specrunner.yaml:5:21"


def test_without_a_project_file_the_smallest_is_shown(tmp_path: Path) -> None:
    found = problem(write(tmp_path, {"tasks.yaml": SAMPLE["tasks.yaml"]}))
    assert found.summary == "there is no specrunner.yaml here"
    assert "kind: Project" in found.remedy


def test_a_project_file_without_a_project_is_refused(tmp_path: Path) -> None:
    found = problem(sample(tmp_path, specrunner=SAMPLE["workspace.yaml"], workspace=""))
    assert (found.summary, str(found.place)) == ("specrunner.yaml declares no project", "specrunner.yaml:1")


def test_a_document_without_any_workspace_is_told(tmp_path: Path) -> None:
    root = write(
        tmp_path,
        {
            "specrunner.yaml": HEAD + "kind: Project\nmetadata: {name: p}\n",
            "extra.yaml": task("timeout: 1m"),
        },
    )
    found = problem(root)
    assert (found.summary, str(found.place)) == ("the task belongs to no workspace", "extra.yaml:3:1")


def test_a_file_that_is_not_utf8_is_told_at_its_byte(tmp_path: Path) -> None:
    root = sample(tmp_path)
    (root / "zextra.yaml").write_bytes(task("args: {a: ").encode() + b"\xff}\n")
    found = problem(root)
    assert (found.summary, str(found.place)) == ("the file is not UTF-8", "zextra.yaml:7:1")


def test_a_broken_file_causes_no_unknown_references(tmp_path: Path) -> None:
    root = sample(tmp_path)
    (root / "serving.yaml").write_text(SAMPLE["serving.yaml"] + "  - [\n")
    assert problem(root).summary == "a key has no colon"


def test_links_that_leave_are_refused(tmp_path: Path) -> None:
    root = sample(
        tmp_path / "repo",
        zextra=HEAD + "kind: Model\nmetadata: {name: m}\nspec: {path: models/link, framework: onnx}\n",
    )
    (tmp_path / "outside").write_text("x")
    (root / "models/link").symlink_to(tmp_path / "outside")
    (root / "link.yaml").symlink_to(tmp_path / "outside")
    found = problems(root)
    assert [one.summary for one in found] == [
        "link.yaml leaves the repository",
        "'models/link' leaves the repository by a symbolic link",
    ]


@pytest.mark.parametrize(
    ("files", "detail", "remedy"),
    [
        ({"a.txt": ""}, "It has no main.py, and no other .py files to start with.", "Add a main.py"),
        ({"a.py": "", "b.py": ""}, "It has no main.py, and 2 other .py files to start with.", "Add a main.py"),
        (
            {"main.py": "", "requirements.txt": "", "sub/requirements.txt": ""},
            "There are 2 requirements.txt",
            "Keep one of them.",
        ),
    ],
)
def test_a_folder_and_a_zip_that_cannot_run_are_refused(
    tmp_path: Path, files: dict[str, str], detail: str, remedy: str
) -> None:
    document = HEAD + "kind: Orchestration\nmetadata: {name: o}\nspec: {source: %s}\n"
    root = sample(tmp_path, zextra=document % "code")
    write(root / "code", files)
    with zipfile.ZipFile(root / "code.zip", "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    folder = problem(root)
    (root / "zextra.yaml").write_text(document % "code.zip")
    ready = problem(root)
    assert folder.detail.startswith(detail) and ready.detail.startswith(detail)
    assert folder.remedy.startswith(remedy) and str(ready.place) == "zextra.yaml:4:16"


def test_a_file_that_is_no_zip_and_a_link_in_a_folder_are_refused(tmp_path: Path) -> None:
    document = HEAD + "kind: Orchestration\nmetadata: {name: %s}\nspec: {source: %s}\n"
    root = sample(tmp_path, zextra=document % ("a", "bad.zip") + "---\n" + document % ("b", "code"))
    write(root, {"bad.zip": "no zip", "code/main.py": ""})
    (root / "code/data").symlink_to("main.py")
    first, second = problems(root)
    assert first.detail.startswith("It can't be opened as a zip")
    assert second.detail == "'data' is a symbolic link."


@pytest.mark.parametrize(
    ("text", "summary"),
    [
        ("a: " + "[" * 100_000, "the nesting is too deep"),
        ("a: " + "{b: " * 100_000, "the nesting is too deep"),
        ("a: " + "[" * 70 + "]" * 70, "the nesting is too deep"),
        ("a: &a [*a]", "the nesting is too deep"),
        (
            "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
            + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 9)),
            "the document is too large",
        ),
        ("a: '" + "x" * (5 * 2**20) + "'", "the file is too large"),
    ],
)
def test_bombs_are_refused(tmp_path: Path, text: str, summary: str) -> None:
    found = problems(sample(tmp_path, specrunner=HEAD + "kind: Project\nmetadata: {name: p}\n" + text + "\n"))
    assert summary in [one.summary for one in found]


def test_an_unreadable_file_is_told(tmp_path: Path) -> None:
    root = sample(tmp_path)
    (root / "zextra.yaml").symlink_to("nowhere.yaml")
    found = problem(root)
    assert (found.summary, str(found.place)) == ("zextra.yaml can't be read", "zextra.yaml")
