"""`specrunner user`: who may log in to the server of a state folder."""

from __future__ import annotations

import json

import pytest

from tests.acceptance.spec_repo import SpecRepo

PASSWORD = "correct horse battery"


def test_people_are_added_listed_and_removed(repo: SpecRepo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THEIR_PASSWORD", PASSWORD)
    assert "open to whoever" in repo.run("user", "list").out
    given = ("--password-from-env", "THEIR_PASSWORD")
    added = repo.run("user", "add", "Jane@example.com", "--admin", *given)
    assert "jane@example.com may log in" in added.out and PASSWORD not in added.said
    repo.run("user", "add", "jane@example.com", *given, code=1)
    (found,) = json.loads(repo.run("user", "list", "--json").out)
    assert (found["email"], found["role"], found["workspaces"]) == ("jane@example.com", "admin", "all")
    assert "another password" in repo.run("user", "password", "jane@example.com", *given).out
    assert "open again" in repo.run("user", "remove", "jane@example.com").err
    assert json.loads(repo.run("user", "list", "--json").out) == []


def test_what_is_wrong_is_told(repo: SpecRepo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHORT", "x")
    assert "at least 8" in repo.run("user", "add", "a@b.c", "--password-from-env", "SHORT", code=1).err
    assert "not set" in repo.run("user", "add", "a@b.c", "--password-from-env", "NOWHERE", code=64).err
    assert "no user" in repo.run("user", "remove", "nobody@example.com", code=1).err
    monkeypatch.setenv("LONG", PASSWORD)
    given = ("--password-from-env", "LONG", "--workspace", "nowhere")
    assert "nowhere" in repo.run("user", "add", "a@b.c", *given, code=1).err
    assert json.loads(repo.run("user", "list", "--json").out) == []
