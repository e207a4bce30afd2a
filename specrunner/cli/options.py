"""Options that several commands share, and how their values are read."""

from __future__ import annotations

import difflib
import functools
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, TypeVar, cast

import click

from specrunner.cli.offline import offline_option
from specrunner.core.errors import UsageError
from specrunner.core.keys import Key, Kind

_Command = TypeVar("_Command", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Asked:
    """What a plan is asked for, as it was typed; empty, it is all that is declared."""

    select: frozenset[Key]
    since: str | None
    adopt: frozenset[Key]
    no_destroy: bool
    allow_plaintext: bool
    offline: bool

    @property
    def narrows(self) -> bool:
        """Whether another plan comes of it than that of everything."""
        return bool(self.select or self.since or self.adopt or self.no_destroy)


def gathered(kind: type[Any], name: str, *options: Callable[[_Command], _Command]) -> Callable[[_Command], _Command]:
    """Options that give one argument called `name`: a `kind`, whose fields they are."""
    names = tuple(one.name for one in fields(kind))

    def decorator(command: _Command) -> _Command:
        @functools.wraps(command)
        def gathering(**values: Any) -> Any:
            found = kind(**{each: values.pop(each) for each in names})
            return command(**{name: found}, **values)

        return functools.reduce(lambda found, option: option(found), reversed(options), cast("_Command", gathering))

    return decorator


def key(text: str) -> Key:
    """A key as it stands in plans: `Kind/workspace/name`, or `Kind/name` for workspaces and connections.

    Raises UsageError, naming the nearest kind.
    """
    try:
        return Key.parse(text)
    except ValueError as problem:
        raise UsageError(f"{text!r} is no key.", remedy=_nearest_form(text)) from problem


def seconds(text: str) -> float:
    """The seconds of a time such as `90`, `30s` or `10m`. Raises UsageError."""
    from specrunner.core.values import parse_duration

    try:
        return float(parse_duration(text))
    except ValueError as problem:
        raise UsageError(f"{problem}.", remedy="Write for instance `10m`.") from problem


def _nearest_form(text: str) -> str:
    head, _, rest = text.partition("/")
    near = difflib.get_close_matches(head.capitalize(), list(Kind), n=1, cutoff=0.5)
    kind = Kind(near[0]) if near else Kind.TASK
    form = f"{kind}/WORKSPACE/NAME" if kind.in_workspace else f"{kind}/NAME"
    example = f"{kind}/{rest}" if near and rest and not kind.in_workspace else form
    return f"Write it as plans do: `{example}`."


def _keys(_context: click.Context, _parameter: click.Parameter, values: tuple[Key, ...]) -> frozenset[Key]:
    return frozenset(values)


def adopt_option(command: _Command) -> _Command:
    """`--adopt KEY`, as often as there are objects to take over."""
    return click.option(
        "--adopt",
        metavar="KEY",
        multiple=True,
        type=key,
        callback=_keys,
        help="Take over this object that nobody owns; may be given several times.",
    )(command)


def selection_options(command: _Command) -> _Command:
    """`--select KEY` and `--changed-since REF`."""
    command = click.option(
        "--changed-since",
        "since",
        metavar="REF",
        help="Only what is declared otherwise than at this commit, branch or tag, and what that needs.",
    )(command)
    return click.option(
        "--select",
        metavar="KEY",
        multiple=True,
        type=key,
        callback=_keys,
        help="Only this object and what it needs; may be given several times.",
    )(command)


def no_destroy_option(command: _Command) -> _Command:
    """`--no-destroy`."""
    return click.option("--no-destroy", is_flag=True, help="Delete nothing; list what would be deleted.")(command)


def plaintext_option(command: _Command) -> _Command:
    """`--allow-plaintext`."""
    return click.option("--allow-plaintext", is_flag=True, help="Accept `{value: …}` as a secret: for tests only.")(
        command
    )


def asking_options(command: _Command) -> _Command:
    """What `plan` and `apply` both take to say what is wanted, as one argument `asked`."""
    options = (selection_options, adopt_option, no_destroy_option, plaintext_option, offline_option)
    return gathered(Asked, "asked", *options)(command)


def yes_option(command: _Command) -> _Command:
    """`--yes`."""
    return click.option("--yes", is_flag=True, help="Do not ask.")(command)


def parallelism_option(command: _Command) -> _Command:
    """`--parallelism N`."""
    return click.option(
        "--parallelism", type=click.IntRange(1, 64), default=8, show_default=True, help="Steps at a time."
    )(command)


def push_option(command: _Command) -> _Command:
    """`--no-push`."""
    return click.option(
        "--push/--no-push", "push", default=True, help="Push the status branch; without, it is written here alone."
    )(command)


def commit_option(command: _Command) -> _Command:
    """`--commit`."""
    return click.option(
        "--commit",
        is_flag=True,
        help="Commit the folder of status files, where the project has one (status.directory).",
    )(command)


def recording_options(command: _Command) -> _Command:
    """`--no-record` and `--no-push`."""
    command = push_option(command)
    return click.option("--record/--no-record", "record", default=True, help="Write down what is done.")(command)


def lock_option(command: _Command) -> _Command:
    """`--lock-timeout TIME`."""
    return click.option(
        "--lock-timeout",
        metavar="TIME",
        type=seconds,
        default="0",
        help="Wait so long for another apply to end, `10m` for instance; default: not at all.",
    )(command)


def new_file(path: Path, option: str) -> Path:
    """A path that can be written to. Raises UsageError where its folder is not there, or it is one."""
    if path.is_dir() or not path.parent.is_dir():
        what = "is a folder" if path.is_dir() else f"can't be written: there is no folder {path.parent}"
        raise UsageError(f"{path} {what}.", remedy=f"Name a file: `{option} plan.json`.")
    return path
