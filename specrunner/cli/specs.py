"""The command over the files alone: validate."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from specrunner import __version__
from specrunner.cli.offline import offline_option
from specrunner.cli.terminal import say, say_json
from specrunner.cli.wiring import directory_option, environment_option, json_option
from specrunner.core.errors import Diagnostic, Severity, SpecrunnerError, UsageError
from specrunner.core.values import Json
from specrunner.report.diagnostics import diagnostic_json, diagnostic_lines, summary_line
from specrunner.report.lines import Line, counted

if TYPE_CHECKING:
    from specrunner.spec.desired import Checked

FORMATS = ("text", "json", "github", "sarif")


@click.command()
@directory_option
@environment_option
@offline_option
@click.option(
    "--format",
    "form",
    type=click.Choice(FORMATS),
    help="For people, for scripts, as GitHub annotations, or as SARIF for code scanning.  [default: text]",
)
@click.option("-v", "--verbose", is_flag=True, help="Also list the YAML files that are not specrunner's.")
@json_option
def validate(root: Path, environment: str | None, offline: bool, form: str | None, verbose: bool, as_json: bool) -> int:
    """Check the spec files and report every problem at once. Works offline and changes nothing."""
    if as_json and form not in {None, "json"}:
        raise UsageError(
            f"--json and --format {form} exclude each other.", "--json is short for --format json.", "Leave one out."
        )
    found, checked, status = _checked(root, environment, offline)
    skipped = _skipped(root) if verbose else ()
    match "json" if as_json else form:
        case "json":
            say_json(_report(found, checked, skipped))
        case "sarif":
            say_json(_scan(found, root))
        case "github":
            annotate(found, root)
            _conclude(checked, skipped)
        case _:
            _tell(found)
            _conclude(checked, skipped)
    return status


def _checked(root: Path, environment: str | None, offline: bool) -> tuple[tuple[Diagnostic, ...], Checked | None, int]:
    """What is wrong, what is declared if nothing is, and the exit status."""
    from specrunner.engine.clock import SystemClock
    from specrunner.spec.desired import check

    try:
        checked = check(root, environment, offline, SystemClock().now())
    except SpecrunnerError as problem:
        return problem.diagnostics, None, problem.exit_code
    return checked.warnings, checked, 0


def _skipped(root: Path) -> Sequence[str]:
    from specrunner.spec.documents import read_tree

    try:
        return read_tree(root).skipped
    except SpecrunnerError:
        return ()  # told already


def _tell(found: Sequence[Diagnostic]) -> None:
    say(diagnostic_lines(found), stderr=True)
    if found:
        say([summary_line(found)], stderr=True)


def _conclude(checked: Checked | None, skipped: Sequence[str]) -> None:
    say(Line(f"Skipped {name}: nothing in it is specrunner's.", "dim") for name in skipped)
    if checked is not None:
        say([_verdict(checked)])


def _report(found: Sequence[Diagnostic], checked: Checked | None, skipped: Sequence[str]) -> dict[str, Json]:
    report: dict[str, Json] = {
        "problems": [diagnostic_json(one) for one in found if one.severity is Severity.ERROR],
        "warnings": [diagnostic_json(one) for one in found if one.severity is Severity.WARNING],
    }
    if skipped:
        report["skipped"] = list(skipped)
    if checked is not None:
        report |= {"project": checked.owner.project, "environment": checked.owner.environment}
        report["resources"] = {str(kind): count for kind, count in checked.counts.items()}
    return report


def annotate(found: Sequence[Diagnostic], root: Path) -> None:
    """Print problems as GitHub's annotations."""
    from specrunner.report.github import github_lines

    for line in github_lines(found, prefix_of(root)):
        click.echo(line)


def _scan(found: Sequence[Diagnostic], root: Path) -> dict[str, Json]:
    from specrunner.report.sarif import sarif

    return sarif(found, __version__, prefix_of(root))


def prefix_of(root: Path) -> str:
    """Where the specs are in their git repository: what GitHub shows names files from its top."""
    from specrunner.spec.globs import repository_top

    inside = root.relative_to(repository_top(root)).as_posix()
    return "" if inside == "." else f"{inside}/"


def _verdict(checked: Checked) -> Line:
    words = ", ".join(counted(count, kind.lower()) for kind, count in checked.counts.items() if count)
    owner = f"{checked.owner.project} ({checked.owner.environment})"
    return Line(f"Valid: project {owner} declares {words or 'nothing yet'}.", "create")
