"""The tutorials, as printed, in one session each: what they print is what comes out.

They are read from `../shared/seeds` at test time, changed as `adaptations` says, and run by the public clients and by
ours under their name. Without that folder these tests are skipped.
"""

from __future__ import annotations

import json
import os

import pytest

from tests.sdk.adaptations import OURS_OTHERWISE, TUTORIALS, Tutorial
from tests.sdk.environments import path_of, python_of
from tests.sdk.seeds import Block, blocks_of, facts_of, is_told, shared
from tests.sdk.serving import served
from tests.sdk.sessions import Driver, Session, Sessions
from tests.sdk.staging import bike_tables, fit_bikes, house_tables, lay_out, web
from tests.sdk.versions import NEW, OLD, OURS
from tests.support.bigquery import standing_in

SHARED = shared()
pytestmark = pytest.mark.skipif(SHARED is None, reason="the tutorials in ../shared/seeds are not here")


def printed(driver: Driver, number: str, version: str) -> list[list[str]]:
    """What each block of a tutorial shows and prints."""
    assert SHARED is not None
    folder, tutorial, blocks = driver.folder, TUTORIALS[number], blocks_of(SHARED, number)
    lay_out(SHARED, blocks, folder)
    if number == "000":
        fit_bikes(SHARED, folder)
    with web(SHARED / "data/houseprice") as files, standing_in() as bigquery:
        (bike_tables if number == "000" else house_tables)(SHARED, bigquery, folder)
        warehouse = {"BIGQUERY_EMULATOR_HOST": bigquery.url}
        with served(folder / "server", *(f"--run-env={name}={value}" for name, value in warehouse.items())) as url:
            codes = [_adapted(tutorial, version, place, block, url, files) for place, block in enumerate(blocks)]
            return _run(driver, version, codes, {**_platform(url, tutorial.login), **warehouse})


SESSIONS = [
    Session(f"tutorial {number} {version}", printed, (number, version), minutes)
    for number, minutes in {"000": 5.0, "001": 1.0, "002": 4.0, "003": 7.0}.items()
    for version in (OLD, NEW, OURS)
]


@pytest.mark.parametrize("session", SESSIONS, ids=lambda one: one.name)
def test_a_tutorial_prints_what_it_says(sessions: Sessions, session: Session) -> None:
    assert SHARED is not None
    number, version = session.arguments
    tutorial, blocks, outputs = TUTORIALS[number], blocks_of(SHARED, number), sessions.outcome(session)
    missing = [
        (place, fact)
        for place, (block, output) in enumerate(zip(blocks, outputs, strict=True))
        for fact in sorted(_expected(block, output))
        if not is_told(fact, facts_of(output))
        if not any(_begins(fact, known) for known in tutorial.otherwise)
        if version != OURS or not any(_begins(fact, known) for known in OURS_OTHERWISE)
        if fact[:2] not in tutorial.printed_again.get(place, {})
    ]
    assert not missing, "\n".join(map(str, missing))


def _begins(fact: tuple[str, ...], known: tuple[str, ...]) -> bool:
    return fact[0] == known[0] and fact[1].startswith(known[1])


def _expected(block: Block, output: list[str]) -> set[tuple[str, ...]]:
    """What a block's results say of this session: rows of a list about things that others had made are not."""
    facts, here = facts_of(block.results), facts_of(output)
    named = {cell for fact in here if fact[0] == "row" for cell in fact}
    lists = {fact for fact in facts if fact[0] == "row" and ("UUID" in fact or "*****" in fact)}
    others = {fact for fact in lists if not any(cell in named for cell in _names(fact))}
    if lists and others == lists:  # a list of nothing but those: here it is empty
        others |= {fact for fact in facts if fact[0] == "column"}
    return facts - others


def _names(fact: tuple[str, ...]) -> list[str]:
    words = {"UUID", "INSTANT", "SHA", "*****", "ready", "row", "BIGQUERY", "HTTPFILE", "HTTP"}
    return [cell for cell in fact if cell not in words and not cell.endswith(".zip")]


def _adapted(tutorial: Tutorial, version: str, place: int, block: Block, url: str, files: str) -> str:
    if place in tutorial.left_out:
        return ""
    code = block.code
    for change in tutorial.changes:
        if version in change.versions and change.block in {None, place}:
            code = code.replace(change.old, change.new)
    return code.replace("@URL@", url).replace("@FILES@", files)


@pytest.mark.parametrize("number", TUTORIALS)
def test_every_adaptation_changes_something_and_says_why(number: str) -> None:
    assert SHARED is not None
    blocks = blocks_of(SHARED, number)
    for change in TUTORIALS[number].changes:
        assert change.reason and any(change.old in block.code for block in blocks), change
    assert all(place < len(blocks) and reason for place, reason in TUTORIALS[number].left_out.items())
    results = {fact for block in blocks for fact in facts_of(block.results)}
    for known in TUTORIALS[number].otherwise:
        assert any(_begins(fact, known) for fact in results), known


def _platform(url: str, login: str) -> dict[str, str]:
    """The variables that tell a client where the platform is, and who it is."""
    return {
        "WALLAROO_URL": url,
        "WALLAROO_AUTH_URL": url,
        "WALLAROO_SDK_AUTH_TYPE": login,
        "WALLAROO_USER": "me@localhost",
        "WALLAROO_PASSWORD": "no user was added, so any will do",
    }


def _run(driver: Driver, version: str, codes: list[str], variables: dict[str, str]) -> list[list[str]]:
    folder = driver.folder
    (folder / "blocks.json").write_text(json.dumps(codes), "utf-8")
    environment = {
        "PATH": os.defpath,
        "HOME": str(folder / "home"),
        "PYTHONPATH": path_of(version),
        "PYTHONDONTWRITEBYTECODE": "1",
        **variables,
    }
    # Ours, too, is run beside what the tutorials import, which is in the environments of the public ones.
    words = [str(python_of(OLD if version == OURS else version)), "-m", "tests.sdk.tutorial"]
    driver.run([*words, str(folder / "blocks.json"), str(folder / "outputs.json")], environment, folder)
    told = json.loads((folder / "outputs.json").read_text("utf-8"))
    assert not told["wrong"], told["wrong"]
    outputs: list[list[str]] = told["outputs"]
    return outputs
