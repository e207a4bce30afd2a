"""How locks are resolved and remembered, tried with a program in the place of uv."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from specrunner.core.errors import PackagingFailed
from specrunner.engine.packaging.environments import UvEnvironments
from specrunner.engine.packaging.uv import TimeLimitExceeded

Behave = Callable[[str], Path]

_CONNECTED = 'echo "$@" >> "$TMPDIR/calls"; echo pandas==3.0'
_DISCONNECTED = """echo "$@" >> "$TMPDIR/calls"
case "$*" in *--offline*) echo pandas==2.0;; *) echo no network >&2; exit 2;; esac"""
_EMPTY = 'echo "$@" >> "$TMPDIR/calls"; echo "tried $*" >&2; exit 2'


@pytest.fixture
def behave(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Behave:
    """Put a shell script in the place of uv; gives the file that its calls are noted in."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))

    def become(script: str) -> Path:
        program = tmp_path / "uv"
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
        monkeypatch.setattr("uv.find_uv_bin", lambda: str(program))
        return tmp_path / "calls"

    return become


def test_equal_requirements_are_resolved_once(behave: Behave, tmp_path: Path) -> None:
    calls = behave(_CONNECTED)
    assert UvEnvironments(tmp_path / "cache").lock("numpy") == "pandas==3.0\n"
    assert UvEnvironments(tmp_path / "cache").lock("numpy  # the same") == "pandas==3.0\n"
    assert len(calls.read_text().splitlines()) == 1
    UvEnvironments(tmp_path / "cache").lock("numpy==1")
    assert len(calls.read_text().splitlines()) == 2


def test_another_index_resolves_anew(behave: Behave, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = behave(_CONNECTED)
    builder = UvEnvironments(tmp_path / "cache")
    builder.lock("")
    monkeypatch.setenv("UV_DEFAULT_INDEX", "https://me:word@index.test/simple")
    builder.lock("")
    assert len(calls.read_text().splitlines()) == 2
    assert "word" not in "".join(path.name + path.read_text() for path in (tmp_path / "cache/locks").iterdir())


def test_without_a_network_uv_is_asked_for_what_it_has(behave: Behave, tmp_path: Path) -> None:
    behave(_DISCONNECTED)
    assert UvEnvironments(tmp_path / "cache").lock("") == "pandas==2.0\n"


def test_if_that_fails_too_the_first_error_is_told_and_nothing_remembered(behave: Behave, tmp_path: Path) -> None:
    calls = behave(_EMPTY)
    with pytest.raises(PackagingFailed) as caught:
        UvEnvironments(tmp_path / "cache").lock("")
    assert "--offline" not in caught.value.detail
    assert [("--offline" in line) for line in calls.read_text().splitlines()] == [False, True]
    assert not (tmp_path / "cache/locks").exists()


def test_who_is_offline_is_asked_once(behave: Behave, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = behave(_EMPTY)
    monkeypatch.setenv("UV_OFFLINE", "1")
    with pytest.raises(PackagingFailed):
        UvEnvironments(tmp_path / "cache").lock("")
    assert len(calls.read_text().splitlines()) == 1


def test_what_took_too_long_is_not_tried_again(behave: Behave, tmp_path: Path) -> None:
    calls = behave(f"{_CONNECTED}; exec sleep 600")
    with pytest.raises(TimeLimitExceeded):
        UvEnvironments(tmp_path / "cache", time_limit=0.5).lock("")
    assert len(calls.read_text().splitlines()) == 1


def test_a_missing_uv_is_told_with_what_to_type(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> str:
        raise FileNotFoundError("uv")

    monkeypatch.setattr("uv.find_uv_bin", missing)
    with pytest.raises(PackagingFailed) as caught:
        UvEnvironments(tmp_path).lock("")
    assert "pip install uv" in caught.value.remedy
