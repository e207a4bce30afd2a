from __future__ import annotations

from dataclasses import replace

import pytest

from specrunner.core.diff import FieldChange
from specrunner.core.errors import Refused
from specrunner.core.fields import Action
from specrunner.core.keys import Key, Kind
from specrunner.core.plan import Step
from specrunner.core.resources import Presence, Safety
from specrunner.core.safety import SMALLEST_BRAKED, brake, braked, counted
from tests.unit.core_samples import MODEL, OWNER, SOMEBODY, live, live_of, resource

CHANGE = (FieldChange("type", Action.UPDATE, "changed"),)


def steps(action: Action, count: int, changed: bool = True, blocked: str = "") -> list[Step]:
    found = CHANGE if changed and action not in {Action.CREATE, Action.DELETE} else ()
    keys = [Key(Kind.CONNECTION, "", f"{action}{number}") for number in range(count)]
    return [Step(key, action, "", found, blocked_by=blocked) for key in keys]


@pytest.mark.parametrize(
    ("action", "count", "limit"),
    [
        (Action.DELETE, 42, "maxDeletePercent"),
        (Action.REPLACE, 42, "maxDeletePercent"),
        (Action.UPDATE, 51, "maxUpdatePercent"),
        (Action.REDEPLOY, 51, "maxUpdatePercent"),
        (Action.RUN, 51, "maxUpdatePercent"),
    ],
)
def test_too_large_a_change_is_refused_with_the_numbers(action: Action, count: int, limit: str) -> None:
    with pytest.raises(Refused, match=rf"{count}\.00% of the live objects, over \d0\.00% \({count}/100\)") as refused:
        brake(steps(action, count), 100, Safety())
    assert "--force" in refused.value.remedy
    assert limit in refused.value.remedy
    assert refused.value.exit_code == 3


def test_a_change_of_exactly_the_limit_is_carried_out() -> None:
    brake([*steps(Action.DELETE, 30), *steps(Action.UPDATE, 50)], 100, Safety())


def test_the_limits_are_the_project_s_own() -> None:
    brake(steps(Action.DELETE, 100), 100, Safety(max_delete_percent=100))
    with pytest.raises(Refused, match=r"1\.00% .* over 0\.00% \(1/100\)"):
        brake(steps(Action.UPDATE, 1), 100, Safety(max_update_percent=0))


def test_a_small_project_is_not_braked() -> None:
    brake(steps(Action.DELETE, SMALLEST_BRAKED - 1), SMALLEST_BRAKED - 1, Safety())
    brake([], 0, Safety())
    with pytest.raises(Refused):
        brake(steps(Action.DELETE, SMALLEST_BRAKED), SMALLEST_BRAKED, Safety())


@pytest.mark.parametrize("action", [Action.CREATE, Action.ADOPT])
def test_what_was_not_ours_is_not_counted(action: Action) -> None:
    brake(steps(action, 1000), 10, Safety())


def test_a_run_of_a_task_that_stays_as_it_is_is_no_change() -> None:
    brake(steps(Action.RUN, 100, changed=False), 100, Safety())


def test_what_is_blocked_anyway_is_not_counted() -> None:
    brake(steps(Action.DELETE, 100, blocked="it is protected"), 100, Safety())


def test_what_is_gone_already_is_not_deleted_any_more() -> None:
    brake([replace(step, gone=True) for step in steps(Action.DELETE, 100)], 100, Safety())


def test_what_is_replaced_counts_as_deleted_and_not_as_changed_too() -> None:
    both = [*steps(Action.REPLACE, 20), *steps(Action.DELETE, 10), *steps(Action.UPDATE, 40)]
    assert braked(both, 100, Safety()) == ()
    (words,) = braked([*both, *steps(Action.DELETE, 1)], 100, Safety())
    assert "delete 31.00%" in words.summary


def test_the_brake_s_words_can_be_had_without_pulling_it_all_of_them() -> None:
    found = braked([*steps(Action.DELETE, 60), *steps(Action.UPDATE, 60)], 100, Safety())
    assert [words.summary.split()[2] for words in found] == ["delete", "change"]
    with pytest.raises(Refused) as refused:
        brake(steps(Action.DELETE, 60), 100, Safety())
    assert refused.value.diagnostics == found[:1]


def test_the_live_objects_of_a_project_are_those_of_its_owner_that_are_there() -> None:
    names = [resource(Kind.MODEL, f"m{number}", MODEL) for number in range(6)]
    found = [
        live_of(names[0]),
        live_of(names[1], owner=SOMEBODY),
        live_of(names[2], owner=None),
        live_of(names[3], presence=Presence.MISSING),
        live_of(names[4], presence=Presence.LEAVING),
        live_of(names[5], presence=Presence.RECORDED),
    ]
    assert counted(live(*found), OWNER) == 2
