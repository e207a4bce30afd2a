"""What a step tells its job through files and lines."""

from __future__ import annotations

import base64
import os
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from specrunner.cli.ci_surroundings import git_environ, take_secrets
from specrunner.core.errors import UsageError
from specrunner.core.keys import Kind
from specrunner.core.values import Secret, digest
from specrunner.forge.files import SUMMARY_LIMIT, add_summary, no_commands, set_outputs
from specrunner.record import plumbing
from specrunner.report.reviewed import packed, unpacked
from tests.integration.github_runner import outputs_of
from tests.unit.core_samples import plan_for, resource, workspace

SERVER = "https://git.example.com"


def test_a_summary_grows_and_is_cut_at_a_line_before_github_would_drop_it(tmp_path: Path) -> None:
    file = tmp_path / "summary"
    add_summary(file, "first")
    add_summary(file, "ä line\n" * 200_000)
    add_summary(file, "no room")
    text = file.read_text("utf-8")
    assert text.startswith("first\n\n")
    assert len(text.encode()) <= SUMMARY_LIMIT
    assert "has 1 MiB at most" in text
    assert "no room" not in text
    add_summary(None, "nowhere")


def testoutputs_of_have_lines_and_nobody_can_end_them(tmp_path: Path) -> None:
    file = tmp_path / "output"
    set_outputs(file, {"summary": "one\ntwo\nhash=forged", "hash": "abc"})
    assert outputs_of(file.read_text()) == {"summary": "one\ntwo\nhash=forged", "hash": "abc"}


def test_each_stop_of_commands_has_a_mark_of_its_own() -> None:
    with no_commands() as (begin, end), no_commands() as (other, _):
        assert begin != other
        assert end == f"::{begin.removeprefix('::stop-commands::')}::"


def test_secrets_come_as_lines_and_are_masked(capsys: pytest.CaptureFixture[str]) -> None:
    environ = {"SPECRUNNER_CI_SECRETS": "A=one=1\n\n  B=two words\nEMPTY=\n", "KEPT": "x"}
    take_secrets(environ)
    assert environ == {"A": "one=1", "B": "two words", "EMPTY": "", "KEPT": "x"}
    assert capsys.readouterr().out.splitlines() == ["::add-mask::one=1", "::add-mask::two words"]


def test_a_secret_that_looks_escaped_is_masked_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    take_secrets({"SPECRUNNER_CI_SECRETS": "A=100%25 sure%0A"})
    assert capsys.readouterr().out == "::add-mask::100%2525 sure%250A\n"  # the runner reads %25 as a per cent sign


@pytest.mark.parametrize("line", ["no equals sign", "GITHUB_TOKEN=x", "1A=x", "a b=c"])
def test_a_line_that_is_no_secret_is_told_by_its_number_only(line: str) -> None:
    with pytest.raises(UsageError, match="Line 2") as told:
        take_secrets({"SPECRUNNER_CI_SECRETS": f"A=b\n{line}"})
    assert line not in f"{told.value.summary}{told.value.detail}"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    subprocess.run(["git", "remote", "add", "origin", f"{SERVER}/team/specs"], cwd=tmp_path, check=True)
    return tmp_path


def seen_by_git(checkout: Path, environ: dict[str, str], key: str) -> str:
    words = ["git", "config", "--get-all", key]
    done = subprocess.run(words, cwd=checkout, env=environ, capture_output=True, text=True, check=False)
    return done.stdout.strip()


def test_git_gets_the_token_for_that_server_and_nothing_is_written(
    checkout: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    environ = {"PATH": "/usr/bin:/bin", "GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "a.b", "GIT_CONFIG_VALUE_0": "c"}
    before = (checkout / ".git" / "config").read_bytes()
    environ |= git_environ(Secret("token"), SERVER, checkout, environ)
    found = seen_by_git(checkout, environ, f"http.{SERVER}/.extraheader")
    assert found.startswith("AUTHORIZATION: basic ")
    assert seen_by_git(checkout, environ, "a.b") == "c"
    assert (checkout / ".git" / "config").read_bytes() == before
    assert capsys.readouterr().out.strip() == f"::add-mask::{found.rpartition(' ')[2]}"


def test_an_authorization_that_the_checkout_left_stays_the_only_one(checkout: Path) -> None:
    key = f"http.{SERVER}/.extraheader"
    subprocess.run(["git", "config", key, "AUTHORIZATION: basic x"], cwd=checkout, check=True)
    environ = {"PATH": "/usr/bin:/bin"}
    assert git_environ(Secret("token"), SERVER, checkout, environ) == {}


def test_what_is_lent_to_git_reaches_the_server_and_no_other_program(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.headers.get("Authorization", ""))
            self.send_error(404)

        def log_message(self, *_words: object) -> None:
            """Nobody reads it."""

    monkeypatch.setattr(plumbing, "_lent", {})
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    address = f"http://127.0.0.1:{server.server_port}"
    try:
        subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
        subprocess.run(["git", "remote", "add", "origin", f"{address}/team/specs"], cwd=tmp_path, check=True)
        plumbing.lend(git_environ(Secret("token"), address, tmp_path, os.environ))
        assert plumbing.Plumbing(tmp_path).run("ls-remote", "origin").code
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
    assert asked
    assert set(asked) == {f"basic {base64.b64encode(b'x-access-token:token').decode()}"}
    assert not any("x-access" in value or "extraheader" in value for value in os.environ.values())


def test_another_server_gets_no_token(checkout: Path) -> None:
    environ = {"PATH": "/usr/bin:/bin"}
    assert git_environ(Secret("token"), "https://elsewhere.example.com", checkout, environ) == {}
    assert git_environ(Secret("token"), "https://git.example.com.evil", checkout, environ) == {}


def test_a_plan_is_packed_small_and_read_again_only_under_its_own_hash() -> None:
    plan = plan_for([workspace(), resource(Kind.CONNECTION, "c", {"type": "HTTP"})], {})
    found = unpacked(packed(plan), plan.hash)
    assert found is not None
    assert [step.key for step in found.steps] == [step.key for step in plan.steps]
    assert unpacked(packed(plan), "0" * 64) is None
    assert unpacked("", plan.hash) is None
    assert unpacked("bm9uc2Vuc2U=", plan.hash) is None
    huge = plan_for([resource(Kind.CONNECTION, digest([n]), {"type": "HTTP"}) for n in range(500)], {})
    assert packed(huge) == ""
