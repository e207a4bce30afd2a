"""One answer for many: never older than the last write, made once however many ask."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from specrunner.server.api import sharing
from specrunner.server.api.sharing import Shared


class Store:
    """Counts what it is asked."""

    def __init__(self) -> None:
        self.generation = 0
        self.made = 0

    def make(self) -> bytes:
        self.made += 1
        return str(self.generation).encode()


def test_an_answer_is_made_anew_after_every_write(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sharing, "_OLDEST", 3600)
    store = Store()
    shared = Shared(lambda: store.generation)
    assert [shared.get("a", store.make) for _ in range(3)] == [b"0"] * 3
    assert store.made == 1
    store.generation = 1
    assert shared.get("a", store.make) == b"1"
    assert shared.get("b", store.make) == b"1" and store.made == 3


def test_an_answer_grows_old_without_a_write(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sharing, "_OLDEST", 0)
    store = Store()
    shared = Shared(lambda: store.generation)
    shared.get("a", store.make)
    shared.get("a", store.make)
    assert store.made == 2


def test_what_is_written_while_an_answer_is_made_makes_it_old(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sharing, "_OLDEST", 3600)
    store = Store()
    shared = Shared(lambda: store.generation)

    def slow() -> bytes:
        before = store.make()
        store.generation += 1
        return before

    assert shared.get("a", slow) == b"0"
    assert shared.get("a", store.make) == b"1"


def test_many_who_ask_at_once_get_one_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sharing, "_OLDEST", 3600)
    store, gate = Store(), threading.Barrier(8)
    shared = Shared(lambda: store.generation)

    def ask(_number: int) -> bytes:
        gate.wait()
        return shared.get("a", store.make)

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(ask, range(8))) == {b"0"}
    assert store.made == 1


def test_what_fails_is_not_kept() -> None:
    shared = Shared(lambda: 0)

    def fail() -> bytes:
        raise LookupError

    with pytest.raises(LookupError):
        shared.get("a", fail)
    assert shared.get("a", lambda: b"fine") == b"fine"
