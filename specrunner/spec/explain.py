"""Why a document does not fit its schema, in words: one finding per mistake.

What `spelling` leaves wrong is explained by jsonschema; a required key that is missing only because it was misspelt
is told once, as the misspelling.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from specrunner.core.values import Json
from specrunner.spec.findings import MOST, Finding, Trail, listed, nearest
from specrunner.spec.mistakes import Mistake
from specrunner.spec.repairs import repaired
from specrunner.spec.schema import schema_of
from specrunner.spec.wording import (
    NOUNS,
    example_of,
    kinds_of,
    named,
    prefix_of,
    purpose_of,
    sentence,
    shown,
    write,
    written,
)

if TYPE_CHECKING:
    from jsonschema.exceptions import ValidationError


def explain(value: Json, kind: str) -> list[Finding]:
    """What is wrong with a document of this kind; at least one finding."""
    found: list[Finding] = []
    for error in map(_Failure.of, _validator(kind).iter_errors(value)):
        # `not` with `required` holds of whatever is no mapping; that it is none is told as such.
        if error.keyword != "not" or isinstance(error.instance, dict):
            found += _explained(error)
        if len(found) > MOST:
            break
    misspelt = {(finding.trail[:-1], finding.meant) for finding in found if isinstance(finding, _Unknown)}
    kept = [finding for finding in found if not isinstance(finding, _Missing) or finding.where not in misspelt]
    # Should the two libraries differ, a document that failed is still never passed in silence.
    return list(dict.fromkeys(kept)) or [
        Finding(
            (),
            f"this is not a valid {kind}",
            "The schema refuses it.",
            "Compare it with `specrunner schema`.",
            code=Mistake.BAD_VALUE,
        )
    ]


@functools.cache
def _validator(kind: str) -> Any:
    # Slow to import, and needed only where something is wrong; slow to make, and there may be many wrong documents.
    from jsonschema import Draft202012Validator
    from jsonschema.validators import extend

    made: Any = extend(Draft202012Validator, {"pattern": _pattern})  # type: ignore[no-untyped-call]  # types lag
    return made(dict(schema_of(kind)))


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
    where = named(trail)
    unknown = (name for name in error.instance if name not in known)
    for name in islice(unknown, MOST + 1):
        meant = nearest(name, free)
        remedy = f"Write `{meant}:` instead." if meant else f"Delete it; {where} may have {listed(known)}."
        yield _Unknown(
            (*trail, name),
            f"unknown key {name!r}",
            f"{sentence(where)} has no such key.",
            remedy,
            at_key=True,
            meant=meant,
            code=Mistake.UNKNOWN_FIELD,
        )


def _missing(error: _Failure, trail: Trail) -> Finding:
    name = next(name for name in error.wanted if name not in error.instance and f"'{name}'" in error.message)
    schema: Any = error.schema
    wanted = schema.get("properties", {}).get(name, {})
    purpose = purpose_of(wanted)
    detail = f"{sentence(named(trail))} needs it: {purpose[:1].lower()}{purpose[1:]}"
    return _Missing(
        trail,
        f"{name!r} is missing",
        detail,
        f"Add `{name}: {example_of(wanted)}`.",
        at_key=True,
        missing=name,
        code=Mistake.MISSING_FIELD,
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
    summary = f"{words} exclude each other" if len(given) > 1 else f"{named(trail)} needs {choice}"
    at, remedy = (trail, f"Write for instance `{example_of(schema)}`.")
    if len(given) > 1:
        at, remedy = (*trail, given[-1]), f"Keep one of {choice}."
    yield Finding(
        at,
        summary,
        f"{sentence(named(trail))} must be {schema.get('title', f'either {choice}')}.",
        remedy,
        at_key=True,
        code=Mistake.EXCLUSIVE_FIELDS,
    )


def _bad_key(error: _Failure, trail: Trail) -> Finding:
    schema: Any = error.schema
    name = str(error.instance)
    detail = f"A name in {named(trail)} must be {schema.get('title')}."
    meant = repaired(name, schema)
    remedy = f"Write `{meant}:` instead." if meant else "Choose another name."
    return Finding(
        (*trail, name), f"{name!r} can't be a key here", detail, remedy, at_key=True, code=Mistake.BAD_FIELD_NAME
    )


def _wrong_type(error: _Failure, trail: Trail) -> Finding:
    schema: Any = error.schema
    expected = schema.get("title") or " or ".join(NOUNS[kind] for kind in kinds_of(schema))
    detail = f"Here stands {shown(error.instance)}."
    is_secret = schema.get("x-def") == "secretSource" and isinstance(error.instance, str)
    if is_secret:
        detail = "Here stands a text. If it is the secret itself, exchange it: whoever reads the repository knows it."
    return Finding(
        trail,
        f"{named(trail)} must be {expected}",
        detail,
        _retyped(error, trail),
        hidden=is_secret,
        code=Mistake.WRONG_TYPE,
    )


def _retyped(error: _Failure, trail: Trail) -> str:
    """What to write where the type is wrong, from what stands there if that can be."""
    schema: Any = error.schema
    kinds, value, prefix = kinds_of(schema), error.instance, prefix_of(trail)
    if value is None and "string" in kinds:
        return f'{write(trail, schema)} If the text is meant, quote it: `{prefix}"null"`.'
    if isinstance(value, str) and kinds == ["array"]:
        return f"Write `{prefix}[{value[:60]}]`."
    if isinstance(value, str) and value.isascii() and value.isdecimal() and "integer" in kinds:
        return f"Write `{prefix}{value}`, without quotes."
    return write(trail, schema)


def _not_allowed(error: _Failure, trail: Trail) -> Finding:
    schema: Any = error.schema
    allowed = [str(value) for value in error.wanted]
    meant = nearest(str(error.instance), allowed) or (allowed[0] if len(allowed) == 1 else None)
    remedy = f"Write `{trail[-1] if trail else ''}: {meant}`." if meant else f"Write one of {listed(allowed)}."
    detail = f"Allowed: {listed(allowed)}. {purpose_of(schema)}"
    code = Mistake.UNKNOWN_VERSION if trail == ("apiVersion",) else Mistake.NOT_ALLOWED
    return Finding(trail, f"{named(trail)} can't be {error.instance!r}", detail, remedy, code=code)


def _unfit(error: _Failure, trail: Trail) -> Finding:
    """Whatever else: the limits of numbers, lengths and patterns, and keys that exclude or need each other."""
    schema: Any = error.schema
    value = error.wanted
    limits = {
        "minimum": f"at least {value}",
        "maximum": f"at most {value}",
        "exclusiveMinimum": f"more than {value}",
        "maxLength": f"at most {value} characters long",
        "minItems": f"a list of at least {value}",
    }
    if error.keyword == "minLength" and "x-def" not in schema:
        return Finding(
            trail,
            f"{named(trail)} can't be empty",
            "Here stands an empty text.",
            write(trail, schema),
            code=Mistake.OUT_OF_RANGE,
        )
    if error.keyword == "uniqueItems":
        return _repeated(error, trail)
    if error.keyword == "not":
        names = " and ".join(f"`{name}`" for name in value["required"])
        return Finding(
            (*trail, value["required"][-1]),
            f"{names} exclude each other",
            "Only one of them can hold.",
            "Delete one of them.",
            at_key=True,
            code=Mistake.EXCLUSIVE_FIELDS,
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
            code=Mistake.LONELY_FIELD,
        )
    expected = schema.get("title") or limits.get(error.keyword, "different")
    shown = written(error.instance)
    is_source = schema.get("x-def") == "secretSource"
    if is_source:
        shown = f"a mapping with {' and '.join(map(str, error.instance)) or 'nothing in it'}"  # never the values
    meant = repaired(error.instance, schema)
    remedy = f"Write `{prefix_of(trail)}{meant}`." if meant else write(trail, schema)
    return Finding(
        trail,
        f"{named(trail)} must be {expected}",
        f"Here stands {shown}.",
        remedy,
        code=_code(error),
        hidden=is_source and "value" in error.instance,
    )


def _repeated(error: _Failure, trail: Trail) -> Finding:
    items: Any = error.instance
    index = next(index for index, item in enumerate(items) if item in items[:index])
    return Finding(
        (*trail, index),
        f"{named(trail)} names {items[index]!r} twice",
        "Every item stands there once.",
        "Delete one of them.",
        code=Mistake.REPEATED_ITEM,
    )


_FORMS: Final = {
    "dnsName": Mistake.BAD_NAME,
    "freeName": Mistake.BAD_NAME,
    "workspaceName": Mistake.BAD_NAME,
    "plainName": Mistake.BAD_NAME,
    "duration": Mistake.BAD_DURATION,
    "size": Mistake.BAD_SIZE,
    "instant": Mistake.BAD_INSTANT,
    "key": Mistake.BAD_REFERENCE,
}
_LIMITS: Final = frozenset({"minimum", "maximum", "exclusiveMinimum", "minLength", "maxLength", "minItems"})


def _code(error: _Failure) -> Mistake:
    schema: Any = error.schema
    if schema.get("x-def") in _FORMS:
        return _FORMS[schema["x-def"]]
    if error.keyword in {"minProperties", "maxProperties"}:
        return Mistake.EXCLUSIVE_FIELDS
    return Mistake.OUT_OF_RANGE if error.keyword in _LIMITS else Mistake.BAD_VALUE
