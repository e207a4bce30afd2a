"""A write looks at the rows of its own object, however many others there are: SQLite says how it finds them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy import event

from specrunner.core.fields import Action
from specrunner.core.keys import Key, Kind
from specrunner.core.plan import Step
from specrunner.engine.engine import Engine
from specrunner.targets.base import Target
from specrunner.targets.local.target import LocalTarget
from tests.contract.target_samples import Applying, everything
from tests.integration.engine_samples import engine_on


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    with engine_on(tmp_path) as opened:
        yield opened


@pytest.fixture
def target(engine: Engine) -> Target:
    return LocalTarget(engine)


@contextmanager
def statements() -> Iterator[list[tuple[str, Any]]]:
    """What is asked of any database meanwhile."""
    found: list[tuple[str, Any]] = []

    def note(_connection: object, _cursor: object, text: str, values: Any, _context: object, _many: bool) -> None:
        found.append((text, values))

    event.listen(sa.Engine, "before_cursor_execute", note)
    try:
        yield found
    finally:
        event.remove(sa.Engine, "before_cursor_execute", note)


def scans(engine: Engine, asked: list[tuple[str, Any]]) -> list[tuple[str, str]]:
    """The statements that look at every row of a table, and at which."""
    opened, found = sa.create_engine(f"sqlite:///{engine.folder / 'state.db'}"), []
    with opened.connect() as connection:
        for text, values in asked:
            if text.startswith(("SELECT", "UPDATE", "DELETE", "INSERT")):
                one = values[0] if isinstance(values, list) else values
                steps = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}", one)
                found += [(step.detail, text) for step in steps if step.detail.startswith("SCAN")]
    opened.dispose()
    return found


@pytest.mark.parametrize("kind", list(Kind))
def test_no_write_looks_at_every_row(engine: Engine, target: Target, kind: Kind) -> None:
    project = Applying(target)
    resources = everything()
    declared = next(found for found in resources if found.key.kind is kind)
    project.apply([found for found in resources if found.key.kind.rank < kind.rank])
    with statements() as asked:
        target.put(project.order(declared, Step(declared.key, Action.CREATE, "")))
        changed = replace(declared, description="new")
        step = Step(declared.key, Action.UPDATE, "", live=target_live(target, declared.key))
        target.put(project.order(changed, step))
        new = replace(declared, key=declared.key.named("new"))
        step = Step(new.key, Action.UPDATE, "", live=target_live(target, declared.key), renamed_from=declared.key)
        if kind is not Kind.WORKSPACE:
            target.put(project.order(new, step))
            target.delete(Step(new.key, Action.DELETE, "", live=target_live(target, new.key)))
    writes = [text for text, _ in asked if not text.startswith("SELECT")]
    assert len(writes) > 3
    assert scans(engine, asked) == []


def target_live(target: Target, key: Key) -> str:
    """The fingerprint of one object, without asking for the others."""
    from specrunner.targets.local import reading

    assert isinstance(target, LocalTarget)
    found = reading.read_one(target._engine, key)
    assert found is not None
    return found.fingerprint


@pytest.mark.parametrize("kind", list(Kind))
def test_one_object_reads_as_among_all(engine: Engine, target: Target, kind: Kind) -> None:
    from specrunner.targets.local import reading

    project = Applying(target)
    project.apply(everything())
    for key, live in target.read().items():
        if key.kind is kind:
            assert reading.read_one(engine, key) == live
    assert reading.read_one(engine, Key.of(kind, "nobody", "lab")) is None
    assert reading.read_one(engine, Key.of(kind, "nobody", "nowhere")) is None
