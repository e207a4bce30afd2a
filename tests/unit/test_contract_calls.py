"""Every call that the tutorials or the fact sheet name is one of those that the public clients are driven through.

Read from `../shared`; without that folder skipped. The driving itself is `make test-sdk`.
"""

from __future__ import annotations

import ast
import re

import pytest

from tests.sdk.environments import ROOT
from tests.sdk.seeds import shared

SHARED = shared()
pytestmark = pytest.mark.skipif(SHARED is None, reason="the tutorials in ../shared are not here")

# What is called on things of the platform, by the names that the tutorials give these.
_THINGS = (
    r"wl|wallaroo|auth|workspace|ws|pipeline(?:02)?|orchestration|t|task2?|scheduled_task|task_scheduled|recent_run"
    r"|connection|[a-z_]+_connection"
)
_ON_A_THING = re.compile(rf"\b(?:{_THINGS})\.([a-z_]\w*)\(|\)\.(configure)\(")
_IN_THE_SHEET = re.compile(r"[a-z]+(?:_[a-z]+)+|(?<=\.)[a-z]+(?=\()")
# Said by a module of functions, which only runs call: tests/sdk/test_in_runs.py does.
_IN_RUNS = {"in_task", "task_args"}


def called() -> set[str]:
    """The names of methods and of their arguments that the driver uses."""
    found = set()
    for path in (ROOT / "tests/sdk").glob("calls_*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call):
                found |= {node.func.attr} if isinstance(node.func, ast.Attribute) else set()
                found |= {keyword.arg for keyword in node.keywords if keyword.arg}
    return found


def test_the_calls_of_the_tutorials_are_driven() -> None:
    assert SHARED is not None
    texts = [path.read_text("utf-8") for path in (SHARED / "seeds").glob("*.txt")]
    named = {first or second for text in texts for first, second in _ON_A_THING.findall(text)}
    assert len(named) >= 30, named
    assert named - _IN_RUNS <= called(), sorted(named - called())


def test_the_calls_of_the_fact_sheet_are_driven() -> None:
    assert SHARED is not None
    sheet = (SHARED / "design/sdk-protocol.md").read_text("utf-8")
    traces = sheet.partition("## 3. Call-by-call")[2].partition("\n---")[0]
    rows = [line.split("|")[1] for line in traces.splitlines() if line.startswith("|")]
    named = {name for row in rows for name in _IN_THE_SHEET.findall(row)}
    assert len(named) >= 30, named
    assert named <= called(), sorted(named - called())
