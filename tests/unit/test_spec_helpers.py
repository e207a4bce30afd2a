"""Helpers do what they can of the work; what they don't is left, in order, and nobody stays behind."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from specrunner.core.errors import Diagnostic, InvalidSpecs
from specrunner.core.resources import Desired
from specrunner.spec import gathering, helpers
from specrunner.spec.cache import OFF
from specrunner.spec.desired import load
from specrunner.spec.helpers import helped
from specrunner.spec.tracked import STATE
from tests.unit.spec_samples import sample, task

JOBS = list(range(20))
SIZES = [1] * 20


@pytest.fixture
def many(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Four processors, and work that is worth it, however little it is; at the end, nobody is left behind."""
    monkeypatch.delenv(OFF, raising=False)
    monkeypatch.setattr(helpers, "WORTH", 1)
    monkeypatch.setattr(helpers, "_alone", lambda: True)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: {0, 1, 2, 3})
    before = children()
    yield
    assert children() == before


def children() -> set[int]:
    """The children of this process, alive or waiting to be asked how they ended."""
    return {child.pid for child in psutil.Process().children()}


def named(job: int) -> bytes:
    return b"%d by %d" % (job, os.getpid())


@pytest.mark.usefixtures("many")
def test_the_later_jobs_are_done_by_others_and_answered_in_order() -> None:
    with helped(JOBS, SIZES, named) as help_:
        found = help_.answers()
    assert help_.first == 5
    assert [int(one.split()[0]) for one in found if one] == JOBS[5:]
    assert len({one.split()[2] for one in found if one} - {b"%d" % os.getpid()}) == 3


@pytest.mark.usefixtures("many")
def test_jobs_are_shared_out_by_their_size() -> None:
    with helped(JOBS, [100] + [1] * 19, named) as help_:
        assert help_.first == 1
        assert len(help_.answers()) == 19
    with helped([1], [9], named) as help_:
        assert (help_.first, help_.answers()) == (1, [])


def dies(job: int) -> bytes:
    if job == 7:
        os.kill(os.getpid(), signal.SIGKILL)
    return b"done"


def fails(job: int) -> bytes:
    if job == 7:
        raise SystemExit(0)
    return b"done"


def breaks_off(job: int) -> bytes:
    return b"two\nlines" if job == 7 else b"done"


@pytest.mark.usefixtures("many")
@pytest.mark.parametrize("work", [dies, fails, breaks_off])
def test_what_a_helper_does_not_bring_back_is_left_to_do(work: Callable[[int], bytes]) -> None:
    with helped(JOBS, SIZES, work) as help_:
        found = help_.answers()
    assert found == [None] * 5 + [b"done"] * 10


def waits(_job: int) -> bytes:
    threading.Event().wait()
    return b"never"


@pytest.mark.usefixtures("many")
def test_nobody_stays_at_work_when_the_body_fails() -> None:
    with pytest.raises(KeyError), helped(JOBS, SIZES, waits):
        raise KeyError


@pytest.mark.usefixtures("many")
def test_where_no_process_is_to_be_had_all_is_left_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    def fork() -> int:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(os, "fork", fork)
    with helped(JOBS, SIZES, named) as help_:
        assert help_.answers() == [None] * 15


def test_beside_other_threads_nobody_is_forked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(helpers, "WORTH", 1)
    over = threading.Event()
    thread = threading.Thread(target=over.wait)
    thread.start()
    try:
        with helped(JOBS, SIZES, named) as help_:
            assert (help_.first, help_.answers()) == (20, [])
    finally:
        over.set()
        thread.join()


@pytest.mark.usefixtures("many")
def test_where_children_are_not_waited_for_nobody_is_forked() -> None:
    before = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try:
        with helped(JOBS, SIZES, named) as help_:
            assert (help_.first, help_.answers()) == (20, [])
    finally:
        signal.signal(signal.SIGCHLD, before)


# Specs read with help


def mixed(root: Path) -> Path:
    """Files of every fate: right, wrong, with variables, foreign, broken, no text, with several documents."""
    folder = sample(root)
    for number in range(12):
        texts = (task(f"timeout: {number + 1}m", f"{{name: t{number}-{one}}}") for one in range(3))
        (folder / f"many{number:02}.yaml").write_text("---\n".join(texts))
    (folder / "m-variable.yaml").write_text(task('args: {a: "${env.HOME}"}', "{name: v}"))
    (folder / "n-foreign.yaml").write_text("name: somebody-elses\n")
    (folder / "o-broken.yaml").write_text("apiVersion: other/v1\nkind: {\n")
    (folder / "p-linked.yaml").symlink_to("many00.yaml.txt")
    (folder / "many00.yaml.txt").write_text(task("timeout: 1m", "{name: linked}"))
    return folder


def outcome(root: Path, *, cached: bool) -> Desired | tuple[Diagnostic, ...]:
    try:
        return load(root, cached=cached)
    except InvalidSpecs as error:
        return error.diagnostics


@pytest.mark.usefixtures("many")
@pytest.mark.parametrize(
    "wrong", ["", task("timeuot: 1m", "{name: w}"), "apiVersion: specrunner/v1\nkind: [", "\tx: 1"]
)
def test_specs_mean_the_same_read_with_help(tmp_path: Path, wrong: str) -> None:
    root = mixed(tmp_path)
    (root / "z-wrong.yaml").write_text(wrong)
    expected = outcome(root, cached=False)
    assert outcome(root, cached=True) == expected  # read by all
    assert outcome(root, cached=True) == expected  # read from what they have left
    assert len((root / STATE / "cache" / "specs.jsonl").read_bytes().splitlines()) > 14


@pytest.mark.usefixtures("many")
@pytest.mark.parametrize("line", [b"", b"1 2 3 4 nonsense", b"1 2 3 4 " + b"0" * 96 + b"[]"])
def test_a_helper_that_tells_nonsense_is_not_believed(
    tmp_path: Path, line: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = mixed(tmp_path)
    monkeypatch.setattr(gathering, "_line", lambda *_: line)
    assert outcome(root, cached=True) == outcome(root, cached=False)
