"""A sentinel through every source and to every place a secret goes: no byte of it where a secret must not be."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.acceptance.conftest import make_repo
from tests.acceptance.spec_repo import Result, SpecRepo, finished, until
from tests.integration.leak_samples import ALL, command_lines, environ, files_below, leaks, sentinel, write_specs

COUNT = len(ALL)


@pytest.fixture
def repo(pytestconfig: pytest.Config, tmp_path: Path) -> SpecRepo:
    given, kept = os.environ.get("SPECRUNNER_CACHE"), getattr(pytestconfig, "cache", None)
    cache = Path(given) if given else Path(kept.mkdir("specrunner")) if kept is not None else tmp_path / "cache"
    (tmp_path / "faults").mkdir()
    made = make_repo(tmp_path / "specs", cache)
    return SpecRepo(made.root, {**made.environ, **environ(), "TMPDIR": str(tmp_path / "faults")})


def say_all(said: dict[str, Result]) -> list[str]:
    return [one for words, result in said.items() for one in leaks(f"`{words}`", result.said.encode())]


def test_no_secret_reaches_what_is_printed_or_written(repo: SpecRepo, tmp_path: Path) -> None:
    go = tmp_path / "go"
    write_specs(repo, go)
    sources = {name for name, _ in files_below(repo.root)}  # where they may stand: the specs and what they name
    said = {words: repo.run(*words.split()) for words in ("plan --allow-plaintext", "plan --allow-plaintext --json")}

    with repo.start("apply", "--yes", "--allow-plaintext") as process:
        until(lambda: len(told(repo)) == 2, "both runs to tell everything they know")
        while_running = command_lines()
        # What the code itself has put down stands there until its record, which is masked.
        on_disk = {name: data for name, data in files_below(repo.root) if not name.endswith("/results.json")}
        go.touch()
        said["apply"] = finished(process, 6)

    shown = "status", "status --json", "runs", "runs --json", "logs good", "logs bad", "logs bad --times"
    said |= {words: repo.run(*words.split()) for words in shown}
    said |= {words: repo.run(*words.split()) for words in ("apply --yes --allow-plaintext --json",)}
    assert said["logs good"].out.count("*****") >= 7 * COUNT, "the runs did tell, and were masked"
    (good,) = [run for run in repo.runs() if run["task"] == "Task/lab/good"]
    assert good["status"] == "success" and good["results"]["values"] == ["*****"] * COUNT

    found = say_all(said)
    found += [one for where, data in while_running.items() for one in leaks(where, data)]
    found += [one for files in (on_disk, dict(files_below(repo.root))) for one in _leaks_in(files, sources)]
    found += [one for where, data in files_below(tmp_path / "faults") for one in leaks(where, data)]
    assert found == []
    looked_at = {Path(name).name for name in on_disk} | {Path(name).name for name in dict(files_below(repo.root))}
    assert looked_at >= {"state.db", "state.db-wal", "run.json", "exit.json", "arguments.json", "README.md"}


def told(repo: SpecRepo) -> list[str]:
    logs = [data.decode("utf-8", "replace") for name, data in files_below(repo.root) if "/runs/" in name]
    return [text for text in logs if f"told {COUNT}" in text]


def _leaks_in(files: dict[str, bytes], sources: set[str]) -> list[str]:
    found = []
    for name, data in files.items():
        if name not in sources:
            # The cache of what was parsed holds what the files hold, plain values too: it is no other place.
            ignored = ("value/",) if name.startswith(".specrunner/cache/") else ()
            found += leaks(name, data, ignored)
    return found


def test_a_change_of_a_secret_is_told_without_the_old_and_the_new(repo: SpecRepo, tmp_path: Path) -> None:
    (tmp_path / "go").touch()
    write_specs(repo, tmp_path / "go")
    repo.run("apply", "--yes", "--allow-plaintext", code=6)
    changed = {"FROM_ENV_DETAILS": json.dumps({"password": sentinel("env", "details") + "!"})}
    repo = SpecRepo(repo.root, {**repo.environ, **changed})
    said = {
        "plan": repo.run("plan", "--allow-plaintext"),
        "plan --json": repo.run("plan", "--allow-plaintext", "--json"),
        "apply": repo.run("apply", "--yes", "--allow-plaintext"),
    }
    assert "detailsFrom: (secret) changed" in said["plan"].out
    (step,) = said["plan --json"].json["steps"]
    assert step["key"] == "Connection/from-env"
    assert say_all(said) == []


@pytest.mark.parametrize("place", ["details", "variable"])
def test_a_secret_of_the_wrong_form_is_refused_without_being_shown(repo: SpecRepo, tmp_path: Path, place: str) -> None:
    (tmp_path / "go").touch()
    write_specs(repo, tmp_path / "go")
    environment = {"FROM_ENV_DETAILS": sentinel("env", "details")} if place == "details" else {}
    if place == "variable":  # longer than what Linux takes as one variable: both runs can't be started
        repo.write_bytes("secrets/text-variable", (sentinel("text", "variable") * 5_000).encode())
    repo = SpecRepo(repo.root, {**repo.environ, **environment})
    said = {
        "plan": repo.run("plan", "--allow-plaintext"),
        "apply": repo.run("apply", "--yes", "--allow-plaintext", code=1 if place == "details" else 6),
        "again": repo.run("apply", "--yes", "--allow-plaintext", "--json", code=1 if place == "details" else 0),
    }
    found = say_all(said) + [one for where, data in files_below(tmp_path / "faults") for one in leaks(where, data)]
    assert found == []
