"""Markdown for pull requests: never longer than GitHub takes, and nothing of a stranger is read as markup."""

from __future__ import annotations

import html
import json
import re
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from specrunner.core.diff import FieldChange
from specrunner.core.errors import Diagnostic, Severity
from specrunner.core.fields import Action
from specrunner.core.keys import Key, Kind
from specrunner.core.lifecycle import Reason, RunState
from specrunner.core.outcome import Fate, Outcome, RunView, StepOutcome
from specrunner.core.plan import Edit, FileChange, Fires, Notice, Plan, Step
from specrunner.report.comments import LIMIT, size
from specrunner.report.escaping import code, comment, fenced, prose
from specrunner.report.markdown import outcome_markdown, plan_markdown

NASTY = [
    "a|b",
    "a`b``c",
    "`a b`",
    "```",
    "</code></details><script>alert(1)</script>",
    "<!-- x --> -->",
    "[x](https://evil.example) ![y](z)",
    "@everyone #1 GH-1 org/repo#2",
    "**bold** _it_ ~~no~~ $x$",
    "\\| \\",
    "&lt;b&gt; &#64;me",
    "a\nb\r\n| c |",
    "\x1b[31mred \u202e\ud800",
    "- list\n# head",
]
NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
ALLOWED = {"<code>", "</code>", "<br>"}
COMMONMARK = MarkdownIt("commonmark").enable("table")
TEXT = st.text(st.characters(exclude_categories=())) | st.sampled_from(NASTY)


def nasty_step(text: str) -> Step:
    key = Key(Kind.TASK, "lab", text or "x")
    ours = FieldChange(text or "x", Action.UPDATE, text, {"a": text, "b": f"{text}\n{text}"}, {"a": 1, "b": text})
    theirs = FieldChange("args.x", Action.UPDATE, text, text, text, f"{text}!", drift=True)
    return Step(
        key,
        Action.UPDATE,
        text,
        (ours, theirs),
        blocked_by=f"no{text}",
        renamed_from=key,
        used_by=(key,),
        fires=Fires((text,), (text,)),
        files=(FileChange(text, Edit.CHANGED, ("@@ -1 +1 @@", f"-{text}", f" {text}", f"+{text}")),),
    )


def plan(*steps: Step, **more: Any) -> Plan:
    return Plan("forecasting", "staging", "local", steps, **more)


def steps_of(count: int, size_of_value: int = 10) -> list[Step]:
    return [
        Step(
            Key(Kind.TASK, "lab", f"t{number:05}"),
            Action.UPDATE,
            "args.x: changed in tasks.yaml:1",
            (FieldChange("args.x", Action.UPDATE, "changed in tasks.yaml:1", None, "v" * size_of_value),),
        )
        for number in range(count)
    ]


def header(text: str) -> dict[str, Any]:
    found = re.fullmatch(r"<!-- specrunner-\w+ (\{.*\}) -->", text.splitlines()[0])
    assert found
    data: dict[str, Any] = json.loads(found[1])
    return data


def tokens(text: str) -> list[Token]:
    """Every token of the text as CommonMark reads it; what stands inside of lines too."""
    found = COMMONMARK.parse(text)
    return [inner for token in found for inner in (token, *(token.children or ()))]


def blocks_of_html(text: str) -> list[str]:
    return [token.content for token in tokens(text) if token.type == "html_block"]


@given(TEXT)
@settings(max_examples=200, deadline=None)
def test_no_name_and_no_value_is_read_as_markup(text: str) -> None:
    shown = plan_markdown(plan(nasty_step(text), notices=(Notice(nasty_step(text).key, text, text),)))
    shown.encode()
    found = tokens(shown)
    assert {token.content for token in found if token.type == "html_inline"} <= ALLOWED
    assert not {"link_open", "image", "em_open", "hr"} & {token.type for token in found}
    assert sum(token.type == "heading_open" for token in found) == 1
    assert sum(token.type == "strong_open" for token in found) == 5  # summary, counts, blocked, drift
    assert sum(token.type == "fence" for token in found) == 3
    assert sum(token.type == "tr_open" for token in found) == 4  # two tables of a head and a row
    assert sum(token.type == "bullet_list_open" for token in found) == 2  # the notice, the instants
    summaries = [block for block in blocks_of_html(shown) if "<summary>" in block]
    assert [len(re.findall(r"<(?!/?(?:code|details|summary)>)", block)) for block in summaries] == [0]


@pytest.mark.parametrize("text", NASTY)
def test_code_shows_just_what_was_given(text: str) -> None:
    (paragraph,) = [token for token in COMMONMARK.parse(f"x {code(text)}") if token.type == "inline"]
    shown = "".join(child.content for child in paragraph.children or () if child.type.startswith("text"))
    visible = [char for char in text if char.isprintable() and char not in "\u202e\ud800"]
    assert [char for char in shown.removeprefix("x ") if char in text] == visible


@pytest.mark.parametrize(
    "text", ["@everyone", "see #12", "GH-7", "org/repo#2", "https://evil.example", "www.evil.example"]
)
def test_nobody_is_called_and_nothing_is_linked(text: str) -> None:
    shown = html.unescape(prose(text))
    assert not re.search(r"@\w|#\d|GH-\d|://\w|www\.\w", shown)
    assert shown.replace("\u200b", "") == text


def test_our_own_backticks_become_code() -> None:
    assert prose("type `a | b` now") == "type <code>a &#124; b</code> now"


@given(st.lists(st.sampled_from(["`", "``", "````", "text", "~~~", " ```"]), min_size=1))
def test_no_line_closes_its_fence(lines: list[str]) -> None:
    (fence,) = COMMONMARK.parse("\n".join(fenced(lines, "diff")))
    assert (fence.type, fence.content) == ("fence", "".join(f"{line}\n" for line in lines))


@given(st.dictionaries(st.text(), st.text()))
def test_a_header_is_one_comment_whatever_it_holds(value: dict[str, str]) -> None:
    text = comment("x", value)
    assert "--" not in text.removeprefix("<!--").removesuffix("-->")
    assert "\n" not in text
    assert json.loads(text.removeprefix("<!-- x ").removesuffix(" -->")) == value


def test_a_plan_that_fits_is_complete() -> None:
    found = plan(*steps_of(100))
    text = plan_markdown(found)
    assert header(text) == {
        "version": 1,
        "project": "forecasting",
        "environment": "staging",
        "hash": found.hash,
        "complete": True,
    }
    assert text.count("<details>") == 100
    assert "Left out" not in text


@pytest.mark.parametrize(("count", "size_of_value"), [(300, 10), (5_000, 10), (40, 2_000), (3, 70_000), (1, 70_000)])
def test_a_plan_that_is_too_long_is_cut_between_objects_and_says_so(count: int, size_of_value: int) -> None:
    text = plan_markdown(plan(*steps_of(count, size_of_value)))
    assert size(text) < LIMIT
    assert header(text)["complete"] is False
    shown = text.count("<details>")
    assert shown == text.count("</details>") == text.count("v" * size_of_value)
    left_out = count - shown
    assert f"{left_out} object{'' if left_out == 1 else 's'}." in text
    assert "can't be approved" in text


def test_one_object_that_is_too_long_does_not_hide_the_others() -> None:
    large, *others = steps_of(10, 70_000)[:1] + steps_of(10)[1:]
    text = plan_markdown(plan(large, *others))
    assert text.count("<details>") == 9
    assert "1 object." in text
    assert all(str(step.key) in text for step in (large, *others))


def test_characters_beyond_the_basic_plane_count_twice() -> None:
    owls = [
        replace(step, changes=(replace(step.changes[0], new="\n" + "🦉" * 5_000),), reason="") for step in steps_of(10)
    ]
    text = plan_markdown(plan(*owls))
    assert len(text.encode("utf-16-le")) // 2 < LIMIT
    assert text.count("<details>") == 6


def test_notices_that_have_no_room_are_counted() -> None:
    notices = tuple(Notice(step.key, "its last run ended as failure" * 5) for step in steps_of(1_000))
    text = plan_markdown(plan(notices=notices))
    shown = text.count("its last run ended as failure" * 5)
    assert size(text) < LIMIT
    assert (shown > 0, f"{1_000 - shown} notices" in text, header(text)["complete"]) == (True, True, False)


def test_a_warning_about_the_whole_plan_stands_with_the_notices() -> None:
    found = Diagnostic("this would delete 40%.", "That is much.", "Say --force.", severity=Severity.WARNING)
    assert "\n- ⚠ **warning: this would delete 40%.** That is much. Say --force.\n" in plan_markdown(plan(), [found])


def test_a_blocked_step_says_so_in_bold() -> None:
    (step,) = steps_of(1)
    assert "<br>**blocked: it is protected**" in plan_markdown(plan(replace(step, blocked_by="it is protected")))


@given(TEXT)
@settings(max_examples=100, deadline=None)
def test_an_outcome_is_as_safe(text: str) -> None:
    step = nasty_step(text)
    run = RunView("1234567890", step.key, RunState.FAILURE, NOON, Reason.EXIT, detail=text, log_tail=(text,))
    failed = StepOutcome(step, Fate.FAILED, Diagnostic(text, text, text))
    ran = StepOutcome(step, Fate.DONE, run=run)
    outcome = Outcome(plan(step), (failed, ran), NOON, NOON, unrestored=(step.key,), problems=(Diagnostic(text, text),))
    shown = outcome_markdown(outcome)
    found = tokens(shown)
    assert {token.content for token in found if token.type == "html_inline"} <= ALLOWED
    assert sum(token.type == "tr_open" for token in found) == 3
    assert sum(token.type == "fence" for token in found) == 2
    assert header(shown)["exit_code"] == outcome.exit_code


def test_an_outcome_that_is_too_long_is_cut_as_well() -> None:
    steps = steps_of(3_000)
    outcome = Outcome(plan(*steps), tuple(StepOutcome(step, Fate.DONE) for step in steps), NOON, NOON)
    text = outcome_markdown(outcome)
    assert size(text) < LIMIT
    assert header(text)["complete"] is False
