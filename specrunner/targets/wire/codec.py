"""Records as JSON and back."""

from __future__ import annotations

import functools
from typing import Any, Final, TypeVar, cast

import msgspec

from specrunner.core.errors import BadInput
from specrunner.core.values import Secret

_Record = TypeVar("_Record")
EVENTS: Final = "text/event-stream"  # the media type of server-sent events


def encode(value: object) -> bytes:
    """A record as JSON. Raises TypeError for a secret: none is ever told by accident."""
    return _encoder().encode(value)


def decode(data: bytes, record: type[_Record]) -> _Record:
    """The record in a JSON text. Raises BadInput, naming the field that does not fit."""
    try:
        found: _Record = _decoder(cast("Any", record)).decode(data)
        return found
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as problem:
        raise BadInput("The body is not what this route takes.", detail=f"{problem}.") from problem


def schemas(records: list[Any]) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """The JSON Schemas of records, and the components that they refer to, as OpenAPI 3.1 has them."""
    found, components = msgspec.json.schema_components(records, ref_template="#/components/schemas/{name}")
    return list(found), components


@functools.cache
def _encoder() -> msgspec.json.Encoder:
    return msgspec.json.Encoder(enc_hook=_refuse)


@functools.lru_cache(maxsize=128)
def _decoder(record: Any) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(record)


def _refuse(value: object) -> object:
    what = "a secret" if isinstance(value, Secret) else type(value).__name__
    raise TypeError(f"{what} is not sent")
