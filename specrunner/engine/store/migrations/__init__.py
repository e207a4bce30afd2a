"""Alembic's side of the store: one revision per change of the tables."""
