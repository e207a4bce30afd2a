"""A glance at the project: which target it declares, whatever else is wrong with the specs. Loads nothing heavy."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import yaml

from specrunner.core.values import Json

_PROJECT_FILE: Final = "specrunner.yaml"
_LARGEST: Final = 2**20  # bytes
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def declared_target(root: Path) -> Json:
    """The target of the project in its default environment, as it is written; None where the file can't be read.

    Where none is written it is `local`. Judges nothing, and raises nothing.
    """
    try:
        spec = _spec(root / _PROJECT_FILE)
        environments, name = spec.get("environments") or {}, spec.get("defaultEnvironment", "default")
        return (environments.get(name) or {}).get("target", spec.get("target", "local"))
    except (OSError, ValueError, TypeError, AttributeError, RecursionError, yaml.YAMLError):
        return None


def declared_variables(root: Path, environment: str | None) -> dict[str, Json]:
    """The variables of an environment, or of the default one, as they are written; none where they can't be read."""
    try:
        spec = _spec(root / _PROJECT_FILE)
        name = environment or spec.get("defaultEnvironment", "default")
        return dict(((spec.get("environments") or {}).get(name) or {}).get("vars") or {})
    except (OSError, ValueError, TypeError, AttributeError, RecursionError, yaml.YAMLError):
        return {}


def _spec(file: Path) -> dict[str, Any]:
    with file.open("rb") as stream:
        data = stream.read(_LARGEST + 1)
    if len(data) > _LARGEST:
        raise ValueError("too large")
    documents = yaml.load_all(data, Loader=_Loader)
    found = next((one for one in documents if isinstance(one, dict) and one.get("kind") == "Project"), None)
    if found is None:
        raise ValueError("no project")
    return found.get("spec") or {}
