"""What a version of a pipeline is served with, beside its steps."""

from __future__ import annotations

import json

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column. Until now resources were the pipeline's, and every version was served with those."""
    op.add_column("pipeline_versions", sa.Column("config", sa.JSON(), nullable=False, server_default="{}"))
    change = sa.text("update pipeline_versions set config = :config where pipeline_id = :pipeline")
    for identity, settings in op.get_bind().execute(sa.text("select id, settings from pipelines")).all():
        resources = json.loads(settings).get("resources")
        if resources:
            op.execute(change.bindparams(config=json.dumps({"resources": resources}), pipeline=identity))


def downgrade() -> None:
    """Drop it: versions are served with the resources of their pipeline again."""
    op.drop_column("pipeline_versions", "config")
