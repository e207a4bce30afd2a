"""serve: host a state folder, so that what was applied runs when it should."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from specrunner.cli.controlling import Following, controller_of, followed, following_options, webhook
from specrunner.cli.keeping import Follows, recorded
from specrunner.cli.listening import Listening
from specrunner.cli.standing import for_records, remembered
from specrunner.cli.terminal import say
from specrunner.cli.watching import telling
from specrunner.cli.wiring import STATE_FOLDER, directory_option, interruptible, open_engine
from specrunner.core.errors import UsageError
from specrunner.report.lines import Line, counted

if TYPE_CHECKING:
    from specrunner.engine.engine import Engine
    from specrunner.engine.host import Host

TAKEN_OVER = 1


@click.command()
@directory_option
@click.option("--host", "address", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option("--port", type=click.IntRange(1, 65535), help="The port of the API; default: the one it had before.")
@click.option("--tls-cert", metavar="FILE", type=click.Path(path_type=Path), help="Serve TLS with this certificate.")
@click.option("--tls-key", metavar="FILE", type=click.Path(path_type=Path), help="The key of that certificate.")
@click.option(
    "--open", "opened", is_flag=True, help="Ask programs on this machine for no token, though tokens were made."
)
@click.option(
    "--max-runs", type=click.IntRange(1), help="How many runs are under way at once; default: twice the processors."
)
@click.option(
    "--run-env",
    "named",
    metavar="NAME[=VALUE]",
    multiple=True,
    help="Give every run this variable, with the value that it has here or the one that is said; may be repeated.",
)
@following_options
def serve(
    root: Path,
    address: str,
    port: int | None,
    tls_cert: Path | None,
    tls_key: Path | None,
    opened: bool,
    max_runs: int | None,
    named: tuple[str, ...],
    following: Following,
) -> int:
    """Host what was applied here: schedules fire, services are kept alive, runs and people get their API.

    With --repo it also follows a branch: what is merged there is applied here, and what somebody else changes on the
    target is put right.

    On this machine alone the API asks for no token until one was made. On any other address it always does, and
    there has to be one. Ends at Ctrl-C or SIGTERM. Runs go on then, and the next host takes them up.
    """
    from specrunner.engine.clock import SystemClock
    from specrunner.reconcile.lease import this_process

    listening = Listening(address, port, tls_cert, tls_key, opened)
    listening.check()
    if not (root / STATE_FOLDER / "state.db").exists():
        listening.check_token(None)  # rather than making a state folder for nothing
    controller = controller_of(following.repo, following, root / STATE_FOLDER) if following.repo is not None else None
    if controller is None:
        check_folder(root)
    _log()
    besides = webhook(following, controller)
    with open_engine(root / STATE_FOLDER, listening.loopback_port, besides, listening.serving) as engine:
        listening.check_token(engine)
        engine.runs.pass_on(named)
        host = engine.host(max_runs or 2 * (os.cpu_count() or 1))
        specs = controller.specs if controller else lambda: root
        follows = Follows(lambda: for_records(remembered(root)), following.environment) if controller else None
        with interruptible(host.leave), telling(engine, specs), recorded(specs, engine, follows), followed(controller):
            kept = host.serve(
                this_process(SystemClock(), os.environ), lambda: say(_serving(engine, host, root, listening))
            )
        going = len([run for run in engine.history.active() if run.started_at is not None])
    if not kept:
        say([Line("Another process hosts this state folder by now; this one has left.", "error")], stderr=True)
        return TAKEN_OVER
    say([Line(f"Stopped. {counted(going, 'run')} under way; the next `specrunner serve` takes up what is.")])
    return 0


def _log() -> None:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    for name in ("uvicorn", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)  # what they say of their start and end, we say ourselves


def check_folder(root: Path) -> None:
    """Raises UsageError where there is nothing to host, rather than making a state folder anywhere."""
    if not (root / STATE_FOLDER / "state.db").exists() and not (root / "specrunner.yaml").exists():
        raise UsageError(
            f"{root} is no spec repository, and nothing was applied there.",
            remedy="Run it beside specrunner.yaml, name that folder with -C DIR, or follow a branch with --repo URL.",
        )


def _serving(engine: Engine, host: Host, root: Path, listening: Listening) -> list[Line]:
    """What is hosted, and where."""
    kept, most = host.kept, counted(host.max_runs, "run")
    words = f"{counted(kept.schedules, 'schedule')}, {counted(kept.services, 'service')}, at most {most} at once."
    return [
        Line(f"Serving {root}: {words}", "bold"),
        Line(f"API for runs: {engine.run_api().address()}"),
        *([Line(f"API: {listening.public.address}")] if listening.public else []),
        Line("Ctrl-C ends this; runs go on.", "dim"),
    ]
