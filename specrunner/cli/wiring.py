"""Wiring: from a folder to the desired state and an open target. Adapters are chosen here and nowhere else."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, TypeVar

import click

from specrunner.core.errors import Diagnostic, InvalidSpecs, NotFound, Severity, SpecrunnerError, UsageError
from specrunner.core.keys import Key, Kind
from specrunner.core.resources import Desired, Presence
from specrunner.core.values import Json

if TYPE_CHECKING:
    from starlette.routing import BaseRoute

    from specrunner.engine.engine import Engine
    from specrunner.engine.ports import RunApi
    from specrunner.server.host import Serving
    from specrunner.targets.base import Target

STATE_FOLDER = ".specrunner"

_Command = TypeVar("_Command", bound=Callable[..., Any])


def directory_option(command: _Command) -> _Command:
    """`-C DIR`, before or after the command's name."""

    def chosen(context: click.Context, _parameter: click.Parameter, value: str | None) -> Path:
        return spec_folder(value) if value else (context.find_object(Path) or spec_folder("."))

    return click.option(
        "-C",
        "--directory",
        "root",
        metavar="DIR",
        callback=chosen,
        help="Run in this spec repository instead of the current folder.",
    )(command)


def spec_folder(value: str) -> Path:
    """The folder that a person named. Raises UsageError where there is none."""
    try:
        folder = Path(value).resolve(strict=True)
    except (OSError, ValueError, RuntimeError) as problem:
        asked = "The current folder" if value == "." else value
        raise UsageError(f"{asked} is not there.", remedy="Name a spec repository with -C DIR.") from problem
    if not folder.is_dir():
        raise UsageError(f"{value} is no folder.", remedy="Name the folder that holds specrunner.yaml.")
    return folder


def environment_option(command: _Command) -> _Command:
    """`-e ENV`."""
    return click.option(
        "-e", "--environment", metavar="ENV", help="The environment; default: the project's `defaultEnvironment`."
    )(command)


def json_option(command: _Command) -> _Command:
    """`--json`."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON for scripts.")(command)


def read_specs(root: Path, environment: str | None, offline: bool = False) -> Desired:
    """What the files declare, judged as of now, for whatever target. Raises InvalidSpecs."""
    from specrunner.engine.clock import SystemClock
    from specrunner.spec.desired import load

    return load(root, environment, offline, SystemClock().now(), cached=True)


def load_desired(root: Path, environment: str | None, offline: bool = False, *, why: str = "") -> Desired:
    """What the files declare, for a target of this version; `offline`, files of secrets may be missing.

    Raises InvalidSpecs, SpecrunnerError for a target that this version has not. `why` says what the files are needed
    for, where that does not go without saying: people read it before what is wrong with them.
    """
    try:
        desired = read_specs(root, environment, offline)
    except InvalidSpecs as problem:
        raise InvalidSpecs([*_needed(why), *problem.diagnostics]) from problem
    _name_of(desired.target)
    return desired


def _needed(why: str) -> list[Diagnostic]:
    remedy = "Mend what is told below, or check out a commit whose specs are valid."
    return [Diagnostic(why, remedy=remedy, severity=Severity.WARNING)] if why else []


@contextmanager
def open_target(root: Path, desired: Desired | None = None, *, must_exist: bool = False) -> Iterator[Target]:
    """The target of a spec repository, closed at the end.

    Without `desired` it is the one of the project's default environment, and the embedded engine where the specs
    can't be read: looking at what is live and at runs must not depend on them. Raises SpecrunnerError for a target that
    this version has not, and where `must_exist` and nothing was ever applied here.
    """
    name, opening = _opening(root, desired)
    if must_exist and name == _LOCAL:
        state_of(root)
    with closing(TARGETS[name](opening)) as target:
        yield target


@contextmanager
def look_at_target(root: Path, desired: Desired | None = None) -> Iterator[Target]:
    """The target for who only looks: where nothing was applied yet, an empty one that leaves nothing behind."""
    name, opening = _opening(root, desired)
    opened = _looked_at if TARGETS[name] is _local else TARGETS[name]
    if name != _LOCAL or (root / STATE_FOLDER / "state.db").exists():
        with closing(opened(opening)) as target:
            yield target
    else:
        with (
            TemporaryDirectory(prefix="specrunner-") as scratch,
            closing(opened(replace(opening, folder=Path(scratch)))) as target,
        ):
            yield target


def check_applied(root: Path, desired: Desired | None = None) -> None:
    """Raises SpecrunnerError where the target is the embedded engine, and nothing was ever applied to it here."""
    if _opening(root, desired)[0] == _LOCAL:
        state_of(root)


@dataclass(frozen=True, slots=True)
class Opening:
    """What a target is opened from: its state folder, the spec repository, and how it is declared there."""

    folder: Path
    root: Path
    declared: Json = "local"
    environment: str | None = None
    desired: Desired | None = None


def _opening(root: Path, desired: Desired | None) -> tuple[str, Opening]:
    from specrunner.spec.glance import declared_target

    declared = declared_target(root) if desired is None else desired.target
    declared = _LOCAL if declared is None else declared
    environment = None if desired is None else desired.owner.environment
    return _name_of(declared), Opening(root / STATE_FOLDER, root, declared, environment, desired)


def _name_of(declared: Json) -> str:
    """The name of a declared target; one that is declared by an address goes by the word for its kind.

    Raises SpecrunnerError for one that this version has not.
    """
    name = next((word for word in declared if word in TARGETS), "") if isinstance(declared, dict) else str(declared)
    if name not in TARGETS:
        raise SpecrunnerError(
            "This specrunner applies to the embedded engine, specrunner servers and platforms with the MLOps API only.",
            detail=f"The project's target is {declared!r}.",
            remedy="Declare `target: local`, `{server: URL}` or `{wallaroo: URL}` in specrunner.yaml.",
        )
    return name


def _local(opening: Opening) -> Target:
    from specrunner.targets.local.target import LocalTarget

    return LocalTarget(open_engine(opening.folder))


def _looked_at(opening: Opening) -> Target:
    from specrunner.engine.looking import look
    from specrunner.targets.local.target import LocalTarget

    return LocalTarget(lambda: open_engine(opening.folder), look(opening.folder))


def _server(opening: Opening) -> Target:
    from specrunner.cli.reaching import server_target

    return server_target(opening.root, opening.declared, opening.environment)


def _wallaroo(opening: Opening) -> Target:
    from specrunner.cli.platform import wallaroo_target

    return wallaroo_target(opening.folder, opening.root, opening.declared, opening.environment, opening.desired)


# The targets of this version by the word that declares them: each makes one of a state folder. Tests add theirs.
_LOCAL = "local"
TARGETS: dict[str, Callable[[Opening], Target]] = {_LOCAL: _local, "server": _server, "wallaroo": _wallaroo}


def open_engine(
    folder: Path,
    port: int | None = None,
    besides: Sequence[BaseRoute] = (),
    serving: Callable[[Engine], Serving] | None = None,
) -> Engine:
    """The embedded engine on a state folder; whoever opens it closes it.

    `port` is that of its API for runs, `besides` are routes that this answers too, `serving` what it offers to others
    than runs.
    """
    from specrunner.engine.engine import Engine, default_cache

    return Engine(folder, default_cache(), run_api=lambda engine: _run_api(engine, port, besides, serving))


def state_of(root: Path) -> Path:
    """The state folder of a spec repository. Raises SpecrunnerError where nothing was ever applied."""
    folder = root / STATE_FOLDER
    if not (folder / "state.db").exists():
        raise SpecrunnerError(
            f"Nothing was applied in {root} yet.",
            remedy="Run `specrunner apply` first, or name the spec repository with -C DIR.",
        )
    return folder


@contextmanager
def interruptible(interrupt: Callable[[], None]) -> Iterator[None]:
    """SIGINT and SIGTERM call `interrupt`, which lets what is in flight end; a second one is not softened."""

    def handler(number: int, _frame: object) -> None:
        signal.signal(number, signal.SIG_DFL)
        interrupt()

    before = {number: signal.signal(number, handler) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)


@contextmanager
def terminable() -> Iterator[None]:
    """SIGTERM ends what is done here as SIGINT does, so that what is held is given back."""

    def handler(_number: int, _frame: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _run_api(
    engine: Engine, port: int | None, besides: Sequence[BaseRoute], serving: Callable[[Engine], Serving] | None
) -> RunApi:
    """The API for runs; loading the server waits until a run needs it."""
    from specrunner.server.host import LoopbackApi

    return LoopbackApi(engine, port, besides, serving(engine) if serving else None)


def find_key(target: Target, kind: Kind, asked: str) -> Key:
    """The live object that a person means by a name, `workspace/name` or a whole key.

    Naming what there is, raises NotFound where none fits, SpecrunnerError where several do.
    """
    from difflib import get_close_matches

    there = {Presence.PRESENT, Presence.RECORDED}
    keys = [key for key, found in target.read().items() if key.kind is kind and found.presence in there]
    fits = [key for key in keys if asked in {key.name, f"{key.workspace}/{key.name}", str(key)}]
    if len(fits) == 1:
        return fits[0]
    if fits:
        names = ", ".join(str(key) for key in sorted(fits))
        raise SpecrunnerError(f"Several are called {asked!r}: {names}.", remedy="Say which, as workspace/name.")
    near = get_close_matches(asked, [key.name for key in keys], n=1, cutoff=0.5)
    known = ", ".join(repr(key.name) for key in sorted(keys)) or "none"
    raise NotFound(
        f"There is no {kind.lower()} {asked!r}.",
        detail=f"Live there are: {known}.",
        remedy=f"Did you mean {near[0]!r}?" if near else "",
    )
