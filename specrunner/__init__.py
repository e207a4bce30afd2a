"""specrunner turns a git repository of YAML into running machine-learning workloads.

This module stays empty but for the version: the supervisor of a run and the SDK inside a run import it, and
must start fast.
"""

__version__ = "0.1.0"
