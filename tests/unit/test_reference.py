"""The reference documentation: current, complete, and with examples that hold."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from specrunner.report.reference import KINDS, OTHERS, main, pages
from specrunner.spec import schema
from specrunner.spec.loader import parse

CHECKOUT = Path(__file__).resolve().parents[2]
PAGES = CHECKOUT / "docs" / "reference"
EXAMPLES = CHECKOUT / "examples" / "specs"
MODELINE = "# yaml-language-server: $schema=https://specrunner.dev/schemas/v1/{}.schema.json"


def test_the_committed_pages_are_those_of_the_schemas() -> None:
    committed = {path.name: path.read_text("utf-8") for path in PAGES.iterdir() if path.name not in OTHERS}
    assert committed == pages(schema.schema_files()), (
        "run: python -m specrunner.report.reference schemas docs/reference"
    )


def test_the_command_writes_them_and_deletes_those_of_kinds_that_are_gone(tmp_path: Path) -> None:
    (tmp_path / "gone.md").write_text("old")
    main([str(CHECKOUT / "schemas"), str(tmp_path)])
    assert {path.name: path.read_text("utf-8") for path in tmp_path.iterdir()} == pages(schema.schema_files())


def test_there_is_a_page_for_every_kind() -> None:
    assert KINDS == schema.KINDS


@pytest.mark.parametrize("kind", KINDS)
def test_the_example_of_each_page_is_valid_and_has_its_modeline(kind: str) -> None:
    page = pages(schema.schema_files())[f"{kind.lower()}.md"]
    found = re.search(r"```yaml\n(.*?)```", page, re.DOTALL)
    assert found is not None
    (document,) = parse(found[1]).documents
    assert document[1]["kind"] == kind
    assert schema.verdict(kind).is_valid(document[1])
    assert found[1].startswith(MODELINE.format(kind.lower()))


@pytest.mark.parametrize("kind", KINDS)
def test_every_field_of_a_kind_has_a_row(kind: str) -> None:
    page = pages(schema.schema_files())[f"{kind.lower()}.md"]
    rows = re.findall(r"^\| \**`([^`]+)`\** \| (.*) \|$", page, re.MULTILINE)
    found = list(fields(schema.schema_of(kind)))
    assert found
    for name, part in found:
        described = part["description"].replace("|", "\\|")
        assert any(row == name and described in rest for row, rest in rows), name


def fields(whole: Any) -> Any:
    """Fields of metadata and spec but those of shared forms, which stand in the index."""
    for part in ("metadata", "spec"):
        yield from _below(whole["properties"][part], "")


def _below(part: Any, trail: str) -> Any:
    for name, inner in part.get("properties", {}).items():
        yield f"{trail}{name}", inner
        if "x-def" not in inner:
            yield from _below(inner, f"{trail}{name}.")
            for key, suffix in (("items", "[]."), ("additionalProperties", ".NAME.")):
                if isinstance(inner.get(key), dict) and "x-def" not in inner[key]:
                    yield from _below(inner[key], f"{trail}{name}{suffix}")


def test_every_link_leads_somewhere() -> None:
    made = pages(schema.schema_files())
    for text in made.values():
        for page, anchor in re.findall(r"\]\(([a-zA-Z]+\.md)(?:#([a-z]+))?\)", text):
            assert page in made
            assert not anchor or f'<a id="{anchor}">' in made[page], anchor


def test_every_file_of_the_examples_has_the_modeline_of_its_kind() -> None:
    files = sorted(EXAMPLES.glob("*/*.yaml"))
    assert files
    for file in files:
        text = file.read_text("utf-8")
        kinds = {document["kind"] for _, document in parse(text).documents}
        assert len(kinds) == 1, file
        assert text.startswith(MODELINE.format(kinds.pop().lower()) + "\n"), file
