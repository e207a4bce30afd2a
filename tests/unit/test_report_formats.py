"""Diagnostics for people, for GitHub and for code scanning."""

from __future__ import annotations

import pytest

from specrunner.core.errors import Diagnostic, Place, Severity
from specrunner.report.diagnostics import diagnostic_json, diagnostic_lines, summary_line
from specrunner.report.github import github_lines
from specrunner.report.sarif import sarif
from specrunner.spec.mistakes import Mistake

WRONG = Diagnostic(
    "unknown key 'a'",
    "Not here.\nNor there.",
    "Delete it.",
    Place("tasks/a b.yaml", 3, 5),
    (Place("x.yaml", 1),),
    source="    a: 1",
    code=Mistake.UNKNOWN_FIELD,
)
ODD = Diagnostic("it has ended", "So be it.", "Choose another.", Place("b.yaml", 2), severity=Severity.WARNING)


def shown(problem: Diagnostic) -> list[str]:
    return [line.text for line in diagnostic_lines([problem])]


def test_the_caret_stands_under_its_character() -> None:
    assert shown(WRONG)[1:3] == ["    |     a: 1", "    |     ^"]


@pytest.mark.parametrize(
    ("before", "blank"),
    [("\t", "\t"), ("東京: ", "      "), ("e\u0301", " "), ("🦉", "  "), ("é", " ")],
)
def test_the_caret_counts_columns_of_a_terminal_and_not_characters(before: str, blank: str) -> None:
    problem = Diagnostic("s", place=Place("f", 1, len(before) + 1), source=f"{before}x")
    assert shown(problem)[2] == f"    | {blank}^"


@pytest.mark.parametrize("char", ["\x1b", "\x07", "\x9b", "\x7f", "\u202e", "\u2066", "\r"])
def test_nothing_in_a_file_commands_the_terminal(char: str) -> None:
    problem = Diagnostic(f"a{char}b", f"a{char}b", f"a{char}b", Place(f"a{char}b", 1, 2), source=f"a{char}b")
    assert all(char not in line for line in shown(problem))
    assert "^" in shown(problem)[2]


@pytest.mark.parametrize("column", [1, 100, 5_000, 9_999])
def test_of_a_long_line_the_part_around_the_mistake_is_shown(column: int) -> None:
    source = "".join(chr(ord("a") + number % 26) for number in range(10_000))
    line, caret = shown(Diagnostic("s", place=Place("f", 1, column), source=source))[1:3]
    assert len(line) < 200
    assert line[caret.index("^")] == source[column - 1]


def test_the_summary_counts_errors_and_warnings_apart() -> None:
    assert summary_line([WRONG, ODD]).text == "1 problem in 1 file, 1 warning; nothing was changed."
    assert summary_line([ODD, ODD]).text == "2 warnings."


def test_json_has_what_is_known() -> None:
    assert diagnostic_json(WRONG)["code"] == "unknown-field"
    assert diagnostic_json(Diagnostic("s")) == {"severity": "error", "summary": "s"}


def test_a_problem_becomes_a_workflow_command() -> None:
    assert list(github_lines([WRONG, ODD])) == [
        "::error file=tasks/a b.yaml,line=3,col=5,title=unknown key 'a'::"
        "Not here.%0ANor there.%0ASee also x.yaml:1.%0ADelete it.",
        "::warning file=b.yaml,line=2,title=it has ended::So be it.%0AChoose another.",
    ]


def test_a_workflow_command_is_escaped_as_github_reads_it() -> None:
    nasty = Diagnostic("50%: a,b\r\n::error::x", "100%\r\n::stop-commands::x", place=Place("a:b,c%.yaml", 1, 1))
    (line,) = github_lines([nasty])
    assert line == (
        "::error file=a%3Ab%2Cc%25.yaml,line=1,col=1,title=50%25%3A a%2Cb%0D%0A%3A%3Aerror%3A%3Ax::"
        "100%25%0D%0A::stop-commands::x"
    )


def test_a_problem_without_a_place_is_an_annotation_of_the_whole_job() -> None:
    assert list(github_lines([Diagnostic("no schemas")])) == ["::error title=no schemas::no schemas"]
    assert list(github_lines([Diagnostic("s", "d", place=Place("f.yaml"))], "ml/")) == [
        "::error file=ml/f.yaml,line=1,title=s::d"
    ]


def test_sarif_has_the_parts_that_its_standard_wants() -> None:
    log = sarif([WRONG, ODD, WRONG], "1.2.3", "ml/")
    (run,) = log["runs"]
    assert (log["version"], run["columnKind"]) == ("2.1.0", "unicodeCodePoints")
    assert run["tool"]["driver"]["version"] == "1.2.3"
    rules = [rule["id"] for rule in run["tool"]["driver"]["rules"]]
    assert rules == sorted(set(rules)) == ["problem", "unknown-field"]
    for result in run["results"]:
        assert rules[result["ruleIndex"]] == result["ruleId"]
        assert result["message"]["text"]
    first, second, _ = run["results"]
    assert (first["level"], second["level"]) == ("error", "warning")
    physical = first["locations"][0]["physicalLocation"]
    assert physical["artifactLocation"] == {"uri": "ml/tasks/a%20b.yaml", "uriBaseId": "%SRCROOT%"}
    assert physical["region"] == {"startLine": 3, "startColumn": 5, "snippet": {"text": "    a: 1"}}
    assert second["locations"][0]["physicalLocation"]["region"] == {"startLine": 2}
    assert first["relatedLocations"][0]["physicalLocation"]["region"] == {"startLine": 1}


def test_a_mistake_keeps_its_fingerprint_when_it_moves() -> None:
    moved = Diagnostic(WRONG.summary, place=Place("tasks/a b.yaml", 30, 1), code=Mistake.UNKNOWN_FIELD)
    elsewhere = Diagnostic(WRONG.summary, place=Place("b.yaml", 3, 5), code=Mistake.UNKNOWN_FIELD)
    prints = [one["partialFingerprints"] for one in sarif([WRONG, moved, elsewhere], "1")["runs"][0]["results"]]
    assert prints[0] == prints[1] != prints[2]


def test_an_empty_log_still_is_one_run() -> None:
    (run,) = sarif([], "1")["runs"]
    assert (run["results"], run["tool"]["driver"]["rules"]) == ([], [])
