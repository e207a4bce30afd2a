"""A small runner of GitHub workflows: it executes the shell of every step, ours and those of our composite action.

Variables, files and contexts are as GitHub documents them. The actions of others that ours use are done here: checkout
clones from a bare remote, upload-artifact copies, setup-python does nothing. The step that installs specrunner is
executed for real once (`installed`) and its venv lent to the jobs that follow.
"""

from __future__ import annotations

import html
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tests.integration.github_api import REPOSITORY, Api
from tests.integration.github_expressions import evaluated, filled

CHECKOUT = Path(__file__).resolve().parents[2]
READY = CHECKOUT / "examples" / "specs" / ".github" / "workflows"
REUSABLE = CHECKOUT / ".github" / "workflows"
PATIENCE = 120.0  # seconds for a step
INSTALL = "Install specrunner"
# The packages that specrunner needs are those of the tests.
LENT: Mapping[str, str] = {"PYTHONPATH": sysconfig.get_path("purelib")}
ASKING_NO_INDEX: Mapping[str, str] = {
    "PIP_NO_DEPS": "1",
    "PIP_NO_BUILD_ISOLATION": "0",  # so pip spells "no isolation" in a variable
    "PIP_NO_INDEX": "1",
}


@dataclass(frozen=True)
class Event:
    """What began a run; `fork` says that its token may only read, and that there are no secrets."""

    name: str
    sha: str
    ref: str
    payload: Mapping[str, Any] = field(default_factory=dict)
    fork: bool = False


@dataclass
class Ended:
    """A job that has ended: what it printed, its summary, its artifacts, the outputs of its steps."""

    code: int
    log: str
    summary: str  # as people read it: without the character references that keep it from being markup
    artifacts: dict[str, bytes]
    outputs: dict[str, str]

    def annotations(self, kind: str) -> list[str]:
        """The annotations that GitHub would show: lines between stop-commands and its mark are none."""
        return [text for text in commands(self.log) if text.startswith(f"::{kind}")]


def as_read(markdown: str) -> str:
    """What a person sees of text that may be a stranger's."""
    return html.unescape(markdown).replace("\u200b", "")


def commands(log: str) -> list[str]:
    """The lines that the runner takes for commands."""
    found, stopped = [], ""
    for line in map(str.strip, log.splitlines()):
        if stopped:
            stopped = "" if line == f"::{stopped}::" else stopped
        elif line.startswith("::stop-commands::"):
            stopped = line.removeprefix("::stop-commands::")
        elif line.startswith("::"):
            found.append(line)
    return found


@dataclass
class Runner:
    """A machine that runs jobs. Each gets an empty folder, unless `workspace` is kept (a self-hosted one)."""

    folder: Path
    remote: Path
    api: Api
    cache: Path
    venv: Path
    kept: Path | None = None
    jobs: int = 0
    steps: list[str] = field(default_factory=list)

    def run(
        self, workflow: Path, event: Event, inputs: Mapping[str, Any] | None = None, secrets: Mapping[str, str] = {}
    ) -> Ended:
        """Run the one job of a workflow file, for its first environment."""
        document = yaml.safe_load(workflow.read_text("utf-8"))
        [job] = document["jobs"].values()
        self.jobs += 1
        token = f"ghs_{self.jobs:036d}"
        rights = {name: "read" if event.fork else right for name, right in job["permissions"].items()}
        self.api.rights[token] = rights
        self._enforce(rights.get("contents", "none"))
        declared = (document[True].get("workflow_call") or document[True].get("workflow_dispatch") or {}).get(
            "inputs", {}
        )
        given = {name: one.get("default", "") for name, one in declared.items()} | dict(inputs or {})
        matrix = {name: values[0] for name, values in job.get("strategy", {}).get("matrix", {}).items()}
        course = _Job(self, event, token, given, matrix, {} if event.fork else secrets)
        filled(job.get("concurrency", {}), course.contexts())
        if not evaluated(str(job.get("if", "success()")), course.contexts()):
            del self.api.rights[token]
            return Ended(0, "skipped", "", {}, {})
        try:
            course.do(job["steps"], course.contexts())
            return course.ended()
        finally:
            del self.api.rights[token]  # a job's token ends with it
            self._enforce("write")

    def _enforce(self, right: str) -> None:
        """Who may not write contents can't push."""
        hook = self.remote / "hooks" / "pre-receive"
        hook.write_text(f"#!/bin/sh\necho 'Permission to {REPOSITORY} denied.'\nexit {int(right != 'write')}\n")
        hook.chmod(0o755)


class _Job:
    def __init__(
        self,
        runner: Runner,
        event: Event,
        token: str,
        inputs: Mapping[str, Any],
        matrix: Mapping[str, Any],
        secrets: Mapping[str, str],
    ) -> None:
        self.runner, self.event, self.token = runner, event, token
        self.inputs, self.matrix, self.secrets = inputs, matrix, secrets
        self.base = runner.folder / f"job-{runner.jobs}"
        self.temp = self.base / "temp"
        self.workspace = runner.kept or self.base / "work"
        self.temp.mkdir(parents=True)
        self.workspace.mkdir(parents=True, exist_ok=True)
        self.code, self.log, self.summary = 0, "", ""
        self.artifacts: dict[str, bytes] = {}
        self.outputs: dict[str, dict[str, str]] = {}
        (self.temp / "event.json").write_text(json.dumps(event.payload))

    def contexts(self) -> dict[str, Any]:
        github = {
            "event": self.event.payload,
            "event_name": self.event.name,
            "repository": REPOSITORY,
            "sha": self.event.sha,
            "ref": self.event.ref,
            "token": self.token,
            "workspace": str(self.workspace),
        }
        failed = {"always": True, "failure": bool(self.code), "success": not self.code}
        return {
            "github": github,
            "inputs": self.inputs,
            "matrix": self.matrix,
            "secrets": self.secrets,
            "runner": {"temp": str(self.temp)},
            "steps": {name: {"outputs": found} for name, found in self.outputs.items()},
            "functions": failed,
        }

    def do(self, steps: list[dict[str, Any]], contexts: Mapping[str, Any], env: Mapping[str, str] = {}) -> None:
        for step in steps:
            now = {**contexts, "steps": self.contexts()["steps"], "functions": self.contexts()["functions"]}
            condition = str(step.get("if", "success()"))
            condition = (
                condition if re.search(r"always\(|failure\(|success\(", condition) else f"success() && ({condition})"
            )
            if not evaluated(condition, now):
                continue
            mine = {**env, **{name: _text(one) for name, one in filled(step.get("env", {}), now).items()}}
            if "uses" in step:
                self._use(step["uses"], filled(step.get("with", {}), now), mine)
            else:
                self._shell(step, now, mine)

    def _use(self, action: str, given: Mapping[str, Any], env: Mapping[str, str]) -> None:
        name, _, revision = action.partition("@")
        if name == "specrunner/specrunner":
            self._composite(given, env)
            return
        assert re.fullmatch(r"[0-9a-f]{40}", revision), f"{action} is not pinned"
        if name == "actions/checkout":
            assert given["persist-credentials"] is False
            self._checkout()
        elif name == "actions/upload-artifact":
            self.artifacts[given["name"]] = Path(given["path"]).read_bytes()
        else:
            assert name == "actions/setup-python", name

    def _composite(self, given: Mapping[str, Any], env: Mapping[str, str]) -> None:
        document = yaml.safe_load((CHECKOUT / "action.yml").read_text("utf-8"))
        declared = document["inputs"]
        assert set(given) <= set(declared), f"unknown inputs: {set(given) - set(declared)}"
        assert {name for name, one in declared.items() if one["required"]} <= set(given)
        defaults = {name: filled(one.get("default", ""), self.contexts()) for name, one in declared.items()}
        inputs = {name: _text(value) for name, value in {**defaults, **given}.items()}
        contexts = self.contexts() | {"inputs": inputs}
        contexts["github"] = {**contexts["github"], "action_path": str(CHECKOUT)}
        del contexts["secrets"], contexts["matrix"]  # an action sees neither
        self.do(document["runs"]["steps"], contexts, env)
        now = self.contexts()
        self.outputs["action"] = {name: filled(one["value"], now) for name, one in document["outputs"].items()}

    def _checkout(self) -> None:
        if not (self.workspace / ".git").exists():
            _git(self.workspace, "init", "-q")
            _git(self.workspace, "remote", "add", "origin", str(self.runner.remote))
        _git(self.workspace, "fetch", "-q", "origin", "+refs/heads/*:refs/remotes/origin/*", "+refs/pull/*:refs/pull/*")
        _git(self.workspace, "checkout", "-q", "--force", "--detach", self.event.sha)

    def _shell(self, step: Mapping[str, Any], contexts: Mapping[str, Any], env: Mapping[str, str]) -> None:
        assert "${{" not in step["run"], "an expression in a script is an injection"
        self.runner.steps.append(step["name"])
        if step["name"] == INSTALL and self.runner.venv.exists():
            (self.temp / "specrunner").symlink_to(self.runner.venv)
            return
        files = {name: self.temp / f"{name.lower()}-{len(self.runner.steps)}" for name in _FILES}
        script = self.temp / "script.sh"
        script.write_text(step["run"])
        for file in files.values():
            file.touch()
        done = subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", str(script)],
            cwd=self.workspace / filled(step.get("working-directory", "."), contexts),
            env=self._environ() | {name: str(file) for name, file in files.items()} | dict(env),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        self.log += done.stdout
        self.code = self.code or done.returncode
        self.summary += files["GITHUB_STEP_SUMMARY"].read_text()
        if "id" in step:
            self.outputs[step["id"]] = outputs_of(files["GITHUB_OUTPUT"].read_text())

    def _environ(self) -> dict[str, str]:
        return {
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "HOME": os.environ["HOME"],  # where this machine says which package index to ask
            **{name: value for name, value in os.environ.items() if name.startswith(("PIP_", "UV_"))},
            "SPECRUNNER_CACHE": str(self.runner.cache),
            "CI": "true",
            "GITHUB_ACTIONS": "true",
            "GITHUB_API_URL": self.runner.api.url,
            "GITHUB_SERVER_URL": "https://github.example.com",
            "GITHUB_REPOSITORY": REPOSITORY,
            "GITHUB_SHA": self.event.sha,
            "GITHUB_REF": self.event.ref,
            "GITHUB_EVENT_NAME": self.event.name,
            "GITHUB_EVENT_PATH": str(self.temp / "event.json"),
            "GITHUB_RUN_ID": str(self.runner.jobs),
            "GITHUB_WORKSPACE": str(self.workspace),
            "RUNNER_TEMP": str(self.temp),
            **LENT,
        }

    def ended(self) -> Ended:
        return Ended(self.code, self.log, as_read(self.summary), self.artifacts, self.outputs.get("action", {}))


_FILES = ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY", "GITHUB_ENV", "GITHUB_PATH")


def outputs_of(text: str) -> dict[str, str]:
    """`name<<MARK`, lines, `MARK`; or `name=value`."""
    found = {}
    lines = iter(text.splitlines())
    for line in lines:
        name, heredoc, mark = line.partition("<<")
        if not heredoc:
            name, _, found[name] = line.partition("=")
            continue
        value = []
        for part in lines:
            if part == mark:
                break
            value.append(part)
        found[name] = "\n".join(value)
    return found


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else "" if value is None else str(value)


def _git(folder: Path, *words: str) -> str:
    return subprocess.run(["git", *words], cwd=folder, check=True, capture_output=True, text=True).stdout.strip()


def install(folder: Path) -> Path:
    """Execute the action's own install step, from this checkout; the venv that it made."""
    action = yaml.safe_load((CHECKOUT / "action.yml").read_text("utf-8"))
    [step] = [one for one in action["runs"]["steps"] if one.get("name") == INSTALL]
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environ = {"PATH": path, "HOME": str(folder), "RUNNER_TEMP": str(folder), "VERSION": "", "ACTION": str(CHECKOUT)}
    subprocess.run(
        ["bash", "-eo", "pipefail", "-c", step["run"]],
        env={**environ, **LENT, **ASKING_NO_INDEX},
        check=True,
        timeout=PATIENCE,
    )
    made = folder / "specrunner"
    assert (made / "bin" / "specrunner").exists()
    assert shutil.which("specrunner", path=str(made / "bin"))
    return made
