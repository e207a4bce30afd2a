"""One document against its schema: a quick verdict for all, an explanation for those that failed."""

from __future__ import annotations

from typing import Any

from specrunner.core.keys import Kind
from specrunner.core.values import Json
from specrunner.spec.explain import explain
from specrunner.spec.findings import Finding, Trail, listed, nearest
from specrunner.spec.mistakes import Mistake
from specrunner.spec.positions import Document, Layers, is_quoted, written
from specrunner.spec.schedules import unwrapped
from specrunner.spec.schema import KINDS, schema_of, verdict
from specrunner.spec.spelling import ambiguous_numbers, as_written, has_ambiguous, is_ambiguous
from specrunner.spec.variables import Variables


def fitted(document: Document) -> Json | None:
    """The document with text where its schema wants text, if it fits then; None if not.

    Holds for documents of files in which no variable stands.
    """
    value = with_plain_schedule(document.value)
    kind = value.get("kind")
    if not isinstance(kind, str) or kind not in KINDS:
        return None
    layers = [document]

    def as_text(trail: Trail) -> str | None:
        return written(layers, trail)

    if not verdict(kind).is_valid(value):
        value = as_written(value, schema_of(kind), as_text, lambda trail: is_quoted(layers, trail))
        if not verdict(kind).is_valid(value):
            return None
    is_odd = has_ambiguous(document.file.text) and any(ambiguous_numbers(value, schema_of(kind), as_text))
    return None if is_odd else value


def with_plain_schedule(value: Json) -> Json:
    """The document with a schedule as Python displays it brought to text: YAML takes it for a mapping."""
    spec = value.get("spec")
    schedule = spec.get("schedule") if isinstance(spec, dict) and value.get("kind") == Kind.TASK else None
    plain = unwrapped(schedule)
    return value if plain is schedule else {**value, "spec": {**spec, "schedule": plain}}


def validated(value: Json, layers: Layers, variables: Variables) -> tuple[Json, list[Finding]]:
    """The document with text where its schema wants text, and everything that does not fit."""
    kind = value.get("kind")
    if not isinstance(kind, str) or kind not in KINDS:
        return value, [_unknown_kind(value)]

    def as_text(trail: Trail) -> str | None:
        text = written(layers, trail)
        return variables.written(text) or text if text is not None else None

    findings: list[Finding] = []
    if not verdict(kind).is_valid(value):
        value = as_written(value, schema_of(kind), as_text, lambda trail: is_quoted(layers, trail))
        findings = [] if verdict(kind).is_valid(value) else explain(value, kind)
    if _may_be_ambiguous(layers, variables):
        bad = {finding.trail for finding in findings}
        spellings = ambiguous_numbers(value, schema_of(kind), as_text, lambda trail: written(layers, trail))
        findings += [finding for finding in spellings if finding.trail not in bad]
    return value, findings


def _may_be_ambiguous(layers: Layers, variables: Variables) -> bool:
    if any(has_ambiguous(layer.file.text) for layer in layers):
        return True
    return any(map(is_ambiguous, variables.texts.values())) and any("${" in layer.file.text for layer in layers)


def sound(value: Json, findings: list[Finding]) -> dict[str, dict[str, Any]]:
    """Metadata and spec without the fields that have findings, so that what is left can still be checked."""
    # An ambiguous number is a number all the same.
    bad = {finding.trail[:2] for finding in findings if finding.code != Mistake.AMBIGUOUS_NUMBER}
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
                code=Mistake.UNKNOWN_FIELD,
            )
        return Finding(
            (),
            "'kind' is missing",
            "Every document says what it is.",
            f"Add `kind:` and one of {listed(KINDS)}.",
            code=Mistake.UNKNOWN_KIND,
        )
    kind = str(value["kind"])
    meant = nearest(kind, KINDS)
    remedy = f"Write `kind: {meant}`." if meant else f"Write one of {listed(KINDS)}."
    return Finding(
        ("kind",), f"there is no kind {kind!r}", f"The kinds are {listed(KINDS)}.", remedy, code=Mistake.UNKNOWN_KIND
    )
