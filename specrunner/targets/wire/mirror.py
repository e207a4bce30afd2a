"""Records of core that hold keys, as they travel: the same fields, and each key as its text, `Task/workspace/name`.

What travels is made from the record itself, so a field that is added there travels too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import MISSING, Field, fields
from operator import attrgetter
from typing import Any, Final, Generic, TypeVar, get_type_hints

import msgspec

from specrunner.core.errors import BadInput
from specrunner.core.keys import Key
from specrunner.core.outcome import RunView
from specrunner.core.plan import Step
from specrunner.core.recorded import Recorded
from specrunner.core.resources import LiveObject

_Record = TypeVar("_Record")
_Converter = Callable[[Any], Any]


def told_key(key: Key | None) -> str | None:
    """A key as it travels."""
    return None if key is None else str(key)


def meant_key(text: str) -> Key:
    """The key that is meant. Raises BadInput for what is none."""
    try:
        return Key.parse(text)
    except ValueError as problem:
        raise BadInput(f"{text[:200]!r} is no key.", detail=f"{problem}.") from problem


def meant_keys(texts: Iterable[str]) -> tuple[Key, ...]:
    """Likewise for several."""
    return tuple(map(meant_key, texts))


def _optional(text: str | None) -> Key | None:
    return None if text is None else meant_key(text)


# By the type of a field: the type that travels, and the ways there and back.
_KEYS: Final[dict[Any, tuple[Any, _Converter, _Converter]]] = {
    Key: (str, str, meant_key),
    Key | None: (str | None, told_key, _optional),
    tuple[Key, ...]: (tuple[str, ...], lambda keys: tuple(map(str, keys)), meant_keys),
}


class Mirror(Generic[_Record]):
    """How one kind of record travels: as a `struct`, made by `told` and read by `meant`."""

    def __init__(self, record: type[_Record]) -> None:
        hints = get_type_hints(record)
        found: tuple[Field[Any], ...] = fields(record)  # type: ignore[arg-type]
        self._record = record
        self._values = attrgetter(*(one.name for one in found))
        self._keys = [(at, *_KEYS[hints[one.name]][1:]) for at, one in enumerate(found) if hints[one.name] in _KEYS]
        named = [_field(one, _KEYS.get(hints[one.name], (hints[one.name],))[0]) for one in found]
        self.struct: Any = msgspec.defstruct(record.__name__, named, frozen=True, namespace={"__doc__": record.__doc__})

    def told(self, record: _Record) -> Any:
        """The record as it travels."""
        values = list(self._values(record))
        for at, out, _ in self._keys:
            values[at] = out(values[at])
        return self.struct(*values)

    def meant(self, struct: Any) -> _Record:
        """The record that has travelled. Raises BadInput for what is no key."""
        values = list(self._values(struct))
        for at, _, back in self._keys:
            values[at] = back(values[at])
        return self._record(*values)


def _field(found: Field[Any], kind: Any) -> Any:
    if found.default is not MISSING:
        return (found.name, kind, found.default)
    if found.default_factory is not MISSING:
        return (found.name, kind, msgspec.field(default_factory=found.default_factory))
    return (found.name, kind)


STEP: Final = Mirror(Step)
RUN: Final = Mirror(RunView)
LIVE: Final = Mirror(LiveObject)
RECORDED: Final = Mirror(Recorded)
