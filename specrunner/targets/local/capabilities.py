"""What the embedded engine cannot do, and which files it cannot use: told before anything is written."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from specrunner.core.errors import Diagnostic, SpecrunnerError
from specrunner.core.keys import Kind
from specrunner.core.resources import Resource

if TYPE_CHECKING:
    from specrunner.engine.engine import Engine


def unsupported(_resources: Iterable[Resource]) -> list[Diagnostic]:
    """Declarations that the engine has no way to carry out: none, it serves all that specs can declare."""
    return []


def unfit(engine: Engine, resources: Iterable[Resource]) -> list[Diagnostic]:
    """Model files that do not load, or can't be of their framework."""
    found = []
    for resource in resources:
        if resource.key.kind is Kind.MODEL and resource.payload is not None:
            try:
                engine.loading.check(resource.payload.file_name, resource.payload.read(), resource.spec)
            except SpecrunnerError as problem:
                words = f"{resource.key}: {problem.summary}"
                found.append(Diagnostic(words, problem.detail, problem.remedy, resource.place))
    return found
