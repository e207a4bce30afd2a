"""Values as YAML, the same text as PyYAML gives, only sooner: most of what records hold needs no quotes.

A plain text, a number or a word goes straight to its line; what may need quotes is asked of PyYAML, text by text;
what spans lines, or is unusual in any other way, is left to PyYAML with the whole document.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

import yaml

from specrunner.core.values import Json

_WIDTH: Final = 120
# Begins with a letter and holds nothing that YAML gives a meaning; or a digest that no number looks like.
_PLAIN: Final = re.compile(
    r"[A-Za-z_][A-Za-z0-9_./-]*(?: [A-Za-z0-9_./][A-Za-z0-9_./-]*)*|[0-9a-f]*[acdf][0-9a-f]*", re.ASCII
)
_WORDS: Final = frozenset({"null", "true", "false", "yes", "no", "on", "off", "y", "n"})
_LONGEST_KEY: Final = 100  # longer keys are written in another form
_LONGEST_TEXT: Final = 60  # of a text that PyYAML is asked for alone: longer ones may be broken into lines


class _Unusual(Exception):
    """This document is for PyYAML."""


def to_yaml(value: Json) -> bytes:
    """A value as YAML, keys in the order given; text of several lines stands as a block."""
    try:
        if not isinstance(value, dict) or not value:
            raise _Unusual
        return ("\n".join(_mapping(value, "")) + "\n").encode()
    except _Unusual:
        return by_library(value)


def with_block(text: bytes, block: str) -> bytes:
    """The same with lines set in before `applied`, and before all that stands between the hash of the spec and it."""
    if not block:
        return text
    head, mark, rest = text.partition(b"\nspecHash: ")
    line, newline, tail = rest.partition(b"\n")
    return head + mark + line + newline + block.encode() + tail


def by_library(value: Json) -> bytes:
    """The same by PyYAML alone."""
    text: str = yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=_WIDTH)
    return text.encode()


def _mapping(value: Mapping[str, Json], indent: str) -> Iterator[str]:
    for name, item in value.items():
        if type(name) is not str or len(name) > _LONGEST_KEY or not _is_plain(name):
            raise _Unusual
        if isinstance(item, dict) and item:
            yield f"{indent}{name}:"
            yield from _mapping(item, f"{indent}  ")
        elif isinstance(item, list) and item:
            yield f"{indent}{name}:"
            yield from _list(item, indent)
        else:
            yield _line(f"{indent}{name}: ", item)


def _list(value: list[Json], indent: str) -> Iterator[str]:
    for item in value:
        if isinstance(item, dict) and item:
            first, *rest = _mapping(item, f"{indent}  ")
            yield f"{indent}- {first.lstrip(' ')}"
            yield from rest
        elif isinstance(item, list) and item:
            raise _Unusual
        else:
            yield _line(f"{indent}- ", item)


def _line(before: str, value: Json) -> str:
    text = _scalar(value)
    if " " in text and len(before) + len(text) >= _WIDTH:
        raise _Unusual  # it may be broken into lines
    return before + text


def _scalar(value: Json) -> str:
    if value is None:
        return "null"
    if value is True or value is False:
        return "true" if value else "false"
    if type(value) is int:
        return str(value)
    if type(value) is str:
        return value if _is_plain(value) else _quoted(value)
    if isinstance(value, dict | list) and not value:
        return "{}" if isinstance(value, dict) else "[]"
    raise _Unusual


@functools.lru_cache(8192)
def _is_plain(text: str) -> bool:
    return _PLAIN.fullmatch(text) is not None and text.lower() not in _WORDS


@functools.lru_cache(8192)
def _quoted(text: str) -> str:
    if len(text) > _LONGEST_TEXT or not text.isprintable():
        raise _Unusual
    written = by_library({"k": text}).decode()
    if not written.startswith("k: ") or written.count("\n") != 1:
        raise _Unusual
    return written[3:-1]


_Base: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)  # libyaml's, where PyYAML was built with it


class _Dumper(_Base):  # type: ignore[misc]
    """Safe YAML; text of several lines stands as a block, because people read these files. No aliases."""

    def ignore_aliases(self, _data: object) -> bool:
        return True


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _represent_text)
_Dumper.add_multi_representer(str, _represent_text)  # the words of our enums
