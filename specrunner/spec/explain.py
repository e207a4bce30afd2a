"""Why a document does not fit its schema, in words: one finding per mistake.

Scalars come first: where the schema wants text, what was written counts, so that `1.10`, `012` or a `true` in an
environment variable stay the text they are (`as_written`). What still fails is explained by jsonschema; a required
key that is missing only because it was misspelt is told once, as the misspelling.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from specrunner.core.values import Json, JsonObject
from specrunner.spec.findings import Finding, Trail, dotted, listed, nearest
from specrunner.spec.schema import property_schema, schema_of

if TYPE_CHECKING:
    from jsonschema.exceptions import ValidationError

Written = Callable[[Trail], str | None]

_NOUNS: Final = {
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "object": "a mapping",
    "array": "a list",
    "null": "nothing",
}


def as_written(value: Json, schema: JsonObject, written: Written, trail: Trail = ()) -> Json:
    """The value with numbers and booleans as text where the schema wants text; `written` gives the text."""
    if isinstance(value, dict):
        return {
            name: as_written(item, property_schema(schema, name) or {}, written, (*trail, name))
            for name, item in value.items()
        }
    if isinstance(value, list):
        items = schema.get("items", {})
        return [as_written(item, items, written, (*trail, index)) for index, item in enumerate(value)]
    if isinstance(value, bool | int | float) and _wants_text(value, schema):
        return written(trail) or json.dumps(value)
    return value


def _wants_text(value: bool | int | float, schema: JsonObject) -> bool:
    kinds = set(_kinds(schema))
    own = {"integer", "number"} if _type_of(value) == "integer" else {_type_of(value)}
    return "string" in kinds and kinds.isdisjoint(own)


def explain(value: Json, kind: str) -> list[Finding]:
    """What is wrong with a document of this kind; at least one finding."""
    # Slow to import, and needed only where something is wrong.
    from jsonschema import Draft202012Validator
    from jsonschema.validators import extend

    found: list[Finding] = []
    validator: Any = extend(Draft202012Validator, {"pattern": _pattern})  # type: ignore[no-untyped-call]  # types lag
    for error in validator(dict(schema_of(kind))).iter_errors(value):
        found += _explained(_Failure.of(error))
    misspelt = {(finding.trail[:-1], finding.meant) for finding in found if isinstance(finding, _Unknown)}
    kept = [finding for finding in found if not isinstance(finding, _Missing) or finding.where not in misspelt]
    # Should the two libraries differ, a document that failed is still never passed in silence.
    return list(dict.fromkeys(kept)) or [Finding((), f"this is not a valid {kind}", "The schema refuses it.")]


def _pattern(validator: object, pattern: str, instance: Json, schema: Json) -> Iterator[ValidationError]:
    """`pattern` as JSON Schema means it: Python's `$` would let a last line end pass, ECMA's does not."""
    from jsonschema.exceptions import ValidationError

    if isinstance(instance, str) and not re.search(re.sub(r"\$$", r"\\Z", pattern), instance):
        yield ValidationError(f"{instance!r} does not match {pattern!r}")


@dataclass(frozen=True, slots=True)
class _Unknown(Finding):
    """A key that the schema does not have; `meant` is the one that it is close to."""

    meant: str | None = None


@dataclass(frozen=True, slots=True)
class _Missing(Finding):
    """The required key `missing` is not in the mapping at `trail`."""

    missing: str = ""

    @property
    def where(self) -> tuple[Trail, str]:
        """The mapping and the key."""
        return self.trail, self.missing


@dataclass(frozen=True, slots=True)
class _Failure:
    """What jsonschema says of one failure: the keyword that failed, its value in the schema, and what it met."""

    trail: Trail
    keyword: str
    wanted: Any
    instance: Any
    schema: Any
    message: str

    @classmethod
    def of(cls, error: ValidationError) -> _Failure:
        # What is wrong with a key itself comes as the failed keyword of `propertyNames`, at the mapping.
        of_key = "propertyNames" in error.absolute_schema_path
        keyword = "propertyNames" if of_key else str(error.validator)
        trail = tuple(error.absolute_path)
        return cls(trail, keyword, error.validator_value, error.instance, error.schema, error.message)


def _explained(error: _Failure) -> Iterator[Finding]:
    trail = error.trail
    match error.keyword:
        case "additionalProperties":
            yield from _unknown_keys(error, trail)
        case "required":
            yield _missing(error, trail)
        case "oneOf":
            yield from _alternatives(error, trail)
        case "propertyNames":
            yield _bad_key(error, trail)
        case "type":
            yield _wrong_type(error, trail)
        case "enum":
            yield _not_allowed(error, trail)
        case _:
            yield _unfit(error, trail)


def _unknown_keys(error: _Failure, trail: Trail) -> Iterator[Finding]:
    schema: Any = error.schema
    known = list(schema.get("properties", {}))
    free = [name for name in known if name not in error.instance]
    where = f"`{dotted(trail)}`" if trail else "the document"
    for name in error.instance:
        if name in known:
            continue
        meant = nearest(name, free)
        remedy = f"Write `{meant}:` instead." if meant else f"Delete it; {where} may have {listed(known)}."
        yield _Unknown(
            (*trail, name), f"unknown key {name!r}", f"{where} has no such key.", remedy, at_key=True, meant=meant
        )


def _missing(error: _Failure, trail: Trail) -> Finding:
    name = next(name for name in error.wanted if name not in error.instance and f"'{name}'" in error.message)
    schema: Any = error.schema
    wanted = schema.get("properties", {}).get(name, {})
    where = f"`{dotted(trail)}`" if trail else "the document"
    return _Missing(
        trail,
        f"{name!r} is missing",
        f"{where} needs it: {_purpose(wanted)}",
        f"Add `{name}: {_example(wanted)}`.",
        at_key=True,
        missing=name,
    )


def _alternatives(error: _Failure, trail: Trail) -> Iterator[Finding]:
    """Alternatives differ in the keys they require; which were meant is for the writer to say."""
    schema: Any = error.schema
    names = [name for branch in error.wanted for name in branch.get("required", ())]
    if not isinstance(error.instance, dict):
        return  # the type is wrong, and told as such
    given = [name for name in names if name in error.instance]
    words = " and ".join(f"`{name}`" for name in given)
    choice = " or ".join(f"`{name}`" for name in names)
    summary = f"{words} exclude each other" if len(given) > 1 else f"{_name(trail)} needs {choice}"
    example = _example(schema)
    yield Finding(
        trail,
        summary,
        f"It must be {schema.get('title', f'either {choice}')}.",
        f"Keep one of {choice}." if len(given) > 1 else f"Write for instance `{example}`.",
        at_key=True,
    )


def _bad_key(error: _Failure, trail: Trail) -> Finding:
    schema: Any = error.schema
    name = str(error.instance)
    detail = f"A key of {_name(trail)} is {schema.get('title')}."
    return Finding((*trail, name), f"{name!r} can't be a key here", detail, "Choose another name.", at_key=True)


def _wrong_type(error: _Failure, trail: Trail) -> Finding:
    schema: Any = error.schema
    expected = schema.get("title") or " or ".join(_NOUNS[kind] for kind in _kinds(schema))
    found = _NOUNS[_type_of(error.instance)]
    return Finding(trail, f"{_name(trail)} must be {expected}", f"Here stands {found}.", _write(trail, schema))


def _not_allowed(error: _Failure, trail: Trail) -> Finding:
    schema: Any = error.schema
    allowed = [str(value) for value in error.wanted]
    meant = nearest(str(error.instance), allowed) or (allowed[0] if len(allowed) == 1 else None)
    remedy = f"Write `{trail[-1] if trail else ''}: {meant}`." if meant else f"Write one of {listed(allowed)}."
    detail = f"Allowed: {listed(allowed)}. {_purpose(schema)}"
    return Finding(trail, f"{_name(trail)} can't be {error.instance!r}", detail, remedy)


def _unfit(error: _Failure, trail: Trail) -> Finding:
    """Whatever else: the limits of numbers, lengths and patterns, and keys that exclude or need each other."""
    schema: Any = error.schema
    value = error.wanted
    limits = {
        "minimum": f"at least {value}",
        "maximum": f"at most {value}",
        "exclusiveMinimum": f"more than {value}",
        "minLength": "not empty",
        "maxLength": f"at most {value} characters",
        "minItems": f"a list of at least {value}",
        "uniqueItems": "a list without repetitions",
    }
    if error.keyword == "not":
        names = " and ".join(f"`{name}`" for name in value["required"])
        return Finding(
            trail, f"{names} exclude each other", "Only one of them can hold.", "Delete one of them.", at_key=True
        )
    if error.keyword == "dependentRequired":
        missing = next(name for names in value.values() for name in names if name not in error.instance)
        given = next(name for name, names in value.items() if missing in names)
        return Finding(
            (*trail, given),
            f"{given!r} needs {missing!r}",
            "It means nothing alone.",
            f"Add `{missing}`, or delete `{given}`.",
            at_key=True,
        )
    expected = schema.get("title") or limits.get(error.keyword, "different")
    shown = json.dumps(error.instance, ensure_ascii=False, default=str)[:80]
    return Finding(trail, f"{_name(trail)} must be {expected}", f"Here stands {shown}.", _write(trail, schema))


def _name(trail: Trail) -> str:
    return f"`{dotted(trail)}`" if trail else "the document"


def _write(trail: Trail, schema: JsonObject) -> str:
    name = next((part for part in reversed(trail) if isinstance(part, str)), "")
    prefix = f"{name}: " if trail and trail[-1] == name else ""
    return f"Write for instance `{prefix}{_example(schema)}`."


def _example(schema: JsonObject) -> str:
    """A value to write, from the schema's own examples."""
    if schema.get("examples"):
        return json.dumps(schema["examples"][0], ensure_ascii=False).strip('"')
    if "default" in schema:
        return json.dumps(schema["default"]).strip('"')
    if schema.get("enum"):
        return str(schema["enum"][0])
    kind = next(iter(_kinds(schema)), "string")
    return {"object": "{…}", "array": "[…]", "integer": "1", "number": "1", "boolean": "true"}.get(kind, "…")


def _purpose(schema: JsonObject) -> str:
    return str(schema.get("description", ""))


def _kinds(schema: JsonObject) -> list[str]:
    wanted = schema.get("type", [])
    return [wanted] if isinstance(wanted, str) else list(wanted)


def _type_of(value: Json) -> str:
    if isinstance(value, bool):
        return "boolean"
    names = ((str, "string"), (int, "integer"), (float, "number"), (dict, "object"), (list, "array"))
    return next((name for kind, name in names if isinstance(value, kind)), "null")
