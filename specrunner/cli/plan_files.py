"""Plan files: written once reviewed plans are wanted, and read by `apply PLANFILE`."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from specrunner.core.errors import SpecrunnerError, UsageError
from specrunner.core.plan import from_json, to_json

if TYPE_CHECKING:
    from specrunner.core.plan import Plan


def save(plan: Plan, file: Path) -> None:
    """Write a plan file, whole or not at all. Raises SpecrunnerError where it can't be written."""
    text = json.dumps(to_json(plan), indent=2, ensure_ascii=False)
    part = None
    try:
        descriptor, part = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}-")
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            stream.write(f"{text}\n")
        Path(part).chmod(0o644)
        Path(part).replace(file)
    except OSError as problem:
        if part:
            Path(part).unlink(missing_ok=True)
        raise SpecrunnerError(
            f"The plan can't be saved as {file}: {problem.strerror}.", remedy="Name a file that you may write."
        ) from problem


def read_plan(file: Path) -> Plan:
    """A plan file. Raises UsageError where there is none, SpecrunnerError for one that can't be used."""
    try:
        return from_json(json.loads(file.read_bytes()))
    except OSError as problem:
        raise UsageError(
            f"The plan file {file} can't be read: {problem.strerror}.",
            remedy="Make it with `specrunner plan --out FILE`.",
        ) from problem
    except (ValueError, RecursionError) as problem:
        raise SpecrunnerError(
            f"{file} is no plan file.",
            detail=f"It is no JSON: {problem}.",
            remedy="Make it anew with `specrunner plan --out FILE`.",
        ) from problem
