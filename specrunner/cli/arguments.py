"""Arguments for a run, as they are typed: `--arg name=text` and `--arg-json name=JSON`."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

import click

from specrunner.core.errors import UsageError
from specrunner.core.values import Json

_Command = TypeVar("_Command", bound=Callable[..., Any])


def arguments_options(command: _Command) -> _Command:
    """`--arg NAME=TEXT` and `--arg-json NAME=JSON`, as often as there are arguments."""
    command = click.option(
        "--arg-json",
        "as_values",
        metavar="NAME=JSON",
        multiple=True,
        help='An argument that is no text, `rows=5` or `days=["mon"]` for instance; may be given several times.',
    )(command)
    return click.option(
        "--arg",
        "as_texts",
        metavar="NAME=TEXT",
        multiple=True,
        help="An argument for this run alone, in the place of the declared one; may be given several times.",
    )(command)


def given_arguments(as_texts: Iterable[str], as_values: Iterable[str]) -> dict[str, Json]:
    """What was typed, by name. Raises UsageError for what can't be read, and for a name that is given twice."""
    found: dict[str, Json] = {}
    for name, value in [*_texts(as_texts), *_values(as_values)]:
        if name in found:
            raise UsageError(f"The argument {name!r} is given twice.", remedy="Leave one of the two out.")
        found[name] = value
    return found


def _texts(typed: Iterable[str]) -> Iterator[tuple[str, Json]]:
    for text in typed:
        yield _parted(text, "--arg", "TEXT")


def _values(typed: Iterable[str]) -> Iterator[tuple[str, Json]]:
    for text in typed:
        name, value = _parted(text, "--arg-json", "JSON")
        try:
            yield name, json.loads(value, parse_constant=_no_number)
        except ValueError as problem:
            raise UsageError(
                f"The argument {name!r} is no JSON: {problem}.",
                remedy=f"Write a text with `--arg '{name}=...'`, or JSON, such as 5, true or [1, 2].",
            ) from problem


def _parted(text: str, option: str, form: str) -> tuple[str, str]:
    name, separator, value = text.partition("=")
    if not name or not separator:
        raise UsageError(f"{text!r} names no argument and its value.", remedy=f"Write `{option} NAME={form}`.")
    return name, value


def _no_number(name: str) -> Json:
    raise ValueError(f"{name} is no number that JSON knows")
