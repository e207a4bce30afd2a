"""Rows: the tables, their upgrades (Alembic), and one connection policy for every process that opens them."""
