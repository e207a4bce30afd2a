"""Orchestrations, tasks and runs on the platform's face: what the tutorials say in passing, each held by a test."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.engine_samples import FOREVER, bundle, until
from tests.integration.mlops_face import Platform, platform_on, zipped

OLD_CLIENT = {"User-Agent": "python-httpx/0.23"}


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    with platform_on(tmp_path_factory.mktemp("platform") / "state") as found:
        yield found


@pytest.fixture
def lab(platform: Platform) -> int:
    """A workspace of the test's own."""
    return platform.workspace(f"lab-{uuid.uuid4()}")


@pytest.mark.parametrize("as_file", [True, False])
def test_metadata_are_read_with_a_file_name_and_without(platform: Platform, lab: int, as_file: bool) -> None:
    made = platform.upload(lab, bundle("print()"), "given", as_file=as_file)
    assert platform.post("orchestration/get_by_id", id=made)["name"] == "given"


def test_an_upload_is_answered_at_once_and_packaged_afterwards(platform: Platform, lab: int) -> None:
    data = bundle("print('hello')")
    made = platform.upload(lab, data)
    found = platform.post("orchestration/get_by_id", id=made)
    assert found["status"] in {"pending_packaging", "packaging", "ready"}
    assert found["sha"] == hashlib.sha256(data).hexdigest() and found["file_size"] == len(data)
    until(lambda: platform.post("orchestration/get_by_id", id=made)["status"] == "ready", "the packaging")


def test_each_upload_is_an_orchestration_of_its_own(platform: Platform, lab: int) -> None:
    first, second = (platform.upload(lab, bundle("print()")) for _ in range(2))
    assert [one["id"] for one in platform.post("orchestration/list", workspace_id=lab)] == [first, second]


def test_one_without_a_name_goes_by_that_of_its_file(platform: Platform, lab: int) -> None:
    made = platform.upload(lab, bundle("print()"), None)
    assert platform.post("orchestration/get_by_id", id=made)["name"] == "hello.zip"


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (zipped(**{"README.md": ""}), "main.py"),
        (zipped(**{"main.py": "", "requirements.txt": "", "a__requirements.txt": ""}), "2 requirements.txt"),
        (zipped(**{"main.py": "", "requirements.txt": "impossible"}), "can't be resolved"),
        (b"no zip", "zip"),
    ],
)
def test_what_cannot_be_packaged_is_in_error_with_the_reason(
    platform: Platform, lab: int, data: bytes, why: str
) -> None:
    made = platform.upload(lab, data)
    until(lambda: platform.post("orchestration/get_by_id", id=made)["status"] == "error", "the refusal")
    assert why in platform.post("orchestration/get_by_id", id=made)["error_summary"]
    refused = platform.post("task/run_once", 400, orch_id=made, workspace_id=lab, json={}, name="x")
    assert "not ready" in refused["msg"]


def test_a_run_that_was_ordered_runs_with_its_arguments(platform: Platform, lab: int) -> None:
    code = "import json, os\nprint(json.load(open(os.environ['SPECRUNNER_ARGUMENTS'])))\nprint('last')\n"
    task = platform.once(platform.ready(lab, code), lab, json={"dogs": 3.9})
    run = platform.ended(task)
    assert run["status"] == "success" and run["task"] == task
    lines = platform.post("task/get_logs_for_run", id=run["run_id"])["logs"]
    when, stream, whole, *words = lines[0].split(" ")
    assert "T" in when and (stream, whole) == ("stdout", "F") and " ".join(words) == "{'dogs': 3.9}"
    assert [
        line.rpartition(" ")[2] for line in platform.post("task/get_logs_for_run", id=run["run_id"], lines=1)["logs"]
    ] == ["last"]


def test_a_task_that_has_run_stays_started_and_listed(platform: Platform, lab: int) -> None:
    task = platform.once(platform.ready(lab, "print()"), lab)
    platform.ended(task)
    found = platform.post("task/get_by_id", id=task)
    assert (found["status"], found["killed"], found["run_type"]) == ("started", False, "Oneshot")
    assert [run["status"] for run in found["last_runs"]] == ["success"]


def test_names_of_tasks_may_repeat_and_may_be_left_out(platform: Platform, lab: int) -> None:
    orchestration = platform.ready(lab, "print()")
    made = [platform.once(orchestration, lab, name) for name in ("again", "again", None)]
    names = {one["id"]: one["name"] for one in platform.post("task/list", workspace_id=lab, killed=False)}
    assert [names[task] for task in made] == ["again", "again", "hello"]


def test_the_innards_of_the_platform_are_not_invented(platform: Platform, lab: int) -> None:
    found = platform.post("task/get_by_id", id=platform.once(platform.ready(lab, "print()"), lab))
    assert not {"image_tag", "bind_secrets", "extra_env_vars", "flavor"} & set(found)
    assert "/arbex-orch-deploy" in found["image"]  # by which a client knows a task that runs once


def test_runs_are_newest_first_and_can_be_chosen(platform: Platform, lab: int) -> None:
    task = platform.once(platform.ready(lab, "import sys; sys.exit(3)"), lab)
    platform.ended(task)
    record = platform.engine.tasks.get(task)
    for _ in range(2):
        platform.engine.runs.carry_out(platform.engine.runs.submit(record).id)
    found = platform.runs(task)
    assert len(found) == 3 and found == sorted(found, key=lambda run: run["created_at"], reverse=True)
    assert len(platform.runs(task, limit=2)) == 2 and platform.runs(task, limit=0) == []
    chosen = {word: len(platform.runs(task, status=word)) for word in ("all", "failure", "success")}
    assert chosen == {"all": 3, "failure": 3, "success": 0}
    assert platform.http.post("/v1/api/task/list_task_runs", json={"task_id": task, "status": "x"}).status_code == 400


def test_a_kill_is_answered_at_once_and_again(platform: Platform, lab: int) -> None:
    task = platform.once(platform.ready(lab, FOREVER), lab)
    until(lambda: platform.runs(task), "the start")
    for _ in range(2):
        found = platform.post("task/kill", 202, id=task)
        assert (found["status"], found["killed"], found["id"]) == ("pending_kill", True, task)
    assert platform.ended(task)["status"] == "killed"
    assert task in [one["id"] for one in platform.post("task/list", workspace_id=lab, killed=False)]


def test_older_clients_are_told_the_words_that_they_know(platform: Platform, lab: int) -> None:
    task = platform.once(platform.ready(lab, FOREVER), lab)
    until(lambda: platform.runs(task), "the start")
    platform.post("task/kill", 202, id=task)
    platform.ended(task)
    answer = platform.http.post("/v1/api/task/list_task_runs", json={"task_id": task}, headers=OLD_CLIENT)
    assert [run["status"] for run in answer.json()] == ["failure"]


def test_killing_a_scheduled_task_ends_its_run_and_its_schedule(platform: Platform, lab: int) -> None:
    body = {"orch_id": platform.ready(lab, FOREVER), "workspace_id": lab, "json": {}, "name": "often"}
    task = platform.post("task/run_scheduled", 201, **body, schedule="0 2 * * *")["id"]
    platform.engine.runs.submit(platform.engine.tasks.get(task))
    platform.engine.runs.ring()
    until(lambda: platform.runs(task), "a run")
    platform.post("task/kill", 202, id=task)
    assert platform.ended(task)["status"] == "killed"
    until(lambda: platform.engine.tasks.get(task).status == "killed", "the end of the task")
    assert all(run["status"] != "running" for run in platform.runs(task))


def test_tasks_are_listed_newest_change_first_and_killed_ones_alone(platform: Platform, lab: int) -> None:
    orchestration = platform.ready(lab, "print()")
    first, second = (platform.once(orchestration, lab, name) for name in ("first", "second"))
    for task in (first, second):
        platform.ended(task)
    platform.post("task/kill", 202, id=first)
    assert [one["id"] for one in platform.post("task/list", workspace_id=lab, killed=True)] == [first]
    listed = platform.post("task/list", workspace_id=lab, killed=False)
    assert {one["id"] for one in listed} == {first, second}
    assert listed == sorted(listed, key=lambda one: one["updated_at"], reverse=True)


def test_a_schedule_that_is_none_is_refused_with_what_is_wrong(platform: Platform, lab: int) -> None:
    body = {"orch_id": platform.ready(lab, "print()"), "workspace_id": lab, "json": {}, "name": "x"}
    assert "61" in platform.post("task/run_scheduled", 400, **body, schedule="61 * * * *")["msg"]
    assert platform.post("task/list", workspace_id=lab, killed=False) == []


def test_a_task_is_paused_and_resumed(platform: Platform, lab: int) -> None:
    body = {"orch_id": platform.ready(lab, "print()"), "workspace_id": lab, "json": {}, "name": "nightly"}
    task = platform.post("task/run_scheduled", 201, **body, schedule="0 2 * * *")["id"]
    assert platform.post("task/pause", 202, id=task, pause=True)["status"] == "paused"
    assert platform.post("task/pause", 202, id=task, pause=False)["status"] == "started"


def test_packaging_that_a_server_has_left_is_taken_up_by_the_next(tmp_path: Path) -> None:
    with platform_on(tmp_path / "state") as first:
        workspace = first.workspace()
        data = bundle("print()")
        found = first.engine.orchestrations.add(workspace, "left", "left.zip", first.engine.keep(data))
    with platform_on(tmp_path / "state") as second:
        until(lambda: second.engine.orchestrations.get(found.id).status == "ready", "the packaging")
