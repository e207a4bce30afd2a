"""How far each schedule is settled, what holds it back, and why each run is there."""

from __future__ import annotations

from datetime import UTC, datetime

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns. Nobody has kept schedules until now, so what was due before is not made up for."""
    op.add_column("tasks", sa.Column("since", sa.String(), nullable=False, server_default=""))
    op.add_column("tasks", sa.Column("suspended", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.add_column("runs", sa.Column("origin", sa.String(), nullable=False, server_default="hand"))
    op.add_column("runs", sa.Column("due_at", sa.String(), nullable=True))
    op.add_column("runs", sa.Column("first_at", sa.String(), nullable=True))
    op.create_index("ix_runs_status", "runs", ["status"], unique=False)
    now = datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    op.execute(sa.text("update tasks set since = :now").bindparams(now=now))
    op.execute("update runs set origin = 'intent' where intent is not null")


def downgrade() -> None:
    """Drop them: what is suspended runs again, and schedules are kept by nobody."""
    op.drop_index("ix_runs_status", table_name="runs")
    for table, column in (
        ("runs", "first_at"),
        ("runs", "due_at"),
        ("runs", "origin"),
        ("tasks", "suspended"),
        ("tasks", "since"),
    ):
        op.drop_column(table, column)
