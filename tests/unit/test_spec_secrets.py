"""Where secrets come from, and that errors never show one."""

from __future__ import annotations

import sys
import traceback
from pathlib import Path
from typing import Any

import pytest

from specrunner.core.errors import SpecrunnerError
from specrunner.spec import secrets
from specrunner.spec.secrets import FileSecrets
from tests.unit.spec_samples import write

HIDDEN = "hunter2"


def test_an_environment_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPECRUNNER_TEST_SECRET", HIDDEN)
    found = FileSecrets(tmp_path).resolve({"env": "SPECRUNNER_TEST_SECRET"})
    assert found.reveal() == HIDDEN
    assert HIDDEN not in f"{found} {found!r}"


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("key.json", '{"user": "a", "n": 1}', {"user": "a", "n": 1}),
        ("key.yaml", "user: a\nno: no\n", {"user": "a", "no": "no"}),
        ("key.pem", "line\nline\n", "line\nline"),
        ("plain", "a\r\n", "a"),
    ],
)
def test_a_file(tmp_path: Path, name: str, text: str, value: object) -> None:
    (tmp_path / name).write_text(text, newline="")
    assert FileSecrets(tmp_path).resolve({"file": name}, mapping=isinstance(value, dict)).reveal() == value


def test_the_output_of_a_program_started_at_the_root(tmp_path: Path) -> None:
    (tmp_path / "key").write_text(HIDDEN)
    code = "print(open('key').read())"
    assert FileSecrets(tmp_path).resolve({"exec": [sys.executable, "-c", code]}).reveal() == HIDDEN


def test_plain_text_needs_leave(tmp_path: Path) -> None:
    assert FileSecrets(tmp_path, allow_plaintext=True).resolve({"value": {"a": 1}}, mapping=True).reveal() == {"a": 1}
    with pytest.raises(SpecrunnerError, match="plain text"):
        FileSecrets(tmp_path).resolve({"value": HIDDEN})


@pytest.mark.parametrize(
    ("source", "summary"),
    [
        ({"env": "SPECRUNNER_TEST_UNSET"}, "the environment variable SPECRUNNER_TEST_UNSET is not set"),
        ({"file": "nowhere"}, "the secret's file nowhere can't be read"),
        ({"file": "../outside"}, "the secret's file ../outside leaves the repository"),
        ({"file": "bad.json"}, "the secret's file bad.json is no JSON or YAML object"),
        ({"file": "bad.yaml"}, "the secret's file bad.yaml is no JSON or YAML object"),
        ({"file": "binary"}, "the secret's file binary can't be read"),
        ({"exec": ["specrunner-no-such-program"]}, "the secret from specrunner-no-such-program can't be had"),
        (
            {"exec": [sys.executable, "-c", f"import sys; sys.exit('{HIDDEN}')"]},
            f"the secret from {sys.executable} can't be had",
        ),
        ({"value": HIDDEN}, "a secret stands in the specs in plain text"),
        ({"vault": "x"}, "this is no source of a secret"),
    ],
)
def test_errors_name_the_source_and_never_the_secret(tmp_path: Path, source: dict[str, Any], summary: str) -> None:
    write(tmp_path, {"bad.json": f'{{"a": {HIDDEN}', "bad.yaml": f"a: [{HIDDEN}"})
    (tmp_path / "binary").write_bytes(HIDDEN.encode() + b"\xff")
    with pytest.raises(SpecrunnerError) as caught:
        FileSecrets(tmp_path).resolve(source, mapping="bad" in str(source))
    shown = "".join(traceback.format_exception(caught.value)) + caught.value.detail + caught.value.remedy
    assert caught.value.summary == summary
    assert caught.value.remedy
    assert HIDDEN not in shown


def test_a_program_that_does_not_end_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(secrets, "EXEC_TIMEOUT", 0.2)
    with pytest.raises(SpecrunnerError) as caught:
        FileSecrets(tmp_path).resolve({"exec": [sys.executable, "-c", "import time; time.sleep(60)"]})
    assert "did not end" in caught.value.detail
