from __future__ import annotations

import json
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from specrunner.core.diff import SECRET, FieldChange
from specrunner.core.errors import Severity, SpecrunnerError
from specrunner.core.fields import Action
from specrunner.core.interrupted import Interrupted
from specrunner.core.keys import Key
from specrunner.core.plan import Step
from specrunner.core.resources import Owner
from specrunner.reconcile.journal import Header, Journal, journal_path, set_aside
from specrunner.reconcile.replay import unfinished

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
HEADER = Header("apply-1", "shop/live", "f" * 64, "c" * 40, NOON, "ada")
WAIT = 10  # seconds after which a test that hangs fails


def step(name: str = "store", action: Action = Action.CREATE, declared: str = "d") -> Step:
    return Step(Key.parse(f"Connection/{name}"), action, "because", declared=declared)


def cut(path: Path) -> Interrupted:
    found, warning = unfinished(path, Owner("shop", "live"))
    assert warning is None
    assert found is not None
    return found


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return journal_path(tmp_path, "live")


def test_what_was_under_way_is_known_after_a_kill_and_what_had_ended_too(path: Path) -> None:
    journal = Journal.begin(path, HEADER)
    journal.began(step("a"))
    journal.ended(step("a"), "done", "run-7")
    token = journal.began(step("b"))
    found = cut(path)  # nothing was closed: as after SIGKILL
    assert [(str(one.key), one.fate, one.run) for one in found.steps] == [
        ("Connection/a", "done", "run-7"),
        ("Connection/b", "under way", ""),
    ]
    assert [one.token for one in found.under_way] == [token]
    assert (found.apply, found.owner, found.plan, found.commit, found.started, found.who) == (
        HEADER.apply,
        HEADER.owner,
        HEADER.plan,
        HEADER.commit,
        NOON,
        "ada",
    )


def test_the_very_same_step_keeps_its_token_in_the_next_apply_and_in_the_one_after_that(path: Path) -> None:
    token = Journal.begin(path, HEADER).began(step())
    second = Journal.begin(path, replace(HEADER, apply="apply-2"), cut(path))
    second.close()  # killed before it began the step again
    third = Journal.begin(path, replace(HEADER, apply="apply-3"), cut(path))
    assert third.began(step()) == token
    assert third.began(step("other")) != token


@pytest.mark.parametrize("other", [step(declared="other"), step(action=Action.UPDATE)])
def test_another_order_for_the_same_object_gets_a_token_of_its_own(path: Path, other: Step) -> None:
    token = Journal.begin(path, HEADER).began(step())
    assert Journal.begin(path, replace(HEADER, apply="apply-2"), cut(path)).began(other) != token


def test_a_step_that_had_ended_gets_a_new_token(path: Path) -> None:
    journal = Journal.begin(path, HEADER)
    token = journal.began(step())
    journal.ended(step(), "done")
    assert Journal.begin(path, replace(HEADER, apply="apply-2"), cut(path)).began(step()) != token


def test_every_try_of_a_step_has_the_same_token_and_a_restore_another(path: Path) -> None:
    journal = Journal.begin(path, HEADER)
    assert journal.began(step()) == journal.began(step())
    assert journal.began(step()) != journal.began(step(), restored=True)


def test_a_torn_last_line_is_passed_over_wherever_it_is_torn(path: Path) -> None:
    journal = Journal.begin(path, HEADER)
    journal.began(step("a"))
    whole = path.read_bytes()
    journal.began(step("b"))
    line = path.read_bytes()[len(whole) :]
    for length in range(len(line)):
        path.write_bytes(whole + line[:length])
        assert [str(one.key) for one in cut(path).steps] == ["Connection/a"]


def test_without_a_journal_nothing_was_cut_off_and_an_empty_one_says_nothing(path: Path) -> None:
    assert unfinished(path) == (None, None)
    path.write_bytes(b"")
    assert unfinished(path) == (None, None)


@pytest.mark.parametrize(
    "content",
    [
        b"\xff\xfe\x00\n",
        b"[]\n",
        b"{}\n",
        b"null\n",
        b'{"event":"apply","version":2}\n',
        b'{"event":"end","key":"Task/x"}\n',
        b"[" * 100_000 + b"\n",
    ],
)
def test_a_damaged_journal_is_a_warning_and_never_a_crash(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    found, warning = unfinished(path)
    assert found is None
    assert warning is not None
    assert warning.severity is Severity.WARNING
    assert str(path) in warning.summary


def test_a_folder_in_its_place_is_a_warning(path: Path) -> None:
    path.mkdir()
    assert unfinished(path)[1] is not None


def test_the_journal_of_another_owner_is_not_used(path: Path) -> None:
    Journal.begin(path, HEADER).close()
    found, warning = unfinished(path, Owner("bakery", "live"))
    assert found is None
    assert warning is not None
    assert "shop/live" in warning.summary


def test_it_holds_no_value_of_a_spec(path: Path) -> None:
    change = FieldChange("details.host", Action.UPDATE, "changed", "old-host", "new-host")
    secret = FieldChange("detailsFrom", Action.UPDATE, "its value changed", SECRET, SECRET)
    journal = Journal.begin(path, HEADER)
    journal.began(replace(step(), changes=(change, secret)))
    assert b"host" not in path.read_bytes()
    assert path.stat().st_mode & 0o777 == 0o600


def test_an_apply_that_ended_and_was_not_recorded_is_told_as_over(path: Path) -> None:
    journal = Journal.begin(path, HEADER)
    journal.over()
    journal.close()
    assert cut(path).over
    journal.remove()
    assert unfinished(path) == (None, None)


def test_applies_that_were_cut_off_before_are_handed_on_but_not_without_end(path: Path) -> None:
    for number in range(30):
        before = unfinished(path)[0]
        Journal.begin(path, replace(HEADER, apply=f"apply-{number}"), before).close()
    names, found = [], unfinished(path)[0]
    while found is not None:
        names.append(found.apply)
        found = found.earlier
    assert names == [f"apply-{number}" for number in range(29, 8, -1)]


def test_lines_of_many_threads_are_whole_and_share_their_syncs(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = Journal.begin(path, HEADER)
    threads = 8
    all_wrote, synced, real = threading.Barrier(threads), [], os.fsync

    def fsync(descriptor: int) -> None:
        synced.append(descriptor)
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)

    def work(number: int) -> None:
        all_wrote.wait(WAIT)
        for turn in range(20):
            journal.began(step(f"{number}-{turn}"))
            journal.ended(step(f"{number}-{turn}"), "done")

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(work, range(threads)))
    lines = [json.loads(line) for line in path.read_bytes().splitlines()]
    assert len(lines) == 1 + threads * 20 * 2
    assert len(synced) <= threads * 20
    assert not cut(path).under_way


def test_whoever_comes_while_a_sync_goes_on_waits_for_the_next_one(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = Journal.begin(path, HEADER)
    in_sync, go_on, count, real = threading.Event(), threading.Event(), [], os.fsync

    def slow(descriptor: int) -> None:
        count.append(path.read_bytes().count(b"\n"))
        in_sync.set()
        assert go_on.wait(WAIT)
        real(descriptor)

    monkeypatch.setattr(os, "fsync", slow)
    with ThreadPoolExecutor(5) as pool:
        first = pool.submit(journal.began, step("first"))
        assert in_sync.wait(WAIT)
        others = [pool.submit(journal.began, step(f"other-{number}")) for number in range(4)]
        while path.read_bytes().count(b"\n") < 6:
            assert not any(other.done() for other in others)
        go_on.set()
        for future in (first, *others):
            future.result(WAIT)
    assert count == [2, 6]  # one sync for the first, one for the other four


def test_a_journal_that_cannot_be_written_says_so(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = Journal.begin(path, HEADER)

    def full(_descriptor: int, _data: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(SpecrunnerError, match="No space left"):
        journal.began(step())


def test_a_name_of_an_environment_is_a_name_of_one_file(tmp_path: Path) -> None:
    names = {journal_path(tmp_path, name) for name in ("a", "a/b", "../a", "x" * 400, "x" * 401)}
    assert len(names) == 5
    assert all(name.parent == tmp_path and len(name.name) < 255 for name in names)


def test_the_journal_of_a_successor_stays(path: Path) -> None:
    first = Journal.begin(path, HEADER)
    Journal.begin(path, replace(HEADER, apply="apply-2")).close()
    first.remove()
    assert cut(path).apply == "apply-2"


@pytest.mark.parametrize("is_folder", [False, True])
def test_what_can_not_be_used_is_moved_away_and_a_journal_can_begin(path: Path, is_folder: bool) -> None:
    for name in ("apply-live.journal.damaged", "apply-live.journal.damaged-2"):
        if is_folder:
            path.mkdir()
        else:
            path.write_bytes(b"{}\n")
        place = set_aside(path)
        assert place is not None and place.name == name and place.exists()
        assert unfinished(path) == (None, None)
    Journal.begin(path, HEADER).close()


def test_what_can_not_be_moved_away_is_no_crash(path: Path) -> None:
    assert set_aside(path) is None
