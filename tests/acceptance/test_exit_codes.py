"""Every exit status of the design, through the installed command."""

from __future__ import annotations

import signal
from pathlib import Path

from specrunner.engine.engine import Engine
from tests.acceptance import samples
from tests.acceptance.spec_repo import SpecRepo, lines_of, stopped, until


def test_0_is_fine_also_for_a_plan_with_changes(repo: SpecRepo) -> None:
    assert "Workspace/lab" in repo.run("plan", code=0).out
    repo.run("apply", "--yes", code=0)


def test_1_is_an_error(repo: SpecRepo) -> None:
    repo.write("broken.yaml", "apiVersion: specrunner/v1\nkind: Workspace\nmetadata: {nam: x}\n")
    repo.run("plan", code=1)
    repo.run("apply", "--yes", code=1)


def test_2_says_that_something_would_change_where_that_is_asked(repo: SpecRepo) -> None:
    repo.run("plan", "--detailed-exitcode", code=2)
    repo.run("apply", "--yes")
    repo.run("plan", "--detailed-exitcode", code=0)


def test_3_is_blocked(repo: SpecRepo) -> None:
    kept = repo.document("Workspace", "kept", {}, protect=True)
    repo.run("apply", "--yes")
    kept.unlink()
    repo.run("apply", "--yes", code=3)
    free = repo.document("Workspace", "free", {})
    repo.document("Workspace", "kept", {}, protect=True)
    repo.run("apply", "--yes")
    free.unlink()
    assert "Workspace/free" in repo.run("apply", "--yes", "--no-destroy", code=3).out
    repo.run("apply", "--yes", code=0)


def test_3_is_the_brake_too(repo: SpecRepo) -> None:
    for number in range(10):
        repo.document("Workspace", f"w{number}", {})
    repo.run("apply", "--yes")
    for number in range(10):
        repo.remove(f"workspace-w{number}.yaml")
    assert "(10/11)" in repo.run("apply", "--yes", code=3).err
    repo.run("apply", "--yes", "--force", code=0)


def test_4_is_a_plan_that_is_no_longer_right(repo: SpecRepo, tmp_path: Path) -> None:
    repo.run("apply", "--yes", "--expect", "0" * 64, code=4)
    file = tmp_path / "plan.json"
    repo.document("Connection", "rows", {"type": "HTTP", "details": {"host": "a"}})
    repo.run("plan", "--out", str(file))
    repo.document("Connection", "rows", {"type": "HTTP", "details": {"host": "b"}})
    repo.run("apply", str(file), "--yes", code=4)
    assert repo.run("status", code=0).out.strip() == "Nothing is live."


def test_5_is_partly_applied(repo: SpecRepo) -> None:
    repo.orchestration("needs", "print('hello')", "no-such-package-4711 @ file:///nowhere/no.whl\n")
    repo.task("greet", "needs")
    said = repo.run("apply", "--yes", code=5).out
    assert "Task/lab/greet: skipped" in said
    assert "Workspace/lab" in repo.objects()


def test_what_somebody_changed_since_the_plan_is_left_alone_4_alone_and_5_beside_what_was_done(
    repo: SpecRepo, tmp_path: Path
) -> None:
    def drifts(host: str) -> None:
        with Engine(repo.root / ".specrunner", tmp_path / "cache") as engine:
            engine.connections.put("rows", "HTTP", {"host": host}, {}, ())

    repo.document("Connection", "rows", {"type": "HTTP", "details": {"host": "a"}})
    repo.run("apply", "--yes")
    repo.document("Connection", "rows", {"type": "HTTP", "details": {"host": "b"}})
    repo.run("plan", "--out", str(tmp_path / "alone.json"))
    repo.document("Workspace", "other", {})
    repo.run("plan", "--out", str(tmp_path / "both.json"))
    drifts("somebody's")
    alone = repo.run("apply", str(tmp_path / "alone.json"), "--yes", code=4)
    both = repo.run("apply", str(tmp_path / "both.json"), "--yes", code=5)
    for said, counts in ((alone, "Applied: 1 failed (1 stale)."), (both, "Applied: 1 done, 1 failed (1 stale).")):
        assert "Connection/rows is no longer as it was when this was planned" in said.out and counts in said.out
    assert "Workspace/other" in repo.objects()
    told = repo.run("plan").out
    assert '"somebody\'s"' in told and 'apply sets "b"' in told


def test_6_is_a_run_that_did_not_succeed(repo: SpecRepo) -> None:
    repo.orchestration("raises", "raise SystemExit(3)")
    repo.task("fails", "raises")
    repo.run("apply", "--yes", code=6)


def test_64_is_wrong_usage(repo: SpecRepo) -> None:
    for words in (["plan", "--json", "--markdown"], ["apply"], ["apply", "none.json", "--yes"], ["unlock", "--no"]):
        repo.run("apply", "--yes") if words[0] == "unlock" else None
        repo.run(*words, code=64)


def test_130_is_interrupted(repo: SpecRepo, tmp_path: Path) -> None:
    side = tmp_path / "side"
    repo.orchestration("wait", samples.WAIT)
    for number, name in enumerate((signal.SIGINT, signal.SIGTERM)):
        repo.task(f"long {number}", "wait", env={"SIDE": str(side)})
        with repo.start("apply", "--yes") as process:
            until(lambda: len(lines_of(side)) > number, "the run's first line")  # noqa: B023
            stopped(process, name, 130)
    side.with_name("side.go").touch()
    repo.run("apply", "--yes", code=0)
