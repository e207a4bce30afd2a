"""The errors of the SDK: what they say, what catches them, and that they survive a copy."""

from __future__ import annotations

import copy
import json

import pytest

from specrunner.sdk import exceptions as exc
from specrunner.sdk import object as names
from specrunner.sdk.session import api_error, refusal
from specrunner.sdk.transport import Answer

SAMPLES = [
    exc.SdkError("a", "b", "c"),
    exc.ApiError("a", status=409),
    exc.WaitForDeployError("a", status={"status": "Error"}),
    exc.InferenceError("a", status=400),
    names.EntityNotFoundError("Pipeline", {"name": "p"}, "make it"),
    names.RequiredAttributeMissing("Connection", "id"),
    names.ConnectionNotFoundError("c"),
]


@pytest.mark.parametrize("error", SAMPLES, ids=lambda error: type(error).__name__)
def test_a_copy_is_the_same_error(error: exc.SdkError) -> None:
    # copy uses the protocol that multiprocessing pools send errors with.
    twin = copy.copy(error)
    assert type(twin) is type(error)
    assert str(twin) == str(error)
    assert vars(twin) == vars(error)


def test_an_error_tells_what_why_and_what_to_do() -> None:
    assert str(exc.SdkError("what", "why", "do")) == "what\nwhy\ndo"
    assert str(exc.SdkError("what", remedy="do")) == "what\ndo"


@pytest.mark.parametrize("kind", [names.EntityNotFoundError, names.RequiredAttributeMissing, Exception])
def test_a_missing_connection_is_caught_as_the_tutorials_catch_it(kind: type[Exception]) -> None:
    with pytest.raises(kind, match="houses"):
        raise names.ConnectionNotFoundError("houses")


@pytest.mark.parametrize(
    ("body", "message", "code"),
    [
        (b'{"msg": "no", "code": 17}', "no", 17),
        (b'{"msg": "no", "error": "really no", "code": 4}', "really no", 4),
        (b'[{"error_type": "Bad", "error": "old style"}]', "old style", 400),
        (b"plain words", "plain words", 400),
        (b"", "", 400),
        (b'{"unknown": 1}', '{"unknown": 1}', 400),
        (b'"text"', '"text"', 400),
    ],
)
def test_every_shape_of_refusal_is_read(body: bytes, message: str, code: int) -> None:
    assert refusal(Answer(400, body)) == (message, code)


@pytest.mark.parametrize("status", [401, 403, 404, 409, 507])
def test_the_usual_refusals_say_what_to_do(status: int) -> None:
    error = api_error(Answer(status, json.dumps({"msg": "m", "code": status}).encode()), "refused")
    assert error.status == status
    assert error.remedy
    assert str(status) in error.detail


def test_an_answer_that_is_not_json_is_told_as_such() -> None:
    with pytest.raises(exc.CommunicationError) as caught:
        Answer(200, b"<html>").json()
    assert "<html>" in caught.value.detail
