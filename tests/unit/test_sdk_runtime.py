"""What a run tells the SDK, and what it leaves behind."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest

from specrunner import sdk
from specrunner.sdk import runtime

VARIABLES = (
    "SPECRUNNER_ARGUMENTS",
    "SPECRUNNER_RESULTS",
    "SPECRUNNER_URL",
    "SPECRUNNER_TOKEN",
    "SPECRUNNER_WORKSPACE_ID",
    "WALLAROO_TASK_ID",
    "WALLAROO_URL",
)


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("name", ["WALLAROO_TASK_ID", "SPECRUNNER_ARGUMENTS"])
def test_a_run_knows_that_it_is_one(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    assert not sdk.in_task()
    monkeypatch.setenv(name, "anything")
    assert sdk.in_task()


def test_arguments_are_those_of_the_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / "arguments.json"
    path.write_text('{"city": "Zürich", "rows": 3}', encoding="utf-8")
    monkeypatch.setenv("SPECRUNNER_ARGUMENTS", str(path))
    assert sdk.task_args() == {"city": "Zürich", "rows": 3}


def test_an_empty_arguments_file_means_no_arguments(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / "arguments.json"
    path.touch()
    monkeypatch.setenv("SPECRUNNER_ARGUMENTS", str(path))
    assert sdk.task_args() == {}


def test_outside_a_run_there_are_no_arguments() -> None:
    with pytest.raises(sdk.NotInRunError) as caught:
        sdk.task_args()
    assert "in_task()" in caught.value.remedy


@pytest.mark.parametrize("content", ["[1]", "{", '"text"'])
def test_a_file_that_is_no_object_is_an_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: str) -> None:
    path = tmp_path / "arguments.json"
    path.write_text(content, encoding="utf-8")
    monkeypatch.setenv("SPECRUNNER_ARGUMENTS", str(path))
    with pytest.raises(sdk.SdkError, match=r"arguments\.json"):
        sdk.task_args()


def test_results_add_up_and_later_ones_win(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    monkeypatch.setenv("SPECRUNNER_RESULTS", str(path))
    sdk.record_result({"rows": 1, "mean": 0.5})
    sdk.record_result({"rows": 2})
    assert json.loads(path.read_text(encoding="utf-8")) == {"rows": 2, "mean": 0.5}
    assert [entry.name for entry in tmp_path.iterdir()] == ["results.json"]


def test_no_result_is_lost_among_threads(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    monkeypatch.setenv("SPECRUNNER_RESULTS", str(path))
    threads = [threading.Thread(target=sdk.record_result, args=({str(number): number},)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert len(json.loads(path.read_text(encoding="utf-8"))) == 20


def test_what_json_cannot_say_is_refused_and_leaves_the_file_as_it_was(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = tmp_path / "results.json"
    monkeypatch.setenv("SPECRUNNER_RESULTS", str(path))
    sdk.record_result({"rows": 1})
    for bad in ({"mean": float("nan")}, {"when": object()}):
        with pytest.raises(sdk.SdkError, match="JSON"):
            sdk.record_result(bad)
    assert json.loads(path.read_text(encoding="utf-8")) == {"rows": 1}


def test_outside_a_run_a_result_is_checked_and_goes_nowhere() -> None:
    sdk.record_result({"rows": 1})
    with pytest.raises(sdk.SdkError):
        sdk.record_result({"rows": float("inf")})


def test_the_environment_decides_where_the_platform_is(monkeypatch: pytest.MonkeyPatch) -> None:
    assert runtime.endpoint("http://argument:1") == "http://argument:1"
    monkeypatch.setenv("WALLAROO_URL", "http://second:2")
    assert runtime.endpoint("http://argument:1") == "http://second:2"
    monkeypatch.setenv("SPECRUNNER_URL", "http://first:3")
    assert runtime.endpoint("http://argument:1") == "http://first:3"


def test_without_an_address_the_error_names_the_variable() -> None:
    with pytest.raises(sdk.SdkError) as caught:
        sdk.Client()
    assert "SPECRUNNER_URL" in str(caught.value)


@pytest.mark.parametrize("url", ["localhost:80", "ftp://host", "http://"])
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(sdk.SdkError, match="not the address of a platform"):
        sdk.Client(api_endpoint=url)


def test_the_tutorials_constructor_arguments_are_accepted() -> None:
    client = sdk.Client(
        api_endpoint="http://127.0.0.1:9/",
        auth_endpoint="http://x",
        auth_type="sso",
        request_timeout=3,
        interactive=True,
    )
    assert client.api_endpoint == "http://127.0.0.1:9"
    assert client.auth.auth_header() == {}


def test_the_token_is_shown_in_the_header_and_nowhere_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPECRUNNER_TOKEN", "s3cret")
    client = sdk.Client("http://127.0.0.1:9")
    assert client.auth.auth_header() == {"Authorization": "Bearer s3cret"}
    assert "s3cret" not in repr(client) + str(client)


@pytest.mark.parametrize(("text", "expected"), [("7", 7), ("", None), ("seven", None)])
def test_the_workspace_of_a_run(monkeypatch: pytest.MonkeyPatch, text: str, expected: int | None) -> None:
    monkeypatch.setenv("SPECRUNNER_WORKSPACE_ID", text)
    assert runtime.workspace_id() == expected
