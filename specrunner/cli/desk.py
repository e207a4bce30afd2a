"""Where a step of a workflow reports to: the job's summary and outputs always, GitHub's pages as far as it may.

What can't be written for want of a right, or because GitHub does not answer, is told in the summary and in the job's
log, and stops nothing: the result of a plan or an apply does not depend on who was told of it.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import click

from specrunner.cli.ci_surroundings import git_environ
from specrunner.cli.offline import from_fork
from specrunner.core.errors import Diagnostic, Severity, SpecrunnerError
from specrunner.core.resources import Owner
from specrunner.core.values import Secret
from specrunner.forge.files import add_summary, no_commands, set_outputs
from specrunner.forge.github import GitHub, MissingRight
from specrunner.forge.issues import Subject, close, keep_open
from specrunner.forge.statuses import State, set_status
from specrunner.forge.sticky import own_login, put_sticky
from specrunner.forge.surroundings import Surroundings, read_surroundings
from specrunner.record.plumbing import lend
from specrunner.report.comments import LIMIT
from specrunner.report.github import github_lines

TOKEN = "GITHUB_TOKEN"  # noqa: S105 - the name of a variable, no secret
ROOM: Final = LIMIT - 2_000  # characters of what goes into an issue, below its own first lines
_ALLOW = "Allow it under `permissions:` of the job, if you want it."
_FORK = "The token of a pull request from a fork may only read; there is nothing to mend."


@dataclass(frozen=True)
class Desk:
    """One step's reports. `github` is None where there is no token; `given_author` names whom the token acts for."""

    around: Surroundings
    github: GitHub | None
    given_author: str = ""

    @functools.cached_property
    def author(self) -> str:
        """Whom the token acts for: only what that user wrote is ours."""
        return own_login(self.need(), self.given_author)

    def need(self) -> GitHub:
        """The API. Raises MissingRight where there is no token."""
        if self.github is None:
            raise MissingRight(
                "There is no token for GitHub.",
                detail=f"{TOKEN} is not set in this step.",
                remedy="Give the action its `token`; by default it is that of the job.",
            )
        return self.github

    def summary(self, markdown: str) -> None:
        """Add to the page of the run."""
        add_summary(self.around.summary, markdown)

    def outputs(self, **values: str) -> None:
        """The outputs of the step."""
        set_outputs(self.around.output, values)

    def comment(self, number: int | None, name: str, owner: Owner, body: str) -> None:
        """Write or update our comment on a pull request; nothing without one."""
        if number is not None:
            self._try(
                "comment on the pull request",
                lambda github: put_sticky(github, number, self.author, name, subject_of(owner), body),
            )

    def mark(self, sha: str, context: str, state: State, words: str) -> None:
        """Mark a commit."""
        self._try(
            "mark the commit",
            lambda github: set_status(github, sha, context, state, words, self.around.run_url),
        )

    def open_issue(self, name: str, owner: Owner, title: str, body: str) -> None:
        """Open the issue of that kind, or bring it up to date."""
        subject = Subject(name, subject_of(owner))
        self._try("open an issue", lambda github: keep_open(github, self.author, subject, title, body))

    def close_issue(self, name: str, owner: Owner, why: str) -> None:
        """Close the issue of that kind, where one is open."""
        subject = Subject(name, subject_of(owner))
        self._try("close the issue", lambda github: close(github, self.author, subject, why))

    def _try(self, what: str, action: Callable[[GitHub], object]) -> None:
        try:
            action(self.need())
        except SpecrunnerError as problem:
            reason = " ".join(part for part in (problem.summary, problem.detail) if part)
            allow = _FORK if from_fork() else _ALLOW
            remedy = allow if isinstance(problem, MissingRight) and self.github is not None else problem.remedy
            self.summary(f"> ⚠ specrunner could not {what}. {reason} {remedy}")
            self.annotate(Diagnostic(f"could not {what}", reason, remedy, severity=Severity.WARNING))

    def annotate(self, *problems: Diagnostic, prefix: str = "") -> None:
        """Print problems so that GitHub shows them at their lines."""
        for line in github_lines(problems, prefix):
            click.echo(line)


def subject_of(owner: Owner) -> Mapping[str, str]:
    """How comments and issues name whom they are about."""
    return {"project": owner.project, "environment": owner.environment}


@contextmanager
def open_desk(environ: MutableMapping[str, str], root: Path, author: str = "") -> Iterator[Desk]:
    """The desk of this step, for the specs at `root`.

    The token is taken out of the environment: of all programs that are started here git alone gets it, which asks for
    the status branch, and pushes it.
    """
    around = read_surroundings(environ)
    token = environ.pop(TOKEN, "")
    if not token:
        yield Desk(around, None, author)
        return
    lend(git_environ(Secret(token), around.server, root, environ))
    with closing(GitHub(around.api, around.repository, Secret(token))) as github:
        yield Desk(around, github, author)


@contextmanager
def quiet_log() -> Iterator[None]:
    """What is printed inside is text, whatever it looks like to the runner."""
    with no_commands() as (begin, end):
        click.echo(begin)
        try:
            yield
        finally:
            click.echo(end)


def inside_workspace(root: Path) -> str:
    """Where the specs are in their git repository, for annotations."""
    from specrunner.cli.specs import prefix_of

    return prefix_of(root)
