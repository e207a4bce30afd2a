"""The commands about tasks and runs, through the installed command: next, run with arguments, logs, kill, backfill."""

from __future__ import annotations

import json
import signal
import socket
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, redirect_stderr, redirect_stdout
from datetime import UTC, datetime, timedelta
from io import StringIO
from itertools import pairwise
from pathlib import Path

import jsonschema
import psutil
import pytest

from specrunner.cli.main import status_of
from tests.acceptance.spec_repo import CHECKOUT, SpecRepo, finished, lines_of, stopped, until

ECHO = """\
    import json, os
    print(json.dumps(json.load(open(os.environ["SPECRUNNER_ARGUMENTS"])), sort_keys=True))
    """
# Says who it is and stays, with a child that is out of its session.
STAY = """\
    import os, pathlib, subprocess, sys, time
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(300)"], start_new_session=True)
    print(os.getpid(), child.pid, flush=True)
    deadline = time.monotonic() + 120
    while not pathlib.Path(os.environ["GO"]).exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    print("went on")
    """
# Fails the first time, once it may.
FLAKY = """\
    import os, pathlib, time
    folder = pathlib.Path(os.environ["GO"])
    attempt = 2 if (folder / "1").exists() else 1
    print("attempt", attempt, flush=True)
    if attempt == 1:
        (folder / "1").touch()
        deadline = time.monotonic() + 120
        while not (folder / "go").exists():
            assert time.monotonic() < deadline
            time.sleep(0.02)
        print("failing")
        raise SystemExit(1)
    """
NIGHTLY = {"cron": "0 2 * * *", "timezone": "Europe/Berlin"}


@pytest.fixture
def scheduled(repo: SpecRepo) -> SpecRepo:
    """A task that runs by night, applied."""
    repo.orchestration("echo", ECHO)
    repo.task("nightly", "echo", schedule=NIGHTLY, args={"region": "north", "rows": 1})
    repo.run("apply", "--yes")
    return repo


@pytest.fixture
def staying(repo: SpecRepo, tmp_path: Path) -> SpecRepo:
    """A task whose run goes on until the file `go` is there; by schedule, so that apply starts nothing."""
    repo.orchestration("stay", STAY)
    repo.task("stay", "stay", schedule=NIGHTLY, env={"GO": str(tmp_path / "go")})
    repo.run("apply", "--yes")
    return repo


def said(repo: SpecRepo, *words: str, code: int = 0) -> str:
    """What a command prints, called in this process: where no run is started by it."""
    with redirect_stdout(StringIO()) as out, redirect_stderr(StringIO()) as err:
        assert status_of(["-C", str(repo.root), *words]) == code, err.getvalue()
    return out.getvalue() + err.getvalue()


def test_a_run_that_is_left_to_itself_is_said_to_find_no_api(staying: SpecRepo, tmp_path: Path) -> None:
    words = "Nobody hosts this folder: what goes on finds no API"
    assert words in staying.run("run", "stay", "--no-wait").err
    staying.task("once", "stay", env={"GO": str(tmp_path / "go")})
    assert words in staying.run("apply", "--yes", "--no-wait").out
    (tmp_path / "go").touch()
    assert words not in staying.run("run", "stay").said


def started(repo: SpecRepo) -> tuple[str, list[int]]:
    """Start a run of `stay`; its id and the processes of it."""
    run = repo.run("run", "stay", "--no-wait", "--json").json["id"]
    until(lambda: len(repo.run("logs", run).out.split()) == 2, "the run to say who it is")
    return run, [int(pid) for pid in repo.run("logs", run).out.split()]


def test_next_shows_instants_in_utc_and_in_the_zone_of_the_schedule(scheduled: SpecRepo) -> None:
    out = said(scheduled, "next", "nightly", "-n", "3")
    *rows, nobody = out.splitlines()[1:]
    assert len(rows) == 3
    assert nobody == "Nobody hosts this folder: nothing starts by itself until `specrunner serve` does."
    assert all("02:00 Europe/Berlin" in row for row in rows)
    answer = json.loads(said(scheduled, "next", "nightly", "-n", "400", "--json"))
    fires = [datetime.fromisoformat(fire["instant"]) for fire in answer["fires"]]
    assert (answer["task"], answer["timezone"], len(fires)) == ("Task/lab/nightly", "Europe/Berlin", 400)
    assert fires == sorted(set(fires))
    assert datetime.now(UTC) < fires[0] <= datetime.now(UTC) + timedelta(days=1)
    # Over a year the distance in UTC is a day, but for the two nights on which the clocks leap.
    gaps = [later - earlier for earlier, later in pairwise(fires)]
    assert {gap for gap in gaps if gap != timedelta(days=1)} == {timedelta(hours=23), timedelta(hours=25)}


def test_next_before_the_first_apply_is_what_the_files_declare(repo: SpecRepo) -> None:
    repo.orchestration("echo", ECHO)
    repo.task("nightly", "echo", schedule=NIGHTLY)
    assert "Task/lab/nightly is not live yet: this is what the files declare." in said(repo, "next", "nightly")
    assert not (repo.root / ".specrunner" / "state.db").exists()
    assert "nowhere" in said(repo, "next", "nowhere", code=1)


def test_next_of_what_is_live_and_of_what_is_declared_since(scheduled: SpecRepo) -> None:
    scheduled.task("nightly", "echo", schedule={**NIGHTLY, "cron": "30 3 * * *"}, args={"region": "north", "rows": 1})
    assert "02:00 Europe/Berlin" in said(scheduled, "next", "nightly")
    assert "03:30 Europe/Berlin" in said(scheduled, "next", "nightly", "--declared")


def test_next_says_when_a_schedule_is_over_and_what_has_none(repo: SpecRepo) -> None:
    year = datetime.now(UTC).year + 1
    until_ = f"{year}-01-02T12:00:00Z"
    repo.orchestration("echo", ECHO)
    repo.task("ends", "echo", schedule={"cron": f"0 2 1,2 1 * {year}", "until": until_})
    repo.task("once", "echo")
    assert "Then its schedule is over.\n" in said(repo, "next", "ends")
    assert "no schedule" in said(repo, "next", "once", code=1)


def test_arguments_of_a_run_take_the_place_of_the_declared_ones(scheduled: SpecRepo) -> None:
    words = ("--arg", "region=south", "--arg-json", "rows=5", "--arg", "note=a=b", "--arg-json", 'days=["mon"]')
    result = scheduled.run("run", "nightly", *words)
    assert json.loads(result.out.splitlines()[0]) == {"region": "south", "rows": 5, "note": "a=b", "days": ["mon"]}
    assert json.loads(scheduled.run("run", "nightly").out.splitlines()[0]) == {"region": "north", "rows": 1}
    assert [run["args"]["rows"] for run in scheduled.runs("nightly")] == [1, 5]


def test_a_run_with_arguments_of_its_own_is_not_the_declared_order(repo: SpecRepo) -> None:
    repo.orchestration("echo", ECHO)
    repo.task("once", "echo")
    repo.run("apply", "--yes", "--select", "Orchestration/lab/echo")
    repo.run("apply", "--yes", "--no-wait")
    repo.run("run", "once", "--arg", "a=b")
    orders = {json.dumps(run["args"]) for run in repo.runs("once")}
    assert orders == {"{}", '{"a": "b"}'}
    assert "No changes" in said(repo, "plan")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--arg", "region"], "Write `--arg NAME=TEXT`."),
        (["--arg", "=x"], "Write `--arg NAME=TEXT`."),
        (["--arg-json", "rows=five"], "--arg 'rows=...'"),
        (["--arg-json", "rows=NaN"], "NaN is no number that JSON knows"),
        (["--arg", "a=1", "--arg-json", "a=1"], "The argument 'a' is given twice."),
    ],
)
def test_arguments_that_can_not_be_read_are_refused_in_words(
    words: list[str], said: str, repo: SpecRepo, capsys: pytest.CaptureFixture[str]
) -> None:
    assert status_of(["-C", str(repo.root), "run", "nightly", *words]) == 64
    assert said in capsys.readouterr().err


def test_a_log_is_followed_until_the_run_ends(staying: SpecRepo, tmp_path: Path) -> None:
    run, pids = started(staying)
    with staying.start("logs", "--follow", run) as following:
        assert following.stdout is not None
        assert following.stdout.readline().split() == [str(pid) for pid in pids]
        (tmp_path / "go").touch()
        assert finished(following, 0).out == "went on\n"
    assert staying.runs()[0]["status"] == "success"


def test_a_log_is_followed_through_every_attempt(repo: SpecRepo, tmp_path: Path) -> None:
    repo.orchestration("flaky", FLAKY)
    repo.task("flaky", "flaky", schedule=NIGHTLY, retries={"limit": 1, "backoff": "0s"}, env={"GO": str(tmp_path)})
    repo.run("apply", "--yes")
    with repo.start("run", "flaky") as running:
        until((tmp_path / "1").exists, "the first attempt")
        with repo.start("logs", "--follow", "flaky") as following:
            assert following.stdout is not None
            assert following.stdout.readline() == "attempt 1\n"
            (tmp_path / "go").touch()
            assert finished(following, 0).out == "failing\nattempt 2\n"
        finished(running, 0)
    assert [(run["status"], run["attempt"]) for run in repo.runs()] == [("success", 2)]


def test_who_stops_following_leaves_the_run_alone(staying: SpecRepo) -> None:
    run, pids = started(staying)
    with staying.start("logs", "-f", "stay") as following:
        assert following.stdout is not None
        following.stdout.readline()
        stopped(following, signal.SIGINT, 130)
    assert all(psutil.pid_exists(pid) for pid in pids)
    staying.run("kill", run)


@pytest.mark.parametrize("asked", [lambda run: run[:8], lambda _run: "stay"])
def test_after_a_kill_no_process_of_the_run_is_alive(asked: Callable[[str], str], staying: SpecRepo) -> None:
    run, pids = started(staying)
    out = staying.run("kill", asked(run)).out
    assert [pid for pid in pids if psutil.pid_exists(pid)] == []
    assert ("Its schedule goes on" in out) == (asked(run) != run[:8])
    (found,) = staying.runs()
    assert (found["status"], found["reason"]) == ("killed", "killed")
    assert staying.run("kill", run).out == f"Run {run} of Task/lab/stay has ended: it is killed.\n"
    assert "nothing of it was running" in staying.run("kill", "stay").out


def test_what_is_neither_a_run_nor_a_task_can_not_be_killed(scheduled: SpecRepo) -> None:
    problem = scheduled.run("kill", "nightlyy", code=1).err
    assert "neither a run nor a task 'nightlyy'" in problem
    assert "Did you mean 'nightly'?" in problem


def test_runs_say_how_long_they_took_and_why_they_ended(staying: SpecRepo) -> None:
    _, pids = started(staying)
    header, row = staying.run("runs").out.splitlines()
    assert header.split() == ["run", "task", "status", "for", "started", "duration", "why"]
    assert "so far" in row
    staying.run("kill", "stay")
    row = staying.run("runs", "stay").out.splitlines()[1]
    assert row.endswith("killed on request")
    assert "so far" not in row
    assert pids


def test_suspend_and_resume_say_what_they_do_and_plan_is_not_moved(scheduled: SpecRepo) -> None:
    assert "it starts nothing by itself" in said(scheduled, "suspend", "nightly")
    assert "was suspended already" in said(scheduled, "suspend", "nightly")
    assert scheduled.objects()["Task/lab/nightly"]["state"] == "suspended"
    assert "It is suspended" in said(scheduled, "next", "nightly")
    assert json.loads(said(scheduled, "next", "nightly", "--json"))["suspended"] is True
    assert "No changes" in said(scheduled, "plan")
    # By hand it still runs.
    scheduled.run("run", "nightly")
    assert "is suspended no longer; it runs next at" in said(scheduled, "resume", "nightly")
    assert "was not suspended; it runs next at" in said(scheduled, "resume", "nightly")
    assert json.loads(said(scheduled, "next", "nightly", "--json"))["suspended"] is False


def test_what_is_to_be_typed_holds_for_a_name_of_two_words(repo: SpecRepo) -> None:
    repo.orchestration("echo", ECHO)
    repo.task("every night", "echo", schedule=NIGHTLY)
    repo.run("apply", "--yes")
    assert "`specrunner resume 'every night'`" in said(repo, "suspend", "every night")
    assert "`specrunner suspend 'every night'`" in said(repo, "kill", "every night")


def test_what_the_spec_suspends_a_command_does_not_resume(repo: SpecRepo) -> None:
    repo.orchestration("echo", ECHO)
    repo.task("nightly", "echo", schedule={**NIGHTLY, "suspend": True})
    repo.run("apply", "--yes")
    assert "take `suspend: true` out of it" in said(repo, "resume", "nightly")
    assert "Its spec suspends it" in said(repo, "next", "nightly")


def test_a_task_that_runs_once_can_not_be_suspended(repo: SpecRepo) -> None:
    repo.orchestration("echo", ECHO)
    repo.task("once", "echo")
    repo.run("apply", "--yes")
    assert "runs once" in said(repo, "suspend", "once", code=1)


def test_backfill_runs_each_missed_instant_once(repo: SpecRepo, tmp_path: Path) -> None:
    repo.orchestration("mark", 'import os\nopen(os.environ["SIDE"], "a").write("ran\\n")')
    repo.task("hourly", "mark", schedule="0 * * * *", env={"SIDE": str(tmp_path / "side")})
    repo.run("apply", "--yes")
    span = ("--from", "2026-03-01T00:30Z", "--to", "2026-03-01T03:00Z")
    wanted = ["2026-03-01T01:00:00Z", "2026-03-01T02:00:00Z", "2026-03-01T03:00:00Z"]
    assert repo.run("backfill", "hourly", *span, "--dry-run", "--json").json["missed"] == wanted
    assert "has missed 3 instants (UTC):" in repo.run("backfill", "hourly", *span, "--dry-run").out
    assert repo.runs() == []
    assert "3 runs" in repo.run("backfill", "hourly", *span, code=64).err
    out = repo.run("backfill", "hourly", *span, "--yes").out
    assert [line.split(",")[0] for line in out.splitlines()] == [
        f"{number} of 3: {instant}" for number, instant in enumerate(wanted, 1)
    ]
    assert sorted(run["scheduled"] for run in repo.runs()) == wanted
    assert lines_of(tmp_path / "side") == ["ran"] * 3
    assert "has missed nothing" in repo.run("backfill", "hourly", *span, "--yes").out
    assert len(repo.runs()) == 3


def test_backfill_goes_on_behind_a_run_that_fails_and_says_so(repo: SpecRepo) -> None:
    repo.orchestration("bad", "raise SystemExit(3)")
    repo.task("hourly", "bad", schedule="0 * * * *")
    repo.run("apply", "--yes")
    span = ("--from", "2026-03-01T01:00Z", "--to", "2026-03-01T02:00Z")
    out = repo.run("backfill", "hourly", *span, "--yes", code=6).out
    assert out.count("failure (exit, code 3)") == 2


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--from", "yesterday"], 64, "2026-01-31T06:00Z"),
        (["--from", "2026-01-01"], 1, "has no schedule"),
    ],
)
def test_backfill_refuses_in_words(words: list[str], code: int, said: str, repo: SpecRepo) -> None:
    repo.orchestration("echo", ECHO)
    repo.task("once", "echo")
    repo.run("apply", "--yes")
    assert said in repo.run("backfill", "once", *words, "--yes", code=code).err


def test_backfill_is_bounded(scheduled: SpecRepo) -> None:
    problem = scheduled.run("backfill", "nightly", "--from", "1990-01-01", "--dry-run", code=1).err
    assert "more than 1000 instants" in problem
    assert "Go in parts" in problem


def test_without_a_host_too_only_as_many_runs_stay_as_the_task_says(repo: SpecRepo) -> None:
    repo.orchestration("echo", ECHO)
    repo.task("nightly", "echo", schedule=NIGHTLY, history={"succeeded": 2})
    repo.run("apply", "--yes")
    *early, third = (repo.run("run", "nightly", "--json").json["id"] for _ in range(3))
    assert [run["id"] for run in repo.runs()] == [third, *early[::-1]], "somebody may still wait for one of them"
    in_the_past(repo)
    kept = [third, repo.run("run", "nightly", "--json").json["id"]]
    assert [run["id"] for run in repo.runs()] == kept[::-1]
    assert {path.name for path in (repo.root / ".specrunner" / "runs").iterdir() if path.is_dir()} == {*kept}


def in_the_past(repo: SpecRepo) -> None:
    """Let every run have ended long ago."""
    with closing(sqlite3.connect(repo.root / ".specrunner" / "state.db")) as store, store:
        store.execute("update runs set ended_at = '2020' || substr(ended_at, 5)")


def test_a_suspended_task_is_recorded_as_such(scheduled: SpecRepo) -> None:
    said(scheduled, "suspend", "nightly")
    scheduled.task("nightly", "echo", schedule=NIGHTLY, args={"region": "south"})
    scheduled.run("apply", "--yes")
    found = scheduled.status_file("tasks/lab/nightly.yaml")
    assert found["state"] == "suspended"
    schema = json.loads((CHECKOUT / "schemas" / "status.schema.json").read_bytes())
    jsonschema.validate(found, schema)


# Beside a living host

WEB = """\
    import os, socket, threading
    listening = socket.create_server(("127.0.0.1", int(os.environ["PORT"])))
    print(os.getpid(), flush=True)
    threading.Event().wait()
    """


@pytest.fixture
def port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        number: int = found.getsockname()[1]
    return number


@contextmanager
def hosted(repo: SpecRepo) -> Iterator[None]:
    with repo.start("serve") as host:
        try:
            assert host.stdout is not None
            host.stdout.readline()
            yield
        finally:
            stopped(host, signal.SIGTERM, 0)


def test_a_service_that_is_killed_stays_down_until_it_is_resumed(repo: SpecRepo, port: int) -> None:
    def state() -> str:
        return str(repo.objects()["Task/lab/web"]["state"])

    repo.orchestration("web", WEB)
    repo.task("web", "web", service={"port": port}, env={"PORT": str(port)})
    repo.run("apply", "--yes")
    assert state() == "waiting"
    with hosted(repo):
        until(lambda: state() == "running", "the service to answer")
        pid = int(repo.run("logs", "web").out)
        assert "It stays down until `specrunner resume web`." in repo.run("kill", "web").out
        assert (psutil.pid_exists(pid), state()) == (False, "suspended")
        assert [run["status"] for run in repo.runs()] == ["killed"]
        assert "is suspended no longer." in said(repo, "resume", "web")
        until(lambda: state() == "running", "the service to come again")
        assert [run["status"] for run in repo.runs()] == ["running", "killed"]
        repo.run("kill", "web")


def test_a_living_host_carries_out_what_others_ask_for(repo: SpecRepo) -> None:
    repo.orchestration("echo", ECHO)
    repo.task("hourly", "echo", schedule="0 * * * *")
    repo.run("apply", "--yes")
    with hosted(repo):
        result = repo.run("run", "hourly", "--arg", "a=b")
        assert result.out.splitlines()[0] == '{"a": "b"}'
        assert result.err.startswith("`specrunner serve` (process ") and "Nobody hosts" not in result.said
        assert "Nobody hosts" not in said(repo, "next", "hourly")
        span = ("--from", "2026-03-01T01:00Z", "--to", "2026-03-01T02:00Z")
        made = repo.run("backfill", "hourly", *span, "--yes", "--no-wait").out
        assert made == "2 runs of Task/lab/hourly were made; `specrunner serve` carries them out.\n"
        until(lambda: [run["status"] for run in repo.runs()] == ["success"] * 3, "the host to carry them out")
