"""Leases, what this folder remembers of each owner, and the indexes that keep every look-up at one row."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_INDEXES = (
    ("ix_attachments_connection", "attachments", ["connection_id"]),
    ("ix_deployments_version", "deployments", ["version_id"]),
    ("ix_holds_holder", "holds", ["holder"]),
    ("ix_tasks_orchestration", "tasks", ["orchestration_id"]),
    ("ix_runs_key", "runs", ["task_key", "created_at"]),
    ("ix_runs_orchestration", "runs", ["orchestration_id"]),
)


def upgrade() -> None:
    """Make the table and the indexes; who has applied here before is remembered from now on."""
    _leases()
    for name, table, columns in _INDEXES:
        op.create_index(name, table, columns, unique=False)
    op.execute(
        "insert into facts (name, value) "
        "select distinct 'remembered:' || project || '/' || environment, 'yes' from ownership"
    )


def downgrade() -> None:
    """Drop them; whoever holds a lease is not told."""
    op.execute("delete from facts where name like 'remembered:%'")
    for name, table, _ in _INDEXES:
        op.drop_index(name, table_name=table)
    op.drop_table("leases")


def _leases() -> None:
    op.create_table(
        "leases",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("who", sa.String(), nullable=False),
        sa.Column("host", sa.String(), nullable=False),
        sa.Column("pid", sa.Integer(), nullable=False),
        sa.Column("since", sa.String(), nullable=False),
        sa.Column("token", sa.String(), nullable=False),
        sa.Column("started", sa.Float(), nullable=False),
        sa.Column("boot", sa.String(), nullable=False),
        sa.Column("url", sa.String(), nullable=False),
        sa.Column("heartbeat", sa.String(), nullable=False),
        sa.Column("expires", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
