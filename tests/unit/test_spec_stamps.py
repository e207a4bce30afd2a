"""A file is taken for unchanged by its stamp only where that is beyond doubt."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from specrunner.core.errors import Place, SpecrunnerError
from specrunner.core.keys import Key
from specrunner.core.resources import Resource
from specrunner.spec import cache, gathering, tree
from specrunner.spec.cache import OFF
from specrunner.spec.desired import check, load
from specrunner.spec.stamps import is_settled, now_in, stamp_of
from specrunner.spec.tracked import STATE
from tests.unit.spec_samples import sample, task

TASK = Key.parse("Task/forecasting/t")
HOUR = 3_600 * 10**9


@pytest.fixture(autouse=True)
def switched_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(OFF, raising=False)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return sample(tmp_path, extra=task("timeout: 1m"))


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> None:
    """All that the tests write counts as written an hour ago."""
    monkeypatch.setattr(cache, "now_in", lambda folder: time.time_ns() + HOUR)


def read(root: Path) -> Resource:
    return load(root, cached=True).resources[TASK]


def opened(root: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The files that a reading opens."""
    seen: list[str] = []

    def content(path: str) -> tree.Content:
        seen.append(Path(path).name)
        return tree.content(path)

    monkeypatch.setattr(gathering, "content", content)
    read(root)
    monkeypatch.setattr(gathering, "content", tree.content)
    return sorted(seen)


@pytest.mark.usefixtures("later")
def test_a_file_that_is_unchanged_is_not_opened(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = load(root, cached=True)
    assert opened(root, monkeypatch) == ["specrunner.yaml"]
    assert load(root, cached=True) == first == load(root)


@pytest.mark.usefixtures("later")
def test_of_a_file_that_is_new_in_every_run_nothing_is_concluded(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "now_in", now_in)
    read(root)
    assert "extra.yaml" in opened(root, monkeypatch)


def test_a_change_within_the_same_tick_is_seen(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # As on a file system whose clock ticks rarely: the second change leaves the stamp as it is.
    tick = time.time_ns()
    monkeypatch.setattr(tree, "stamp_of", lambda state: (state.st_size, state.st_ino, tick, tick))
    for minutes in (1, 2, 3):
        (root / "extra.yaml").write_text(task(f"timeout: {minutes}m"))
        assert read(root).spec["timeout"] == 60 * minutes


@pytest.mark.usefixtures("later")
def test_a_file_put_in_another_ones_place_is_seen_whatever_its_times(root: Path) -> None:
    read(root)
    file, before = root / "extra.yaml", (root / "extra.yaml").stat()
    other = root / "other"
    other.write_text(task("timeout: 9m"))
    os.utime(other, ns=(before.st_atime_ns, before.st_mtime_ns))
    other.replace(file)
    assert (file.stat().st_size, file.stat().st_mtime_ns) == (before.st_size, before.st_mtime_ns)
    assert read(root).spec["timeout"] == 540


@pytest.mark.usefixtures("later")
def test_a_file_whose_time_was_set_back_is_seen(root: Path) -> None:
    read(root)
    file, before = root / "extra.yaml", (root / "extra.yaml").stat()
    _next_tick(root, before.st_ctime_ns)
    file.write_text(task("timeout: 9m"))
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert stamp_of(file.stat())[:3] == stamp_of(before)[:3]
    assert read(root).spec["timeout"] == 540


def _next_tick(folder: Path, moment: int) -> None:
    while now_in(folder) <= moment:
        pass


@pytest.mark.usefixtures("later")
def test_a_link_is_followed_each_time(root: Path) -> None:
    (root / "one.txt").write_text(task("timeout: 1m", "{name: u}"))
    (root / "two.txt").write_text(task("timeout: 2m", "{name: u}"))
    link = root / "linked.yaml"
    for name, seconds in (("one.txt", 60), ("two.txt", 120)):
        link.unlink(missing_ok=True)
        link.symlink_to(name)
        found = load(root, cached=True).resources[Key.parse("Task/forecasting/u")]
        assert found.spec["timeout"] == seconds


@pytest.mark.usefixtures("later")
def test_a_stamp_without_what_was_read_is_worth_nothing(root: Path) -> None:
    first = load(root, cached=True)
    file = root / STATE / "cache" / "specs.jsonl"
    header, stamps, *_ = file.read_bytes().split(b"\n")
    for stored in (b"\n".join([header, stamps, b""]), b"\n".join([header, stamps[:40] + b"0" + stamps[41:], b""])):
        file.write_bytes(stored)
        assert load(root, cached=True) == first


@pytest.mark.parametrize("text", [b"{", b"[]", b'{"a": 1}', b'{"a": [1, 2, 3, 4]}', b'{"a": [1, 2, 3, 4, 5]}', b"null"])
def test_stamps_of_another_shape_are_not_believed(root: Path, text: bytes) -> None:
    first = load(root, cached=True)
    file = root / STATE / "cache" / "specs.jsonl"
    header, _, *lines = file.read_bytes().split(b"\n")
    file.write_bytes(b"\n".join([header, cache._check(b"", text) + text, *lines]))
    assert load(root, cached=True) == first


def test_only_what_was_old_by_the_clock_of_its_file_system_is_settled(tmp_path: Path) -> None:
    now = now_in(tmp_path)
    assert abs(now - time.time_ns()) < HOUR
    assert is_settled((1, 1, now - HOUR, now - HOUR), now)
    for modified, changed in ((now - HOUR, now), (now, now - HOUR), (now + HOUR, now - HOUR), (now - 10**9, 0)):
        assert not is_settled((1, 1, modified, changed), now)
    assert now_in(tmp_path / "nowhere") == 0
    assert not is_settled((1, 1, 0, 0), 0)


@pytest.mark.usefixtures("later")
def test_a_file_that_is_changed_after_it_was_read_costs_the_place_and_no_more(root: Path) -> None:
    read(root)
    found = read(root)
    assert found.locate is not None
    (root / "extra.yaml").write_text("[")
    assert found.locate(("timeout",)) == found.place == Place("extra.yaml", 1)


@pytest.mark.usefixtures("later")
def test_a_patch_over_a_file_that_is_changed_meanwhile_is_told(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read(root)
    patch = "apiVersion: specrunner/v1\nkind: Task\nmetadata: {name: t}\nspec: {timeout: 9m}\n"
    (root / "environments/default").mkdir(parents=True)
    (root / "environments/default/t.yaml").write_text(patch)
    assert read(root).spec["timeout"] == 540
    monkeypatch.setattr(gathering, "key_of", lambda data: b"another")
    with pytest.raises(SpecrunnerError, match="was changed while it was read"):
        read(root)


@pytest.mark.usefixtures("later")
def test_checking_says_what_loading_says(root: Path) -> None:
    loaded = load(root, cached=True)
    checked = check(root)
    assert checked.owner == loaded.owner
    assert sum(checked.counts.values()) == len(loaded.resources)
