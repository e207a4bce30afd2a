"""The entry point: the group of commands, and the only place that exits."""

from __future__ import annotations

import builtins
import errno
import gc
import importlib
import json
import keyword
import os
import sys
from contextlib import suppress
from typing import Any, Final, NoReturn

import click

from specrunner import __version__
from specrunner.core.errors import Diagnostic, InvalidSpecs, SpecrunnerError, UsageError

# Command -> module. A module loads when its command is called, so that `--help` needs none of them.
COMMANDS: Final = {
    "init": "authoring",
    "validate": "specs",
    "fmt": "authoring",
    "render": "drawing",
    "graph": "drawing",
    "schema": "authoring",
    "plan": "planning",
    "apply": "applying",
    "destroy": "applying",
    "import": "importing",
    "unlock": "locking",
    "status": "status",
    "record": "recording",
    "tick": "ticking",
    "serve": "serving",
    "run": "runs",
    "runs": "runs",
    "logs": "runs",
    "next": "tasks",
    "kill": "tasks",
    "suspend": "tasks",
    "resume": "tasks",
    "backfill": "backfilling",
    "infer": "inferring",
    "pipeline": "pipelines",
    "env": "environments",
    "doctor": "doctor",
    "secrets": "secrets",
    "user": "users",
    "token": "tokens",
    "audit": "tokens",
    "ci": "ci",  # for workflows; not listed in the help, where it would stand in people's way
}
# Commands that may change what is on the target, be it a lease or the log of inferences. No other does, whatever its
# options: a test walks all of them.
WRITES: Final = frozenset(
    {
        "apply",
        "destroy",
        "unlock",
        "serve",
        "record",
        "tick",
        "run",
        "kill",
        "suspend",
        "resume",
        "backfill",
        "infer",
        "secrets",
        "user",
        "env prune",
        "pipeline deploy",
        "pipeline undeploy",
        "token create",
        "token revoke",
        "ci apply",
        "ci record",
        "ci tick",
    }
)
SHORT: Final = {
    "init": "Write a spec repository that works, to begin with.",
    "validate": "Check the spec files and report every problem at once.",
    "fmt": "Put the keys of every document in order; comments stay.",
    "render": "Print the documents as they hold in one environment.",
    "graph": "Draw which object refers to which.",
    "schema": "Print the JSON Schemas, or write them to a folder for editors.",
    "plan": "Show what apply would change, and why. Changes nothing.",
    "apply": "Make the target as the files declare, and wait for the runs it starts.",
    "destroy": "Remove everything that this project has on its target.",
    "import": "Write YAML for what is live and no file declares yet.",
    "unlock": "Break the lease of an apply that is dead for certain.",
    "status": "Show what is live, and how the last runs went.",
    "record": "Record what is live, and push what could not be pushed before.",
    "tick": "Run what is due, wait, record, exit: for cron and GitHub Actions.",
    "serve": "Host what was applied: schedules fire, services are kept alive.",
    "run": "Run a task now and wait for its end.",
    "runs": "List the runs of a task.",
    "logs": "Show the log of a run, or of a task's last run.",
    "next": "Show when a task runs next.",
    "kill": "End a run, or every run of a task.",
    "suspend": "Hold the schedule or the service of a task back.",
    "resume": "Let a suspended task start by itself again.",
    "backfill": "Run a task for the instants that its schedule has missed.",
    "infer": "Infer on the rows of a file through a deployed pipeline.",
    "pipeline": "Look at pipelines, deploy them by hand, read their logs.",
    "env": "Look after the environments that runs are started in.",
    "doctor": "Check what this machine can and cannot do.",
    "secrets": "Change the key that stored secrets are sealed with.",
    "user": "Say who may log in to the server of a state folder.",
    "token": "Say who may call the server here, and what they may do.",
    "audit": "Show who did what through the server.",
}


_DISK: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS})  # what is wrong is the disk, not specrunner
_RARELY: Final = (200_000, 50, 1_000)  # thresholds of the garbage collector's generations


class LazyGroup(click.Group):
    """A group whose commands load when they are called."""

    def list_commands(self, _ctx: click.Context) -> list[str]:
        """In the order in which people need them."""
        return list(COMMANDS)

    def get_command(self, _ctx: click.Context, name: str) -> click.Command | None:
        """Load the module of a command."""
        if name not in COMMANDS:
            return None
        module = importlib.import_module(f"specrunner.cli.{COMMANDS[name]}")
        taken = keyword.iskeyword(name) or hasattr(builtins, name)
        command: click.Command = getattr(module, f"{name}_" if taken else name)
        return command

    def format_commands(self, _ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without loading them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, SHORT[name]) for name in COMMANDS if name in SHORT])


@click.command(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("-C", "--directory", metavar="DIR", help="Run in this spec repository instead of the current folder.")
@click.version_option(__version__, prog_name="specrunner")
@click.pass_context
def main(context: click.Context, directory: str | None) -> None:
    """Turn a git repository of YAML into running machine-learning workloads."""
    if directory:
        from specrunner.cli.wiring import spec_folder

        context.obj = spec_folder(directory)


def run(arguments: list[str] | None = None) -> None:
    """Run the command line and exit with its status; no error reaches the user as a traceback."""
    # Thousands of resources are a million objects that are all still needed: to look through them for garbage, and to
    # free them one by one at the end, would take a quarter of the time of a plan.
    gc.set_threshold(*_RARELY)
    _leave(guarded_status(arguments))


def _leave(status: int) -> NoReturn:
    for stream in (sys.stdout, sys.stderr):
        try:
            with suppress(BrokenPipeError, ValueError):  # whoever read it has gone, or it is closed
                stream.flush()
        except OSError:
            status = status or 1
    os._exit(status)


def guarded_status(arguments: list[str] | None) -> int:
    """The status, also when specrunner itself is at fault: the trace goes to a file, words to the user."""
    try:
        return status_of(arguments)
    except Exception as fault:
        import tempfile
        import traceback

        from specrunner.cli.hidden import shown

        with tempfile.NamedTemporaryFile("w", prefix="specrunner-fault-", suffix=".log", delete=False) as file:
            file.write(shown("".join(traceback.format_exception(fault))))
        click.echo(f"error: specrunner itself failed: {type(fault).__name__}.", err=True)
        click.echo(f"    This is a fault of specrunner, not of your files. The trace is in {file.name}.", err=True)
        click.echo("    → Please report it with that file; look through it for secrets first.", err=True)
        return 1


def status_of(arguments: list[str] | None = None) -> int:
    """Run the command line; the status that the process should exit with."""
    words = sys.argv[1:] if arguments is None else arguments
    try:
        result: Any = main.main(args=words, prog_name="specrunner", standalone_mode=False)
    except click.ClickException as problem:
        problem.show()
        return UsageError.exit_code if isinstance(problem, click.UsageError) else 1
    except (click.Abort, KeyboardInterrupt):
        click.echo("Interrupted.", err=True)
        return 130
    except SpecrunnerError as problem:
        _tell(problem, as_json="--json" in words)
        return problem.exit_code
    except BrokenPipeError:
        sys.stderr.close()  # whoever read our output has gone: nothing left to say
        return 0
    except OSError as problem:
        if problem.errno not in _DISK:
            raise
        click.echo(f"error: {problem.filename or 'The output'} can't be written: {problem.strerror}.", err=True)
        click.echo("    → Make room there, then do it again: what is done already is not done twice.", err=True)
        return 1
    return result if isinstance(result, int) else 0


def _tell(problem: SpecrunnerError, *, as_json: bool) -> None:
    from specrunner.cli.terminal import say
    from specrunner.report.diagnostics import diagnostic_json, diagnostic_lines, summary_line

    found = [_masked(one) for one in problem.diagnostics]
    if as_json:
        click.echo(json.dumps({"problems": [diagnostic_json(one) for one in found]}, indent=2, ensure_ascii=False))
        return
    say(diagnostic_lines(found), stderr=True)
    if isinstance(problem, InvalidSpecs):
        say([summary_line(found)], stderr=True)


def _masked(problem: Diagnostic) -> Diagnostic:
    from dataclasses import replace

    from specrunner.cli.hidden import shown

    return replace(
        problem,
        summary=shown(problem.summary),
        detail=shown(problem.detail),
        remedy=shown(problem.remedy),
        source=shown(problem.source),
    )
