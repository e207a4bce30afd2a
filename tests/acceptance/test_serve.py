"""`specrunner serve` as a person starts it, and what other commands say beside it."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.request import urlopen

import pytest

from specrunner.core.errors import UsageError
from specrunner.engine.tasks.runenv import named_variables
from tests.acceptance.spec_repo import SpecRepo, finished, stopped, until


@contextmanager
def served(repo: SpecRepo, *words: str) -> Iterator[tuple[subprocess.Popen[str], list[str]]]:
    """A host, and the lines with which it begins."""
    process = repo.start("serve", *words)
    with process:
        try:
            assert process.stdout is not None
            yield process, [process.stdout.readline().rstrip("\n") for _ in range(3)]
        finally:
            process.kill()


def test_what_waits_for_a_host_is_told_and_a_host_says_what_it_serves(repo: SpecRepo) -> None:
    repo.orchestration("hello", "print('hello')")
    repo.task("nightly", "hello", schedule="0 2 * * *")
    repo.task("hourly", "hello", schedule="0 * * * *")
    assert "2 schedules wait for `specrunner serve`." in repo.run("apply", "--yes").out
    with served(repo, "--max-runs", "3") as (process, lines):
        assert lines[0] == f"Serving {repo.root}: 2 schedules, 0 services, at most 3 runs at once."
        assert lines[2] == "Ctrl-C ends this; runs go on."
        url = lines[1].removeprefix("API for runs: ")
        with urlopen(f"{url}/healthz", timeout=20) as answer:
            assert answer.status == 200
        said = stopped(process, signal.SIGTERM, 0)
        assert "Stopped. 0 runs under way" in said.out
        assert said.err == ""


def test_apply_hands_its_runs_to_the_living_host_and_says_so(repo: SpecRepo) -> None:
    repo.orchestration("hello", "print('hello')")
    repo.task("greet", "hello")
    repo.task("nightly", "hello", schedule="0 2 * * *")
    with served(repo) as (process, _):
        said = repo.run("apply", "--yes").said
        assert f"1 run handed to `specrunner serve` (process {process.pid})." in said
        assert f"1 schedule is in the hands of `specrunner serve` (process {process.pid})." in said
        assert [run["status"] for run in repo.runs()] == ["success"]
        assert "hello" in repo.run("run", "nightly").out
        stopped(process, signal.SIGINT, 0)


def test_runs_see_the_variables_of_the_host_that_it_was_told_and_no_others(
    repo: SpecRepo, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"LEVEL": "7", "MINE": "host", "OTHER": "x"}.items():
        monkeypatch.setenv(name, value)
    repo.orchestration("tell", "import os; print(*(os.environ.get(n) for n in ('REGION', 'LEVEL', 'MINE', 'OTHER')))")
    repo.task("once", "tell", env={"MINE": "declared"})
    with served(repo, "--run-env", "REGION=eu", "--run-env", "LEVEL", "--run-env", "MINE") as (process, _):
        repo.run("apply", "--yes")
        assert "eu 7 declared None" in repo.run("logs", "once").out
        stopped(process, signal.SIGINT, 0)


@pytest.mark.parametrize("word", ["ABSENT", "1ST=x", "SPECRUNNER_TOKEN=x", "PATH=/x", "=x"])
def test_a_variable_that_runs_can_not_be_given_is_refused(word: str) -> None:
    with pytest.raises(UsageError, match="can't be given"):
        named_variables([word], {"PRESENT": "x"})


def test_a_second_host_is_refused_with_who_serves(repo: SpecRepo) -> None:
    with served(repo) as (process, _):
        said = repo.run("serve", code=1).err
        assert "A host serves this state folder already." in said
        assert f"process {process.pid} on" in said


def test_a_run_outlives_its_host_and_the_next_one_takes_it_up(repo: SpecRepo, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    subprocess.run(["mkfifo", str(gate)], check=True)
    repo.orchestration("wait", f"open({str(gate)!r}).read()\n")
    repo.task("long", "wait")
    with served(repo) as (process, _):
        repo.run("apply", "--yes", "--no-wait")
        until(lambda: [run["status"] for run in repo.runs()] == ["running"], "the run's start")
        assert "1 run under way" in stopped(process, signal.SIGTERM, 0).out
    with served(repo) as (process, _):
        gate.write_text("go")
        until(lambda: [run["status"] for run in repo.runs()] == ["success"], "the run's end")
        stopped(process, signal.SIGTERM, 0)


def test_the_key_is_not_changed_under_a_living_host(repo: SpecRepo) -> None:
    with served(repo) as (process, _):
        said = repo.run("secrets", "rotate-key", code=1).err
        assert "`specrunner serve` hosts this state folder" in said and f"process {process.pid} on" in said
        stopped(process, signal.SIGTERM, 0)
    repo.run("secrets", "rotate-key")


@pytest.mark.parametrize(
    ("words", "folder", "reason"),
    [
        (("--host", "0.0.0.0"), "specs", "not said on which port of 0.0.0.0"),
        (("--host", "0.0.0.0", "--port", "8443"), "specs", "does not listen on 0.0.0.0 without a token"),
        ((), "elsewhere", "is no spec repository"),
    ],
)
def test_what_can_not_be_served_is_refused_and_leaves_nothing(
    repo: SpecRepo, words: tuple[str, ...], folder: str, reason: str
) -> None:
    place = repo.root.parent / folder
    place.mkdir(exist_ok=True)
    assert reason in repo.run("serve", *words, cwd=place, code=UsageError.exit_code).err
    assert not (place / ".specrunner").exists()


def test_a_port_that_is_taken_is_said_and_the_host_gives_way(repo: SpecRepo) -> None:
    with served(repo) as (first, lines):
        port = lines[1].rpartition(":")[2]
        other = SpecRepo(repo.root.parent / "other", repo.environ)
        other.write("specrunner.yaml", (repo.root / "specrunner.yaml").read_text())
        said = other.run("serve", "--port", port, code=1).err
        assert f"can't listen on 127.0.0.1:{port}" in said
        stopped(first, signal.SIGTERM, 0)
        with served(other, "--port", port) as (second, again):
            assert again[1] == lines[1]
            finished_by(second)


def finished_by(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGTERM)
    finished(process, 0)
