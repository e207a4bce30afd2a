"""What the embedded engine cannot do, and which files it cannot use: told before anything is written."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from specrunner.core.errors import Diagnostic, SpecrunnerError
from specrunner.core.keys import Kind
from specrunner.core.resources import Resource

if TYPE_CHECKING:
    from specrunner.engine.engine import Engine


def unsupported(resources: Iterable[Resource]) -> list[Diagnostic]:
    """Declarations that the engine has no way to carry out."""
    return [problem for resource in resources for problem in _unsupported(resource)]


def _unsupported(resource: Resource) -> Iterator[Diagnostic]:
    spec = resource.spec
    if resource.key.kind is Kind.MODEL and spec.get("framework") != "onnx":
        yield Diagnostic(
            f"{resource.key}: models of the framework {spec.get('framework')!r} can't be served by this target",
            "It loads ONNX models only.",
            "Convert the model to ONNX and declare `framework: onnx`.",
            resource.place,
        )


def unfit(engine: Engine, resources: Iterable[Resource]) -> list[Diagnostic]:
    """Model files that do not load."""
    found = []
    for resource in resources:
        if resource.key.kind is Kind.MODEL and resource.payload is not None:
            try:
                engine.planes.try_model(resource.payload.file_name, resource.payload.read())
            except SpecrunnerError as problem:
                words = f"{resource.key}: {problem.summary}"
                found.append(Diagnostic(words, problem.detail, problem.remedy, resource.place))
    return found
