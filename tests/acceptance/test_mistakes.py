"""Every kind of mistake as a person sees it: `mistakes/NAME.txt` is what `validate` says of `mistakes/NAME`.

NAME is a file, which is added to a small valid repository, or a folder of files laid over it; what git or an editor
would not keep as it is, is made by `MADE`. `pytest tests/acceptance/test_mistakes.py --regenerate` writes what
`validate` says anew; read it aloud before you commit it.
"""

from __future__ import annotations

import ast
import json
import subprocess
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from textwrap import dedent

import pytest

import specrunner.spec
from specrunner.cli.main import status_of
from specrunner.spec.mistakes import Mistake
from tests.acceptance.spec_repo import SCRIPT, Result

MISTAKES = Path(__file__).parent / "mistakes"
BASE: Mapping[str, str] = {
    "specrunner.yaml": """\
        apiVersion: specrunner/v1
        kind: Project
        metadata: {name: shop}
        spec: {defaultWorkspace: lab}
        """,
    "workspace.yaml": """\
        apiVersion: specrunner/v1
        kind: Workspace
        metadata: {name: lab}
        """,
    "connection.yaml": """\
        apiVersion: specrunner/v1
        kind: Connection
        metadata: {name: orders}
        spec: {type: HTTP, workspaces: [lab]}
        """,
    "serving.yaml": """\
        apiVersion: specrunner/v1
        kind: Model
        metadata: {name: prices}
        spec: {path: models/prices.onnx, framework: onnx}
        ---
        apiVersion: specrunner/v1
        kind: Pipeline
        metadata: {name: prices}
        spec: {steps: [{model: prices}]}
        """,
    "tasks.yaml": """\
        apiVersion: specrunner/v1
        kind: Orchestration
        metadata: {name: greet}
        spec: {source: code}
        ---
        apiVersion: specrunner/v1
        kind: Task
        metadata: {name: greet}
        spec: {orchestration: greet}
        """,
    "models/prices.onnx": "summed, not read\n",
    "code/main.py": "print('hello')\n",
}
CHOSEN = {"unknown-environment": "prdo", "environment-of-none": "prod"}
WARNED = {"ended-schedule", "ended-until", "unused-patches"}  # valid all the same
VALID = {"bom", "empty-documents"}  # what looks like a mistake and is none


def write(root: Path, files: Mapping[str, str]) -> None:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(text), "utf-8")


def archive(path: Path, names: list[str]) -> None:
    with zipfile.ZipFile(path, "w") as made:
        for name in names:
            made.writestr(name, "print('hello')\n")


def linked_folder(root: Path) -> None:
    write(root, {"folder/main.py": ""})
    (root / "folder/data.csv").symlink_to("main.py")


def linked_model(root: Path) -> None:
    (root.parent / f"{root.name}.onnx").write_text("elsewhere")
    (root / "models/linked.onnx").symlink_to(root.parent / f"{root.name}.onnx")


def linked_specs(root: Path) -> None:
    (root.parent / f"{root.name}.yaml").write_text("apiVersion: specrunner/v1\n")
    (root / "mistake.yaml").symlink_to(root.parent / f"{root.name}.yaml")


def tracked_state(root: Path) -> None:
    write(root, {".specrunner/cache/remembered": "forged"})
    for words in (["init", "--quiet"], ["add", "--force", ".specrunner"]):
        subprocess.run(["git", *words], cwd=root, check=True)


def specs(data: bytes) -> Callable[[Path], object]:
    """`mistake.yaml` with these bytes."""
    return lambda root: (root / "mistake.yaml").write_bytes(data)


TASK = "apiVersion: specrunner/v1\nkind: Task\nmetadata: {name: nightly}\nspec:\n  orchestration: greet\n"
MADE: Mapping[str, Callable[[Path], object]] = {
    "zip-without-main": lambda root: archive(root / "ready.zip", ["a.py", "b.py"]),
    "zip-is-no-zip": lambda root: write(root, {"ready.zip": "no zip"}),
    "zip-that-leaves": lambda root: archive(root / "ready.zip", ["main.py", "../../evil.py"]),
    "folder-without-code": lambda root: write(root, {"folder/notes.txt": ""}),
    "two-requirements": lambda root: write(
        root, {f"folder/{name}": "" for name in ("main.py", "requirements.txt", "sub/requirements.txt")}
    ),
    "link-in-a-folder": linked_folder,
    "path-leaves-by-a-link": linked_model,
    "link-out": linked_specs,
    "dangling-link": lambda root: (root / "mistake.yaml").symlink_to("nowhere.yaml"),
    "file-too-large": specs(TASK.encode() + b"  args: {text: '" + b"x" * (5 * 2**20) + b"'}\n"),
    "not-utf8": specs(TASK.encode() + "  args: {city: Zürich}\n".encode("latin-1")),
    "utf16": specs(f"{TASK}  timeout: 10m\n".encode("utf-16")),
    "bom": specs(f"{TASK}  timeout: 10m\n".encode("utf-8-sig")),
    "bom-before-a-mistake": specs(f"{TASK}  tiemout: 10m\n".encode("utf-8-sig").replace(b"\n", b"\r\n")),
    "empty-documents": specs(b"---\n---\n# nothing\n---\n" + TASK.encode() + b"---\n"),
    "terminal-escape": specs(TASK.encode() + b'  tiemout: "\\e"  # \xc2\x9b31m \xe2\x80\xae txt\n'),
    "no-project-file": lambda root: (root / "specrunner.yaml").unlink(),
    "tracked-state": tracked_state,
}


def names() -> list[str]:
    """Every mistake, those that are made and those that stand in files."""
    return sorted({path.stem for path in MISTAKES.iterdir() if path.suffix != ".txt"} | set(MADE))


def repository(root: Path, name: str) -> Path:
    """The small valid repository with this mistake in it."""
    write(root, BASE)
    if (MISTAKES / f"{name}.yaml").is_file():
        (root / "mistake.yaml").write_bytes((MISTAKES / f"{name}.yaml").read_bytes())
    folder = MISTAKES / name
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        copy = root / path.relative_to(folder)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(path.read_bytes())
    if name in MADE:
        MADE[name](root)
    return root


def arguments(root: Path, name: str, *words: str) -> list[str]:
    chosen = ["-e", CHOSEN[name]] if name in CHOSEN else []
    return ["-C", str(root), "validate", *chosen, *words]


def validate(root: Path, name: str, *words: str) -> Result:
    """`validate`, called in this process."""
    with redirect_stdout(StringIO()) as out, redirect_stderr(StringIO()) as err:
        code = status_of(arguments(root, name, *words))
    return Result(code, out.getvalue(), err.getvalue())


def test_every_mistake_is_told_as_its_golden_file_says(
    tmp_path: Path, pytestconfig: pytest.Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    different = []
    for name in names():
        root = repository(tmp_path / name, name)
        result = validate(root, name)
        said = result.said.replace(str(root), "<repo>")
        golden = MISTAKES / f"{name}.txt"
        if pytestconfig.getoption("--regenerate", default=False):
            golden.write_text(said, "utf-8")
        expected = (golden.read_text("utf-8") if golden.is_file() else "", 0 if name in WARNED | VALID else 1)
        if (said, result.code) != expected:
            different.append(f"{name}: exit {result.code}\n{said}")
    assert not different, "\n".join(different)


def test_a_value_that_may_be_a_secret_is_not_shown_in_any_format(tmp_path: Path) -> None:
    for name, secret in {"secret-value-and-more": "do-not-show", "secret-in-the-open": "abc"}.items():
        root = repository(tmp_path / name, name)
        for form in ("text", "json", "github", "sarif"):
            assert secret not in validate(root, name, "--format", form).said


def test_no_golden_file_is_left_over() -> None:
    assert {path.stem for path in MISTAKES.glob("*.txt")} == set(names())


def test_every_mistake_has_a_code_a_place_and_a_remedy_and_its_caret_points_into_its_line(tmp_path: Path) -> None:
    codes = set()
    for name in names():
        report = validate(repository(tmp_path / name, name), name, "--json").json
        found = [*report["problems"], *report["warnings"]]
        assert bool(found) == (name not in VALID), name
        for one in found:
            codes.add(one["code"])
            assert one["detail"] and one["remedy"], (name, one)
            assert one["place"]["file"], (name, one)
            hidden = "If it is the secret itself" in one["detail"] or name == "secret-value-and-more"
            assert hidden or one["place"]["column"] <= len(one.get("source", "")) + 1, (name, one)
            assert "do-not-show" not in json.dumps(one)
    # More mistakes than one file is read on for: its golden file would be a hundred times the same.
    assert set(Mistake) - codes == {Mistake.REST_UNREAD}


def test_every_mistake_that_the_reader_can_tell_has_a_code() -> None:
    folder = Path(specrunner.spec.__file__).parent
    calls = [(path.name, call) for path in sorted(folder.glob("*.py")) for call in _calls(path)]
    assert len(calls) > 40
    for file, call in calls:
        named = {word.arg for word in call.keywords} & {"code", None}
        given = any("Mistake" in ast.dump(word) or "'code'" in ast.dump(word) for word in call.args)
        assert named or given, f"{file}:{call.lineno} has no code"


def _calls(path: Path) -> Iterator[ast.Call]:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        name = node.func.id if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) else ""
        if isinstance(node, ast.Call) and name in {"Finding", "Diagnostic", "Fault", "_Unknown", "_Missing"}:
            yield node


def test_a_file_with_seven_mistakes_reports_seven(tmp_path: Path) -> None:
    report = validate(repository(tmp_path, "seven-mistakes"), "seven-mistakes", "--json").json
    assert len(report["problems"]) == 7
    assert len({(one["place"]["line"], one["place"]["column"]) for one in report["problems"]}) == 7


@pytest.mark.parametrize("name", ["unknown-field", "tab", "ended-schedule"])
def test_the_installed_command_says_the_same(tmp_path: Path, name: str) -> None:
    root = repository(tmp_path, name)
    done = subprocess.run(
        [SCRIPT, *arguments(root, name)], capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False
    )
    # Errors and warnings stand on stderr, the verdict on stdout.
    assert done.stdout + done.stderr == (MISTAKES / f"{name}.txt").read_text("utf-8")
    assert done.returncode == (0 if name in WARNED else 1)


def test_github_gets_an_annotation_for_each(tmp_path: Path) -> None:
    result = validate(repository(tmp_path, "seven-mistakes"), "seven-mistakes", "--format", "github")
    lines = result.out.splitlines()
    assert (result.code, result.err, len(lines)) == (1, "", 7)
    assert "file=mistake.yaml,line=6,col=3,title=unknown key 'tiemout'::`spec` has no such key.%0A" in result.out


def test_annotations_name_files_from_the_top_of_the_git_repository(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    root = repository(tmp_path / "ml" / "specs", "unknown-field")
    assert "file=ml/specs/mistake.yaml," in validate(root, "unknown-field", "--format", "github").out
    log = validate(root, "unknown-field", "--format", "sarif").json
    location = log["runs"][0]["results"][0]["locations"][0]["physicalLocation"]["artifactLocation"]
    assert location["uri"] == "ml/specs/mistake.yaml"


def test_code_scanning_gets_a_log_of_sarif_also_when_nothing_is_wrong(tmp_path: Path) -> None:
    bad = validate(repository(tmp_path / "bad", "seven-mistakes"), "seven-mistakes", "--format", "sarif")
    good = validate(repository(tmp_path / "good", "bom"), "bom", "--format", "sarif")
    assert (bad.code, len(bad.json["runs"][0]["results"]), bad.err) == (1, 7, "")
    assert (good.code, good.json["runs"][0]["results"], good.err) == (0, [], "")


def test_verbose_lists_the_yaml_files_of_others(tmp_path: Path) -> None:
    root = repository(tmp_path, "bom")
    write(root, {"dbt/profiles.yml": "shop: {target: dev}\n", "environment.yaml": "name: conda\n"})
    said = validate(root, "bom", "-v").out
    assert "Skipped dbt/profiles.yml" in said and "Skipped environment.yaml" in said
    assert json.loads(validate(root, "bom", "-v", "--json").out)["skipped"] == ["dbt/profiles.yml", "environment.yaml"]
    assert "Skipped" not in validate(root, "bom").out


def test_json_and_another_format_exclude_each_other(tmp_path: Path) -> None:
    result = validate(repository(tmp_path, "bom"), "bom", "--json", "--format", "sarif")
    assert result.code == 64
    assert "--json" in result.said
