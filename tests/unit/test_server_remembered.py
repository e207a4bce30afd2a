"""Answers that are kept until anybody writes."""

from __future__ import annotations

import pytest

from specrunner.server.remembered import Remembered


class Store:
    def __init__(self) -> None:
        self.generation = 1
        self.asked: list[tuple[str, ...]] = []
        self.answer = "first"

    def ask(self, *key: str) -> str:
        self.asked.append(key)
        if self.answer == "gone":
            raise LookupError(key)
        return self.answer


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
def remembered(store: Store) -> Remembered[str, str]:
    return Remembered(lambda: store.generation, store.ask)


def test_a_question_that_comes_again_is_not_asked_again(store: Store, remembered: Remembered[str, str]) -> None:
    assert [remembered("a"), remembered("a"), remembered("b")] == ["first"] * 3
    assert store.asked == [("a",), ("b",)]


def test_a_write_by_anybody_makes_every_question_be_asked_anew(store: Store, remembered: Remembered[str, str]) -> None:
    remembered("a")
    store.generation, store.answer = 2, "second"
    assert remembered("a") == "second"


def test_what_is_raised_is_not_kept(store: Store, remembered: Remembered[str, str]) -> None:
    store.answer = "gone"
    with pytest.raises(LookupError):
        remembered("a")
    store.answer = "back"
    assert remembered("a") == "back"


def test_a_write_while_an_answer_is_sought_makes_it_be_asked_again(
    store: Store, remembered: Remembered[str, str]
) -> None:
    asking: Remembered[str, str] = Remembered(lambda: store.generation, lambda key: written_meanwhile(store, key))
    assert asking("a") == "old"
    assert asking("a") == "new"


def written_meanwhile(store: Store, _key: str) -> str:
    found = "old" if store.generation == 1 else "new"
    if store.generation == 1:
        store.generation = 2
    return found
