"""Inputs that the fuzzer found: so many mistakes that explaining them all would take longer than anybody waits."""

from __future__ import annotations

from pathlib import Path

from specrunner.core.errors import Diagnostic, InvalidSpecs
from specrunner.spec import files
from specrunner.spec.desired import load
from specrunner.spec.findings import MOST
from tests.unit.spec_samples import sample


def told(root: Path) -> tuple[Diagnostic, ...]:
    try:
        load(root)
    except InvalidSpecs as problem:
        return problem.diagnostics
    raise AssertionError("the specs are wrong, and nothing was told")


def test_after_a_thousand_wrong_documents_the_others_are_counted_and_not_explained(tmp_path: Path) -> None:
    root = sample(tmp_path)
    wrong = "apiVersion: specrunner/v1\nkind: Workspace\nmetadata: {name: w%d}\nspec: {nmae: x}\n---\n"
    (root / "many.yaml").write_text("".join(wrong % number for number in range(MOST + 7)))
    problems = told(root)
    rest = [problem for problem in problems if problem.code == "rest-unread"]
    assert len([problem for problem in problems if problem.code == "unknown-field"]) == MOST
    assert len(rest) == 1
    assert "were not checked" in rest[0].summary
    assert not [problem for problem in problems if problem.code == "unknown-reference"]


def test_a_document_beyond_a_limit_does_not_hide_where_those_before_it_are_wrong(tmp_path: Path) -> None:
    root = sample(tmp_path)
    text = "apiVersion: specrunner/v1\nkind: Workspace\nmetadata: {name: w}\nspec: {nmae: x}\n---\n"
    (root / "deep.yaml").write_text(text + "a: " + "[" * 100 + "]" * 100 + "\n")
    places = {problem.code: problem.place and problem.place.line for problem in told(root)}
    assert places["unknown-field"] == 4
    assert len(places) == 2


def test_of_what_can_not_be_parsed_a_thousand_names_of_formats_are_looked_at(tmp_path: Path) -> None:
    root = sample(tmp_path)
    (root / "others.yaml").write_text("]\n" + "".join(f"apiVersion: group{n}/v1\n" for n in range(5_000)))
    files._is_near.cache_clear()
    load(root)
    assert files._is_near.cache_info().misses <= 1_010
