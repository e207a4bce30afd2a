"""init, fmt, render, graph and schema as a person calls them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import yaml

from specrunner.cli.main import status_of
from specrunner.spec.desired import load
from tests.acceptance.spec_repo import CHECKOUT, SpecRepo

EXAMPLE = CHECKOUT / "examples" / "specs" / "house-price"


@pytest.fixture
def folder(tmp_path: Path, cache: Path) -> SpecRepo:
    """An empty folder."""
    root = tmp_path / "my first repo"
    root.mkdir()
    return SpecRepo(root, {"SPECRUNNER_CACHE": str(cache)})


def contents(root: Path) -> dict[str, bytes]:
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_what_init_writes_is_valid_in_form_and_applies(folder: SpecRepo) -> None:
    said = folder.run("init").out
    for path in contents(folder.root):
        assert f"+ {path}\n" in said
    assert load(folder.root).owner.project == "my-first-repo"
    assert folder.run("validate").out.startswith("Valid: project my-first-repo (default) declares 1 workspace")
    folder.run("fmt", "--check")
    applied = folder.run("apply", "--yes").out
    assert "success" in applied
    assert "Hello from a run of specrunner." in folder.run("logs", "say hello").out
    assert folder.run("plan").out.splitlines()[-1].startswith("No changes")


def test_every_file_that_init_writes_has_its_modeline(folder: SpecRepo) -> None:
    folder.run("init", "here", "--name", "pricing")
    files = sorted((folder.root / "here").glob("*.yaml"))
    assert len(files) == 4
    for file in files:
        kind = yaml.safe_load(file.read_text())["kind"].lower()
        assert file.read_text().startswith(
            f"# yaml-language-server: $schema=https://specrunner.dev/schemas/v1/{kind}.schema.json\n"
        )
    assert load(folder.root / "here").owner.project == "pricing"
    assert (folder.root / "here" / ".gitignore").read_text().splitlines()[1] == ".specrunner/"


def test_init_overwrites_nothing_and_names_what_is_in_the_way(folder: SpecRepo) -> None:
    folder.write("tasks.yaml", "mine\n")
    folder.write("orchestrations", "a file where a folder would be\n")
    before = contents(folder.root)
    said = folder.run("init", code=3).err
    assert "2 files would be overwritten; nothing was written" in said
    assert "tasks.yaml is there already" in said
    assert "orchestrations is there already" in said
    assert contents(folder.root) == before


def test_init_leaves_a_gitignore_and_says_what_it_lacks(folder: SpecRepo) -> None:
    folder.write(".gitignore", "*.pyc\n")
    assert "Add the line `.specrunner/` to it" in folder.run("init").out
    assert (folder.root / ".gitignore").read_text() == "*.pyc\n"


@pytest.mark.parametrize("name", ["", "a b", "-a", "x" * 64, "é"])
def test_init_refuses_a_name_that_no_project_can_have(folder: SpecRepo, name: str) -> None:
    assert "can't be the name of a project" in folder.run("init", "--name", name, code=64).err
    assert contents(folder.root) == {}


@pytest.mark.parametrize("name", ["1.10", "no", "1e3", "null"])
def test_a_project_is_called_what_was_typed(folder: SpecRepo, name: str) -> None:
    folder.run("init", "a", "--name", name)
    folder.run("init", "b", "--name", name, "--example", "house-price")
    assert load(folder.root / "a").owner.project == load(folder.root / "b").owner.project == name


def test_workflows_come_with_a_new_repository_or_into_one_that_is_there(folder: SpecRepo) -> None:
    folder.run("init", "new", "--github")
    shipped = (CHECKOUT / "examples" / "specs" / ".github" / "workflows").glob("*.yml")
    wanted = {file.name: file.read_bytes() for file in shipped}
    workflows = folder.root / "new" / ".github" / "workflows"
    assert {file.name: file.read_bytes() for file in workflows.iterdir()} == wanted
    folder.run("-C", "new", "validate")
    (workflows / "plan.yml").unlink()
    said = folder.run("init", "new", "--github", code=3).err
    assert "3 files would be overwritten" in said
    for file in workflows.iterdir():
        file.unlink()
    folder.run("init", "new", "--github")
    assert {file.name for file in workflows.iterdir()} == set(wanted)


@pytest.mark.parametrize("example", ["", "house-price", "bike-forecast", "multi-pipeline"])
def test_inside_git_records_go_to_a_branch_and_elsewhere_to_a_folder(folder: SpecRepo, example: str) -> None:
    (folder.root / "clone" / ".git").mkdir(parents=True)
    words = ("--example", example) if example else ()
    for name, more in (("plain", ()), ("github", ("--github",)), ("clone/specs", ())):
        assert status_of(["-C", str(folder.root), "init", name, *words, *more]) == 0
        assert status_of(["-C", str(folder.root / name), "fmt", "--check"]) == 0
        declared = yaml.safe_load((folder.root / name / "specrunner.yaml").read_text())["spec"]["status"]
        assert declared == ({"directory": "status"} if name == "plain" else {"branch": "specrunner-status"})


def test_workflows_for_a_project_that_records_in_a_folder_come_with_a_word(folder: SpecRepo) -> None:
    folder.run("init", "old")
    assert "status: {branch: specrunner-status}" in folder.run("init", "old", "--github").out
    assert "runners of GitHub forget" not in folder.run("init", "new", "--github").out


def test_the_example_is_copied_whole(folder: SpecRepo) -> None:
    folder.run("init", "--example", "house-price")
    tracked = {
        path: data
        for path, data in contents(EXAMPLE).items()
        if not {".specrunner", "__pycache__", "status"} & set(Path(path).parts)
    }
    assert contents(folder.root) == tracked
    folder.run("validate")
    folder.run("init", "--example", "house-price", code=3)
    assert "house-price" in folder.run("init", "x", "--example", "houses", code=1).err


UNORDERED = """\
    kind: Task
    apiVersion: specrunner/v1
    spec:
      timeout: 5m  # long enough
      # the code
      orchestration: hello
    metadata: {name: greet}
    """
ORDERED = """\
apiVersion: specrunner/v1
kind: Task
metadata: {name: greet}
spec:
  # the code
  orchestration: hello
  timeout: 5m  # long enough
"""


def test_fmt_checks_shows_and_writes(repo: SpecRepo) -> None:
    file = repo.write("tasks.yaml", UNORDERED)
    before = file.read_bytes()
    assert "tasks.yaml" in repo.run("fmt", "--check", code=1).out
    shown = repo.run("fmt", "--diff").out
    assert "--- a/tasks.yaml" in shown
    assert "+metadata: {name: greet}" in shown
    assert "tasks.yaml" in repo.run("fmt", "--check", "--diff", code=1).out
    assert file.read_bytes() == before
    assert "1 file changed, 2 stay as they are." in repo.run("fmt").out
    assert file.read_text() == ORDERED
    assert "0 files would change, 3 stay as they are." in repo.run("fmt", "--check").out


def test_fmt_takes_paths_of_the_repository_only(repo: SpecRepo) -> None:
    repo.write("a/one.yaml", UNORDERED)
    repo.write("b/two.yaml", UNORDERED)
    foreign = repo.write("foreign.yaml", "b: 1\na: 2\n")
    repo.run("fmt", "a")
    assert (repo.root / "a/one.yaml").read_text() == ORDERED
    assert (repo.root / "b/two.yaml").read_text() != ORDERED
    repo.run("fmt", "two.yaml", cwd=repo.root / "b", code=1)
    repo.run("-C", "..", "fmt", "two.yaml", cwd=repo.root / "b")
    assert (repo.root / "b/two.yaml").read_text() == ORDERED
    assert "foreign.yaml is no file of this spec repository" in repo.run("fmt", "foreign.yaml", code=1).err
    repo.run("fmt", "../elsewhere.yaml", code=1)
    assert foreign.read_text() == "b: 1\na: 2\n"


def test_fmt_leaves_what_does_not_parse_and_tells_where(repo: SpecRepo) -> None:
    broken = repo.write("broken.yaml", "kind: Task\napiVersion: specrunner/v1\nspec: [\n")
    repo.write("tasks.yaml", UNORDERED)
    said = repo.run("fmt", code=1)
    assert "broken.yaml:3:7: error: a value or a closing bracket is missing" in said.err
    assert broken.read_text() == "kind: Task\napiVersion: specrunner/v1\nspec: [\n"
    assert (repo.root / "tasks.yaml").read_text() == ORDERED


def test_what_render_prints_is_a_spec_that_declares_the_same(repo: SpecRepo, tmp_path: Path) -> None:
    shutil.copytree(EXAMPLE, repo.root, dirs_exist_ok=True, ignore=shutil.ignore_patterns(".specrunner", "status"))
    text = repo.run("render", HOUSE_PRICE_DATA_URL="http://example.com/${vars.x}").out
    other = SpecRepo(tmp_path / "other")
    shutil.copytree(repo.root, other.root, ignore=shutil.ignore_patterns("*.yaml"))
    other.write_bytes("specrunner.yaml", text.encode())
    assert "http://example.com/$${vars.x}" in text
    assert other.run("render").out == text
    assert "history" not in repo.run("render", "--no-defaults").out
    assert "history" in text


def test_graph_draws_trees_and_flowcharts(repo: SpecRepo) -> None:
    repo.orchestration("hello", "print()")
    repo.task("greet", "hello")
    assert repo.run("graph").out.splitlines() == ["Workspace/lab", "  Task/lab/greet", "  └─ Orchestration/lab/hello"]
    assert repo.run("graph", "--format", "mermaid").out.splitlines()[0] == "flowchart LR"
    repo.run("graph", "--format", "svg", code=64)


def test_schema_lists_prints_and_writes_what_editors_need(repo: SpecRepo) -> None:
    names = repo.run("schema").out.split()
    assert {"project", "task", "common"} <= set(names)
    assert json.loads(repo.run("schema", "Task").out)["title"] == "Task"
    assert "There is no schema 'tsk'" in repo.run("schema", "tsk", code=1).err
    said = repo.run("schema", "--out", ".schemas").out
    assert {path.name for path in (repo.root / ".schemas").iterdir()} == {
        "specrunner.schema.json",
        *(f"{name}.schema.json" for name in names),
    }
    setting = json.loads(said[said.index("{") : said.rindex("}") + 1])
    assert setting == {"yaml.schemas": {"./.schemas/specrunner.schema.json": "**/*.yaml"}}
    repo.run("validate")
