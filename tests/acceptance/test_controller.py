"""`specrunner serve --repo`: what is merged is made so, what is wrong is not, a killed host goes on where it was."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import random
import signal
import socket
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from tests.acceptance.spec_repo import PROJECT, WORKSPACE, SpecRepo, until
from tests.conftest import Soak

SCHEDULE = "0 2 * * *"
SECRET = "between the two of us"


@dataclass(frozen=True, slots=True)
class Followed:
    """A clone in which people work, the bare repository that they push to, and the folder of the host."""

    clone: SpecRepo
    remote: Path
    host: SpecRepo
    port: int

    def pushed(self, message: str = "edit") -> str:
        """Commit everything and push it; the commit."""
        git(self.clone.root, "add", "--all")
        git(self.clone.root, "commit", "--quiet", "--allow-empty", "-m", message)
        git(self.clone.root, "push", "--quiet", "--force", "origin", "HEAD:main")
        return git(self.clone.root, "rev-parse", "HEAD")

    def recorded(self, path: str) -> str:
        """A file of the status branch as the remote has it; empty where there is none."""
        words = ("git", "show", f"specrunner-status:default/{path}")
        return subprocess.run(words, cwd=self.remote, check=False, capture_output=True, text=True).stdout

    @property
    def memory(self) -> dict[str, Any]:
        """What the controller knows."""
        file = self.host.root / ".specrunner" / "controller" / "memory.json"
        found: dict[str, Any] = json.loads(file.read_bytes()) if file.exists() else {}
        return found

    def live(self) -> Mapping[str, Any]:
        """The schedules of the live tasks by name; of a task that runs once there is none."""
        objects = [found for key, found in self.host.objects().items() if key.startswith("Task/")]
        return {found["key"].split("/")[-1]: (found["spec"].get("schedule") or {}).get("cron") for found in objects}

    @contextmanager
    def served(self, interval: str = "1s", *more: str, **environ: str) -> Iterator[subprocess.Popen[str]]:
        """The host, looking every second; killed at the end, which it must be able to bear at any moment."""
        words = ("serve", "--repo", str(self.remote), "--interval", interval, "--port", str(self.port), *more)
        environ = {"SPECRUNNER_WEBHOOK_SECRET": SECRET, **environ}
        with (
            (self.host.root / "log").open("ab") as log,
            self.host.start(*words, cwd=None, into=log, **environ) as process,
        ):
            try:
                yield process
            finally:
                process.kill()


def git(folder: Path, *words: str) -> str:
    command = ["git", "-c", "user.name=t", "-c", "user.email=t@example.org", *words]
    return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def ids() -> str:
    """How the repository makes its ids."""
    return "sha1"


@pytest.fixture
def followed(tmp_path: Path, repo: SpecRepo, ids: str) -> Followed:
    remote = tmp_path / "remote.git"
    init = ("init", "--quiet", f"--object-format={ids}", "-b", "main")
    subprocess.run(["git", *init, "--bare", str(remote)], check=True)
    git(repo.root, *init)
    git(repo.root, "remote", "add", "origin", str(remote))
    repo.write("specrunner.yaml", PROJECT)
    repo.write("workspace.yaml", WORKSPACE)
    repo.orchestration("hello", "print('hello')")
    host = SpecRepo(tmp_path / "host", repo.environ)
    host.root.mkdir()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    return Followed(repo, remote, host, port)


def on_a_branch(followed: Followed) -> None:
    """Have the records go to the status branch of the remote."""
    followed.clone.write("specrunner.yaml", PROJECT.replace("directory: status", "branch: specrunner-status"))


def told(followed: Followed) -> dict[str, Any]:
    """What the records at the remote tell of the controller."""
    found: dict[str, Any] = yaml.safe_load(followed.recorded("controller.yaml")) or {}
    return found


def says(followed: Followed, live: str, seen: str) -> bool:
    """Whether the records name these commits, and the newest as refused where it is not the live one."""
    found = told(followed)
    standing = "live" if live == seen else "refused"
    return (found.get("live"), found.get("seen"), found.get("standing")) == (live, seen, standing)


def is_live(followed: Followed, commit: str) -> bool:
    return followed.memory.get("good") == commit


def test_a_push_is_live_soon_and_a_run_once_task_is_run_by_the_host(followed: Followed) -> None:
    followed.clone.task("nightly", "hello", schedule=SCHEDULE)
    followed.clone.task("once", "hello")
    first = followed.pushed()
    with followed.served():
        until(lambda: is_live(followed, first), "the first commit")
        until(lambda: [run["status"] for run in followed.host.runs()] == ["success"], "the run that it declares")
        followed.clone.task("hourly", "hello", schedule="0 * * * *")
        second = followed.pushed()
        until(lambda: is_live(followed, second), "the second commit")
        assert set(followed.live()) == {"nightly", "once", "hourly"}


def test_a_commit_that_is_wrong_is_told_and_the_last_good_one_stays(followed: Followed) -> None:
    followed.clone.task("nightly", "hello", schedule=SCHEDULE)
    good = followed.pushed()
    with followed.served():
        until(lambda: is_live(followed, good), "the good commit")
        followed.clone.task("nightly", "hello", schedule="0 25 * * *")
        bad = followed.pushed()
        until(lambda: followed.memory["seen"] == bad, "the bad commit")
        assert not followed.memory["valid"] and "25" in followed.memory["problem"]
        assert followed.memory["good"] == good
        followed.host.run("kill", "nightly")
        until(lambda: followed.live() == {"nightly": SCHEDULE}, "what the good commit declares")
        followed.clone.task("nightly", "hello", schedule="0 3 * * *")
        mended = followed.pushed()
        until(lambda: is_live(followed, mended), "the mended commit")
        assert followed.memory["problem"] == "" and followed.live() == {"nightly": "0 3 * * *"}


def test_status_and_the_records_tell_which_commit_is_live_and_which_is_refused_and_why(followed: Followed) -> None:
    on_a_branch(followed)
    followed.clone.task("nightly", "hello", schedule=SCHEDULE)
    good = followed.pushed()
    with followed.served():
        until(lambda: told(followed).get("live") == good, "the record of the good commit")
        followed.clone.task("nightly", "hello", schedule="0 25 * * *")
        bad = followed.pushed()
        until(lambda: told(followed)["seen"] == bad, "the record of the bad commit")
        record = told(followed)
        assert (record["live"], record["standing"], record["branch"]) == (good, "refused", "main")
        assert "25" in record["problem"] and str(followed.host.root) not in record["problem"]
        assert f"`{bad[:12]}` was refused" in followed.recorded("README.md")
        shown = followed.host.look("status")["controller"]
        assert shown["looked"] and shown == {**shown, **{name: record[name] for name in shown.keys() & record.keys()}}
        said = followed.host.run("status").out
        assert all(word in said for word in (str(followed.remote), "main", good[:12], bad[:12], "refused", "nightly"))
        followed.clone.task("nightly", "hello", schedule="0 3 * * *")
        mended = followed.pushed()
        until(lambda: told(followed)["live"] == mended, "the record of the mended commit")
        assert told(followed)["problem"] is None and "refused" not in followed.recorded("README.md")


def test_status_tells_since_when_the_remote_cannot_be_reached(followed: Followed) -> None:
    followed.clone.task("nightly", "hello", schedule=SCHEDULE)
    commit = followed.pushed()
    with followed.served():
        until(lambda: is_live(followed, commit), "the commit")
        away = followed.remote.rename(followed.remote.with_name("away.git"))
        until(lambda: bool(followed.memory["unreachable"]), "a look that fails")
        said = followed.host.run("status").out
        assert "can't be fetched" in said and commit[:12] in said
        away.rename(followed.remote)
        until(lambda: not followed.memory["unreachable"], "a look that works again")
    assert "can't be fetched" not in followed.host.run("status").out


@pytest.mark.parametrize("ids", ["sha256"])
def test_a_repository_with_longer_ids_is_followed_once_it_has_the_branch(followed: Followed, ids: str) -> None:
    on_a_branch(followed)
    with followed.served():
        until(lambda: "no branch" in followed.memory.get("unreachable", ""), "a look at the empty repository")
        followed.clone.task("nightly", "hello", schedule=SCHEDULE)
        commit = followed.pushed()
        assert len(commit) == 64 and ids == "sha256"
        until(lambda: told(followed).get("live") == commit, "its record")


def test_the_host_records_upon_a_remote_that_lets_nobody_in_without_the_key(followed: Followed, tmp_path: Path) -> None:
    on_a_branch(followed)
    followed.clone.task("nightly", "hello", schedule=SCHEDULE)
    commit = followed.pushed()
    key = tmp_path / "key"
    key.write_text("a key")
    ssh = tmp_path / "bin" / "ssh"
    ssh.parent.mkdir()
    ssh.write_text(
        f'#!/bin/sh\ncase "$*" in *"-i {key} "*) ;; *) exit 255 ;; esac\nfor last; do :; done\neval "$last"\n'
    )
    ssh.chmod(0o755)
    environ = {"PATH": f"{ssh.parent}{os.pathsep}{os.environ['PATH']}"}
    with followed.served("1h", "--repo", f"ssh://host{followed.remote}", "--ssh-key", str(key), **environ):
        until(lambda: told(followed).get("live") == commit, "what the host itself records, not the apply")


def test_what_somebody_else_removes_is_put_back(followed: Followed) -> None:
    followed.clone.task("nightly", "hello", schedule=SCHEDULE)
    commit = followed.pushed()
    with followed.served():
        until(lambda: is_live(followed, commit), "the commit")
        followed.host.run("kill", "nightly")
        until(lambda: followed.live() == {"nightly": SCHEDULE}, "the task's return")


def test_a_signed_webhook_is_answered_by_a_look_at_once_and_no_other_is(followed: Followed) -> None:
    followed.clone.task("nightly", "hello", schedule=SCHEDULE)
    first = followed.pushed()
    url, body = f"http://127.0.0.1:{followed.port}/v1/specrunner/webhook", b'{"ref": "refs/heads/main"}'
    right = hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
    with followed.served("1h"):
        until(lambda: is_live(followed, first), "the first commit")
        second = followed.pushed()
        for wrong in ("", "sha256=", f"sha256={'0' * 64}", f"sha1={right}", f"sha256={right}ü"):
            headers = [(b"x-hub-signature-256", wrong.encode("latin-1"))]
            assert httpx.post(url, content=body, headers=headers).status_code == 401
        assert followed.memory["seen"] == first
        assert httpx.post(url, content=body, headers={"X-Hub-Signature-256": f"sha256={right}"}).status_code == 202
        until(lambda: is_live(followed, second), "the second commit")


def test_the_host_is_killed_again_and_again_under_random_commits(followed: Followed, soak: Soak) -> None:
    on_a_branch(followed)
    chance, rounds = random.Random(soak.seed), 50 if soak.is_full else 4
    wanted: dict[str, str] = {}
    good = ""
    for number in range(rounds):
        valid = chance.random() < 0.7 or number == 0
        names = chance.sample("abcd", chance.randint(1, 4))
        schedules = {name: f"{chance.randint(0, 59)} 2 * * *" for name in names}
        for name in "abcd":
            (followed.clone.root / f"task-{name}.yaml").unlink(missing_ok=True)
        for name, schedule in schedules.items():
            followed.clone.task(name, "hello", schedule=schedule if valid else "61 2 * * *")
        commit = followed.pushed(f"{number}")
        wanted, good = (schedules, commit) if valid else (wanted, good)
        with followed.served() as process:
            # It is killed at whatever it does then, and begun again.
            try:
                process.wait(chance.random() * 3)
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGKILL)
        with followed.served():
            until(lambda: followed.memory.get("seen") == commit, f"commit {number} to be seen")  # noqa: B023
            until(lambda: not valid or is_live(followed, commit), f"commit {number} to be live")  # noqa: B023
            until(lambda: followed.live() == wanted, f"what commit {number} leaves live")  # noqa: B023
            if soak.is_full or number == rounds - 1:
                until(lambda: says(followed, good, commit), f"the record of commit {number}")  # noqa: B023
