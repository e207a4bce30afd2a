"""The tables. Instants are stored as ISO 8601 text in UTC; JSON as text; ids of the platform API as it wants them
(integers for workspaces, models, pipelines and deployments, UUIDs for the rest)."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy import Column, ForeignKey, Index, Integer, LargeBinary, MetaData, String, Table, UniqueConstraint

metadata = MetaData()

# Integer ids are `sqlite_autoincrement`, or SQLite would give the id of a deleted last row to the next one; inference
# logs, and what clients remember, are known by these ids.

# Facts about this state folder itself: its id, the port its API listens on.
facts = Table("facts", metadata, Column("name", String, primary_key=True), Column("value", String, nullable=False))

# Who owns an object, and what was last applied to it; kept beside the objects, whatever their kind.
ownership = Table(
    "ownership",
    metadata,
    Column("key", String, primary_key=True),
    Column("project", String, nullable=False),
    Column("environment", String, nullable=False),
    Column("applied", sa.JSON, nullable=False),
    Column("secrets", sa.JSON, nullable=False),  # path in the spec -> keyed fingerprint
    Column("labels", sa.JSON, nullable=False),
    Column("description", String, nullable=False),
    Column("protect", sa.Boolean, nullable=False),
    Column("updated_at", String, nullable=False),
)

workspaces = Table(
    "workspaces",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", String, nullable=False, unique=True),
    Column("created_at", String, nullable=False),
    sqlite_autoincrement=True,
)

connections = Table(
    "connections",
    metadata,
    Column("id", String, primary_key=True),
    Column("name", String, nullable=False, unique=True),
    Column("type", String, nullable=False),
    Column("details", LargeBinary, nullable=False),  # encrypted
    Column("created_at", String, nullable=False),
)

attachments = Table(
    "attachments",
    metadata,
    Column("workspace_id", ForeignKey("workspaces.id", ondelete="CASCADE"), primary_key=True),
    Column("connection_id", ForeignKey("connections.id", ondelete="CASCADE"), primary_key=True),
    Index("ix_attachments_connection", "connection_id"),
)

models = Table(
    "models",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("workspace_id", ForeignKey("workspaces.id", ondelete="CASCADE"), nullable=False),
    Column("name", String, nullable=False),
    Column("created_at", String, nullable=False),
    UniqueConstraint("workspace_id", "name"),
    sqlite_autoincrement=True,
)

model_versions = Table(
    "model_versions",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("model_id", ForeignKey("models.id", ondelete="CASCADE"), nullable=False),
    Column("version", String, nullable=False, unique=True),
    Column("sha", String, nullable=False),
    Column("size", Integer, nullable=False),
    Column("file_name", String, nullable=False),
    Column("config", sa.JSON, nullable=False),  # framework, declared inputs and outputs, requirements
    Column("status", String, nullable=False, server_default="ready"),
    Column("error", String, nullable=False, server_default=""),
    Column("lock", String, nullable=False, server_default=""),  # of its environment; part of what the version is
    Column("created_at", String, nullable=False),
    Index("ix_model_versions_model", "model_id"),
    sqlite_autoincrement=True,
)

pipelines = Table(
    "pipelines",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("workspace_id", ForeignKey("workspaces.id", ondelete="CASCADE"), nullable=False),
    Column("name", String, nullable=False),
    Column("settings", sa.JSON, nullable=False),  # of its spec, what a definition has no words for
    Column("created_at", String, nullable=False),
    Column("updated_at", String, nullable=False),
    UniqueConstraint("workspace_id", "name"),
    sqlite_autoincrement=True,
)

pipeline_versions = Table(
    "pipeline_versions",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("pipeline_id", ForeignKey("pipelines.id", ondelete="CASCADE"), nullable=False),
    Column("version", String, nullable=False, unique=True),
    Column("definition", sa.JSON, nullable=False),  # as the platform API writes it; {} for an empty one
    Column("definition_hash", String, nullable=False),
    Column("created_at", String, nullable=False),
    # What is served beside the steps: resources and validations, of the spec at the time.
    Column("config", sa.JSON, nullable=False, server_default="{}"),
    Index("ix_pipeline_versions_pipeline", "pipeline_id"),
    sqlite_autoincrement=True,
)

deployments = Table(
    "deployments",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("pipeline_id", ForeignKey("pipelines.id", ondelete="CASCADE"), nullable=False, unique=True),
    Column("version_id", ForeignKey("pipeline_versions.id"), nullable=False),
    Column("updated_at", String, nullable=False),
    Index("ix_deployments_version", "version_id"),
    sqlite_autoincrement=True,
)

# Who keeps a deployment up: `spec`, `user`, or `run:<id>`. It stops when nobody does.
holds = Table(
    "holds",
    metadata,
    Column("deployment_id", ForeignKey("deployments.id", ondelete="CASCADE"), primary_key=True),
    Column("holder", String, primary_key=True),
    Column("since", String, nullable=False),
    # A holder that gave its hold back sees the deployment gone until it deploys again, also if others hold it.
    Column("given_back", sa.Boolean, nullable=False),
    Index("ix_holds_holder", "holder"),
)

orchestrations = Table(
    "orchestrations",
    metadata,
    Column("id", String, primary_key=True),
    Column("workspace_id", ForeignKey("workspaces.id", ondelete="CASCADE"), nullable=False),
    Column("name", String, nullable=False),
    Column("file_name", String, nullable=False),
    Column("sha", String, nullable=False),
    Column("entry", String, nullable=False),
    Column("status", String, nullable=False),
    Column("error", String, nullable=False),
    Column("lock", String, nullable=False),  # resolved requirements, one a line
    Column("environment", String, nullable=False),  # digest of the environment it was packaged into
    Column("created_at", String, nullable=False),
    Column("updated_at", String, nullable=False),
    Index("ix_orchestrations_name", "workspace_id", "name"),
)

tasks = Table(
    "tasks",
    metadata,
    Column("id", String, primary_key=True),
    Column("workspace_id", ForeignKey("workspaces.id", ondelete="CASCADE"), nullable=False),
    Column("name", String, nullable=False),
    Column("orchestration_id", ForeignKey("orchestrations.id"), nullable=False),
    Column("spec", sa.JSON, nullable=False),  # as declared, secrets as references
    Column("secret_env", LargeBinary, nullable=False),  # encrypted
    Column("status", String, nullable=False),
    Column("created_at", String, nullable=False),
    Column("updated_at", String, nullable=False),
    Column("since", String, nullable=False, server_default=""),  # up to where its schedule is settled
    Column("suspended", sa.Boolean, nullable=False, server_default=sa.false()),  # by a command, not by its spec
    UniqueConstraint("workspace_id", "name"),
    Index("ix_tasks_orchestration", "orchestration_id"),
)

runs = Table(
    "runs",
    metadata,
    Column("id", String, primary_key=True),
    Column("task_id", String, nullable=False),  # outlives its task: a record stays
    Column("task_key", String, nullable=False),
    Column("workspace_id", Integer, nullable=False),
    Column("orchestration_id", String, nullable=False),
    Column("sha", String, nullable=False),
    Column("environment", String, nullable=False),
    Column("intent", String),  # run-once tasks; null for a run by hand
    Column("scheduled_at", String),  # scheduled tasks
    Column("attempt", Integer, nullable=False),
    Column("args", sa.JSON, nullable=False),
    Column("status", String, nullable=False),
    Column("reason", String, nullable=False),
    Column("detail", String, nullable=False),
    Column("exit_code", Integer),
    Column("code_started", sa.Boolean, nullable=False),
    Column("results", sa.JSON),
    Column("created_at", String, nullable=False),
    Column("started_at", String),
    Column("ended_at", String),
    Column("origin", String, nullable=False, server_default="hand"),  # see `records.Origin`
    Column("due_at", String),  # when it may start at the earliest; null: at once
    Column("first_at", String),  # of a skip that stands for several instants, the first; `scheduled_at` is the last
    Index("ix_runs_task", "task_id", "created_at"),
    Index("ix_runs_key", "task_key", "created_at"),
    Index("ix_runs_orchestration", "orchestration_id"),
    Index("ix_runs_status", "status"),
    # The identity of a scheduled run: no crash, restart or clock step makes it twice.
    UniqueConstraint("task_id", "scheduled_at"),
)

# Who may write now. A lease ends when it is given back, is not renewed in time, or its holder is dead.
leases = Table(
    "leases",
    metadata,
    Column("name", String, primary_key=True),  # `project/environment`, or `*`
    Column("who", String, nullable=False),
    Column("host", String, nullable=False),
    Column("pid", Integer, nullable=False),
    Column("since", String, nullable=False),
    Column("token", String, nullable=False),
    Column("started", sa.Float, nullable=False),  # of the process, as /proc tells it
    Column("boot", String, nullable=False),
    Column("url", String, nullable=False),
    Column("heartbeat", String, nullable=False),
    Column("expires", String, nullable=False),
)

# People who may call the platform API; without any, this machine's user is the only one.
users = Table(
    "users",
    metadata,
    Column("id", String, primary_key=True),
    Column("email", String, nullable=False, unique=True),
    Column("password", String, nullable=False),  # salted and hashed, see `engine.users`
    Column("admin", sa.Boolean, nullable=False),
    Column("enabled", sa.Boolean, nullable=False),
    Column("created_at", String, nullable=False),
)

# Which workspaces a person may use; `user_id` may be of a client that needed no log-in.
memberships = Table(
    "memberships",
    metadata,
    Column("workspace_id", ForeignKey("workspaces.id", ondelete="CASCADE"), primary_key=True),
    Column("user_id", String, primary_key=True),
    Column("role", String, nullable=False),
    Index("ix_memberships_user", "user_id"),
)

tags = Table(
    "tags",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("tag", String, nullable=False),
    sqlite_autoincrement=True,
)

tagged = Table(
    "tagged",
    metadata,
    Column("tag_id", ForeignKey("tags.id", ondelete="CASCADE"), primary_key=True),
    Column("kind", String, primary_key=True),  # `model` (a version's id) or `pipeline`
    Column("object_id", Integer, primary_key=True),
    Index("ix_tagged_object", "kind", "object_id"),
)

# What callers of the platform API said of an object and the engine has no use for: it is told again as it was said.
remarks = Table(
    "remarks",
    metadata,
    Column("subject", String, primary_key=True),  # `task:<id>`, `model:<id>`, `pipeline:<id>`, `user:<id>`, ...
    Column("name", String, primary_key=True),
    Column("value", sa.JSON, nullable=False),
)

# Append-only history, written in the transaction that changes the row.
events = Table(
    "events",
    metadata,
    Column("seq", Integer, primary_key=True),
    Column("at", String, nullable=False),
    Column("subject", String, nullable=False),  # `run:<id>`, `task:<id>`, `orchestration:<id>`, `deployment:<id>`
    Column("event", String, nullable=False),
    Column("data", sa.JSON, nullable=False),
)

# Who may call the API; the secret of a token is known to its owner alone.
tokens = Table(
    "tokens",
    metadata,
    Column("id", String, primary_key=True),
    Column("name", String, nullable=False),
    Column("digest", String, nullable=False),  # sha256 of the secret
    Column("scopes", sa.JSON, nullable=False),
    Column("workspaces", sa.JSON(none_as_null=True)),  # names; null: all
    Column("created_at", String, nullable=False),
    Column("expires_at", String),  # null: never
    Column("revoked_at", String),
)

# Who did what through the API: append-only.
audit = Table(
    "audit",
    metadata,
    Column("seq", Integer, primary_key=True),
    Column("at", String, nullable=False),
    Column("who", String, nullable=False),
    Column("action", String, nullable=False),
    Column("subject", String, nullable=False),
    Column("address", String, nullable=False),
    Column("outcome", String, nullable=False),
    sqlite_autoincrement=True,
)

# What requests with an idempotency key came to; kept for a day.
answers = Table(
    "answers",
    metadata,
    Column("key", String, primary_key=True),  # sha256 of caller and key
    Column("at", String, nullable=False),
    Column("answer", sa.JSON, nullable=False),
    Index("ix_answers_at", "at"),
)
