"""Secrets as texts and as mappings, programs that misbehave, what is not asked offline, and masks."""

from __future__ import annotations

import base64
import json
import sys
import threading
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from specrunner.cli import main as cli
from specrunner.cli.hidden import Remembered
from specrunner.cli.offline import from_fork
from specrunner.core.decide import make_plan
from specrunner.core.errors import InvalidSpecs, SpecrunnerError
from specrunner.core.masking import masked, masked_json, texts_of
from specrunner.core.plan import to_json
from specrunner.core.values import Secret
from specrunner.spec import secrets
from specrunner.spec.desired import load
from specrunner.spec.secrets import FileSecrets
from tests.unit.spec_samples import resource, sample, write

HIDDEN = "hunter2-with-more"


def program(tmp_path: Path, code: str) -> dict[str, Any]:
    (tmp_path / "give.py").write_text(code)
    return {"exec": [sys.executable, "give.py"]}


@pytest.mark.parametrize(
    "text", ['{"user": "a", "n": 1}', "user: a\nn: 1\n", "user: a\nn: 1", '{"user":"a","n":1}\r\n']
)
def test_a_mapping_is_read_from_every_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("SPECRUNNER_TEST_SECRET", text)
    (tmp_path / "no-suffix").write_text(text, newline="")
    sources = [{"env": "SPECRUNNER_TEST_SECRET"}, {"file": "no-suffix"}, program(tmp_path, f"print({text!r}, end='')")]
    found = [FileSecrets(tmp_path).resolve(source, mapping=True).reveal() for source in sources]
    assert found == [{"user": "a", "n": 1}] * 3


@pytest.mark.parametrize("name", ["key.json", "key.yaml", "key"])
def test_a_text_is_taken_as_it_is_whatever_its_file_is_called(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text('{"b": 1,  "a": 2}\n')
    assert FileSecrets(tmp_path).resolve({"file": name}).reveal() == '{"b": 1,  "a": 2}'


@pytest.mark.parametrize(
    "text",
    [
        HIDDEN,
        "",
        f"[{HIDDEN!r}]",
        f'{{"a": NaN, "b": "{HIDDEN}"}}',
        f'{{"a": 1e999, "b": "{HIDDEN}"}}',
        f'{{"a": "\\ud800{HIDDEN}"}}',
        f"a: {HIDDEN}\n---\nb: 1\n",
        f"a: !!python/name:os {HIDDEN}",
        "[" * 100_000,
    ],
)
def test_what_is_no_mapping_is_refused_without_showing_it(tmp_path: Path, text: str) -> None:
    (tmp_path / "secret").write_text(text)
    with pytest.raises(SpecrunnerError, match="the secret's file secret is no JSON or YAML object") as caught:
        FileSecrets(tmp_path).resolve({"file": "secret"}, mapping=True)
    assert caught.value.remedy and HIDDEN not in f"{caught.value.detail}{caught.value.remedy}"
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (
            f"import sys; print('{HIDDEN}'); print('{HIDDEN}', file=sys.stderr); sys.exit(7)",
            "It ended with exit code 7.",
        ),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "It was ended by signal 9."),
        ("import sys; sys.stdout.buffer.write(b'\\xff\\xfe')", "Its output is not UTF-8."),
        (f"print('{HIDDEN}' * 100_000)", "It prints more than 1,048,576 bytes."),
    ],
)
def test_what_a_program_does_wrong_is_told_in_words(tmp_path: Path, code: str, reason: str) -> None:
    with pytest.raises(SpecrunnerError, match="can't be had") as caught:
        FileSecrets(tmp_path).resolve(program(tmp_path, code))
    assert caught.value.detail == reason
    assert HIDDEN not in f"{caught.value}{caught.value.remedy}"


def test_a_program_that_floods_or_hangs_is_ended_with_what_it_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(secrets, "EXEC_TIMEOUT", 1.0)
    code = "import os, time\nif os.fork(): open('pids', 'w').write(str(os.getpid()))\ntime.sleep(600)"
    began = time.monotonic()
    with pytest.raises(SpecrunnerError) as caught:
        FileSecrets(tmp_path).resolve(program(tmp_path, code))
    assert caught.value.detail == "It did not end within 1 seconds."
    assert time.monotonic() - began < 30
    assert not Path(f"/proc/{(tmp_path / 'pids').read_text()}").exists()


@pytest.mark.parametrize(("value", "text"), [(5, "5"), (1.5, "1.5"), (True, "true"), ("a", "a")])
def test_a_plain_number_becomes_text(tmp_path: Path, value: object, text: str) -> None:
    assert FileSecrets(tmp_path, allow_plaintext=True).resolve({"value": value}).reveal() == text


@pytest.mark.parametrize("value", [{"a": 1}, ["a"], None, "a\0b", "\ud800"])
def test_what_no_variable_can_hold_is_refused(tmp_path: Path, value: object) -> None:
    with pytest.raises(SpecrunnerError, match="is no text"):
        FileSecrets(tmp_path, allow_plaintext=True).resolve({"value": value})


def test_a_folder_a_pipe_and_a_large_file_are_no_secrets(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "large").write_bytes(b"x" * (secrets.MAX_SECRET_BYTES + 1))
    for name, reason in [("folder", "It is no ordinary file."), ("large", "It has more than 1,048,576 bytes.")]:
        with pytest.raises(SpecrunnerError, match="can't be read") as caught:
            FileSecrets(tmp_path).resolve({"file": name})
        assert caught.value.detail == reason


# Offline


@pytest.mark.parametrize("source", [{"env": "SPECRUNNER_TEST_SECRET"}, {"exec": [sys.executable, "give.py"]}])
def test_offline_nothing_is_started_and_no_variable_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: dict[str, Any]
) -> None:
    monkeypatch.setenv("SPECRUNNER_TEST_SECRET", HIDDEN)
    program(tmp_path, "open('started', 'w')")
    with pytest.raises(SpecrunnerError, match="is not asked offline"):
        FileSecrets(tmp_path, offline=True).resolve(source)
    assert not (tmp_path / "started").exists()


def test_offline_files_are_read(tmp_path: Path) -> None:
    (tmp_path / "key").write_text(HIDDEN)
    assert FileSecrets(tmp_path, offline=True).resolve({"file": "key"}).reveal() == HIDDEN


CONNECTION = """\
    apiVersion: specrunner/v1
    kind: Connection
    metadata: {name: inputs}
    spec: {type: HTTPFILE, detailsFrom: {file: %s}}
    """


def test_a_missing_file_of_a_secret_is_an_error_and_offline_it_is_none(tmp_path: Path) -> None:
    sample(tmp_path, connection=CONNECTION % "secrets/key.json")
    with pytest.raises(InvalidSpecs) as caught:
        load(tmp_path)
    assert [found.summary for found in caught.value.diagnostics] == ["there is no 'secrets/key.json'"]
    assert load(tmp_path, offline=True).resources


@pytest.mark.parametrize("name", ["../key", "/etc/hostname", "out/key"])
def test_a_file_that_leaves_the_repository_is_an_error_offline_too(tmp_path: Path, name: str) -> None:
    root = tmp_path / "root"
    sample(root, connection=CONNECTION % name)
    (root / "out").symlink_to(tmp_path)
    with pytest.raises(InvalidSpecs):
        load(root, offline=True)


def event(tmp_path: Path, name: str, payload: object) -> dict[str, str]:
    (tmp_path / "event.json").write_text(json.dumps(payload))
    return {"GITHUB_EVENT_NAME": name, "GITHUB_EVENT_PATH": str(tmp_path / "event.json")}


def pull_request(head: object) -> dict[str, Any]:
    return {"pull_request": {"head": {"repo": head}, "base": {"repo": {"full_name": "us/specs"}}}}


@pytest.mark.parametrize(
    ("name", "payload", "fork"),
    [
        ("pull_request", pull_request({"full_name": "us/specs"}), False),
        ("pull_request", pull_request({"full_name": "stranger/specs"}), True),
        ("pull_request", pull_request(None), True),
        ("pull_request_target", pull_request({"full_name": "stranger/specs"}), True),
        ("pull_request_review", pull_request({"full_name": "stranger/specs"}), True),
        ("pull_request", {}, True),
        ("pull_request", [], True),
        (
            "workflow_run",
            {
                "workflow_run": {"head_repository": {"full_name": "stranger/specs"}},
                "repository": {"full_name": "us/specs"},
            },
            True,
        ),
        (
            "workflow_run",
            {"workflow_run": {"head_repository": {"full_name": "us/specs"}}, "repository": {"full_name": "us/specs"}},
            False,
        ),
        ("push", {}, False),
    ],
)
def test_a_pull_request_from_a_fork_is_known(tmp_path: Path, name: str, payload: object, fork: bool) -> None:
    assert from_fork(event(tmp_path, name, payload)) is fork


def test_a_pull_request_whose_payload_is_not_there_counts_as_a_forks() -> None:
    assert from_fork({"GITHUB_EVENT_NAME": "pull_request"})
    assert not from_fork({})


def test_a_plan_offline_says_what_it_does_not_know(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    sample(tmp_path, connection=CONNECTION.replace("{file: %s}", f"{{exec: [{sys.executable}, give.py]}}"))
    program(tmp_path, "open('started', 'w'); print('{}')")
    assert cli.status_of(["-C", str(tmp_path), "plan", "--offline"]) == 0
    assert "`detailsFrom` is unknown until apply" in capsys.readouterr().out
    for name, value in event(tmp_path, "pull_request", pull_request({"full_name": "stranger/specs"})).items():
        monkeypatch.setenv(name, value)
    assert cli.status_of(["-C", str(tmp_path), "plan"]) == 0
    assert "`detailsFrom` is unknown until apply" in capsys.readouterr().out
    assert cli.status_of(["-C", str(tmp_path), "apply", "--yes"]) == 1
    assert "is not asked offline" in capsys.readouterr().err
    assert not (tmp_path / "started").exists()


# Plain values, and masks


def test_a_plain_value_is_no_part_of_the_spec(tmp_path: Path) -> None:
    sample(tmp_path, connection=CONNECTION.replace("{file: %s}", f"{{value: {{password: {HIDDEN}}}}}"))
    found = resource(tmp_path, "Connection/inputs")
    assert found.spec["detailsFrom"] == {"value": "*****"}
    assert found.secrets == {"detailsFrom": {"value": {"password": HIDDEN}}}
    assert HIDDEN not in json.dumps(to_json(make_plan(load(tmp_path), {}, {})))


def test_every_form_of_a_text_is_masked() -> None:
    text = 'pä"ss/wörd+1\nsecond line = b'
    hidden = texts_of([{"a": [text], "n": 5, "short": "abc"}])
    forms = [
        text,
        json.dumps(text),
        json.dumps(text, ensure_ascii=False),
        quote(text),
        quote(text, safe=""),
        base64.b64encode(text.encode()).decode(),
        "second line = b",
        'pä"ss/wörd+1',
    ]
    for form in forms:
        shown = masked(f"<{form}>", hidden)
        assert "*****" in shown and "second" not in shown and "wörd" not in shown and "w%C3" not in shown, form
    assert masked("abc 5", hidden) == "abc 5"


def test_masks_that_overlap_leave_no_end_of_either() -> None:
    assert masked("-abcdef-abcdabcd-", {"abcd", "cdef"}) == "-*****-**********-"
    assert masked_json({"abcd": ["xabcd", 1, None]}, {"abcd"}) == {"*****": ["x*****", 1, None]}


def test_a_fault_of_ours_keeps_the_secret_out_of_its_trace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(_arguments: object) -> int:
        value = Remembered(FileSecrets(tmp_path)).resolve({"file": "key"}).reveal()
        raise KeyError(f"no {value} here: {json.dumps(value)}")

    write(tmp_path, {"key": f'{HIDDEN}"\n'})
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr(cli, "status_of", fail)
    assert cli.guarded_status([]) == 1
    (trace,) = tmp_path.glob("specrunner-fault-*.log")
    assert "KeyError" in trace.read_text()
    assert HIDDEN not in trace.read_text() + "".join(capsys.readouterr())


def test_secrets_are_read_by_several_threads(tmp_path: Path) -> None:
    source, found = program(tmp_path, f"print('{HIDDEN}')"), []
    threads = [threading.Thread(target=lambda: found.append(FileSecrets(tmp_path).resolve(source))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [Secret(HIDDEN)] * 3
