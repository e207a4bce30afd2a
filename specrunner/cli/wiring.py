"""Wiring: from a folder to the desired state and an open target. Adapters are chosen here and nowhere else."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from specrunner.core.errors import NotFound, SpecrunnerError
from specrunner.core.keys import Key, Kind
from specrunner.core.resources import Desired

if TYPE_CHECKING:
    from specrunner.engine.engine import Engine
    from specrunner.targets.base import Target

STATE_FOLDER = ".specrunner"

_Command = TypeVar("_Command", bound=Callable[..., Any])


def directory_option(command: _Command) -> _Command:
    """`-C DIR`, before or after the command's name."""

    def chosen(context: click.Context, _parameter: click.Parameter, value: str | None) -> Path:
        inherited = context.find_object(Path)
        return Path(value).resolve() if value else (inherited or Path.cwd())

    return click.option(
        "-C",
        "--directory",
        "root",
        metavar="DIR",
        callback=chosen,
        help="Run in this spec repository instead of the current folder.",
    )(command)


def environment_option(command: _Command) -> _Command:
    """`-e ENV`."""
    return click.option(
        "-e", "--environment", metavar="ENV", help="The environment; default: the project's `defaultEnvironment`."
    )(command)


def json_option(command: _Command) -> _Command:
    """`--json`."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON for scripts.")(command)


def load_desired(root: Path, environment: str | None, offline: bool = False) -> Desired:
    """What the files declare; `offline`, files of secrets may be missing. Raises InvalidSpecs."""
    from specrunner.spec.desired import load

    desired = load(root, environment)
    if desired.target != "local":
        raise SpecrunnerError(
            "This specrunner applies to the embedded engine only.",
            detail=f"The project's target is {desired.target!r}.",
            remedy="Declare `target: local` in specrunner.yaml.",
        )
    return desired


@contextmanager
def open_target(root: Path, *, must_exist: bool = False) -> Iterator[Target]:
    """The target of a spec repository, closed at the end.

    Raises SpecrunnerError where `must_exist` and nothing was ever applied here.
    """
    from specrunner.targets.local.target import LocalTarget

    if must_exist:
        state_of(root)
    target = LocalTarget(open_engine(root))
    try:
        yield target
    finally:
        target.close()


def open_engine(root: Path) -> Engine:
    """The embedded engine of a spec repository; whoever opens it closes it."""
    from specrunner.engine.engine import Engine, default_cache

    return Engine(root / STATE_FOLDER, default_cache(), run_api=_run_api)


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


def _run_api(engine: Any) -> Any:
    """The API for runs; loading the server waits until a run needs it."""
    from specrunner.server.host import LoopbackApi

    return LoopbackApi(engine)


def find_key(target: Target, kind: Kind, asked: str) -> Key:
    """The live object that a person means by a name, `workspace/name` or a whole key.

    Naming what there is, raises NotFound where none fits, SpecrunnerError where several do.
    """
    from difflib import get_close_matches

    keys = [key for key in target.read() if key.kind is kind]
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
