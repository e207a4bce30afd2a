"""What the things of a platform have in common here: an id, what was told of them, and a table for lists of them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, TypeVar

from specrunner.sdk import display
from specrunner.sdk.object import RequiredAttributeMissing
from specrunner.sdk.session import Session

_One = TypeVar("_One")


class Entity(ABC):
    """One thing of the platform. `data` is what was told: `id` must be there, the rest is asked for when wanted."""

    _can_be_absent: ClassVar[frozenset[str]] = frozenset()  # attributes that the platform may leave out

    def __init__(self, session: Session, data: Mapping[str, Any]) -> None:
        if "id" not in data:
            raise RequiredAttributeMissing(type(self).__name__, "id")
        self._session = session
        self._data = dict(data)

    def id(self) -> str:
        """The platform's id."""
        return str(self._data["id"])

    @abstractmethod
    def _fetched(self) -> Mapping[str, Any]:
        """All that the platform tells of it now."""

    def _refresh(self) -> None:
        self._data.update(self._fetched())

    def _get(self, key: str) -> Any:
        """An attribute, asked for if it is not known; raises RequiredAttributeMissing where it isn't told."""
        if key not in self._data:
            self._refresh()
        if key not in self._data and key not in self._can_be_absent:
            raise RequiredAttributeMissing(type(self).__name__, key)
        return self._data.get(key)


class Listing(list[_One], ABC):
    """Several of a kind, shown as a table in notebooks."""

    _columns: ClassVar[tuple[str, ...]]
    _nothing: ClassVar[str]  # what is shown where there are none

    @abstractmethod
    def _row(self, one: _One) -> Sequence[object]:
        """What its columns say of one."""

    def _repr_html_(self) -> str:
        return display.rows_table(self._columns, [self._row(one) for one in self], self._nothing)
