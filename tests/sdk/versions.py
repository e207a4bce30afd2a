"""The clients that are driven; a module of its own, because their interpreters have nothing else of ours."""

from __future__ import annotations

NEW, OLD, OURS = "2026.1.3", "2023.2.0", "specrunner"
VERSIONS = (NEW, OLD, OURS)
