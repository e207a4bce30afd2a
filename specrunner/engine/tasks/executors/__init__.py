"""Adapters of the `Executor` port: where a run's supervisor is started."""
