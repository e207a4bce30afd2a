"""The workflows over time: half an apply made whole, fresh runners that remember, drift that comes and goes."""

from __future__ import annotations

import json
import re
import shutil
import sqlite3
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

from specrunner.forge.headers import header_of
from tests.acceptance.spec_repo import SpecRepo
from tests.integration.github_runner import READY
from tests.integration.github_world import PLAN, PROJECT, World, only_comment, only_issue, schedule


def test_when_half_of_what_was_reviewed_is_done_the_job_does_the_rest(world: World) -> None:
    kept = world.runner.kept = world.remote.parent / "self-hosted"
    for name in ("first", "second"):
        world.specs.document("Connection", name, {"type": "HTTP"})
    number, sha = world.reviewed_and_merged()
    subprocess.run(["git", "fetch", "-q", "origin", "main"], cwd=kept, check=True)
    subprocess.run(["git", "checkout", "-q", "--detach", sha], cwd=kept, check=True)
    SpecRepo(kept).run("apply", "--yes", "--select", "Connection/first")
    ended = world.apply(sha)
    assert ended.code == 0, ended.log
    assert ended.outputs["hash"] != (header_of(only_comment(world, number), PLAN) or {})["hash"]
    assert set(SpecRepo(kept).objects()) == {"Connection/first", "Connection/second", "Workspace/lab"}
    again = world.apply(sha)
    assert again.code == 0
    assert again.outputs["changes"] == "false"


def test_without_a_server_fresh_runners_remember_by_the_status_branch(world: World) -> None:
    """Every job here begins in an empty folder."""
    world.specs.write("specrunner.yaml", PROJECT.replace("status: none", "status: {branch: specrunner-status}"))
    world.specs.orchestration("hello", "raise SystemExit('no luck tonight')")
    world.specs.task("nightly", "hello", schedule="* * * * *")
    sha, applied = world.push_and_apply()
    assert applied.code == 0, applied.log
    rewind(world)
    failed = world.dispatch("tick.yml", sha)
    assert failed.code == 6, failed.log
    assert only_issue(world)["state"] == "open"
    assert "Task/lab/nightly" in str(only_issue(world)["body"])
    world.specs.orchestration("hello", "print('fine')")
    number = world.pull_request("mended")
    planned = world.plan(number)
    assert planned.code == 0, planned.log
    assert "Workspace/lab" not in only_comment(world, number), "it is live already, as the branch says"
    assert "Orchestration/lab/hello" in only_comment(world, number)
    sha = world.merge(number)
    assert world.apply(sha).code == 0
    rewind(world)
    assert world.dispatch("tick.yml", sha).code == 0
    assert only_issue(world)["state"] == "closed"


def test_an_apply_that_may_not_push_its_status_says_which_right_it_needs(world: World, tmp_path: Path) -> None:
    world.specs.write("specrunner.yaml", PROJECT.replace("status: none", "status: {branch: specrunner-status}"))
    schedule(world)
    workflow = tmp_path / "apply.yml"
    text = (READY / "apply.yml").read_text("utf-8").replace("contents: write", "contents: read")
    workflow.write_text(text, "utf-8")
    ended = world.apply(world.reviewed_and_merged()[1], workflow)
    assert ended.code, ended.log
    assert "contents: write" in ended.summary
    assert only_issue(world)["state"] == "open"


def rewind(world: World) -> None:
    """Have the schedule be settled up to a while ago, as if nobody had ticked since."""
    folder = world.remote.parent / "status-clone"
    shutil.rmtree(folder, ignore_errors=True)
    subprocess.run(["git", "clone", "-q", "-b", "specrunner-status", str(world.remote), str(folder)], check=True)
    [file] = folder.glob("default/tasks/lab/*.yaml")
    moment = datetime.now(UTC) - timedelta(minutes=2)
    file.write_text(re.sub(r"(?m)^settled: .*$", f"settled: '{moment:%Y-%m-%dT%H:%M:%SZ}'", file.read_text()))
    words = ["-c", "user.name=A", "-c", "user.email=a@b.c", "commit", "-qam", "Turn the clock back"]
    subprocess.run(["git", *words], cwd=folder, check=True)
    subprocess.run(["git", "push", "-q", "origin", "specrunner-status"], cwd=folder, check=True)


def test_drift_opens_an_issue_updates_it_and_closes_it(world: World) -> None:
    world.runner.kept = world.remote.parent / "self-hosted"  # whose state folder stays
    schedule(world)
    sha, applied = world.push_and_apply()
    assert applied.code == 0
    assert world.dispatch("drift.yml", sha).outputs["changes"] == "false"
    assert world.api.issues == {}
    database = world.runner.kept / ".specrunner" / "state.db"
    edit(database, "0 9 * * *")
    found = world.dispatch("drift.yml", sha)
    assert found.code == 0, found.log
    assert found.outputs["changes"] == "true"
    assert "0 9" in str(only_issue(world)["body"])
    edit(database, "0 10 * * *")
    world.dispatch("drift.yml", sha)
    assert "0 10" in str(only_issue(world)["body"])
    edit(database, "0 2 * * *")
    world.dispatch("drift.yml", sha)
    assert only_issue(world)["state"] == "closed"
    opened = [asked for asked in world.api.writes() if asked.method == "POST" and asked.path.endswith("/issues")]
    assert len(opened) == 1


def edit(database: Path, cron: str) -> None:
    """Change the live schedule behind everybody's back."""
    connection = sqlite3.connect(database)
    [(identity, spec)] = connection.execute("SELECT id, spec FROM tasks").fetchall()
    changed = json.loads(spec)
    changed["schedule"]["cron"] = cron
    connection.execute("UPDATE tasks SET spec = ? WHERE id = ?", (json.dumps(changed), identity))
    connection.commit()
    connection.close()
