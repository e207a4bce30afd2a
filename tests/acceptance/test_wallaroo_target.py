"""A platform that speaks the MLOps API: specs are applied to it by its public routes alone, and ours is one."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.acceptance.conftest import make_repo
from tests.acceptance.spec_repo import PROJECT, SpecRepo
from tests.acceptance.test_server_target import Shared, filled, serving
from tests.integration.engine_samples import FOREVER


def pointed(repo: SpecRepo, url: str, more: str = "") -> SpecRepo:
    """The repository with that platform as its target."""
    repo.write("specrunner.yaml", f"{PROJECT}  target: {{wallaroo: '{url}'{more}}}\n")
    return repo


@pytest.fixture
def shared(tmp_path: Path, cache: Path) -> Iterator[Shared]:
    host, repo = make_repo(tmp_path / "host", cache), make_repo(tmp_path / "specs", cache)
    with serving(host) as (process, url):
        yield Shared(host, pointed(repo, url), process, url)


def told(shared: Shared, path: str, body: object = None) -> Any:
    """What the platform itself answers."""
    answer = httpx.post(f"{shared.url}/v1/api/{path}", json=body or {}, trust_env=False, timeout=30)
    return answer.raise_for_status().json()


def test_what_is_applied_to_a_platform_is_live_there_and_then_there_is_nothing_to_do(shared: Shared) -> None:
    repo = shared.repo
    filled(repo)
    assert "1 run handed to the platform at 127.0.0.1:" in repo.run("apply", "--yes").out
    repo.run("plan", "--detailed-exitcode", code=0)
    assert sorted(str(task["name"]) for task in told(shared, "task/list")) == ["greet", "nightly"]
    assert repo.run("logs", "greet").out == "hello\n"
    assert [run["status"] for run in repo.runs("greet")] == ["success"]
    stored = "".join(file.read_text() for file in (repo.root / ".specrunner" / "wallaroo").iterdir())
    assert "swordfish" not in stored + "".join(path.read_text() for path in (repo.root / "status").rglob("*.yaml"))

    # Another machine knows by the status files what this one has done, and repeats nothing.
    shutil.rmtree(repo.root / ".specrunner")
    repo.run("plan", "--detailed-exitcode", code=0)
    repo.run("apply", "--yes")
    assert len(told(shared, "task/list")) == 2

    # Other arguments are another order; another schedule takes the place of the first.
    repo.task("greet", "hello", args={"n": 2})
    repo.task("nightly", "hello", schedule="0 3 * * *")
    repo.write("secret.json", '{"password": "trout"}')
    steps = json.loads(repo.run("plan", "--json").out)["steps"]
    assert {step["key"]: step["action"] for step in steps} == {
        "Connection/store": "update",
        "Task/lab/greet": "run",
        "Task/lab/nightly": "reschedule",
    }
    repo.run("apply", "--yes")
    repo.run("plan", "--detailed-exitcode", code=0)
    alive = [(task["run_type"], task.get("schedule")) for task in told(shared, "task/list") if not task["killed"]]
    assert sorted(alive, key=str) == [("CronJob", "0 3 * * *"), ("Oneshot", None), ("Oneshot", None)]

    repo.remove("task-greet.yaml")
    repo.remove("task-nightly.yaml")
    repo.run("apply", "--yes")
    repo.run("plan", "--detailed-exitcode", code=0)
    assert all(task["killed"] for task in told(shared, "task/list"))


def test_new_code_is_a_new_version_and_a_run_of_it_can_be_killed(shared: Shared) -> None:
    repo = shared.repo
    repo.orchestration("long", "print('short')")
    repo.task("job", "long")
    repo.run("apply", "--yes")
    repo.orchestration("long", FOREVER)
    repo.run("apply", "--yes", "--no-wait")
    run = next(run for run in repo.runs("job") if not run["ended"])
    assert "killed" in repo.run("kill", run["id"][:8]).out
    assert [found["status"] for found in repo.runs("job")] == ["killed", "success"]
    repo.run("plan", "--detailed-exitcode", code=0)


def test_what_the_platform_cannot_say_is_refused_at_its_place_or_left_out(shared: Shared) -> None:
    repo = shared.repo
    repo.orchestration("hello", "print('hello')")
    repo.task("nightly", "hello", schedule={"cron": "0 2 * * *", "timezone": "Europe/Berlin", "jitter": "5m"})
    said = repo.run("plan", code=1).err
    assert "has no words for `spec.schedule.timezone`" in said and "`spec.schedule.jitter`" in said
    assert "task-nightly.yaml:" in said and "onUnsupported: warn" in said
    pointed(repo, shared.url, ", onUnsupported: warn")
    warned = repo.run("apply", "--yes").err
    assert warned.count("`spec.schedule.timezone`. It is left out.") == 1
    repo.run("plan", "--detailed-exitcode", code=0)


def test_a_project_without_records_is_refused(tmp_path: Path, cache: Path) -> None:
    repo = make_repo(tmp_path / "specs", cache)
    text = PROJECT.replace("{directory: status}", "none")
    repo.write("specrunner.yaml", f"{text}  target: {{wallaroo: 'http://127.0.0.1:9'}}\n")
    assert "keeps no records" in repo.run("plan", code=64).err


def test_what_somebody_else_changed_on_the_platform_is_drift_and_what_is_nobodys_is_left_alone(shared: Shared) -> None:
    repo = shared.repo
    filled(repo)
    told(shared, "workspaces/create", {"workspace_name": "theirs"})
    repo.run("apply", "--yes")
    nightly = next(task for task in told(shared, "task/list") if task["name"] == "nightly")
    told(shared, "task/kill", {"id": nightly["id"]})
    said = repo.run("plan", "--drift", code=2).out
    assert "Task/lab/nightly" in said
    repo.run("apply", "--yes")
    repo.run("plan", "--detailed-exitcode", code=0)
    assert "theirs" not in repo.run("destroy", "--yes").out
    assert all(task["killed"] for task in told(shared, "task/list"))
    # The platform can't remove a workspace: destroy lets go of it.
    assert {"lab", "theirs"} <= {one["name"] for one in told(shared, "workspaces/list")["workspaces"]}


def test_a_user_logs_in_with_a_password(shared: Shared) -> None:
    told(shared, "workspaces/create", {"workspace_name": "lab"})
    shared.host.run(
        "user",
        "add",
        "ann@example.com",
        "--workspace",
        "lab",
        "--password-from-env",
        "ANN",
        ANN="correct horse battery",
    )
    assert "does not let us do that" in shared.repo.run("plan", code=1).err
    pointed(shared.repo, shared.url, ", userFrom: {env: WHO}, passwordFrom: {env: WORD}")
    shared.repo.run("apply", "--yes", "--adopt", "Workspace/lab", WHO="ann@example.com", WORD="correct horse battery")
    said = shared.repo.run("plan", code=1, WHO="ann@example.com", WORD="wrong").err
    assert "does not let 'ann@example.com' in" in said and "wrong" not in said
