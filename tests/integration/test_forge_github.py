"""The REST client and what stands on it, against the stand-in: retries, rights, whom a comment is of."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from specrunner.cli.ci_apply import Course, report
from specrunner.cli.ci_passing import last_lines
from specrunner.cli.desk import Desk
from specrunner.core.errors import Diagnostic, InvalidSpecs, SpecrunnerError, Transient, UsageError
from specrunner.core.resources import Owner
from specrunner.core.values import Secret
from specrunner.forge.github import GitHub, MissingRight
from specrunner.forge.headers import header_of
from specrunner.forge.issues import Subject, close, keep_open
from specrunner.forge.statuses import State, set_status
from specrunner.forge.sticky import ACTIONS_BOT, own_login, put_sticky, stickies
from specrunner.forge.surroundings import Surroundings, read_surroundings
from specrunner.report.escaping import comment
from tests.integration.github_api import REPOSITORY, Answer, Api, Fault, serving_api

TOKEN = "ghs_not-to-be-seen"
ABOUT = {"project": "demo", "environment": "prod"}
ALL = {"issues": "write", "pull-requests": "write", "statuses": "write"}
SUBJECT = Subject("specrunner-drift", ABOUT)


@pytest.fixture
def api() -> Iterator[Api]:
    with serving_api() as serving:
        serving.rights[TOKEN] = ALL
        yield serving


@pytest.fixture
def slept() -> list[float]:
    return []


@pytest.fixture
def github(api: Api, slept: list[float]) -> Iterator[GitHub]:
    with closing(GitHub(api.url, REPOSITORY, Secret(TOKEN), slept.append)) as opened:
        yield opened


def body(text: str, name: str = "specrunner-plan", **about: Any) -> str:
    return f"{comment(name, {**ABOUT, **about})}\n{text}\n"


def put(github: GitHub, number: int, text: str) -> str:
    return put_sticky(github, number, ACTIONS_BOT, "specrunner-plan", ABOUT, text)


def test_every_page_of_a_list_is_read(github: GitHub, api: Api) -> None:
    number = api.add_pull()
    for index in range(230):
        api.comments[index] = {"id": index, "number": number, "body": "hm", "user": {"login": ACTIONS_BOT}}
    put(github, number, body("ours"))
    put(github, number, body("ours, changed"))
    assert len(api.comments) == 231
    assert [text for text in api.comments_of(number) if "ours" in text] == [body("ours, changed")]


def test_comments_of_other_environments_and_of_other_people_stay(github: GitHub, api: Api) -> None:
    number = api.add_pull()
    api.logins["theirs"], api.rights["theirs"] = "mallory", ALL
    with closing(GitHub(api.url, REPOSITORY, Secret("theirs"))) as mallory:
        mallory.send("POST", f"issues/{number}/comments", {"body": body("forged")})
    put_sticky(
        github, number, ACTIONS_BOT, "specrunner-plan", {**ABOUT, "environment": "test"}, body("t", environment="test")
    )
    put(github, number, body("ours"))
    assert len(api.comments) == 3
    [found] = stickies(github, number, ACTIONS_BOT, "specrunner-plan", ABOUT)
    assert api.comments[found.id]["body"] == body("ours")


def test_several_comments_of_ours_become_one(github: GitHub, api: Api) -> None:
    number = api.add_pull()
    for _ in range(3):
        github.send("POST", f"issues/{number}/comments", {"body": body("once")})
    put(github, number, body("now"))
    assert api.comments_of(number) == [body("now")]


@pytest.mark.parametrize("effect", [False, True])
def test_a_comment_whose_answer_is_lost_is_there_once(github: GitHub, api: Api, effect: bool) -> None:
    number = api.add_pull()
    api.faults.append(Fault("POST", "/comments", None, effect=effect))
    put(github, number, body("ours"))
    assert api.comments_of(number) == [body("ours")]


@pytest.mark.parametrize("effect", [False, True])
def test_an_issue_whose_answer_is_an_error_is_opened_once(github: GitHub, api: Api, effect: bool) -> None:
    api.faults.append(Fault("POST", "/issues", Answer(502, {"message": "no"}), effect=effect))
    keep_open(github, ACTIONS_BOT, SUBJECT, "Drift", body("a", SUBJECT.name))
    assert len(api.issues) == 1


def test_a_call_that_was_turned_away_for_its_rate_is_made_again_when_github_says(
    github: GitHub, api: Api, slept: list[float]
) -> None:
    number = api.add_pull()
    limited = {"message": "You have exceeded a secondary rate limit."}
    api.faults += [
        Fault("POST", "/comments", Answer(403, limited, {"Retry-After": "7"})),
        Fault("POST", "/comments", Answer(429, limited, {"Retry-After": "9"})),
    ]
    put(github, number, body("ours"))
    assert slept == [7, 9]
    assert len(api.comments) == 1


def test_who_is_told_to_wait_for_long_gives_up(github: GitHub, api: Api, slept: list[float]) -> None:
    api.faults.append(Fault("GET", "/issues", Answer(403, {"message": "rate limit"}, {"Retry-After": "3600"})))
    with pytest.raises(Transient) as told:
        list(github.listed("issues"))
    assert told.value.retry_after == 3600
    assert slept == []


def test_reading_is_tried_again_and_gives_up_after_some_tries(github: GitHub, api: Api, slept: list[float]) -> None:
    api.faults += [Fault("GET", "/issues", Answer(503, {"message": "busy"}))] * 3
    assert list(github.listed("issues")) == []
    assert len(slept) == 3
    api.faults += [Fault("GET", "/issues", Answer(503, {"message": "busy"}))] * 9
    with pytest.raises(Transient, match="trouble of its own"):
        list(github.listed("issues"))


def test_a_missing_right_is_told_apart_from_a_refusal(github: GitHub, api: Api) -> None:
    api.rights[TOKEN] = {"issues": "read"}
    with pytest.raises(MissingRight) as missing:
        keep_open(github, ACTIONS_BOT, SUBJECT, "Drift", body("a", SUBJECT.name))
    assert "permissions:" in missing.value.remedy
    api.rights[TOKEN] = ALL
    with pytest.raises(SpecrunnerError) as refused:
        put(github, api.add_pull(), "x" * 70_000)
    assert not isinstance(refused.value, MissingRight)
    assert "too long" in refused.value.detail


def test_nobody_there_is_told_without_the_token() -> None:
    with closing(GitHub("http://127.0.0.1:9", REPOSITORY, Secret(TOKEN), lambda _: None)) as nobody:
        with pytest.raises(Transient) as told:
            list(nobody.listed("issues"))
        with pytest.raises(Transient):
            nobody.send("POST", "issues", {})
    assert TOKEN not in f"{told.value!r}{told.value.detail}{nobody.__dict__}"


def test_an_issue_opens_once_is_brought_up_to_date_and_closes_with_a_word(github: GitHub, api: Api) -> None:
    keep_open(github, ACTIONS_BOT, SUBJECT, "Drift", body("a", SUBJECT.name))
    keep_open(github, ACTIONS_BOT, SUBJECT, "Drift", body("b", SUBJECT.name))
    [number] = api.issues
    assert api.issues[number]["body"] == body("b", SUBJECT.name)
    writes = len(api.writes())
    keep_open(github, ACTIONS_BOT, SUBJECT, "Drift", body("b", SUBJECT.name))
    assert len(api.writes()) == writes, "nothing is new"
    other = Subject(SUBJECT.name, {**ABOUT, "environment": "test"})
    assert close(github, ACTIONS_BOT, other, "gone") == ""
    close(github, ACTIONS_BOT, SUBJECT, "gone")
    assert api.issues[number]["state"] == "closed"
    assert api.comments_of(number) == ["gone"]
    assert close(github, ACTIONS_BOT, SUBJECT, "gone") == ""
    keep_open(github, ACTIONS_BOT, SUBJECT, "Drift", body("a", SUBJECT.name))
    assert len(api.issues) == 2


def test_whom_a_token_acts_for_is_asked_and_that_of_a_job_is_the_bot(github: GitHub, api: Api) -> None:
    assert own_login(github) == "github-actions[bot]"
    assert own_login(github, "my-app[bot]") == "my-app[bot]"
    api.logins[TOKEN] = "ann"
    assert own_login(github) == "ann"


def test_a_status_is_as_short_as_github_wants_it(github: GitHub, api: Api) -> None:
    set_status(github, "abc", "specrunner plan", State.SUCCESS, "x" * 300, "")
    assert len(api.statuses["abc"][0]["description"]) == 140


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "words first\n<!-- specrunner-plan {} -->",
        "<!-- specrunner-plan {] -->\n",
        '<!-- specrunner-outcome {"a":1} -->\n',
        "<!-- specrunner-plan [1] -->\n",
    ],
)
def test_what_is_no_header_of_that_name_is_none(text: str | None) -> None:
    assert header_of(text, "specrunner-plan") is None


def test_github_servers_of_ones_own_are_asked_and_plain_http_is_not() -> None:
    environ = {"GITHUB_REPOSITORY": "a/b", "GITHUB_API_URL": "https://git.example.com/api/v3/"}
    environ |= {"GITHUB_SERVER_URL": "https://git.example.com", "GITHUB_RUN_ID": "5"}
    found = read_surroundings(environ)
    assert found.api == "https://git.example.com/api/v3"
    assert found.run_url == "https://git.example.com/a/b/actions/runs/5"
    with pytest.raises(UsageError, match="not https"):
        read_surroundings({**environ, "GITHUB_API_URL": "http://git.example.com"})
    with pytest.raises(UsageError, match="no step"):
        read_surroundings({})


@pytest.fixture
def desk(github: GitHub) -> Desk:
    return Desk(Surroundings(REPOSITORY, "a" * 40, run="5"), github)


def test_an_issue_about_very_much_has_room_for_its_own_first_lines(desk: Desk, api: Api) -> None:
    owner = Owner("demo", "prod")
    problems = [Diagnostic(f"problem {number} " + "x" * 200, "why " * 50) for number in range(2_000)]
    course = Course(problem=InvalidSpecs(problems), code=1)
    report(desk, course, owner)
    [issue] = api.issues.values()
    assert 60_000 < len(issue["body"]) <= 65_536
    assert "Commit aaaa" in issue["body"]
    assert "Left out" in issue["body"]


def test_of_what_a_command_said_the_end_is_told_as_far_as_there_is_room() -> None:
    assert last_lines("a\nb") == ["a", "b"]
    told = last_lines("\n".join(f"{number} {'y' * 5_000}" for number in range(1_000)))
    assert told[-1].startswith("999 ")
    assert sum(len(line) + 1 for line in told) <= 65_536
    assert len(told) > 50
