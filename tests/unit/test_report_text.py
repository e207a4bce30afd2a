"""Plans and outcomes as text: what is cut, what is aligned, what is kept from the terminal."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from specrunner.core.diff import FieldChange
from specrunner.core.errors import Diagnostic
from specrunner.core.fields import Action
from specrunner.core.keys import Key
from specrunner.core.outcome import Fate, Outcome, StepOutcome
from specrunner.core.plan import Edit, FileChange, Fires, Plan, Step
from specrunner.report.as_json import outcome_json
from specrunner.report.lines import Line
from specrunner.report.text import drift_lines, hash_line, outcome_lines, plan_lines, step_ended_line

TASK = Key.parse("Task/lab/nightly")
NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


def step(*changes: FieldChange) -> Step:
    return Step(TASK, Action.UPDATE, "why", changes)


def change(old: object, new: object) -> FieldChange:
    return FieldChange("args.x", Action.UPDATE, "changed in tasks.yaml:1", old, new)


def plan(*steps: Step) -> Plan:
    return Plan("forecasting", "staging", "local", steps)


def texts(lines: Iterable[Line]) -> list[str]:
    return [line.text for line in lines]


def test_every_style_is_a_name_and_no_line_holds_a_code() -> None:
    nasty = "\x1b[31m\u202e\x9b\ud800"
    files = (FileChange(nasty, Edit.CHANGED, (f"-{nasty}", f"+{nasty}")),)
    odd = replace(step(change(nasty, f"{nasty}\n{nasty}")), reason=nasty, blocked_by=nasty, files=files)
    odd = replace(odd, fires=Fires((nasty,), (nasty,)), used_by=(Key.parse(f"Task/lab/{nasty}"),))
    lines = [*plan_lines(plan(odd)), *drift_lines({TASK: odd.changes})]
    failed = StepOutcome(odd, Fate.FAILED, Diagnostic(nasty, nasty, nasty))
    lines += [step_ended_line(failed), *outcome_lines(Outcome(plan(odd), (failed,), NOON, NOON))]
    assert not set(nasty) - set("[31m") & set("".join(line.text for line in lines))
    assert all(line.style.isalpha() for line in lines if line.style)
    "".join(line.text for line in lines).encode()


@pytest.mark.parametrize("width", [40, 100, 300])
def test_values_keep_to_the_width_and_show_where_they_differ(width: int) -> None:
    old, new = "a" * 250 + "b", "a" * 250 + "c"
    found = texts(plan_lines(plan(step(change(old, new), change(old + "\n", new))), width))
    assert max(map(len, found)) <= width + 20
    assert [text for text in found if text.endswith("b") and "-" in text]
    assert [text for text in found if text.endswith("c") and "+" in text]


def test_a_long_difference_is_cut_politely() -> None:
    found = texts(
        plan_lines(plan(step(change("\n".join(map(str, range(500))), "\n".join(map(str, range(1_000, 1_500)))))))
    )
    assert len(found) < 130
    assert "        … 880 more lines; `--json` has all of them" in found


def test_a_file_of_a_bundle_is_cut_politely() -> None:
    diff = ("--- main.py", "+++ main.py", *(f"+{number}" for number in range(45)))
    found = texts(plan_lines(plan(replace(step(), files=(FileChange("main.py", Edit.CHANGED, diff),)))))
    assert "            … 5 more lines" in found
    assert not [text for text in found if "+++" in text]


def test_spaces_at_the_end_of_a_changed_line_can_be_seen() -> None:
    found = texts(plan_lines(plan(step(change("a\nb", "a\nb  ")))))
    assert "        - b" in found
    assert "        + b··" in found


def test_instants_that_are_none_stand_as_they_are() -> None:
    found = texts(plan_lines(plan(replace(step(), fires=Fires((), ("soon", "2026-11-23T02:00:05Z"))))))
    assert "      next fires (UTC): soon, Mon 2026-11-23 02:00:05" in found


def test_a_reason_that_no_field_tells_stands_above_the_fields() -> None:
    found = texts(plan_lines(plan(step(change(1, 2)))))
    assert found[1:3] == ["      why", "      args.x: 1 → 2"]
    told = replace(step(change(1, 2)), reason="args.x: changed in tasks.yaml:1")
    assert texts(plan_lines(plan(told)))[1] == "      args.x: 1 → 2"


def test_many_steps_are_all_listed() -> None:
    steps = [Step(Key.parse(f"Task/lab/{number}"), Action.CREATE, "declared") for number in range(250)]
    assert sum(text.startswith("  + ") for text in texts(plan_lines(plan(*steps)))) == 250


def test_the_hash_can_be_demanded() -> None:
    found = plan(step(change(1, 2)))
    assert found.hash in hash_line(found).text
    assert "apply --expect" in hash_line(found).text


def test_drift_and_what_is_gone_are_each_told_once() -> None:
    drifted = FieldChange("args.x", Action.UPDATE, "", 1, 1, live=2, drift=True)
    found = texts(drift_lines({TASK: (drifted,)}, missing=[TASK]))
    assert found[1:3] == ["  - Task/lab/nightly", "      it is not on the target any more"]
    assert found[-1].startswith("Drift: 1 object gone.")


def test_the_json_of_an_outcome_has_every_part() -> None:
    stale = StepOutcome(step(change(1, 2)), Fate.FAILED, Diagnostic("stale"), tries=3, stale=True)
    outcome = Outcome(
        plan(stale.step), (stale,), NOON, NOON, restored=(TASK,), unrestored=(TASK,), problems=(Diagnostic("lost"),)
    )
    found = outcome_json(outcome)
    assert (found["restored"], found["unrestored"]) == (["Task/lab/nightly"], ["Task/lab/nightly"])
    assert found["problems"] == [{"severity": "error", "summary": "lost"}]
    assert (found["steps"][0]["tries"], found["steps"][0]["stale"]) == (3, True)
