"""How the command is called: folders, terminals, colours, wrong words."""

from __future__ import annotations

import os
import pty
import subprocess
from pathlib import Path

import pytest

from tests.acceptance.spec_repo import PATIENCE, SCRIPT, SpecRepo


def test_without_a_terminal_apply_asks_for_yes_and_does_nothing(repo: SpecRepo) -> None:
    for words in (["apply"], ["apply", "--json"]):
        refused = repo.run(*words, code=64)
        assert "--yes" in refused.said
        assert repo.objects() == {}


@pytest.mark.parametrize("words", [["no-such"], ["plan", "--no-such"], ["infer"], ["apply", "--parallelism", "0"]])
def test_wrong_usage_exits_64(repo: SpecRepo, words: list[str]) -> None:
    refused = repo.run(*words, code=64)
    assert refused.out == ""
    assert "Usage: specrunner" in refused.err


def test_the_folder_may_be_named_before_and_after_the_command(repo: SpecRepo, tmp_path: Path) -> None:
    folder = str(repo.root)
    expected = repo.run("validate").out
    assert repo.run("-C", folder, "validate", cwd=tmp_path).out == expected
    assert repo.run("validate", "-C", folder, cwd=tmp_path).out == expected
    missing = repo.run("validate", cwd=tmp_path, code=1)
    assert "specrunner.yaml" in missing.err
    assert "→" in missing.err
    nothing = repo.run("status", code=1)
    assert "specrunner apply" in nothing.err


def on_a_terminal(repo: SpecRepo, *words: str, answer: str = "", **environ: str) -> tuple[int, str]:
    """Call specrunner on a pseudo terminal and type an answer; its exit code and all that the screen got."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [SCRIPT, *words],
        cwd=repo.root,
        env={**os.environ, **repo.environ, "TERM": "xterm-256color", **environ},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    os.write(ours, answer.encode())
    screen = b""
    while True:
        try:
            screen += (got := os.read(ours, 4096))
        except OSError:  # EIO: the other end is closed
            break
        if not got:
            break
    os.close(ours)
    return process.wait(PATIENCE), screen.decode()


def test_colour_only_on_a_terminal_that_wants_it(repo: SpecRepo) -> None:
    assert "\x1b[" not in repo.run("plan").out
    assert "\x1b[" not in repo.run("logs", "nothing", code=1).err
    code, screen = on_a_terminal(repo, "plan")
    assert (code, "\x1b[32m" in screen) == (0, True)
    code, screen = on_a_terminal(repo, "plan", NO_COLOR="1")
    assert code == 0
    assert "\x1b[3" not in screen


def test_a_person_is_asked_and_may_say_no(repo: SpecRepo) -> None:
    code, screen = on_a_terminal(repo, "apply", answer="n\n")
    assert (code, "Apply 1 step? [y/N]" in screen, "Nothing was changed." in screen) == (0, True, True)
    code, screen = on_a_terminal(repo, "apply", answer="y\n")
    assert (code, "Applied: 1 done." in screen) == (0, True)


def test_a_terminal_shows_a_row_for_what_runs_and_a_bar_for_all(repo: SpecRepo) -> None:
    for number in range(3):
        repo.document("Workspace", f"w{number}", {})
    code, screen = on_a_terminal(repo, "apply", "--yes", COLUMNS="120")
    assert code == 0
    assert "all steps" in screen
    assert "4/4" in screen
    assert "✓ Workspace/w2: created" in screen
    assert "all steps" not in repo.run("destroy", "--yes").said


def test_output_that_can_not_be_written_is_told_and_is_no_success(repo: SpecRepo) -> None:
    with Path("/dev/full").open("w") as full:
        process = subprocess.run(
            [SCRIPT, "validate"], cwd=repo.root, stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert process.returncode == 1
    assert "can't be written: No space left on device" in process.stderr
