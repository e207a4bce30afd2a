from __future__ import annotations

import shlex
from dataclasses import replace
from typing import Any

import pytest

from specrunner.core.decide import Wishes, emptied, make_plan
from specrunner.core.errors import InvalidSpecs, UsageError
from specrunner.core.fields import Action
from specrunner.core.keys import Key, Kind
from specrunner.core.lifecycle import RunState
from specrunner.core.resources import Owner, Resource, intent_of
from tests.unit.core_samples import (
    MODEL,
    NOTHING,
    OWNER,
    PIPELINE,
    RUN_ONCE,
    SCHEDULED,
    SOMEBODY,
    carried_out,
    desired,
    live,
    live_of,
    only_step,
    plan_for,
    resource,
    task,
    workspace,
)


def code(sha: str = "a" * 64) -> Resource:
    return resource(Kind.ORCHESTRATION, "code", {"source": "code", "sha": sha})


def done(spec: Any, *others: Any) -> dict[str, str]:
    return {intent_of(one): "success" for one in (spec, *others)}


def test_what_is_not_there_is_created_and_says_where_it_is_declared() -> None:
    (step,) = plan_for([workspace()], {}).steps
    assert (step.action, step.creates, step.live) == (Action.CREATE, True, "")
    assert step.reason == "declared in specs.yaml:3, not on the target yet"


def test_what_is_as_declared_needs_nothing_and_is_counted() -> None:
    plan = plan_for([workspace(), code()], live(live_of(workspace()), live_of(code())))
    assert (plan.steps, plan.notices, plan.unchanged) == ((), (), 2)


@pytest.mark.parametrize(
    ("kind", "old", "new", "action"),
    [
        (Kind.CONNECTION, {"type": "HTTP"}, {"type": "BIGQUERY"}, Action.REPLACE),
        (Kind.CONNECTION, {"details": {"a": 1}}, {"details": {"a": 2}}, Action.UPDATE),
        (Kind.MODEL, MODEL, {**MODEL, "sha": "c" * 64}, Action.UPLOAD),
        (Kind.ORCHESTRATION, {"sha": "a"}, {"sha": "b"}, Action.UPLOAD),
        (Kind.PIPELINE, PIPELINE, {**PIPELINE, "modelShas": {"m": "c"}}, Action.REDEPLOY),
        (Kind.PIPELINE, PIPELINE, {**PIPELINE, "deployed": False}, Action.KILL),
        (Kind.PIPELINE, {**PIPELINE, "deployed": False}, PIPELINE, Action.UPDATE),
        (Kind.PIPELINE, PIPELINE, {**PIPELINE, "deployed": None}, Action.UPDATE),
        (Kind.TASK, SCHEDULED, {**SCHEDULED, "orchestration": "renamed"}, Action.UPDATE),
        (Kind.TASK, SCHEDULED, {**SCHEDULED, "schedule": {"cron": "1 2 * * *", "timezone": "UTC"}}, Action.RESCHEDULE),
        (Kind.TASK, SCHEDULED, {**SCHEDULED, "args": {}}, Action.UPDATE),
    ],
)
def test_the_field_decides_what_is_done(kind: Kind, old: Any, new: Any, action: Action) -> None:
    step = only_step(resource(kind, "x", new), live_of(resource(kind, "x", old)))
    assert (step.action, step.intent) == (action, "")
    assert step.live == live_of(resource(kind, "x", old)).fingerprint


def test_the_worst_field_decides_the_step_and_gives_its_reason() -> None:
    new = {**PIPELINE, "log": {"retention": 60}, "steps": [{"model": "other"}]}
    step = only_step(resource(Kind.PIPELINE, "p", new), live_of(resource(Kind.PIPELINE, "p", PIPELINE)))
    assert step.action is Action.REDEPLOY
    assert step.reason == "steps: changed in specs.yaml:3"
    assert len(step.changes) == 2


def test_what_no_file_declares_any_more_is_deleted() -> None:
    (step,) = plan_for([], live(live_of(workspace()))).steps
    assert (step.action, step.reason, step.blocked_by) == (Action.DELETE, "no file declares it any more", "")


def test_a_protected_object_is_not_deleted_and_says_what_to_write() -> None:
    plan = plan_for([], live(live_of(workspace(protect=True))))
    assert plan.work == ()
    (step,) = plan.blocked
    assert "metadata: {protect: false}" in step.blocked_by


def test_protection_is_lifted_by_declaring_so_and_then_removing_the_file() -> None:
    protected = live(live_of(workspace(protect=True)))
    plan = plan_for([workspace()], protected)
    assert [change.path for change in plan.steps[0].changes] == ["metadata.protect"]
    (step,) = plan_for([], carried_out(plan, [workspace()], protected)).work
    assert step.deletes


def test_no_destroy_deletes_nothing_and_lists_it() -> None:
    plan = plan_for([task()], live(live_of(workspace())), wishes=Wishes(destroy=False))
    assert [str(step.key) for step in plan.blocked] == ["Workspace/w"]
    assert plan.blocked[0].blocked_by == "--no-destroy was given"
    assert [step.action for step in plan.work] == [Action.CREATE]


@pytest.mark.parametrize("owner", [SOMEBODY, Owner(OWNER.project, "prod"), None])
def test_what_others_or_nobody_own_is_never_deleted(owner: Owner | None) -> None:
    assert plan_for([], live(live_of(workspace(), owner=owner))).steps == ()


@pytest.mark.parametrize("owner", [SOMEBODY, Owner(OWNER.project, "prod")])
def test_a_clash_with_another_owner_is_an_error_that_names_it(owner: Owner) -> None:
    with pytest.raises(InvalidSpecs) as clash:
        plan_for([workspace()], live(live_of(workspace(), owner=owner)))
    (told,) = clash.value.diagnostics
    assert told.summary == f"Workspace/w belongs to {owner}."
    assert told.remedy
    assert told.place == workspace().place


def test_all_clashes_are_told_at_once() -> None:
    declared = [workspace(), code(), task(SCHEDULED)]
    with pytest.raises(InvalidSpecs) as clash:
        plan_for(declared, live(*(live_of(one, owner=SOMEBODY) for one in declared[:2])))
    assert [told.summary for told in clash.value.diagnostics] == [
        "Orchestration/w/code belongs to billing/prod.",
        "Workspace/w belongs to billing/prod.",
    ]
    assert clash.value.exit_code == 1


def test_an_object_of_nobody_is_left_alone_until_it_is_adopted() -> None:
    found = live(live_of(task(), owner=None, applied=None, intents=done(RUN_ONCE)))
    (step,) = plan_for([task()], found).blocked
    assert (step.action, step.reason) == (Action.ADOPT, "on the target already, without an owner")
    command = step.blocked_by.split("`")[1]
    assert shlex.split(command) == ["specrunner", "apply", "--adopt", "Task/w/nightly forecast"]
    (step,) = plan_for([task()], found, wishes=Wishes(adopt=frozenset({task().key}))).work
    assert (step.action, step.intent, step.live) == (Action.ADOPT, "", found[task().key].fingerprint)


def test_an_adoption_shows_what_it_changes() -> None:
    declared = resource(Kind.CONNECTION, "x", {"type": "HTTP", "details": {"host": "x"}})
    found = live_of(resource(Kind.CONNECTION, "x", {"type": "HTTP", "details": {}}), owner=None, applied=None)
    step = only_step(declared, found, wishes=Wishes(adopt=frozenset({declared.key})))
    assert (step.action, [change.path for change in step.changes]) == (Action.ADOPT, ["details.host"])


def test_an_adoption_that_would_replace_the_object_says_so_and_is_no_mere_adoption() -> None:
    declared = resource(Kind.CONNECTION, "x", {"type": "BIGQUERY"})
    found = live_of(resource(Kind.CONNECTION, "x", {"type": "HTTP"}), owner=None, applied=None)
    assert "--adopt" in only_step(declared, found).blocked_by
    wishes = Wishes(adopt=frozenset({declared.key}))
    step = only_step(declared, found, wishes=wishes)
    assert (step.action, step.blocked_by) == (Action.REPLACE, "")
    assert step.reason.startswith("on the target already, without an owner; type: changed in specs.yaml:3")
    assert only_step(declared, found, wishes=replace(wishes, destroy=False)).blocked_by == "--no-destroy was given"


def test_adopting_what_no_file_declares_is_wrong_usage_and_names_the_nearest() -> None:
    with pytest.raises(UsageError, match=r"No file declares Task/w/nightly forecasts") as wrong:
        plan_for([task()], {}, wishes=Wishes(adopt=frozenset({task(name="nightly forecasts").key})))
    assert wrong.value.remedy == "Did you mean Task/w/nightly forecast?"


def test_adopting_what_is_ours_already_changes_nothing() -> None:
    wishes = Wishes(adopt=frozenset({workspace().key}))
    assert plan_for([workspace()], live(live_of(workspace())), wishes=wishes).steps == ()


def test_destroy_plans_towards_nothing() -> None:
    plan = make_plan(emptied(desired(workspace())), live(live_of(workspace())), NOTHING)
    assert [step.action for step in plan.steps] == [Action.DELETE]


# Run-once tasks and their intents.


def test_a_new_run_once_task_is_created_and_run() -> None:
    (step,) = plan_for([task()], {}).steps
    assert (step.action, step.intent) == (Action.CREATE, intent_of(RUN_ONCE))


def test_a_new_scheduled_task_or_service_is_only_created() -> None:
    for spec in (SCHEDULED, {**RUN_ONCE, "service": {"port": 8080}}):
        (step,) = plan_for([task(spec)], {}).steps
        assert (step.action, step.intent) == (Action.CREATE, "")


def test_an_intent_that_was_carried_out_is_not_repeated() -> None:
    assert plan_for([task()], live(live_of(task(), intents=done(RUN_ONCE)))).steps == ()


@pytest.mark.parametrize(
    "field",
    [
        "args",
        "env",
        "secretEnv",
        "timeout",
        "retries",
        "resources",
        "executor",
        "orchestrationSha",
    ],
)
def test_a_changed_order_runs_again(field: str) -> None:
    other: Any = {"args": {"x": 1}}.get(field, "other")
    changed = task({**RUN_ONCE, field: other})
    step = only_step(changed, live_of(task(), intents=done(RUN_ONCE)))
    assert (step.action, step.intent) == (Action.RUN, intent_of(changed.spec))


def test_a_new_version_of_the_orchestration_runs_again_and_says_why() -> None:
    new = {**RUN_ONCE, "orchestrationSha": "c" * 64}
    step = only_step(task(new), live_of(task(), intents=done(RUN_ONCE)))
    assert step.reason == "orchestrationSha: the orchestration has a new version"


def test_another_name_of_the_same_orchestration_does_not_run_again() -> None:
    step = only_step(task({**RUN_ONCE, "orchestration": "renamed"}), live_of(task(), intents=done(RUN_ONCE)))
    assert (step.action, step.intent, step.changes[0].path) == (Action.UPDATE, "", "orchestration")


def test_other_workspaces_to_use_change_the_task_and_run_nothing() -> None:
    step = only_step(task({**RUN_ONCE, "workspaces": ["other"]}), live_of(task(), intents=done(RUN_ONCE)))
    assert (step.action, step.intent, step.changes[0].path) == (Action.UPDATE, "", "workspaces")


def test_where_no_sha_is_known_another_name_is_another_order() -> None:
    assert intent_of({"orchestration": "a"}) != intent_of({"orchestration": "b"})


def test_an_order_that_a_target_writes_otherwise_is_the_same_order() -> None:
    ours = {**RUN_ONCE, "timeout": 60, "retries": {"limit": 2, "backoff": 90}, "resources": {"memory": 512 * 1024**2}}
    theirs = {"timeout": "1m0s", "retries": {"limit": "2", "backoff": "1m30s"}, "resources": {"memory": "512Mi"}}
    assert intent_of({**RUN_ONCE, **theirs}) == intent_of(ours)


def test_keeping_more_records_does_not_run_again() -> None:
    step = only_step(task({**RUN_ONCE, "history": {"succeeded": 1}}), live_of(task(), intents=done(RUN_ONCE)))
    assert (step.action, step.intent) == (Action.UPDATE, "")


def test_labels_and_description_do_not_run_again() -> None:
    step = only_step(task(labels={"team": "x"}, description="new"), live_of(task(), intents=done(RUN_ONCE)))
    assert (step.action, step.intent) == (Action.UPDATE, "")


def test_a_field_that_is_empty_or_null_is_no_other_order() -> None:
    nothings: tuple[Any, ...] = (None, {}, [], "")
    for nothing in nothings:
        assert intent_of({**RUN_ONCE, "env": nothing, "resources": nothing}) == intent_of(RUN_ONCE)


def test_an_argument_that_is_null_is_another_order_than_one_that_is_not_there() -> None:
    assert intent_of({**RUN_ONCE, "args": {"rows": 10, "more": None}}) != intent_of(RUN_ONCE)
    step = only_step(task({**RUN_ONCE, "args": {"rows": 10, "more": None}}), live_of(task(), intents=done(RUN_ONCE)))
    assert step.action is Action.RUN


def test_going_back_to_an_earlier_intent_changes_the_task_and_does_not_run_it() -> None:
    other = {**RUN_ONCE, "args": {"rows": 99}}
    step = only_step(task(), live_of(task(other), intents=done(RUN_ONCE, other)))
    assert (step.action, step.intent) == (Action.UPDATE, "")
    assert step.changes[0].path == "args.rows"


@pytest.mark.parametrize("state", [state for state in RunState if state.ended and state is not RunState.SUCCESS])
def test_a_run_that_ended_badly_is_not_repeated_but_noticed_with_the_line_that_would(state: RunState) -> None:
    plan = plan_for([task()], live(live_of(task(), intents={intent_of(RUN_ONCE): str(state)})))
    assert (plan.steps, plan.unchanged) == ((), 1)
    (notice,) = plan.notices
    assert str(state) in notice.text
    assert shlex.split(notice.remedy) == ["specrunner", "run", "nightly forecast"]


@pytest.mark.parametrize("name", ["plain", "it's", "a b", "$(reboot)", "-x;y", "é", "`id`", "a\\b", '"'])
def test_a_line_to_paste_is_safe_for_a_shell(name: str) -> None:
    odd = task(name=name)
    (notice,) = plan_for([odd], live(live_of(odd, intents={intent_of(RUN_ONCE): "failure"}))).notices
    assert shlex.split(notice.remedy) == ["specrunner", "run", name]


def test_a_failed_intent_is_noticed_beside_an_unrelated_change() -> None:
    plan = plan_for([task(labels={"a": "b"})], live(live_of(task(), intents={intent_of(RUN_ONCE): "failure"})))
    assert ([step.action for step in plan.steps], len(plan.notices)) == ([Action.UPDATE], 1)


def test_going_back_to_a_failed_intent_changes_the_task_and_notices() -> None:
    other = {**RUN_ONCE, "args": {}}
    intents = {**done(other), intent_of(RUN_ONCE): "failure"}
    plan = plan_for([task()], live(live_of(task(other), intents=intents)))
    assert [(step.action, step.intent) for step in plan.steps] == [(Action.UPDATE, "")]
    assert len(plan.notices) == 1


@pytest.mark.parametrize("state", ["pending", "running"])
def test_a_run_under_way_is_waited_for(state: str) -> None:
    step = only_step(task(), live_of(task(), intents={intent_of(RUN_ONCE): state}))
    assert (step.action, step.intent, step.reason) == (Action.RUN, intent_of(RUN_ONCE), "its run has not ended")


def test_a_task_that_was_stored_and_never_ran_is_run() -> None:
    step = only_step(task(), live_of(task()))
    assert (step.action, step.reason) == (Action.RUN, "it has not run yet")


def test_a_task_that_loses_its_schedule_runs_once() -> None:
    step = only_step(task(), live_of(task(SCHEDULED)))
    assert (step.action, step.intent) == (Action.RESCHEDULE, intent_of(RUN_ONCE))


def test_a_task_that_gets_a_schedule_does_not_run_now() -> None:
    step = only_step(task(SCHEDULED), live_of(task()))
    assert (step.action, step.intent) == (Action.RESCHEDULE, "")


def test_another_value_of_a_secret_changes_a_run_once_task_and_does_not_run_it() -> None:
    spec = {**RUN_ONCE, "secretEnv": {"KEY": {"env": "KEY"}}}
    declared = task(spec, secrets={"secretEnv.KEY": {"env": "KEY"}})
    found = live_of(declared, secrets={"secretEnv.KEY": "f1"}, intents=done(spec))
    step = only_step(declared, found, fingerprints={declared.key: {"secretEnv.KEY": "f2"}})
    assert (step.action, step.intent) == (Action.UPDATE, "")


def test_applied_twice_there_is_nothing_left_to_do() -> None:
    declared = [workspace(), code(), task(), resource(Kind.MODEL, "m", MODEL), resource(Kind.PIPELINE, "p", PIPELINE)]
    state = carried_out(plan_for(declared, {}), declared, {})
    plan = plan_for(declared, state)
    assert (plan.steps, plan.notices, plan.unchanged) == ((), (), 5)


def test_a_new_orchestration_and_its_task_are_one_apply() -> None:
    old = [workspace(), code(), task()]
    state = carried_out(plan_for(old, {}), old, {})
    new = [workspace(), code("c" * 64), task({**RUN_ONCE, "orchestrationSha": "c" * 64})]
    plan = plan_for(new, state)
    assert [(step.key.kind, step.action) for step in plan.steps] == [
        (Kind.ORCHESTRATION, Action.UPLOAD),
        (Kind.TASK, Action.RUN),
    ]
    assert plan_for(new, carried_out(plan, new, state)).steps == ()


def test_keys_of_a_plan_are_each_there_once() -> None:
    declared = [workspace(), code(), task()]
    keys = [step.key for step in plan_for(declared, live(live_of(resource(Kind.MODEL, "old", MODEL)))).steps]
    assert sorted(keys) == sorted({*keys})
    assert Key(Kind.MODEL, "w", "old") in keys
