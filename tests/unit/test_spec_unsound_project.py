"""A project whose default workspace can be no workspace."""

from __future__ import annotations

from pathlib import Path

import pytest

from specrunner.core.errors import InvalidSpecs
from specrunner.spec.desired import load
from tests.unit.spec_samples import sample


@pytest.mark.parametrize("name", ["/etc/passwd", "a/b", "https://ml.example.com", "../x", "''", "12"])
def test_is_told_at_its_place_and_nothing_is_judged_by_it(name: str, tmp_path: Path) -> None:
    root = sample(tmp_path)
    project = root / "specrunner.yaml"
    text = project.read_text()
    assert "defaultWorkspace: forecasting" in text
    project.write_text(text.replace("defaultWorkspace: forecasting", f"defaultWorkspace: {name}"))
    with pytest.raises(InvalidSpecs) as caught:
        load(root)
    assert [problem.place and problem.place.file for problem in caught.value.diagnostics] == ["specrunner.yaml"]
