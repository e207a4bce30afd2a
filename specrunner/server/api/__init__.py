"""`/v1/specrunner/...`: specrunner's own API, for plan and apply from elsewhere, for dashboards and automation.

`table` says what an operation is and serves it; every other module lists its own; `openapi` describes the same table.
Nothing is served that is not described, and the other way round.
"""
