"""Environments as people look after them: what is there, who uses it, what may go."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from specrunner.core.lifecycle import OrchestrationState
from specrunner.engine.engine import Engine
from specrunner.engine.packaging.environments import UNUSED, UvEnvironments
from specrunner.engine.packaging.inventory import Kept

__all__ = ["UNUSED", "Kept", "downloads", "kept", "prune", "trim", "users"]


def kept(cache: Path) -> list[Kept]:
    """The environments in a cache, those used last first. Raises PackagingFailed where it can't be read."""
    return UvEnvironments(cache).kept()


def downloads(cache: Path) -> int:
    """The bytes in uv's cache that no environment shares. Raises PackagingFailed."""
    return UvEnvironments(cache).downloads()


def trim(cache: Path, *, wholly: bool) -> int:
    """Have uv drop from its cache what it can not use any more, or all of it; the bytes given back."""
    return UvEnvironments(cache).trim(wholly=wholly)


def users(engine: Engine, cache: Path) -> dict[str, list[str]]:
    """By the name of an environment, the orchestrations and models of this state folder in it, `workspace/name`."""
    environments = UvEnvironments(cache)
    workspaces = {workspace.id: workspace.name for workspace in engine.workspaces.all()}
    found: dict[str, set[str]] = {}
    for version in engine.orchestrations.all():
        if version.status is OrchestrationState.READY:
            name = environments.name(version.lock)
            found.setdefault(name, set()).add(f"{workspaces[version.workspace_id]}/{version.name}")
    for model in engine.models.locked():
        name = environments.name(model.lock)
        found.setdefault(name, set()).add(f"{workspaces[model.workspace_id]}/{model.name}")
    return {name: sorted(names) for name, names in found.items()}


def prune(cache: Path, unused_since: datetime, used: Mapping[str, object], *, really: bool = True) -> list[Kept]:
    """Delete the environments that nobody has used since then; what they were.

    Those that are `used`, by their names, stay, and those of living processes. Unless `really`, nothing is deleted.
    Raises PackagingFailed.
    """
    environments = UvEnvironments(cache)
    before = environments.kept()
    if not really:
        return [one for one in before if one.last_used < unused_since and not one.busy and one.name not in used]
    gone = {folder.name for folder in environments.collect(unused_since, keep=used)}
    return [one for one in before if one.name in gone]
