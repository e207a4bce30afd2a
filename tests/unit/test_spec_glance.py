"""Which target a project declares, seen at a glance: whatever else is wrong, nothing is raised."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from specrunner.spec.desired import load
from specrunner.spec.glance import declared_target

PROJECT = "apiVersion: specrunner/v1\nkind: Project\nmetadata: {name: p}\nspec:\n  "


@pytest.mark.parametrize(
    ("spec", "target"),
    [
        ("defaultWorkspace: lab", "local"),
        ("target: local", "local"),
        ("target: {tokenFrom: {env: T}, server: https://a}", {"tokenFrom": {"env": "T"}, "server": "https://a"}),
        (
            "target: {server: https://a}\n  environments: {prod: {}}\n  defaultEnvironment: prod",
            {"server": "https://a"},
        ),
        (
            "environments: {prod: {target: {wallaroo: https://b}}}\n  defaultEnvironment: prod",
            {"wallaroo": "https://b"},
        ),
    ],
)
def test_it_is_the_one_that_the_reader_finds(tmp_path: Path, spec: str, target: Any) -> None:
    (tmp_path / "specrunner.yaml").write_text(f"# ours\n---\n{PROJECT}{spec}\n---\n")
    assert declared_target(tmp_path) == target
    (tmp_path / "specrunner.yaml").write_text(f"{PROJECT}{spec}\n")
    assert declared_target(tmp_path) == target
    found = load(tmp_path).target
    assert {**found, **target} == found if isinstance(target, dict) else found == target  # it has defaults beside


def test_what_is_wrong_elsewhere_makes_no_difference(tmp_path: Path) -> None:
    (tmp_path / "specrunner.yaml").write_text(f"{PROJECT}target: local\n  nonsense: [1]\n---\n{{")
    (tmp_path / "other.yaml").write_text("kind: [")
    assert declared_target(tmp_path) == "local"


@pytest.mark.parametrize(
    "text",
    ["", "{", "- 1\n", "kind: Task\n", "kind: Project\nspec: [1]\n", "kind: Project\nspec: {environments: 7}\n", "\0"],
)
def test_of_a_file_that_cannot_be_read_nothing_is_known(tmp_path: Path, text: str) -> None:
    assert declared_target(tmp_path) is None
    (tmp_path / "specrunner.yaml").write_text(text)
    assert declared_target(tmp_path) is None
