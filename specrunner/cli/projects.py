"""The project that what was applied belongs to, for commands that go on while its specs are wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from specrunner.cli.planning import history
from specrunner.cli.terminal import say
from specrunner.cli.wiring import load_desired
from specrunner.core.errors import Diagnostic, InvalidSpecs, Severity, SpecrunnerError
from specrunner.core.resources import Desired
from specrunner.report.diagnostics import diagnostic_lines

_SHOWN: Final = 12  # digits of a commit


def lasting_project(root: Path, environment: str | None) -> Desired:
    """What the specs declare; where they are wrong, the project alone, with a warning.

    Where the project itself is wrong, it is as in the last commit in which it was not. Raises InvalidSpecs where there
    is none, SpecrunnerError for a target that this version has not.
    """
    try:
        return load_desired(root, environment, offline=True)
    except InvalidSpecs as problem:
        found, where = _without_specs(root, environment, problem)
        say(diagnostic_lines([_warning(problem, where)]), stderr=True)
        return found


def readable_project(root: Path, environment: str | None) -> Desired:
    """The project alone, whatever its specs are like. Raises as `lasting_project`; says nothing."""
    from specrunner.spec.desired import bare_project

    try:
        return bare_project(root, environment)
    except InvalidSpecs as problem:
        return _without_specs(root, environment, problem)[0]


def _without_specs(root: Path, environment: str | None, problem: InvalidSpecs) -> tuple[Desired, str]:
    """The project, and from where it is, where that is not here. Raises the problem where there is none."""
    from specrunner.spec.desired import bare_project

    try:
        return bare_project(root, environment), ""
    except InvalidSpecs:
        with history(root) as revisions:
            found = revisions.last_project(environment)
        if found is None:
            raise problem from None
        return found[1], f" The project is taken as it was at commit {found[0][:_SHOWN]}."


def _warning(problem: SpecrunnerError, where: str) -> Diagnostic:
    first = problem.diagnostics[0]
    place = f"{first.place}: " if first.place is not None else ""
    return Diagnostic(
        f"The specs are not valid as they stand here; what was applied before goes on.{where}",
        f"{place}{first.summary}",
        "`specrunner validate` tells all that is wrong.",
        severity=Severity.WARNING,
    )
