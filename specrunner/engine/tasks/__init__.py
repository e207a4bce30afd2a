"""Tasks and their runs: the records of them, and the processes.

`supervisor` is the small program that owns one run's process tree; it imports nothing but the standard
library, and neither does this file, which stands on its import path. `processes` tells processes apart and
ends whole trees, `logs` reads and writes a run's log, `executors/` start supervisors here or elsewhere.
"""
