"""Plans as people read them where they come about; `pytest tests/acceptance --regenerate` writes the files anew.

`test_plan_faces` shows what a face can print; here the whole way goes through the command line.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.acceptance.in_memory import InMemory, memory
from tests.acceptance.normalise import normalised
from tests.acceptance.plan_scene import typed
from tests.acceptance.plan_situations import SITUATIONS

__all__ = ["memory"]

FOLDER = Path(__file__).parent / "golden" / "cli-plans"
_DAY = re.compile(r"\b(Mon|Tue|Wed|Thu|Fri|Sat|Sun) \d{4}-\d\d-\d\d(?= \d\d:\d\d)")


@pytest.mark.parametrize("name", SITUATIONS)
def test_a_plan_reads_well_where_it_is_asked_for(name: str, memory: InMemory, pytestconfig: pytest.Config) -> None:
    def told(text: str) -> str:
        return normalised(_DAY.sub("Day 2026-00-00", text), memory.repo.root)  # as wide as a day, for the columns

    found = typed(memory, SITUATIONS[name], told)
    file = FOLDER / f"{name}.txt"
    if pytestconfig.getoption("--regenerate", default=False):
        file.write_text(found, encoding="utf-8")
    assert found == file.read_text(encoding="utf-8")


def test_no_golden_plan_shows_a_secret() -> None:
    files = list(FOLDER.iterdir())
    assert {file.stem for file in files} == set(SITUATIONS)
    assert not [file.name for file in files if {"swordfish", "mackerel"} & set(file.read_text("utf-8").split('"'))]
