from __future__ import annotations

import copy
import json
import logging
import pickle
import traceback
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from specrunner.core.values import (
    MASK,
    Secret,
    canonical,
    digest,
    format_duration,
    iso,
    parse_duration,
    parse_iso,
    parse_size,
    short_sha,
    utc,
)

SENTINEL = "hunter2-sentinel"


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("30s", 30),
        ("10m", 600),
        ("1h30m", 5400),
        ("7d", 604_800),
        ("1d1h1m1s", 90_061),
        ("90", 90),
        (600, 600),
        (0, 0),
        ("0s", 0),
        (" 10m ", 600),
        ("120m", 7200),
    ],
)
def test_durations_are_read(text: str | int, seconds: int) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "m",
        "10 m",
        "1.5h",
        "-1",
        "-10m",
        "+5",
        "1m1h",
        "10x",
        "1e3",
        "١٠m",
        "٣",
        "²",
        "10M",
        "9" * 13,
        "9" * 5000 + "s",
        True,
        False,
        None,
        1.5,
        -1,
    ],
)
def test_what_is_no_duration_is_refused(text: Any) -> None:
    with pytest.raises(ValueError, match="is not a duration such as 30s, 10m, 1h30m or 7d"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"),
        (0.04, "0s"),
        (0.1, "0.1s"),
        (2.34, "2.3s"),
        (9.94, "9.9s"),
        (9.96, "10s"),
        (3.0, "3s"),
        (59.6, "1m"),
        (61, "1m1s"),
        (5400, "1h30m"),
        (90_061, "1d1h1m1s"),
        (-5, "-5s"),
        (-0.01, "0s"),
        (-0.0, "0s"),
    ],
)
def test_durations_are_written(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("512Mi", 512 * 2**20),
        ("1G", 10**9),
        ("1.5GiB", 3 * 2**29),
        ("1k", 1000),
        ("1ki", 1024),
        ("7", 7),
        ("7B", 7),
        (1024, 1024),
        ("2 Gi", 2**31),
        ("0.0001K", 0),
        ("999999999999.999999Ti", 1_099_511_627_775_999_998_900_488),
    ],
)
def test_sizes_are_read_without_loss(text: str | int, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize(
    "text", ["", "Mi", "1.5", "1.5B", "-1", "1m", "1Pi", "1.Mi", ".5Mi", "1 2Mi", "٣Mi", True, None]
)
def test_what_is_no_size_is_refused(text: Any) -> None:
    with pytest.raises(ValueError, match="is not a size such as 512Mi or 1Gi"):
        parse_size(text)


def test_canonical_text_is_sorted_short_and_ascii() -> None:
    assert canonical({"b": [1, None, True], "a": "é"}) == '{"a":"\\u00e9","b":[1,null,true]}'


def test_whole_floats_and_integers_are_one_number_and_booleans_are_none() -> None:
    assert canonical({"cpus": 1.0, "more": [2.0, -0.0]}) == canonical({"cpus": 1, "more": [2, 0]})
    assert digest(True) != digest(1)
    assert canonical(0.1) == "0.1"


def test_tuples_are_lists() -> None:
    assert canonical((1, (2,))) == canonical([1, [2]])


@pytest.mark.parametrize("value", [float("nan"), [float("inf")], {"a": -float("inf")}])
def test_numbers_that_json_lacks_are_refused(value: Any) -> None:
    with pytest.raises(ValueError, match="JSON"):
        canonical(value)


@pytest.mark.parametrize("value", [{1: "a"}, {None: 1}, {"a": {True: 1}}, b"bytes", {"a": {1, 2}}, datetime.now(UTC)])
def test_what_json_cannot_say_is_refused(value: Any) -> None:
    with pytest.raises(TypeError):
        canonical(value)


def test_a_digest_is_the_sha256_of_the_canonical_text() -> None:
    assert digest({}) == "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
    assert short_sha(digest({})) == "44136f...aaff8a"


def test_instants_are_written_in_utc_and_read_back() -> None:
    berlin = timezone(timedelta(hours=2))
    assert iso(datetime(2026, 7, 1, 2, 0, tzinfo=berlin)) == "2026-07-01T00:00:00Z"
    assert iso(datetime(2026, 7, 1, microsecond=5, tzinfo=UTC)) == "2026-07-01T00:00:00.000005Z"
    assert parse_iso("2026-07-01T02:00:00+02:00") == datetime(2026, 7, 1, tzinfo=UTC)
    assert utc(datetime(2026, 7, 1, 2, tzinfo=berlin)).tzinfo is UTC


def test_an_instant_without_a_zone_is_refused() -> None:
    naive = datetime(2026, 7, 1, tzinfo=UTC).replace(tzinfo=None)
    attempts: list[Callable[[], Any]] = [
        lambda: iso(naive),
        lambda: utc(naive),
        lambda: parse_iso("2026-07-01T00:00:00"),
    ]
    for attempt in attempts:
        with pytest.raises(ValueError, match="no time zone"):
            attempt()


@dataclass
class Holder:
    name: str
    secret: Secret


@pytest.mark.parametrize("value", [SENTINEL, {"key": SENTINEL}, [SENTINEL]], ids=["text", "mapping", "list"])
def test_a_secret_never_shows(value: Any, caplog: pytest.LogCaptureFixture) -> None:
    secret = Secret(value)
    logging.getLogger("specrunner.test").warning("connecting with %s and %r", secret, secret)
    shown = [
        str(secret),
        repr(secret),
        f"{secret} {secret!r} {secret:>40} {secret!s:.3}",
        "{0} {0!r}".format(secret),  # noqa: UP032 (the way of formatting is what is tested)
        "%s %r" % (secret, secret),  # noqa: UP031
        repr([secret, {"a": secret}]),
        repr(Holder("x", secret)),
        str(asdict(Holder("x", secret))),
        str(KeyError(secret)),
        caplog.text,
    ]
    assert not [text for text in shown if SENTINEL in text]
    assert str(secret) == repr(secret) == format(secret, ">40") == MASK


def test_a_secret_shows_in_no_traceback_with_the_values_of_variables() -> None:
    secret = Secret({"password": SENTINEL})
    try:
        raise RuntimeError(f"no access with {secret}")
    except RuntimeError as problem:
        text = "".join(traceback.TracebackException.from_exception(problem, capture_locals=True).format())
    assert "secret = *****" in text
    assert SENTINEL not in text


def test_a_secret_is_never_serialised() -> None:
    secret = Secret(SENTINEL)
    attempts: list[Callable[[], Any]] = [
        lambda: pickle.dumps(secret),
        lambda: pickle.dumps(Holder("x", secret)),
        lambda: json.dumps({"a": secret}),
        lambda: canonical({"a": secret}),
        lambda: digest(secret),
    ]
    for attempt in attempts:
        with pytest.raises(TypeError) as refused:
            attempt()
        assert SENTINEL not in str(refused.value)


def test_a_secret_gives_its_value_only_when_asked() -> None:
    secret = Secret(SENTINEL)
    assert secret.reveal() == SENTINEL
    assert not hasattr(secret, "__dict__")
    assert copy.copy(secret) is secret
    assert copy.deepcopy({"a": secret})["a"] is secret


def test_secrets_are_equal_where_their_values_are_the_same_json() -> None:
    assert Secret({"a": 1, "b": 2}) == Secret({"b": 2, "a": 1.0})
    assert Secret("1") != Secret(1)
    assert Secret(1) != Secret(True)
    assert Secret(SENTINEL) != SENTINEL
    assert len({Secret({"a": [1]}), Secret({"a": [1]}), Secret({"a": [True]})}) == 2
