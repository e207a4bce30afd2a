"""The guides, tried: the commands of the first one are executed one after the other, with the runs that they begin."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest
import yaml

from specrunner.spec.desired import load
from tests.acceptance.spec_repo import CHECKOUT, SCRIPT, SpecRepo
from tests.integration.github_api import Api
from tests.integration.github_runner import Runner
from tests.integration.github_world import World

GUIDES = CHECKOUT / "docs" / "guides"
ADDRESS = "git@github.com:you/specs.git"


def blocks(name: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", (GUIDES / name).read_text("utf-8"), re.DOTALL | re.MULTILINE)


def test_the_guide_leads_from_an_empty_repository_to_a_merged_change(
    tmp_path: Path, api: Api, venv: Path, environment_cache: Path
) -> None:
    remote = tmp_path / "remote.git"
    subprocess.run(["git", "init", "-q", "--bare", "-b", "main", str(remote)], check=True)
    world = World(SpecRepo(tmp_path / "specs"), remote, api, Runner(tmp_path, remote, api, environment_cache, venv))
    begin, valid, empty, change, again = blocks("github-actions.md", "sh")
    typed(tmp_path, remote, environment_cache, begin)
    world.git("remote", "set-url", "origin", str(remote))
    for block in (valid, empty):
        typed(world.specs.root, remote, environment_cache, block)
    assert yaml.safe_load((world.specs.root / "specrunner.yaml").read_text())["spec"]["status"] == {
        "branch": "specrunner-status"
    }
    first = world.apply(world.git("rev-parse", "HEAD"))
    assert first.code == 0, first.log
    assert first.outputs["changes"] == "false"
    typed(world.specs.root, remote, environment_cache, change)
    number = world.pull_request("first-task")
    planned = world.plan(number)
    assert planned.code == 0, planned.log
    assert "Task" in world.api.comments_of(number)[0]
    applied = world.apply(world.merge(number))
    assert applied.code == 0, applied.log
    assert "say hello" in applied.summary
    typed(world.specs.root, remote, environment_cache, again)
    assert (world.specs.root / "tasks.yaml").is_file()


def typed(folder: Path, remote: Path, cache: Path, block: str) -> None:
    """What a person types, in one shell; the address on GitHub is the bare remote."""
    environ = {**os.environ, "SPECRUNNER_CACHE": str(cache), "GIT_CONFIG_COUNT": "3"}
    environ["PATH"] = f"{SCRIPT.parent}{os.pathsep}{os.environ['PATH']}"
    environ |= {"GIT_CONFIG_KEY_0": f"url.{remote}.insteadOf", "GIT_CONFIG_VALUE_0": ADDRESS}
    environ |= {"GIT_CONFIG_KEY_1": "user.name", "GIT_CONFIG_VALUE_1": "Ann"}
    environ |= {"GIT_CONFIG_KEY_2": "user.email", "GIT_CONFIG_VALUE_2": "ann@example.com"}
    done = subprocess.run(
        ["bash", "-ec", block], cwd=folder, env=environ, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, f"{block}\n{done.stdout}{done.stderr}"


@pytest.mark.parametrize("own", [False, True])
def test_the_notifications_of_the_guide_are_valid(own: bool, tmp_path: Path) -> None:
    whole, template = blocks("notifications.md", "yaml")
    spec = whole.replace("      template: slack\n", template) if own else whole
    repo = SpecRepo(tmp_path)
    head = "apiVersion: specrunner/v1\nkind: Project\nmetadata: {name: demo}\n"
    repo.write("specrunner.yaml", head + spec)
    [found] = load(tmp_path).notifications
    assert found.url_from == {"env": "CHAT_WEBHOOK"}
    assert isinstance(found.template, dict) is own


def test_the_inputs_that_the_guide_lists_are_those_of_the_action() -> None:
    action = yaml.safe_load((CHECKOUT / "action.yml").read_text("utf-8"))
    guide = (GUIDES / "github-actions.md").read_text("utf-8").partition("## The action by itself")[2]
    assert set(re.findall(r"^\| `([a-z-]+)` \|", guide, re.MULTILINE)) == set(action["inputs"])
    assert all(f"`{name}`" in guide for name in action["outputs"])


@pytest.mark.parametrize("name", ["plan", "apply", "tick", "drift"])
def test_the_rights_that_the_guide_explains_are_those_that_the_jobs_ask_for(name: str) -> None:
    workflow = yaml.safe_load((CHECKOUT / f"examples/specs/.github/workflows/{name}.yml").read_text("utf-8"))
    [job] = workflow["jobs"].values()
    guide = (GUIDES / "github-security.md").read_text("utf-8")
    found = dict(re.findall(rf"^\| {name} \| `([a-z-]+): (read|write)` \|", guide, re.MULTILINE))
    assert found == job["permissions"]


def test_every_link_between_the_documents_leads_somewhere() -> None:
    for page in [CHECKOUT / "README.md", *(CHECKOUT / "docs").rglob("*.md")]:
        for link in re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text("utf-8")):
            assert "://" in link or (page.parent / link).exists(), f"{page.name}: {link}"
