"""Renderers of plans, outcomes and diagnostics; they know nothing of diffing."""
