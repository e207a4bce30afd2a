"""A server that a team shares: specs are applied to it by the real command line, over real HTTP."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from unittest.mock import patch

import httpx
import pytest

from specrunner.cli.main import status_of
from specrunner.engine.tables import Media, encode, read_table
from tests.acceptance.conftest import make_repo
from tests.acceptance.spec_repo import PROJECT, Result, SpecRepo, stopped, until
from tests.integration.engine_samples import FOREVER, model_bytes
from tests.unit.serving_samples import rows_table


@dataclass(frozen=True, slots=True)
class Shared:
    """A server in a folder of its own, and a spec repository whose target it is."""

    host: SpecRepo
    repo: SpecRepo
    process: subprocess.Popen[str]
    url: str

    def get(self, path: str, token: str = "") -> httpx.Response:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return httpx.get(f"{self.url}{path}", headers=headers, trust_env=False, timeout=30)


def called(repo: SpecRepo, *words: str, code: int = 0, **environ: str) -> Result:
    """Call specrunner in this process, which saves starting one; it must exit with `code`."""
    with (
        patch.dict(os.environ, {**repo.environ, **environ}),
        redirect_stdout(StringIO()) as out,
        redirect_stderr(StringIO()) as err,
    ):
        found = status_of(["-C", str(repo.root), *words])
    assert found == code, f"exit {found}, not {code}\n--- out\n{out.getvalue()}\n--- err\n{err.getvalue()}"
    return Result(found, out.getvalue(), err.getvalue())


@contextmanager
def serving(host: SpecRepo, *words: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """`specrunner serve`, and where it answers."""
    with host.start("serve", *words) as process:
        try:
            assert process.stdout is not None
            lines = [process.stdout.readline() for _ in range(2)]
            yield process, lines[1].removeprefix("API for runs: ").strip()
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
                process.communicate(timeout=60)


def pointed(repo: SpecRepo, url: str, more: str = "") -> SpecRepo:
    """The repository with that server as its target."""
    repo.write("specrunner.yaml", f"{PROJECT}  target: {{server: '{url}'{more}}}\n")
    return repo


@pytest.fixture
def shared(tmp_path: Path, cache: Path) -> Iterator[Shared]:
    host, repo = make_repo(tmp_path / "host", cache), make_repo(tmp_path / "specs", cache)
    with serving(host) as (process, url):
        yield Shared(host, pointed(repo, url), process, url)


def filled(repo: SpecRepo) -> None:
    """One object of each kind."""
    repo.write_bytes("houses.onnx", model_bytes())
    repo.document("Model", "houses", {"path": "houses.onnx", "framework": "onnx"})
    repo.document("Pipeline", "prices", {"steps": [{"model": "houses"}], "deployed": True})
    repo.write("secret.json", '{"password": "swordfish"}')
    spec = {"type": "HTTP", "workspaces": ["lab"], "details": {"host": "a"}, "detailsFrom": {"file": "secret.json"}}
    repo.document("Connection", "store", spec)
    repo.orchestration("hello", "print('hello')")
    repo.task("greet", "hello", args={"n": 1})
    repo.task("nightly", "hello", schedule="0 2 * * *")


def test_what_is_applied_to_a_server_is_live_there_and_then_there_is_nothing_to_do(
    shared: Shared, tmp_path: Path, cache: Path
) -> None:
    filled(shared.repo)
    said = shared.repo.run("apply", "--yes").out
    assert f"1 run handed to `specrunner serve` (process {shared.process.pid})." in said
    assert f"1 schedule is in the hands of `specrunner serve` (process {shared.process.pid})." in said
    called(shared.repo, "plan", "--detailed-exitcode", code=0)
    assert not (shared.repo.root / ".specrunner" / "state.db").exists()
    local = make_repo(tmp_path / "alone", cache)
    filled(local)
    called(local, "apply", "--yes")
    there, here = shared.repo.objects(), local.objects()
    assert {key: found["state"] for key, found in there.items()} == {key: found["state"] for key, found in here.items()}
    assert [run["status"] for run in shared.repo.runs("greet")] == ["success"]
    written = [
        sorted(path.rpartition("/")[0] for path in one.status_files("**/*.yaml")) for one in (shared.repo, local)
    ]
    assert written[0] == written[1] != []
    assert "swordfish" not in shared.get("/v1/specrunner/live").text
    shared.repo.remove("task-greet.yaml")
    called(shared.repo, "apply", "--yes")
    assert "Task/lab/greet" not in shared.repo.objects()
    called(shared.repo, "destroy", "--yes")
    assert shared.repo.objects() == {}


def test_the_commands_about_runs_work_on_a_server(shared: Shared, tmp_path: Path) -> None:
    repo = shared.repo
    repo.orchestration("hello", "import sys\nprint('hello')")
    repo.task("nightly", "hello", schedule={"cron": "0 2 * * *", "timezone": "UTC"})
    repo.orchestration("wait", FOREVER)
    repo.task("long", "wait", schedule="0 3 * * *")
    called(repo, "apply", "--yes")
    assert "hello" in called(repo, "run", "nightly").out
    assert "hello" in called(repo, "logs", "nightly").out
    assert len(repo.look("next", "nightly", "-n", "3")["fires"]) == 3
    run = json.loads(called(repo, "run", "long", "--no-wait", "--json").out)
    with repo.start("logs", "--follow", "long") as follower:
        assert follower.stdout is not None and follower.stdout.readline() == "up\n"
        assert "killed" in called(repo, "kill", run["id"][:8]).out
        assert follower.wait(60) == 0
    called(repo, "suspend", "nightly")
    assert repo.objects()["Task/lab/nightly"]["state"] == "suspended"
    called(repo, "resume", "nightly")
    span = ("--from", "2026-03-01", "--to", "2026-03-02", "--yes")
    called(repo, "backfill", "nightly", *span)
    assert [found["status"] for found in repo.runs("nightly")] == ["success"] * 2
    called(repo, "backfill", "nightly", *span)
    assert len(repo.runs("nightly")) == 2


def test_the_commands_about_pipelines_work_on_a_server(shared: Shared, tmp_path: Path) -> None:
    repo = shared.repo
    repo.write_bytes("houses.onnx", model_bytes())
    repo.document("Model", "houses", {"path": "houses.onnx", "framework": "onnx"})
    repo.document("Pipeline", "prices", {"steps": [{"model": "houses"}], "deployed": True})
    called(repo, "apply", "--yes")
    repo.write_bytes("rows.arrow", encode(rows_table(3), Media.ARROW_FILE))
    answered = repo.run("infer", "prices", "rows.arrow", "--json").json
    assert repo.run("pipeline", "logs", "prices", "--json").json == answered[::-1]
    cut = called(repo, "pipeline", "logs", "prices", "--limit", "1")
    assert "1 row." in cut.out and "There are more rows" in cut.err
    for suffix in ("arrow", "parquet", "csv"):
        path = tmp_path / f"all.{suffix}"
        assert f"3 rows: {path}" in called(repo, "pipeline", "export", "prices", str(path)).out
        assert read_table(path).column("out.variable").to_pylist() == [row["out.variable"] for row in answered]
    assert "0 rows" in called(repo, "pipeline", "export", "prices", str(path), "--to", "2020-01-01").out
    # The folder goes when the answer has gone out, which may be after it came in.
    until(lambda: not list(shared.host.root.glob(".specrunner/export-*")), "the server to tidy up")
    assert "Held by spec, user" in called(repo, "pipeline", "deploy", "prices").out
    (view,) = json.loads(called(repo, "pipeline", "list", "--json").out)
    assert view["holders"] == ["spec", "user"] and view["logged"] == 3
    assert view == json.loads(called(shared.host, "pipeline", "show", "lab/prices", "--json").out)
    assert view["versions"][0]["version"] in called(repo, "pipeline", "versions", "prices").out
    assert "is undeployed." in called(repo, "pipeline", "undeploy", "prices", "--force").out
    called(repo, "pipeline", "deploy", "prices")
    file = repo.write("object.json", "{}")
    assert "takes tables, not custom JSON" in called(repo, "infer", "prices", str(file), code=1).err
    assert "no file to export to" in called(repo, "pipeline", "export", "prices", "all.txt", code=1).err


def test_a_token_closes_the_door_and_opens_it_to_who_has_it(shared: Shared) -> None:
    assert shared.get("/v1/specrunner/live").status_code == 200
    token = called(shared.host, "token", "create", "ci", "--scope", "apply").out.strip()
    assert shared.get("/v1/specrunner/live").status_code == 401
    assert "has no valid token" in called(shared.repo, "plan", code=1).err
    called(shared.repo, "apply", "--yes", SPECRUNNER_TOKEN=token)
    pointed(shared.repo, shared.url, ", tokenFrom: {env: TEAM_TOKEN}")
    called(shared.repo, "plan", "--detailed-exitcode", code=0, TEAM_TOKEN=token)
    reader = called(shared.host, "token", "create", "dashboard", "--expires", "1h").out.strip()
    shared.repo.document("Workspace", "more", {})
    said = called(shared.repo, "apply", "--yes", code=1, TEAM_TOKEN=reader).err
    assert "needs a token with the scope" in said and reader not in said
    called(shared.host, "token", "revoke", "ci")
    assert "not valid" in called(shared.repo, "plan", code=1, TEAM_TOKEN=token).err
    listed = called(shared.host, "token", "list").out
    assert "revoked" in listed and "dashboard" in listed and token not in listed
    found = shared.host.look("audit")
    assert {("token ci", "apply", "create Workspace/lab"), ("token ci", "login", "")} <= {
        (one["who"], one["action"], one["subject"]) for one in found
    }
    assert token not in json.dumps(found)
    database = (shared.host.root / ".specrunner" / "state.db").read_bytes()
    assert token.rpartition("_")[2].encode() not in database


def test_an_address_that_others_reach_needs_a_token_and_serves_tls(
    tmp_path: Path, cache: Path, certificate: tuple[Path, Path], free_port: int
) -> None:
    host = make_repo(tmp_path / "host", cache)
    words = ["--host", "0.0.0.0", "--port", str(free_port), "--tls-cert", str(certificate[0])]
    assert "go together" in called(host, "serve", *words, code=64).err
    words = [*words, "--tls-key", str(certificate[1])]
    said = called(host, "serve", *words, code=64).err
    assert "does not listen on 0.0.0.0 without a token" in said
    assert "this machine alone" in called(host, "serve", *words, "--open", code=64).err
    token = called(host, "token", "create", "ci", "--scope", "apply").out.strip()
    repo = pointed(make_repo(tmp_path / "specs", cache), f"https://localhost:{free_port}")
    with serving(host, *words):
        trusted = str(certificate[0])
        called(repo, "apply", "--yes", SSL_CERT_FILE=trusted, SPECRUNNER_TOKEN=token)
        assert "Workspace" in called(repo, "status", SSL_CERT_FILE=trusted, SPECRUNNER_TOKEN=token).out
        assert "is not trusted" in called(repo, "status", code=1, SPECRUNNER_TOKEN=token).err


def test_a_server_that_is_started_anew_in_between_costs_nothing(shared: Shared) -> None:
    repo = shared.repo
    repo.orchestration("wait", FOREVER)
    repo.task("long", "wait")
    with repo.start("apply", "--yes") as applying:
        until(lambda: bool(shared.get("/v1/specrunner/runs").json()["runs"]), "the run")
        until(lambda: shared.get("/v1/specrunner/runs").json()["runs"][0]["status"] == "running", "its start")
        assert "1 run under way" in stopped(shared.process, signal.SIGTERM, 0).out
        with serving(shared.host) as (_, url):
            assert url == shared.url
            called(repo, "kill", "long")
            out, err = applying.communicate(timeout=60)
            assert applying.returncode == 6, out + err
