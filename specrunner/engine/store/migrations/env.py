"""Run by Alembic: applies the revisions over the connection that `store.database` hands in."""

from __future__ import annotations

from alembic import context

from specrunner.engine.store.tables import metadata

connection = context.config.attributes["connection"]
# Batch mode, because SQLite cannot alter most things in place.
context.configure(connection=connection, target_metadata=metadata, render_as_batch=True)
with context.begin_transaction():
    context.run_migrations()
