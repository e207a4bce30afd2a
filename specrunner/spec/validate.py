"""One document against its schema: a quick verdict for all, an explanation for those that failed."""

from __future__ import annotations

from typing import Any

from specrunner.core.values import Json
from specrunner.spec.explain import as_written, explain
from specrunner.spec.findings import Finding, Trail, listed, nearest
from specrunner.spec.positions import Layers, written
from specrunner.spec.schema import KINDS, schema_of, verdict
from specrunner.spec.variables import Variables


def validated(value: Json, layers: Layers, variables: Variables) -> tuple[Json, list[Finding]]:
    """The document with text where its schema wants text, and everything that does not fit."""
    kind = value.get("kind")
    if not isinstance(kind, str) or kind not in KINDS:
        return value, [_unknown_kind(value)]
    if verdict(kind).is_valid(value):
        return value, []

    def as_text(trail: Trail) -> str | None:
        text = written(layers, trail)
        return variables.written(text) or text if text is not None else None

    value = as_written(value, schema_of(kind), as_text)
    return value, [] if verdict(kind).is_valid(value) else explain(value, kind)


def sound(value: Json, findings: list[Finding]) -> dict[str, dict[str, Any]]:
    """Metadata and spec without the fields that have findings, so that what is left can still be checked."""
    bad = {finding.trail[:2] for finding in findings}
    parts = {name: value.get(name) for name in ("metadata", "spec")}
    return {
        part: {name: item for name, item in fields.items() if (part, name) not in bad}
        for part, fields in parts.items()
        if isinstance(fields, dict)
    }


def _unknown_kind(value: Json) -> Finding:
    if "kind" not in value:
        misspelt = nearest("kind", [name for name in value if name not in {"apiVersion", "metadata", "spec"}])
        if misspelt:
            return Finding(
                (misspelt,),
                f"unknown key {misspelt!r}",
                "A document needs the key `kind`.",
                "Write `kind:` instead.",
                at_key=True,
            )
        return Finding(
            (), "'kind' is missing", "Every document says what it is.", f"Add `kind:` and one of {listed(KINDS)}."
        )
    kind = str(value["kind"])
    meant = nearest(kind, KINDS)
    remedy = f"Write `kind: {meant}`." if meant else f"Write one of {listed(KINDS)}."
    return Finding(("kind",), f"there is no kind {kind!r}", f"The kinds are {listed(KINDS)}.", remedy)
