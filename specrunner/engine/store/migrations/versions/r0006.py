"""How far each version of a model is, and the lock of its environment."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns. What is there is ONNX, which needs no environment and is ready."""
    for name, default in (("status", "ready"), ("error", ""), ("lock", "")):
        op.add_column("model_versions", sa.Column(name, sa.String(), nullable=False, server_default=default))


def downgrade() -> None:
    """Drop them: what needs an environment can't be deployed any more."""
    for name in ("lock", "error", "status"):
        op.drop_column("model_versions", name)
