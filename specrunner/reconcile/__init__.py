"""The imperative shell of plan and apply: read both sides, let `core` decide, carry it out in order, in parallel."""
