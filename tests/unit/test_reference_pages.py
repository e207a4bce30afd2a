"""The references of the SDK and of the API: current, complete, and with links that lead somewhere."""

from __future__ import annotations

import inspect
import json
import re
from pathlib import Path

import pytest

from specrunner import sdk
from specrunner.report import reference_api, reference_sdk
from specrunner.server.api.face import OPERATIONS
from specrunner.server.api.openapi import document

CHECKOUT = Path(__file__).resolve().parents[2]
PAGES = CHECKOUT / "docs" / "reference"
PACKAGE = CHECKOUT / "specrunner" / "sdk"


def test_the_committed_page_of_the_sdk_is_that_of_its_docstrings() -> None:
    made = reference_sdk.page(reference_sdk.sources_in(PACKAGE))
    assert (PAGES / "sdk.md").read_text("utf-8") == made, (
        "run: python -m specrunner.report.reference_sdk specrunner/sdk docs/reference/sdk.md"
    )


def test_the_committed_page_of_the_api_is_that_of_its_operations() -> None:
    assert (PAGES / "api.md").read_text("utf-8") == reference_api.page(document(OPERATIONS)), (
        "save /v1/specrunner/openapi.json of a server as openapi.json, and "
        "run: python -m specrunner.report.reference_api openapi.json docs/reference/api.md"
    )


@pytest.mark.parametrize("name", sdk.__all__)
def test_everything_that_the_sdk_exports_is_there_with_its_verbs(name: str) -> None:
    page = (PAGES / "sdk.md").read_text("utf-8")
    found = getattr(sdk, name)
    if inspect.isclass(found) and issubclass(found, Exception):
        assert f"| `{name}` |" in page
        return
    if not inspect.isclass(found):
        assert f"### sdk.{name}\n" in page
        return
    _, _, section = page.partition(f"\n## {name}\n")
    section = section.partition("\n## ")[0]
    assert section
    for verb, function in inspect.getmembers(found, inspect.isfunction):
        if not verb.startswith("_"):
            assert f"### {verb}\n" in section, verb
            assert inspect.getdoc(function), verb


def test_every_operation_and_every_record_is_there_and_every_link_leads_somewhere() -> None:
    page = (PAGES / "api.md").read_text("utf-8")
    for operation in OPERATIONS:
        assert f"### `{operation.method} {operation.path}`\n" in page
    for record in document(OPERATIONS)["components"]["schemas"]:
        assert f'<a id="{record.lower()}"></a>' in page
    for anchor in re.findall(r"\]\(#(\w+)\)", page):
        assert f'<a id="{anchor}"></a>' in page
    for file in re.findall(r"\]\(([\w./-]+\.md)\)", page):
        assert (PAGES / file).resolve().is_file()


def test_the_commands_write_the_pages(tmp_path: Path) -> None:
    reference_sdk.main([str(PACKAGE), str(tmp_path / "sdk.md")])
    (tmp_path / "openapi.json").write_text(json.dumps(document(OPERATIONS)), "utf-8")
    reference_api.main([str(tmp_path / "openapi.json"), str(tmp_path / "api.md")])
    for name in ("sdk.md", "api.md"):
        assert (tmp_path / name).read_bytes() == (PAGES / name).read_bytes()
