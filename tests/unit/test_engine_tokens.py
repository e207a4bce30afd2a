"""Tokens, the audit log, and answers that are told again: as the engine keeps them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from specrunner.core.access import Scope
from specrunner.core.errors import BadInput, Conflict, NotFound
from specrunner.engine import audit
from specrunner.engine.answers import KEPT
from specrunner.engine.engine import Engine
from tests.contract.target_samples import SetClock
from tests.integration.engine_samples import at_once


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.fixture
def engine(tmp_path: Path, clock: SetClock) -> Iterator[Engine]:
    with Engine(tmp_path / "state", tmp_path / "cache", clock=clock) as opened:
        yield opened


def test_a_token_is_known_by_its_text_until_it_expires(engine: Engine, clock: SetClock) -> None:
    end = clock.now() + timedelta(hours=1)
    made, secret = engine.tokens.create("ci", [Scope.APPLY], ["lab"], end)
    text = str(secret.reveal())
    assert engine.tokens.of_text(text) == made
    assert (made.identity.who, made.identity.workspaces) == ("token ci", frozenset({"lab"}))
    clock.move(timedelta(minutes=59, seconds=59))
    assert engine.tokens.of_text(text) is not None
    clock.move(timedelta(seconds=1))
    assert engine.tokens.of_text(text) is None and not engine.tokens.any_valid() and engine.tokens.any_made()


def test_nothing_else_is_a_token(engine: Engine) -> None:
    made, secret = engine.tokens.create("ci", [Scope.READ])
    text = str(secret.reveal())
    for wrong in (
        "",
        "spr_",
        f"spr_{made.id}",
        f"spr_{made.id}_",
        text[:-1],
        f"{text}x",
        text.removeprefix("spr_"),
        "é",
    ):
        assert engine.tokens.of_text(wrong) is None


def test_the_text_of_a_token_is_stored_nowhere(engine: Engine) -> None:
    _, secret = engine.tokens.create("ci", [Scope.READ])
    text = str(secret.reveal()).rpartition("_")[2]
    assert text and not any(text.encode() in path.read_bytes() for path in engine.folder.rglob("*") if path.is_file())


def test_a_revoked_token_opens_nothing_and_its_name_is_free(engine: Engine) -> None:
    _, first = engine.tokens.create("ci", [Scope.READ])
    with pytest.raises(Conflict):
        engine.tokens.create("ci", [Scope.READ])
    for _ in range(2):
        assert engine.tokens.revoke("ci").revoked is not None
    assert engine.tokens.of_text(str(first.reveal())) is None
    second, text = engine.tokens.create("ci", [Scope.READ])
    assert engine.tokens.of_text(str(text.reveal())) == second
    engine.tokens.revoke(second.id)
    assert not engine.tokens.any_valid()
    with pytest.raises(NotFound):
        engine.tokens.revoke("nobody")


def test_tokens_that_open_nothing_or_too_much_are_not_made(engine: Engine, clock: SetClock) -> None:
    for name, scopes, workspaces, end in [
        ("", [Scope.READ], None, None),
        ("a\nb", [Scope.READ], None, None),
        ("x", [], None, None),
        ("x", [Scope.READ], [], None),
        ("x", [Scope.ADMIN], ["lab"], None),
        ("x", [Scope.READ], None, clock.now()),
    ]:
        with pytest.raises(BadInput):
            engine.tokens.create(name, scopes, workspaces, end)
    assert engine.tokens.all() == []


def test_the_audit_log_tells_the_newest_first_and_forgets_the_oldest(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit, "MOST", 10)
    monkeypatch.setattr(audit, "_SWEPT_EVERY", 5)
    for number in range(30):
        engine.audit.add("ann", "run", str(number), address="::1")
    found = engine.audit.latest(3)
    assert [entry.subject for entry in found] == ["29", "28", "27"]
    assert [entry.subject for entry in engine.audit.latest(2, before=found[-1].seq)] == ["26", "25"]
    assert len(engine.audit.latest(1000)) == 10
    assert (found[0].who, found[0].action, found[0].address, found[0].outcome) == ("ann", "run", "::1", "done")


def test_what_was_done_for_a_key_is_done_once_also_by_many_at_once(engine: Engine) -> None:
    done: list[int] = []

    def work(number: int) -> int:
        return int(engine.answers.once("ann", "key", lambda: done.append(number) or number))  # type: ignore[func-returns-value]

    answers = at_once(work)
    assert len(done) == 1 and set(answers) == set(done)
    assert engine.answers.once("bob", "key", lambda: "other") == "other"
    assert engine.answers.once("ann", "", lambda: "each time") == "each time"


def test_what_failed_is_not_remembered_and_what_is_old_is_forgotten(engine: Engine, clock: SetClock) -> None:
    def fail() -> str:
        raise Conflict("not now")

    with pytest.raises(Conflict):
        engine.answers.once("ann", "key", fail)
    assert engine.answers.once("ann", "key", lambda: "first") == "first"
    clock.move(KEPT + timedelta(seconds=1))
    engine.answers.once("ann", "another", lambda: "sweeps")
    assert engine.answers.once("ann", "key", lambda: "second") == "second"
