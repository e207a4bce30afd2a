"""A team's repository on a forge: a bare remote, a developer's clone, pull requests, and the runs that they begin."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from specrunner.forge.headers import header_of
from tests.acceptance.spec_repo import SpecRepo
from tests.integration.github_api import REPOSITORY, Api
from tests.integration.github_runner import READY, REUSABLE, Ended, Event, Runner

_WHO = ("-c", "user.name=Ann", "-c", "user.email=ann@example.com")


@dataclass
class World:
    """What a developer does, and what GitHub makes of it."""

    specs: SpecRepo
    remote: Path
    api: Api
    runner: Runner

    def git(self, *words: str) -> str:
        done = subprocess.run(["git", *_WHO, *words], cwd=self.specs.root, check=True, capture_output=True, text=True)
        return done.stdout.strip()

    def push(self, branch: str, message: str = "Change the specs") -> str:
        """Commit everything on a branch and push it; the commit."""
        self.git("checkout", "-q", "-B", branch)
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", message)
        self.git("push", "-q", "--force", "origin", branch)
        return self.git("rev-parse", "HEAD")

    def pull_request(self, branch: str = "change", head: str = REPOSITORY) -> int:
        """Push what was edited to a branch and open a pull request for it."""
        sha = self.push(branch)
        number = self.api.add_pull(
            head={"sha": sha, "ref": branch, "repo": {"full_name": head}},
            base={"ref": "main", "repo": {"full_name": REPOSITORY}},
        )
        self._trial(number)
        return number

    def push_again(self, number: int) -> None:
        """Push what was edited to a pull request that is open."""
        pull = self.api.pulls[number]
        pull["head"]["sha"] = self.push(pull["head"]["ref"])
        self._trial(number)

    def _trial(self, number: int) -> None:
        pull = self.api.pulls[number]
        self.git("checkout", "-q", "--detach", "origin/main")
        self.git("merge", "-q", "--no-ff", "-m", "trial", pull["head"]["sha"])
        pull["trial"] = self.git("rev-parse", "HEAD")
        self.git("push", "-q", "--force", "origin", f"HEAD:refs/pull/{number}/merge")
        self.git("checkout", "-q", pull["head"]["ref"])

    def plan(self, number: int, workflow: Path = READY / "plan.yml", **more: Any) -> Ended:
        """The run that opening or pushing a pull request begins."""
        pull = self.api.pulls[number]
        payload = {"pull_request": {"number": number, "head": pull["head"], "base": pull["base"]}}
        fork = pull["head"]["repo"]["full_name"] != REPOSITORY
        event = Event("pull_request", pull["trial"], f"refs/pull/{number}/merge", payload, fork)
        return self.runner.run(workflow, event, **more)

    def merge(self, number: int) -> str:
        """Merge a pull request; the commit on main."""
        pull = self.api.pulls[number]
        self.git("checkout", "-q", "-B", "main", "origin/main")
        self.git("merge", "-q", "--no-ff", "-m", f"Merge #{number}", pull["head"]["sha"])
        self.git("push", "-q", "origin", "main")
        sha = self.git("rev-parse", "HEAD")
        pull |= {"merged_at": "2026-11-01T00:00:00Z", "merge_commit_sha": sha}
        return sha

    def apply(self, sha: str, workflow: Path = READY / "apply.yml", **more: Any) -> Ended:
        """The run that a push to main begins."""
        return self.runner.run(workflow, Event("push", sha, "refs/heads/main", {"after": sha}), **more)

    def push_and_apply(self) -> tuple[str, Ended]:
        """Push what was edited to main and have it applied, in a team that asks for no review."""
        sha = self.push("main")
        return sha, self.apply(sha, REUSABLE / "specs-apply.yml", inputs={"review": False})

    def dispatch(self, name: str, sha: str, inputs: Mapping[str, Any] | None = None, branch: str = "main") -> Ended:
        """The run that a person begins by hand."""
        event = Event("workflow_dispatch", sha, f"refs/heads/{branch}", {"inputs": dict(inputs or {})})
        return self.runner.run(READY / name, event, inputs)

    def reviewed_and_merged(self, branch: str = "change") -> tuple[int, str]:
        """A pull request with a plan in its comment, merged: its number, and the commit."""
        number = self.pull_request(branch)
        planned = self.plan(number)
        assert planned.code == 0, planned.log
        return number, self.merge(number)


PROJECT = """\
    apiVersion: specrunner/v1
    kind: Project
    metadata: {name: demo}
    spec:
      defaultWorkspace: lab
      status: none
    """
WORKSPACE = """\
    apiVersion: specrunner/v1
    kind: Workspace
    metadata: {name: lab}
    """
PLAN = "specrunner-plan"


def schedule(world: World, cron: str = "0 2 * * *") -> None:
    """A task that runs at night; nothing of it runs when it is applied."""
    world.specs.orchestration("hello", "print('hello')")
    world.specs.task("nightly", "hello", schedule=cron)


def only_comment(world: World, number: int, name: str = PLAN) -> str:
    [body] = [body for body in world.api.comments_of(number) if header_of(body, name)]
    return body


def only_issue(world: World) -> dict[str, object]:
    [found] = world.api.issues.values()
    return found
