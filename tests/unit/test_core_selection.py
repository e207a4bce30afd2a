from __future__ import annotations

import pytest

from specrunner.core.errors import UsageError
from specrunner.core.keys import Key, Kind
from specrunner.core.recorded import Recorded
from specrunner.core.selection import named, selected
from tests.unit.core_samples import MODEL, OWNER, PIPELINE, desired, live, live_of, plan_for, resource, task, workspace

CODE = resource(Kind.ORCHESTRATION, "code", {"sha": "a" * 64})
SERVING = [resource(Kind.MODEL, "m", MODEL), resource(Kind.PIPELINE, "p", PIPELINE)]
EVERYTHING = [workspace(), CODE, task(), *SERVING]


def kept(*keys: Key) -> list[str]:
    plan = selected(plan_for(EVERYTHING, {}), desired(*EVERYTHING), keys)
    return [str(step.key) for step in plan.steps]


def test_an_object_is_selected_with_all_that_it_needs() -> None:
    assert kept(SERVING[1].key) == ["Workspace/w", "Model/w/m", "Pipeline/w/p"]
    assert kept(task().key) == ["Workspace/w", "Orchestration/w/code", "Task/w/nightly forecast"]
    assert kept(SERVING[1].key, CODE.key) == ["Workspace/w", "Model/w/m", "Orchestration/w/code", "Pipeline/w/p"]


def test_a_step_waits_for_no_step_that_was_left_out() -> None:
    plan = plan_for(EVERYTHING, {})
    (full,) = [step for step in plan.steps if step.intent]
    assert full.after
    (run,) = [step for step in selected(plan, desired(*EVERYTHING), [full.key]).steps if step.intent]
    assert run.after == ()
    both = selected(plan, desired(*EVERYTHING), [full.key, SERVING[1].key])
    assert [str(key) for key in both.steps[-1].after] == ["Model/w/m", "Pipeline/w/p"]


def test_of_deletes_what_must_go_before_is_selected_too() -> None:
    plan = plan_for([], live(*map(live_of, EVERYTHING)))
    found = selected(plan, desired(), [SERVING[0].key])
    assert [str(step.key) for step in found.steps] == ["Pipeline/w/p", "Model/w/m"]


def test_a_notice_says_how_many_steps_were_left_out() -> None:
    plan = plan_for(EVERYTHING, {})
    for key, words in ((task().key, "(nor was another one)"), (CODE.key, "(nor were 2 others)")):
        (notice,) = selected(plan, desired(*EVERYTHING), [key]).notices
        assert notice.key in {one.key for one in EVERYTHING}
        assert notice.text == f"it would change too, and is left out: it was not selected {words}"
    assert selected(plan, desired(*EVERYTHING), [one.key for one in EVERYTHING]) == plan


def test_what_is_selected_and_needs_nothing_gives_an_empty_plan() -> None:
    plan = plan_for(EVERYTHING, live(live_of(workspace())))
    assert selected(plan, desired(*EVERYTHING), [workspace().key]).steps == ()
    assert selected(plan, desired(*EVERYTHING), []).steps == ()


def test_everything_is_brought_back_whatever_is_selected() -> None:
    recorded = Recorded(CODE.key, OWNER, CODE.spec).as_live()
    plan = plan_for(EVERYTHING, live(recorded))
    assert selected(plan, desired(*EVERYTHING), [workspace().key]).restores == (CODE.key,)


def test_an_unknown_key_is_wrong_usage_and_names_the_nearest() -> None:
    with pytest.raises(UsageError, match="There is no Task/w/nightly forcast") as wrong:
        kept(Key.parse("Task/w/nightly forcast"))
    assert wrong.value.remedy == "Did you mean Task/w/nightly forecast?"
    with pytest.raises(UsageError) as wrong:
        kept(Key.parse("Workspace/quite another"))
    assert "specrunner plan" in wrong.value.remedy


@pytest.mark.parametrize("text", ["", "nightly forecast", "Task/w", "Robot/x", "task/w/nightly forecast"])
def test_what_is_no_key_at_all_is_wrong_usage_and_says_how_one_looks(text: str) -> None:
    with pytest.raises(UsageError, match="is no key") as wrong:
        named(text, [task().key])
    assert "Kind/workspace/name" in wrong.value.remedy


def test_a_key_is_read_as_plan_prints_it() -> None:
    assert named(str(task().key), [task().key]) == task().key
    with pytest.raises(UsageError, match="There is no"):
        named("Task/w/other", [task().key])
