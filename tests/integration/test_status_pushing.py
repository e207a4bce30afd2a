"""Several writers, clones of every kind, and all that goes wrong between a record and its remote."""

from __future__ import annotations

import multiprocessing
import resource
import shutil
import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from specrunner.core.errors import SpecrunnerError
from specrunner.core.ports import Look
from specrunner.record.branch import BranchStatus
from specrunner.record.plumbing import Done, Plumbing
from specrunner.record.remote import Remote, Unpushed
from tests.conftest import Soak
from tests.contract.repository_samples import BRANCH, Hub, git, make_hub, status_in, surroundings

SECRET = "hunter22"


@pytest.fixture
def hub(tmp_path: Path) -> Hub:
    return make_hub(tmp_path)


def recorded(status: BranchStatus, files: dict[str, bytes | None], message: str = "a fact") -> None:
    status.write(files, message)
    status.push()


def unclaimed(path: str, look: Look) -> bool:
    return look(path) is None


def impatient(status: BranchStatus) -> BranchStatus:
    status.pause = lambda _seconds: None
    return status


def test_eight_writers_of_different_things_lose_nothing_and_force_nothing(hub: Hub, soak: Soak) -> None:
    each = 25 if soak.is_full else 3
    writers = [hub.status(f"writer-{number}") for number in range(8)]

    def work(number: int) -> None:
        for turn in range(each):
            recorded(writers[number], {f"live/tasks/w{number}/t{turn}.yaml": b"%d\n" % turn}, f"{number}.{turn}")

    git(hub.bare, "config", "receive.denyNonFastForwards", "true")
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    assert sorted(hub.files()) == sorted(f"live/tasks/w{n}/t{t}.yaml" for n in range(8) for t in range(each))
    assert sorted(hub.history()) == sorted(f"{number}.{turn}" for number in range(8) for turn in range(each))
    for writer in writers:
        writer.push()
    assert len(hub.history()) == 8 * each


def test_of_eight_claims_of_one_path_one_is_won_and_each_knows(hub: Hub) -> None:
    claimants = [hub.status(f"claimant-{number}") for number in range(8)]

    def work(number: int) -> frozenset[str]:
        return claimants[number].claim({"live/runs/w/t/1.yaml": b"%d" % number}, f"claim {number}", unclaimed)

    with ThreadPoolExecutor(8) as pool:
        won = list(pool.map(work, range(8)))
    (winner,) = [number for number, paths in enumerate(won) if paths]
    assert hub.files() == {"live/runs/w/t/1.yaml": b"%d" % winner}
    assert hub.history() == [f"claim {winner}"]


def test_who_records_the_same_fact_as_another_makes_no_second_commit_of_it(hub: Hub) -> None:
    one, other = hub.status("one"), hub.status("other")
    one.write({"live/a.yaml": b"1"}, "by one")
    other.write({"live/a.yaml": b"1"}, "by the other")
    one.push()
    other.push()
    assert hub.history() == ["by one"]


def test_an_end_that_was_told_first_stays(hub: Hub) -> None:
    path = "live/runs/w/t/1.yaml"
    recorded(hub.status("first"), {path: b"status: running\n"})
    one, other = hub.status("one"), hub.status("other")
    one.read("")
    other.read("")
    recorded(one, {path: b"status: lost\n"}, "lost")
    recorded(other, {path: b"status: success\n", "live/README.md": b"page"}, "success")
    assert hub.files() == {path: b"status: lost\n", "live/README.md": b"page"}


def test_what_was_pushed_and_whose_answer_was_lost_is_one_commit(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    real, pushes = Remote.push, []

    def deaf(self: Remote, commit: str) -> Done:
        pushes.append(real(self, commit))
        return Done(128, b"", "the connection was closed")

    monkeypatch.setattr(Remote, "push", deaf)
    status = impatient(hub.status("deaf"))
    recorded(status, {"live/a.yaml": b"1"})
    assert status.claim({"live/b.yaml": b"2"}, "a claim", unclaimed) == {"live/b.yaml"}
    assert hub.history() == ["a claim", "a fact"]
    assert [push.code for push in pushes] == [0, 0]


@pytest.mark.parametrize("inside", [".", "specs", "../further", "../bare"])
def test_a_remote_that_is_named_by_a_relative_path_is_found_from_where_git_finds_it(hub: Hub, inside: str) -> None:
    clone = hub.clone("clone")
    (clone / "specs").mkdir()
    git(clone, "worktree", "add", "-q", "--detach", "../further")
    git(hub.folder, "clone", "-q", "--bare", hub.bare.as_uri(), "bare")
    for folder in (clone, hub.folder / "bare"):
        git(folder, "remote", "set-url", "origin", f"../{hub.bare.name}")
    git(clone / inside, "ls-remote", "origin")
    recorded(status_in((clone / inside).resolve()), {"live/a.yaml": b"1"})
    assert hub.files() == {"live/a.yaml": b"1"}


class TestRefusals:
    """Remotes that do not take what is pushed: a clear word, and nothing is lost."""

    @pytest.mark.parametrize(
        ("refuse", "relent", "said"),
        [
            (
                lambda hub: hub.hook("echo 'frozen until Monday' >&2; exit 1"),
                lambda hub: hub.hook(""),
                "frozen until Monday",
            ),
            (
                lambda hub: git(hub.bare, "config", "receive.maxInputSize", "1"),
                lambda hub: git(hub.bare, "config", "--unset", "receive.maxInputSize"),
                "exceeds maximum allowed size",
            ),
            (
                lambda hub: git(hub.bare, "config", "receive.hideRefs", "refs/heads"),
                lambda hub: git(hub.bare, "config", "--unset", "receive.hideRefs"),
                "hidden ref",
            ),
            (
                lambda hub: hub.bare.rename(hub.bare.with_name("away")),
                lambda hub: hub.bare.with_name("away").rename(hub.bare),
                "does not appear to be a git repository",
            ),
        ],
        ids=["a hook", "no room for it", "no right", "not there"],
    )
    def test_what_was_refused_is_pushed_the_next_time(
        self, hub: Hub, refuse: Callable[[Hub], object], relent: Callable[[Hub], object], said: str
    ) -> None:
        status = impatient(hub.status("writer"))
        refuse(hub)
        status.write({"live/a.yaml": b"1"}, "kept")
        with pytest.raises(Unpushed) as told:
            status.push()
        assert said in told.value.detail and told.value.remedy
        assert not status.is_shared
        with pytest.raises(Unpushed):
            status.claim({"live/b.yaml": b"2"}, "never", unclaimed)
        assert "live/b.yaml" not in status_in(hub.folder / "writer", remote="").read("")
        relent(hub)
        recorded(status_in(hub.folder / "writer"), {"live/c.yaml": b"3"}, "next")
        assert hub.files() == {"live/a.yaml": b"1", "live/c.yaml": b"3"}
        assert hub.history() == ["next", "kept"]

    def test_what_is_known_here_is_read_with_a_warning_where_the_remote_is_gone(self, hub: Hub) -> None:
        recorded(hub.status("writer"), {"live/a.yaml": b"1"})
        hub.bare.rename(hub.bare.with_name("away"))
        status = hub.status("writer")
        assert status.read("") == {"live/a.yaml": b"1"}
        assert "can't be asked" in status.warnings[0].summary
        empty = hub.folder / "empty"
        git(hub.folder, "init", "-q", "empty")
        with pytest.raises(Unpushed):
            status_in(empty, remote=hub.bare.as_uri()).read("")

    def test_no_message_holds_a_password(self, hub: Hub) -> None:
        status = status_in(hub.clone("writer"), remote=f"http://ada:{SECRET}@127.0.0.1:9/hub.git")
        status.write({"live/a.yaml": b"1"}, "kept")
        with pytest.raises(Unpushed) as told:
            status.push()
        assert SECRET not in f"{told.value.summary} {told.value.detail} {told.value.remedy}"
        assert "127.0.0.1" in told.value.summary

    def test_a_disk_that_is_full_here_leaves_the_branch_as_it_was(self, hub: Hub) -> None:
        recorded(hub.status("writer"), {"live/a.yaml": b"1"})

        def cramped() -> None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (2_000, 2_000))
            status = hub.status("writer")
            with pytest.raises(SpecrunnerError, match="git fast-import failed"):
                status.write({f"live/{number}.yaml": b"%d" % number * 5_000 for number in range(200)}, "too much")

        assert in_another_process(cramped) == 0
        assert hub.status("writer").read("") == {"live/a.yaml": b"1"}


class TestSurroundings:
    """Clones as people have them, and what of them is touched: nothing."""

    def test_work_tree_index_head_hooks_and_settings_stay_byte_for_byte(self, hub: Hub) -> None:
        folder, told = hub.clone("person"), hub.folder / "hooks-ran"
        for name in ("pre-push", "reference-transaction", "post-checkout", "pre-commit", "post-commit", "pre-auto-gc"):
            hook = folder / ".git" / "hooks" / name
            hook.write_text(f"#!/bin/sh\necho {name} >> {told}\n")
            hook.chmod(0o755)
        (folder / "specrunner.yaml").write_text("edited: true\n")
        (folder / "staged.yaml").write_text("staged: true\n")
        git(folder, "add", "staged.yaml")
        told.unlink(missing_ok=True)
        before = surroundings(folder)
        status = status_in(folder)
        recorded(status, {"live/a.yaml": b"1"})
        recorded(hub.status("other"), {"live/b.yaml": b"2"})
        recorded(status, {"live/c.yaml": b"3"})
        assert status.claim({"live/d.yaml": b"4"}, "a claim", unclaimed)
        assert status_in(folder).read("").keys() == {"live/a.yaml", "live/b.yaml", "live/c.yaml", "live/d.yaml"}
        assert surroundings(folder) == before
        assert not told.exists()
        assert not (folder / ".git" / "specrunner.index").exists()

    def test_who_has_told_git_no_name_commits_as_specrunner(self, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
        for name, value in {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null"}.items():
            monkeypatch.setenv(name, value)
        for name in ("NAME", "EMAIL"):
            monkeypatch.delenv(f"GIT_AUTHOR_{name}", raising=False)
            monkeypatch.delenv(f"GIT_COMMITTER_{name}", raising=False)
        monkeypatch.delenv("EMAIL", raising=False)
        recorded(hub.status("nobody"), {"live/a.yaml": b"1"})
        assert git(hub.bare, "log", "--format=%an %cn", BRANCH) == "specrunner specrunner"

    def test_a_clone_of_one_commit_stays_one_and_does_all_the_same(self, hub: Hub) -> None:
        for turn in range(3):
            recorded(hub.status("writer"), {f"live/{turn}.yaml": b"1"})
        folder = hub.clone("shallow", "--depth=1")
        status = status_in(folder)
        assert len(status.read("")) == 3
        assert int(git(folder, "rev-list", "--count", BRANCH)) == 1
        recorded(hub.status("writer"), {"live/more.yaml": b"1"})
        recorded(status, {"live/own.yaml": b"1"}, "from a shallow clone")
        assert len(hub.files()) == 5
        assert hub.history()[0] == "from a shallow clone" and len(hub.history()) == 5

    def test_a_whole_clone_does_not_become_a_shallow_one(self, hub: Hub) -> None:
        recorded(hub.status("writer"), {"live/a.yaml": b"1"})
        folder = hub.clone("whole")
        status_in(folder).read("")
        assert git(folder, "rev-parse", "--is-shallow-repository") == "false"

    def test_a_further_work_tree_of_a_clone_shares_its_branch(self, hub: Hub) -> None:
        folder = hub.clone("person")
        git(folder, "worktree", "add", "-q", str(hub.folder / "further"), "-b", "further")
        recorded(status_in(hub.folder / "further"), {"live/a.yaml": b"1"})
        assert status_in(folder).read("") == {"live/a.yaml": b"1"}
        assert status_in(hub.bare, remote="").read("") == {"live/a.yaml": b"1"}

    def test_a_remote_by_a_relative_path_is_found(self, hub: Hub) -> None:
        folder = hub.clone("person")
        git(folder, "remote", "set-url", "origin", "../hub.git")
        recorded(status_in(folder), {"live/a.yaml": b"1"})
        assert hub.files() == {"live/a.yaml": b"1"}

    def test_called_by_a_hook_it_is_not_led_astray(self, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
        folder, other = hub.clone("person"), hub.clone("somebody")
        for name, value in {
            "GIT_DIR": other / ".git",
            "GIT_INDEX_FILE": other / "index",
            "GIT_WORK_TREE": other,
        }.items():
            monkeypatch.setenv(name, str(value))
        status = status_in(folder)
        status.write({"live/a.yaml": b"1"}, "a fact")
        assert (folder / ".git" / "refs" / "heads" / BRANCH).exists()
        assert not (other / "index").exists() and not (other / ".git" / "refs" / "heads" / BRANCH).exists()

    def test_a_branch_that_was_deleted_on_the_remote_is_there_again(self, hub: Hub) -> None:
        status = hub.status("writer")
        recorded(status, {"live/a.yaml": b"1"})
        git(hub.bare, "branch", "-D", BRANCH)
        recorded(status, {"live/b.yaml": b"2"})
        assert hub.files() == {"live/a.yaml": b"1", "live/b.yaml": b"2"}

    def test_two_that_began_a_branch_without_knowing_of_each_other_come_together(self, hub: Hub) -> None:
        one, other = hub.status("one"), hub.status("other")
        one.write({"live/a.yaml": b"1"}, "one")
        other.write({"live/b.yaml": b"2"}, "other")
        one.push()
        other.push()
        assert hub.history() == ["other", "one"]
        assert git(hub.folder / "other", "rev-parse", BRANCH) == git(hub.bare, "rev-parse", BRANCH)


# Kills who called it, before or after the call of that number: what SIGKILL leaves at each of git's calls.
KILLER = """\
#!/bin/sh
count=$(($(cat {count} 2>/dev/null || echo 0) + 1))
echo $count > {count}
[ $count = {at} ] && [ {when} = before ] && {{ kill -9 $PPID; exit 1; }}
{git} "$@"
status=$?
[ $count = {at} ] && kill -9 $PPID
exit $status
"""


def in_another_process(work: Callable[[], None]) -> int | None:
    """Do something in a fork; its exit status, negative where a signal ended it."""
    process = multiprocessing.get_context("fork").Process(target=work)
    process.start()
    process.join(60)
    return process.exitcode


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_writer_that_is_killed_at_any_call_of_git_leaves_a_sound_branch(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, soak: Soak, when: str
) -> None:
    real, programs, count = shutil.which("git"), tmp_path / "bin", tmp_path / "count"
    programs.mkdir()
    survivor, victim = hub.status("survivor"), hub.clone("victim")
    at, ended, facts = 0, -signal.SIGKILL, 0
    while ended == -signal.SIGKILL:
        at += 1 if soak.is_full else 4
        recorded(survivor, {f"live/survivor/{at}.yaml": b"1"}, f"survivor {at}")
        (programs / "git").write_text(KILLER.format(count=count, at=at, when=when, git=real))
        (programs / "git").chmod(0o755)
        count.unlink(missing_ok=True)
        fact: dict[str, bytes | None] = {f"live/victim/{at}.yaml": b"%d" % at}

        def work(fact: dict[str, bytes | None] = fact, at: int = at) -> None:
            monkeypatch.setenv("PATH", f"{programs}:/usr/bin:/bin")
            recorded(status_in(victim), fact, f"victim {at}")

        ended = in_another_process(work) or 0
        recorded(status_in(victim), fact, f"victim {at}")
        facts += 2
        git(hub.bare, "fsck", "--no-dangling", "--no-progress")
        assert len(hub.files()) == len(hub.history()) == len(set(hub.history())) == facts
    assert ended == 0, "the last one was not killed: there were no more calls"
    assert at > 8


def test_nobody_waits_for_a_lock_that_a_killed_writer_held(hub: Hub) -> None:
    folder = hub.clone("writer")

    def work() -> None:
        with status_in(folder)._locked():
            signal.raise_signal(signal.SIGKILL)

    assert in_another_process(work) == -signal.SIGKILL
    recorded(status_in(folder), {"live/a.yaml": b"1"})
    assert hub.files() == {"live/a.yaml": b"1"}


def test_a_command_of_git_that_hangs_is_given_up(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "git").write_text("#!/bin/sh\nsleep 600 &\nwait\n")
    (programs / "git").chmod(0o755)
    plumbing: Any = Plumbing(hub.bare)
    monkeypatch.setenv("PATH", f"{programs}:/usr/bin:/bin")
    done = plumbing.run("rev-parse", "HEAD", seconds=0.2)
    assert done.code and "did not end within" in done.words
