"""Renaming: an object keeps its id, its versions and its runs, and takes what is written under its name along.

Rows refer to one another by ids, so most of them follow by themselves. What refers by name does not: ownership
records and runs, which are known by keys, and specs that name other objects. All of it changes in one transaction.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection as Transaction

from specrunner.core.errors import Conflict, NotFound
from specrunner.core.keys import Key, Kind
from specrunner.core.renames import respelt
from specrunner.core.values import digest
from specrunner.engine.context import Context
from specrunner.engine.serving.steps import renamed_model
from specrunner.engine.store import tables

_TABLES: Final[Mapping[Kind, sa.Table]] = {
    Kind.WORKSPACE: tables.workspaces,
    Kind.CONNECTION: tables.connections,
    Kind.MODEL: tables.models,
    Kind.PIPELINE: tables.pipelines,
    Kind.ORCHESTRATION: tables.orchestrations,
    Kind.TASK: tables.tasks,
}
# Whose specs may name an object of a kind.
_NAMED_BY: Final[Mapping[Kind, tuple[Kind, ...]]] = {
    Kind.WORKSPACE: (Kind.CONNECTION, Kind.TASK),
    Kind.MODEL: (Kind.PIPELINE,),
    Kind.ORCHESTRATION: (Kind.TASK,),
}
_O = tables.ownership
_R = tables.runs
_Spec = dict[str, Any]


def rename(context: Context, old: Key, new: Key) -> None:
    """Give an object another key, its workspace included. One that has the new key already is fine.

    Raises NotFound where neither is there, Conflict where both are.
    """
    with context.database.write() as transaction:
        if _is_there(transaction, new):
            if _is_there(transaction, old):
                raise Conflict(f"{old} can't be renamed to {new}: that exists already.")
            return
        values: dict[str, Any] = {"name": new.name}
        if new.kind.in_workspace:
            values["workspace_id"] = _workspace_id(transaction, new.workspace)
        if not transaction.execute(sa.update(_TABLES[old.kind]).where(_here(old)).values(values)).rowcount:
            raise NotFound(f"There is no {old}.")
        _follow(transaction, old, new)


def _is_there(transaction: Transaction, key: Key) -> bool:
    return transaction.execute(sa.select(sa.literal(1)).where(_here(key)).limit(1)).first() is not None


def _here(key: Key) -> sa.ColumnElement[bool]:
    table = _TABLES[key.kind]
    if not key.kind.in_workspace:
        return table.c.name == key.name
    workspace = sa.select(tables.workspaces.c.id).where(tables.workspaces.c.name == key.workspace).scalar_subquery()
    return (table.c.name == key.name) & (table.c.workspace_id == workspace)


def _workspace_id(transaction: Transaction, name: str) -> int:
    found = transaction.execute(sa.select(tables.workspaces.c.id).where(tables.workspaces.c.name == name)).scalar()
    if found is None:
        raise NotFound(f"There is no workspace {name!r}.")
    return int(found)


def _follow(transaction: Transaction, old: Key, new: Key) -> None:
    _move_record(transaction, str(old), str(new))
    if old.kind is Kind.TASK:
        values = {"task_key": str(new), "workspace_id": _workspace_id(transaction, new.workspace)}
        transaction.execute(sa.update(_R).where(_R.c.task_key == str(old)).values(values))
    if old.kind is Kind.WORKSPACE:
        _move_contents(transaction, old.name, new.name)
    if old.kind in {Kind.PIPELINE, Kind.MODEL}:
        _rewrite_definitions(transaction, old, new)
    if old.kind in {Kind.ORCHESTRATION, Kind.WORKSPACE}:
        _rewrite_tasks(transaction, old, new)
    _rewrite_applied(transaction, old, new)


def _move_record(transaction: Transaction, old: str, new: str) -> None:
    # Under the new key there may be the record of an object that somebody has removed.
    transaction.execute(sa.delete(_O).where(_O.c.key == new))
    transaction.execute(sa.update(_O).where(_O.c.key == old).values(key=new))


def _move_contents(transaction: Transaction, old: str, new: str) -> None:
    for kind in (kind for kind in Kind if kind.in_workspace):
        before, after = f"{kind}/{old}/", f"{kind}/{new}/"
        for key in _beginning_with(transaction, _O.c.key, before):
            _move_record(transaction, key, after + key.removeprefix(before))
    before, after = f"{Kind.TASK}/{old}/", f"{Kind.TASK}/{new}/"
    for key in _beginning_with(transaction, _R.c.task_key, before):
        change = sa.update(_R).where(_R.c.task_key == key).values(task_key=after + key.removeprefix(before))
        transaction.execute(change)


def _beginning_with(transaction: Transaction, column: sa.Column[Any], prefix: str) -> list[str]:
    query = sa.select(column).where(_begins(column, prefix)).distinct()
    return [str(found) for found in transaction.execute(query).scalars()]


def _begins(column: sa.Column[Any], prefix: str) -> sa.ColumnElement[bool]:
    """Whether a text begins with a prefix that ends in a slash: as a range, which an index answers."""
    return (column >= prefix) & (column < f"{prefix[:-1]}0")  # "0" is the character after "/"


def _rewrite_definitions(transaction: Transaction, old: Key, new: Key) -> None:
    """Pipelines name themselves and their models in what the platform API shows."""
    pipelines, versions = tables.pipelines, tables.pipeline_versions
    itself = old.kind is Kind.PIPELINE
    here = pipelines.c.workspace_id == _workspace_id(transaction, (new if itself else old).workspace)
    mention = pipelines.c.name == new.name if itself else _mentions(versions.c.definition, old.name)
    query = sa.select(versions.c.id, versions.c.definition).join(pipelines).where(here, mention)
    for identity, definition in transaction.execute(query).all():
        changed = _definition(definition, old, new)
        if changed != definition:
            values = {"definition": changed, "definition_hash": digest(changed)}
            transaction.execute(sa.update(versions).where(versions.c.id == identity).values(values))


def _definition(definition: _Spec, old: Key, new: Key) -> _Spec:
    if old.kind is Kind.PIPELINE:
        return definition | {"id": new.name} if "id" in definition else definition
    return dict(definition) | {"steps": renamed_model(list(definition.get("steps", ())), old.name, new.name)}


def _rewrite_tasks(transaction: Transaction, old: Key, new: Key) -> None:
    """The specs of tasks, in which orchestrations and workspaces stand by their names."""
    tasks, workspaces = tables.tasks, tables.workspaces
    query = sa.select(tasks.c.id, tasks.c.name, tasks.c.spec, workspaces.c.name.label("workspace")).join(workspaces)
    if old.kind is Kind.ORCHESTRATION:
        query = query.where(workspaces.c.name == old.workspace)
    for row in transaction.execute(query.where(_mentions(tasks.c.spec, old.name))).all():
        changed = respelt(Key(Kind.TASK, row.workspace, row.name), row.spec, {old: new})
        if changed != row.spec:
            transaction.execute(sa.update(tasks).where(tasks.c.id == row.id).values(spec=changed))


def _rewrite_applied(transaction: Transaction, old: Key, new: Key) -> None:
    """What was last applied to others that name this object."""
    for kind in _NAMED_BY.get(old.kind, ()):
        ours = _begins(_O.c.key, f"{kind}/{old.workspace}/" if old.workspace else f"{kind}/")
        query = sa.select(_O.c.key, _O.c.applied).where(ours, _mentions(_O.c.applied, old.name))
        for text, applied in transaction.execute(query).all():
            changed = respelt(Key.parse(text), applied, {old: new})
            if changed != applied:
                transaction.execute(sa.update(_O).where(_O.c.key == text).values(applied=changed))


def _mentions(column: sa.Column[Any], name: str) -> sa.ColumnElement[bool]:
    """Whether a JSON text holds this name somewhere: only such rows need a closer look."""
    return sa.func.instr(sa.type_coerce(column, sa.String), json.dumps(name)) > 0
