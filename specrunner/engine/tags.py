"""Tags: words that callers of the platform API put on versions of models and on pipelines."""

from __future__ import annotations

from enum import StrEnum

import sqlalchemy as sa

from specrunner.core.errors import NotFound
from specrunner.engine.context import Context
from specrunner.engine.records import Tag
from specrunner.engine.store import tables

_T = tables.tags
_ON = tables.tagged


class Tagged(StrEnum):
    """What can have tags."""

    MODEL = "model"  # a version, by its id
    PIPELINE = "pipeline"


class Tags:
    """The service for tags."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def all(self) -> list[Tag]:
        """Every tag, newest first."""
        return self._select(sa.true())

    def get(self, tag_id: int) -> Tag:
        """The tag of that id. Raises NotFound."""
        found = self._select(_T.c.id == tag_id)
        if not found:
            raise NotFound(f"There is no tag {tag_id}.")
        return found[0]

    def create(self, words: str) -> Tag:
        """A new tag; several may have the same words."""
        with self._context.database.write() as connection:
            tag_id = connection.execute(sa.insert(_T).values(tag=words).returning(_T.c.id)).scalar_one()
        return Tag(int(tag_id), words)

    def put_on(self, tag_id: int, kind: Tagged, object_id: int) -> None:
        """Put a tag on an object; one that it has already is fine. Raises NotFound."""
        self.get(tag_id)
        row = {"tag_id": tag_id, "kind": kind, "object_id": object_id}
        with self._context.database.write() as connection:
            if connection.execute(sa.select(_ON).filter_by(**row)).first() is None:
                connection.execute(sa.insert(_ON).values(row))

    def take_off(self, tag_id: int, kind: Tagged, object_id: int) -> bool:
        """Take a tag off; whether it was there."""
        here = (_ON.c.tag_id == tag_id) & (_ON.c.kind == kind) & (_ON.c.object_id == object_id)
        with self._context.database.write() as connection:
            return connection.execute(sa.delete(_ON).where(here)).rowcount > 0

    def of(self, kind: Tagged, object_id: int) -> list[Tag]:
        """The tags of an object."""
        theirs = sa.select(_ON.c.tag_id).where(_ON.c.kind == kind, _ON.c.object_id == object_id)
        return self._select(_T.c.id.in_(theirs))

    def objects(self, tag_id: int, kind: Tagged) -> list[int]:
        """The ids of the objects that have a tag."""
        query = sa.select(_ON.c.object_id).where(_ON.c.tag_id == tag_id, _ON.c.kind == kind).order_by(_ON.c.object_id)
        with self._context.database.read() as connection:
            return list(connection.execute(query).scalars())

    def _select(self, condition: sa.ColumnElement[bool]) -> list[Tag]:
        query = sa.select(_T).where(condition).order_by(_T.c.id.desc())
        with self._context.database.read() as connection:
            return [Tag(row.id, row.tag) for row in connection.execute(query)]
