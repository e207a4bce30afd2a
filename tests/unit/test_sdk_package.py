"""The SDK as files: what it imports, what it costs, and that notebooks' tables are right."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

import specrunner.sdk
from specrunner.sdk import display, exports, patience
from specrunner.sdk.framework import Framework, framework_of
from specrunner.sdk.inference import Selection

ROOT = Path(specrunner.sdk.__file__).parent
MODULES = sorted(ROOT.rglob("*.py"))


@pytest.fixture
def environment(tmp_path: Path) -> Path:
    """A folder laid out as the packaging lays out a run's environment."""
    shutil.copytree(ROOT, tmp_path / "specrunner/sdk", ignore=shutil.ignore_patterns("alias", "__pycache__"))
    shutil.copy(ROOT.parent / "__init__.py", tmp_path / "specrunner/__init__.py")
    shutil.copytree(ROOT / "alias/wallaroo", tmp_path / "wallaroo", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def python(environment: Path, code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"PATH": os.defpath, "PYTHONPATH": str(environment)},
        cwd=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_import_loads_no_heavy_library(environment: Path) -> None:
    code = (
        "import sys, specrunner.sdk; "
        "print(sorted({'pandas', 'pyarrow', 'numpy', 'http.client', 'ssl', 'dataclasses'} & set(sys.modules)))"
    )
    assert python(environment, code).strip() == "[]"


def test_the_alias_stands_on_the_copied_files(environment: Path) -> None:
    code = (
        "import wallaroo, wallaroo.client, wallaroo.connection, wallaroo.deployment, wallaroo.framework\n"
        "import wallaroo.model, wallaroo.model_version, wallaroo.pipeline, wallaroo.workspace\n"
        "from wallaroo.object import EntityNotFoundError, RequiredAttributeMissing\n"
        "import specrunner.sdk\n"
        "print(wallaroo.Client is specrunner.sdk.Client, wallaroo.in_task(), wallaroo.__version__)\n"
        "print(specrunner.sdk.__file__)"
    )
    first, second = python(environment, code).splitlines()
    assert first == "True False 2023.2.0+specrunner"
    assert second.startswith(str(environment))


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_nothing_else_of_specrunner_is_imported(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        for name in names:
            assert name.split(".")[0] != "specrunner" or name.startswith("specrunner.sdk")


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_syntax_is_that_of_python_3_9(path: Path) -> None:
    ast.parse(path.read_text(encoding="utf-8"), feature_version=(3, 9))


def test_names_of_the_package_are_all_there() -> None:
    assert sorted(specrunner.sdk.__all__) == list(specrunner.sdk.__all__)
    for name in specrunner.sdk.__all__:
        assert hasattr(specrunner.sdk, name)


@pytest.mark.parametrize(
    "text",
    ["2023-05-17T17:40:11.39119+00:00", "2023-05-17T17:40:11.391190Z", "2023-05-17T19:40:11.391190123+02:00"],
)
def test_instants_of_every_length_are_read(text: str) -> None:
    assert display.parse_time(text) == datetime(2023, 5, 17, 17, 40, 11, 391190, UTC)


def test_naive_instants_are_utc_and_the_short_form_is_the_tutorials() -> None:
    assert display.parse_time("2023-05-17T17:40:11").tzinfo is UTC
    assert display.short_time("2023-05-17T18:15:09+00:00") == "2023-17-May 18:15:09"


def test_tables_escape_what_they_show() -> None:
    assert "<b>" not in display.fields_table({"Name": "<b>"})
    table = display.rows_table(("a",), [("<b>",)], "(none)")
    assert table == "<table><tr><th>a</th></tr><tr><td>&lt;b&gt;</td></tr></table>"
    assert display.rows_table(("a",), [], "(none)") == "(none)"
    assert display.heads_table({"name": "p"}) == "<table><tr><th>name</th> <td>p</td></tr></table>"


@pytest.mark.parametrize(("text", "size"), [("1.5MiB", 1.5 * 2**20), ("1 GiB", 2**30), (" 2 kib ", 2048)])
def test_sizes(text: str, size: float) -> None:
    assert exports.size_of(text) == size


@pytest.mark.parametrize("text", ["", "0 MiB", "5 MB", "much"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(specrunner.sdk.SdkError, match="not a size"):
        exports.size_of(text)


def test_frameworks_are_told_by_suffix() -> None:
    assert framework_of("a/Model.ONNX") == Framework.ONNX.value
    assert framework_of(Path("forecast.pkl")) == "python"


def test_pauses_double_up_to_the_longest_and_end_with_the_time() -> None:
    now, slept = [0.0], []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        now[0] += seconds

    pauses = patience.Patience(10, first=1, longest=4, clock=lambda: now[0], sleep=sleep)
    while pauses.pause():
        pass
    assert slept == [1, 2, 4, 3]


def test_metadata_is_hidden_from_inferences_unless_asked_for() -> None:
    assert Selection().query(hide_metadata=True) == [
        ("dataset[]", "*"),
        ("dataset.exclude[]", "metadata"),
        ("dataset.separator", "."),
    ]
    assert Selection(["*", "metadata"], ["in"], "_").query(hide_metadata=True) == [
        ("dataset[]", "*"),
        ("dataset[]", "metadata"),
        ("dataset.exclude[]", "in"),
        ("dataset.separator", "_"),
    ]
    assert ("dataset.exclude[]", "metadata") not in Selection().query(hide_metadata=False)
