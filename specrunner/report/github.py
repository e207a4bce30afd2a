"""Diagnostics as GitHub's workflow commands, which a job's log turns into annotations of the files.

Source of the format and its escaping: https://docs.github.com/actions/reference/workflow-commands-for-github-actions
and `@actions/core`'s `command.ts` (https://github.com/actions/toolkit).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from specrunner.core.errors import Diagnostic, Severity


def github_lines(problems: Iterable[Diagnostic], prefix: str = "") -> Iterator[str]:
    """One `::error …::…` or `::warning …::…` for each problem.

    `prefix` stands before the names of files: GitHub wants them relative to the top of the git repository, and
    the specs may stand in a folder of it.
    """
    for problem in problems:
        command = "error" if problem.severity is Severity.ERROR else "warning"
        properties = ",".join(f"{name}={_property(value)}" for name, value in _properties(problem, prefix).items())
        yield f"::{command} {properties}::{command_data(_message(problem))}"


def _properties(problem: Diagnostic, prefix: str) -> dict[str, str]:
    found: dict[str, str] = {}
    if problem.place:
        found["file"] = prefix + problem.place.file
        # An annotation without a line stands at the top of the file.
        found["line"] = str(problem.place.line or 1)
        if problem.place.column:
            found["col"] = str(problem.place.column)
    return {**found, "title": problem.summary}


def _message(problem: Diagnostic) -> str:
    related = [f"See also {place}." for place in problem.related]
    return "\n".join(part for part in (problem.detail, *related, problem.remedy) if part) or problem.summary


def command_data(text: str) -> str:
    """A text as the data of a workflow command, which the runner takes for the text itself again."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return command_data(text).replace(":", "%3A").replace(",", "%2C")
