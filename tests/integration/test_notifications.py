"""Webhooks, told by apply, run and serve against a server that takes what is posted."""

from __future__ import annotations

import json
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from specrunner.core.values import Secret
from specrunner.forge.webhooks import Post, send
from tests.acceptance.spec_repo import WORKSPACE, SpecRepo, stopped, until

PROJECT = """\
    apiVersion: specrunner/v1
    kind: Project
    metadata: {{name: demo}}
    spec:
      defaultWorkspace: lab
      status: none
      notifications: {notifications}
    """


@dataclass
class Hook:
    """What was posted to it, and what it answers: a status for each request in turn, 200 after those."""

    url: str = ""
    told: list[tuple[str, Any]] = field(default_factory=list)
    answers: list[int] = field(default_factory=list)
    tries: int = 0

    def bodies(self, path: str = "/hook") -> list[Any]:
        return [body for place, body in self.told if place == path]


@contextmanager
def serving_hook() -> Iterator[Hook]:
    hook = Hook()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            data = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            hook.tries += 1
            status = hook.answers.pop(0) if hook.answers else 200
            if status == 200:
                hook.told.append((self.path, data))
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_words: object) -> None:
            """Nobody reads it."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    hook.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield hook
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def hook() -> Iterator[Hook]:
    with serving_hook() as serving:
        yield serving


@pytest.fixture
def repo(tmp_path: Path, environment_cache: Path) -> SpecRepo:
    made = SpecRepo(tmp_path / "specs", {"SPECRUNNER_CACHE": str(environment_cache)})
    made.write("workspace.yaml", WORKSPACE)
    return made


def declare(repo: SpecRepo, *notifications: dict[str, Any]) -> None:
    repo.write("specrunner.yaml", PROJECT.format(notifications=json.dumps(notifications)))


ALL = ["run_failed", "run_recovered", "apply_failed", "applied"]
FAILING = "import sys; print('the token is', 'hidden-value'); sys.exit('no luck')"


def test_an_apply_and_a_run_that_fail_are_told_and_so_is_the_recovery(repo: SpecRepo, hook: Hook) -> None:
    declare(repo, {"name": "all", "url": f"{hook.url}/hook", "on": ALL}, {"name": "few", "url": f"{hook.url}/few"})
    repo.orchestration("job", FAILING)
    repo.task("once", "job", secretEnv={"TOKEN": {"env": "A_TOKEN"}})
    repo.run("apply", "--yes", code=6, A_TOKEN="hidden-value")
    failed, run = hook.bodies()
    assert (failed["event"], run["event"]) == ("apply_failed", "run_failed")
    assert run["task"] == "Task/lab/once"
    assert "no luck" in run["detail"]
    assert "demo/default" in run["summary"]
    assert "hidden-value" not in json.dumps(hook.told)
    hook.told.clear()
    repo.orchestration("job", "print('fine')")
    repo.run("apply", "--yes", A_TOKEN="hidden-value")
    assert [body["event"] for body in hook.bodies()] == ["applied", "run_recovered"]
    assert [body["event"] for body in hook.bodies("/few")] == ["run_recovered"]
    hook.told.clear()
    repo.run("apply", "--yes", A_TOKEN="hidden-value")
    repo.run("run", "once")
    assert hook.told == [], "neither an apply without anything to do nor a further success is news"


def test_a_run_by_hand_is_told_in_the_form_of_a_chat(repo: SpecRepo, hook: Hook) -> None:
    own = {"text": "{event}: {summary}", "channel": "#ml", "blocks": [{"id": 5, "text": "{task} {unclosed"}]}
    declare(
        repo,
        {"name": "slack", "url": f"{hook.url}/slack", "template": "slack"},
        {"name": "teams", "url": f"{hook.url}/teams", "template": "teams"},
        {"name": "own", "url": f"{hook.url}/own", "template": own},
    )
    repo.orchestration("job", FAILING)
    repo.task("nightly", "job", schedule="0 2 * * *")
    repo.run("apply", "--yes")
    repo.run("run", "nightly", code=6)
    [slack], [teams], [mine] = (hook.bodies(f"/{name}") for name in ("slack", "teams", "own"))
    assert "Task/lab/nightly ended as failure" in slack["text"]
    assert "no luck" in slack["text"]
    assert "Task/lab/nightly" in teams["attachments"][0]["content"]["body"][0]["text"]
    assert mine["text"].startswith("run_failed: ")
    assert mine["channel"] == "#ml"
    assert mine["blocks"] == [{"id": 5, "text": "Task/lab/nightly {unclosed"}]


def test_a_secret_address_is_never_shown_and_nobody_there_fails_nothing(repo: SpecRepo) -> None:
    address = "http://127.0.0.1:9/secret-path"
    declare(
        repo,
        {"name": "away", "urlFrom": {"env": "HOOK"}, "on": ["applied"]},
        {"name": "unset", "urlFrom": {"env": "NOT_SET"}, "on": ["applied"]},
    )
    said = repo.run("apply", "--yes", HOOK=address)
    assert "The notification 'away' was not sent: nobody answered" in said.err
    assert "The notification 'unset' was not sent: the environment variable NOT_SET is not set." in said.err
    assert "secret-path" not in said.said


def test_a_host_tells_of_the_runs_that_end_under_it_once(repo: SpecRepo, hook: Hook) -> None:
    declare(repo, {"name": "all", "url": f"{hook.url}/hook", "on": ["run_failed", "run_recovered"]})
    repo.orchestration("job", FAILING)
    repo.task("nightly", "job", schedule="0 2 * * *")
    repo.run("apply", "--yes")
    with repo.start("serve") as host:
        until(lambda: "Serving" in (host.stdout.readline() if host.stdout else ""), "the host")
        repo.run("run", "nightly", code=6)
        until(lambda: len(hook.told) == 1, "news of the failed run")
        stopped(host, signal.SIGTERM, 0)
    [body] = hook.bodies()
    assert body["event"] == "run_failed"
    assert "no luck" in body["detail"]


def test_a_host_that_follows_a_repository_tells_whom_its_specs_name(repo: SpecRepo, hook: Hook, tmp_path: Path) -> None:
    declare(repo, {"name": "all", "url": f"{hook.url}/hook"})
    repo.orchestration("job", FAILING)
    repo.task("once", "job")
    for words in (
        ["init", "-q", "-b", "main"],
        ["add", "-A"],
        [*["-c", "user.name=A", "-c", "user.email=a@b.c"], "commit", "-qm", "a"],
    ):
        subprocess.run(["git", *words], cwd=repo.root, check=True)
    state = tmp_path / "state"
    state.mkdir()
    with repo.start("-C", str(state), "serve", "--repo", str(repo.root)) as host:
        until(lambda: any(body["event"] == "run_failed" for body in hook.bodies()), "news of the failed run")
        stopped(host, signal.SIGTERM, 0)
    # The apply does not wait for the run, so that it has not failed with it, however soon that ends.
    [body] = hook.bodies()
    assert (body["event"], body["task"]) == ("run_failed", "Task/lab/once")


def test_mistakes_in_notifications_are_told_at_their_places(repo: SpecRepo) -> None:
    declare(
        repo,
        {"name": "a", "url": "https://x.example.com", "template": {"text": "{sumary}"}},
        {"name": "a", "url": "https://x.example.com"},
    )
    said = repo.run("validate", code=1).err
    assert "news has no field 'sumary'" in said
    assert "there are two notifications 'a'" in said


@pytest.mark.parametrize(("answers", "tries", "told"), [([503, 429], 3, 1), ([404], 1, 0), ([500] * 9, 3, 0)])
def test_what_may_pass_is_tried_again_and_a_refusal_is_not(
    hook: Hook, answers: list[int], tries: int, told: int
) -> None:
    hook.answers = list(answers)
    slept: list[float] = []
    problems = send([Post("chat", Secret(f"{hook.url}/hook"), {"a": 1})], slept.append)
    assert hook.tries == tries
    assert len(hook.told) == told
    assert len(problems) == 1 - told
    assert all(hook.url not in f"{one.summary}{one.detail}{one.remedy}" for one in problems)
    assert sum(slept) < 5
