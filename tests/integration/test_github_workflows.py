"""The ready workflows and the composite action, each `run:` of theirs executed against a bare remote and a stand-in.

What GitHub's own runner does around them is `github_runner`, what its REST API does is `github_api`.
"""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest
import yaml

from specrunner.core.plan import from_json
from specrunner.forge.headers import header_of
from tests.integration import github_runner
from tests.integration.github_api import Answer, Fault
from tests.integration.github_runner import READY, REUSABLE
from tests.integration.github_world import PLAN, World, only_comment, only_issue, schedule


def test_a_pull_request_shows_its_plan_in_a_comment_a_status_the_summary_and_an_artifact(world: World) -> None:
    schedule(world)
    number = world.pull_request()
    ended = world.plan(number)
    assert ended.code == 0, ended.log
    body = only_comment(world, number)
    header = header_of(body, PLAN)
    assert header is not None
    assert header["complete"] is True
    assert header["hash"] == ended.outputs["hash"]
    assert header["commit"] == world.api.pulls[number]["head"]["sha"]
    assert "Task/lab/nightly" in body
    assert ended.outputs["changes"] == "true"
    assert "to create" in ended.outputs["summary"]
    [status] = world.api.statuses[world.api.pulls[number]["head"]["sha"]]
    assert status["state"] == "success"
    assert ended.outputs["hash"][:16] in status["description"]
    assert "Task/lab/nightly" in ended.summary
    saved = from_json(json.loads(ended.artifacts["plan-default"]))
    assert saved.hash == ended.outputs["hash"]
    assert ended.annotations("error") == []


def test_a_second_plan_updates_the_comment_and_there_is_still_one(world: World) -> None:
    schedule(world)
    number = world.pull_request()
    world.plan(number)
    first = only_comment(world, number)
    schedule(world, "0 3 * * *")
    world.push_again(number)
    world.plan(number)
    assert only_comment(world, number) != first
    assert "03:00" in only_comment(world, number)
    posts = [asked for asked in world.api.writes() if asked.method == "POST" and asked.path.endswith("/comments")]
    assert len(posts) == 1


def test_a_comment_of_somebody_else_that_looks_like_ours_is_left_alone_and_approves_nothing(world: World) -> None:
    schedule(world)
    number = world.pull_request()
    world.plan(number)
    ours = only_comment(world, number)
    [mine] = world.api.comments.values()
    world.api.comments = {7: {**mine, "id": 7, "user": {"login": "mallory"}}}
    ended = world.apply(world.merge(number))
    assert ended.code == 4, ended.log
    assert world.api.comments[7]["body"] == ours
    assert "shows no plan of ours" in ended.summary


def test_a_plan_that_is_too_long_is_cut_at_an_object_and_can_not_be_approved(world: World) -> None:
    for index in range(500):
        world.specs.document("Connection", f"store-{index:03}-{'x' * 40}", {"type": "HTTP"})
    number = world.pull_request()
    ended = world.plan(number)
    assert ended.code == 0, ended.log
    body = only_comment(world, number)
    assert len(body) <= 65_536
    rows = [line for line in body.splitlines() if line.startswith("| + |")]
    assert 300 < len(rows) < 500
    assert all(row.endswith("not on the target yet |") for row in rows)
    assert "Left out" in body
    assert (header_of(body, PLAN) or {})["complete"] is False
    assert "Left out" not in ended.summary  # there is room for all of it
    refused = world.apply(world.merge(number))
    assert refused.code == 4
    assert "only a part of its plan" in refused.summary


def test_without_the_right_to_comment_the_summary_has_the_plan_and_says_so(world: World, tmp_path: Path) -> None:
    schedule(world)
    workflow = tmp_path / "plan.yml"
    text = (READY / "plan.yml").read_text("utf-8")
    workflow.write_text(
        text.replace("pull-requests: write", "pull-requests: read").replace("statuses: write", ""), "utf-8"
    )
    number = world.pull_request()
    ended = world.plan(number, workflow)
    assert ended.code == 0, ended.log
    assert world.api.comments == {}
    assert "Task/lab/nightly" in ended.summary
    assert "could not comment on the pull request" in ended.summary
    assert "could not mark the commit" in ended.summary
    assert any("could not comment" in text for text in ended.annotations("warning"))


def test_a_fork_is_planned_offline_without_secrets_and_reported_in_the_summary(world: World) -> None:
    proof = world.specs.root.parent / "stolen"
    stealing = {"exec": ["sh", "-c", f'echo "$GITHUB_TOKEN" > {proof}; echo {{}}']}
    world.specs.document("Connection", "theirs", {"type": "HTTP", "detailsFrom": stealing})
    number = world.pull_request(head="mallory/specs")
    ended = world.plan(number, REUSABLE / "specs-plan.yml", secrets={"environment-variables": "KEY=secret-of-the-team"})
    assert ended.code == 0, ended.log
    assert not proof.exists()
    assert "Connection/theirs" in ended.summary
    assert "could not comment" in ended.summary
    assert "from a fork may only read" in ended.summary
    assert world.api.comments == {}
    assert "secret-of-the-team" not in ended.log


def test_specs_with_mistakes_are_annotated_at_their_lines_and_replace_the_plan(world: World) -> None:
    schedule(world)
    number = world.pull_request()
    world.plan(number)
    world.specs.task("nightly", "gone", schedule="0 2 * * *")
    world.push_again(number)
    ended = world.plan(number)
    assert ended.code == 1
    [error] = ended.annotations("error")
    assert "file=task-nightly.yaml,line=" in error
    body = only_comment(world, number)
    assert "Nothing could be planned" in body
    assert "hash" not in (header_of(body, PLAN) or {})
    assert world.api.statuses[world.api.pulls[number]["head"]["sha"]][0]["state"] == "failure"
    assert ended.artifacts == {}


def test_what_was_reviewed_is_applied_on_merge_and_told_on_the_pull_request(world: World) -> None:
    schedule(world)
    number, sha = world.reviewed_and_merged()
    ended = world.apply(sha)
    assert ended.code == 0, ended.log
    body = only_comment(world, number, "specrunner-outcome")
    assert "Task/lab/nightly" in body
    assert "Applied:" in ended.outputs["summary"]
    assert world.api.statuses[sha][0]["state"] == "success"
    assert world.api.issues == {}


def test_merged_with_a_changed_plan_is_refused_with_the_differences_and_approved_by_its_hash(world: World) -> None:
    schedule(world)
    number = world.pull_request()
    world.plan(number)
    world.git("checkout", "-q", "-B", "main", "origin/main")
    world.specs.document("Workspace", "unseen", {})
    world.push("main", "Slip something in")
    sha = world.merge(number)
    refused = world.apply(sha)
    assert refused.code == 4, refused.log
    assert f"not the plan that pull request #{number} has shown" in refused.summary
    assert "Workspace/unseen: create was not approved" in refused.summary
    assert refused.outputs["hash"] in refused.summary
    issue = only_issue(world)
    assert issue["state"] == "open"
    assert "Workspace/unseen" in str(issue["body"])
    assert world.api.statuses[sha][0]["state"] == "failure"
    assert any("not the plan" in text for text in refused.annotations("error"))
    elsewhere = world.dispatch("apply.yml", sha, {"expect": refused.outputs["hash"]}, branch="change")
    assert elsewhere.log == "skipped"
    wrong = world.dispatch("apply.yml", sha, {"expect": "0" * 64})
    assert wrong.code == 4
    approved = world.dispatch("apply.yml", sha, {"expect": refused.outputs["hash"]})
    assert approved.code == 0, approved.log
    assert only_issue(world)["state"] == "closed"


def test_what_was_pushed_without_a_pull_request_is_refused_unless_reviews_are_switched_off(world: World) -> None:
    schedule(world)
    sha = world.push("main")
    refused = world.apply(sha)
    assert refused.code == 4
    assert "no merged pull request" in refused.summary
    applied = world.push_and_apply()[1]
    assert applied.code == 0, applied.log


def test_specs_on_main_that_are_not_valid_open_the_issue_and_apply_nothing(world: World) -> None:
    world.specs.task("nightly", "gone", schedule="0 2 * * *")
    ended = world.apply(world.push("main"))
    assert ended.code == 1
    assert any("file=task-nightly.yaml" in text for text in ended.annotations("error"))
    assert "gone" in str(only_issue(world)["body"])


def test_a_comment_that_was_edited_approves_nothing(world: World) -> None:
    schedule(world)
    number = world.pull_request()
    planned = world.plan(number)
    world.specs.document("Workspace", "unseen", {})
    world.push_again(number)
    sneaky = world.plan(number)
    world.git("checkout", "-q", "-B", "other", "origin/main")
    for comment in world.api.comments.values():
        comment["body"] = comment["body"].replace(sneaky.outputs["hash"], planned.outputs["hash"])
    refused = world.apply(world.merge(number))
    assert refused.code == 4
    assert "does not hold the plan that was planned there" in refused.summary


def test_a_failed_apply_opens_an_issue_that_the_next_failure_updates_and_the_next_success_closes(world: World) -> None:
    world.specs.orchestration("job", "raise SystemExit('no luck today')")
    world.specs.task("once", "job")
    number, sha = world.reviewed_and_merged("broken")
    failed = world.apply(sha)
    assert failed.code == 6, failed.log
    issue = only_issue(world)
    assert issue["state"] == "open"
    assert "no luck today" in str(issue["body"])
    assert "no luck today" in only_comment(world, number, "specrunner-outcome")
    assert world.api.statuses[sha][0]["state"] == "failure"
    world.specs.orchestration("job", "raise SystemExit('still no luck')")
    failed = world.push_and_apply()[1]
    assert failed.code == 6
    assert "still no luck" in str(only_issue(world)["body"])
    world.specs.orchestration("job", "print('fine')")
    assert world.push_and_apply()[1].code == 0
    assert only_issue(world)["state"] == "closed"


def test_an_answer_that_is_lost_makes_no_second_comment(world: World) -> None:
    schedule(world)
    number = world.pull_request()
    world.api.faults += [
        Fault("GET", r"/comments", Answer(502, {"message": "Bad gateway"})),
        Fault("POST", r"/comments", None, effect=True),
    ]
    ended = world.plan(number)
    assert ended.code == 0, ended.log
    assert world.api.faults == []
    assert only_comment(world, number)


def test_the_token_is_in_no_output_and_no_program_of_the_specs_gets_it(world: World) -> None:
    world.specs.orchestration("spy", "import os; print('ENV', sorted(os.environ.items()))")
    world.specs.task("spy", "spy")
    number, sha = world.reviewed_and_merged()
    ended = world.apply(sha)
    assert ended.code == 0, ended.log
    tokens = [asked.headers["Authorization"].removeprefix("Bearer ") for asked in world.api.asked]
    assert tokens
    texts = [ended.log, ended.summary, *world.api.comments_of(number)]
    for token in set(tokens):
        basic = base64.b64encode(f"x-access-token:{token}".encode()).decode()
        assert all(token not in text and basic not in text for text in texts)
    logs = [path.read_text("utf-8", "replace") for path in world.runner.folder.rglob("runs/**/*") if path.is_file()]
    assert any("ENV" in log for log in logs), "the run's own log was not found"
    assert all(token not in log for token in set(tokens) for log in logs)


def test_what_specs_make_the_plan_print_is_no_command_to_the_runner(world: World) -> None:
    said = "first\n::error file=x::forged\n::set-output name=hash::forged\n"
    world.specs.document("Connection", "c", {"type": "HTTP", "details": {"text": said}})
    ended = world.plan(world.pull_request())
    assert ended.code == 0, ended.log
    assert not any("forged" in text for text in github_runner.commands(ended.log))


@pytest.mark.parametrize("name", ["plan", "apply", "tick", "drift"])
def test_the_reusable_workflow_is_the_ready_one_with_inputs(name: str) -> None:
    ready, reusable = (
        yaml.safe_load(path.read_text("utf-8")) for path in (READY / f"{name}.yml", REUSABLE / f"specs-{name}.yml")
    )
    [one], [other] = ready["jobs"].values(), reusable["jobs"].values()
    assert one["permissions"] == other["permissions"]
    assert ready["permissions"] == reusable["permissions"] == {}
    assert one["concurrency"]["cancel-in-progress"] == other["concurrency"]["cancel-in-progress"]
    assert [step["uses"] for step in one["steps"]] == [step["uses"] for step in other["steps"]]
    assert one["timeout-minutes"] == other["timeout-minutes"]
