"""Whatever a zip names its entries: it is refused, or it unpacks to exactly its files, all of them inside."""

from __future__ import annotations

import tempfile
import warnings
import zipfile
from pathlib import Path

from hypothesis import example, given, settings
from hypothesis import strategies as st

from specrunner.core.errors import PackagingFailed
from specrunner.engine.packaging import bundles

_PARTS = st.sampled_from(
    ["..", ".", "", "a", "A", "main.py", "requirements.txt", "C:", "x\\y", "~", "é", "e\u0301", "\x01", " ", "-"]
)
_NAMES = st.one_of(st.lists(_PARTS, min_size=1, max_size=4).map("/".join), st.text(max_size=12))


@settings(max_examples=150, deadline=None)
@given(st.lists(_NAMES, min_size=1, max_size=6))
@example([""])
@example(["main.py", "a/../../escape"])
@example(["main.py", "a", "a/b"])
@example(["main.py", "x" * 300])
@example(["main.py", "a/./b", "a//b"])
def test_unpacking_stays_inside_or_refuses(names: list[str]) -> None:
    with tempfile.TemporaryDirectory() as base:
        root = Path(base)
        path, work = root / "outer.zip", root / "deep/er/work"
        _pack(path, ["main.py", *names])
        try:
            bundle = bundles.inspect(path)
            bundles.unpack(path, work)
        except PackagingFailed as error:
            assert error.detail
        else:
            assert {str(p.relative_to(work)): p.stat().st_size for p in work.rglob("*") if p.is_file()} == bundle.files
        outside = {p for p in root.rglob("*") if not p.is_relative_to(work)} - {path, root / "deep", root / "deep/er"}
        assert outside == set()


def _pack(path: Path, names: list[str]) -> None:
    with zipfile.ZipFile(path, "w") as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # zipfile warns of duplicate names, which are the point here
        for name in names:
            entry = zipfile.ZipInfo("x")
            entry.filename = name  # past the constructor, which would clean it
            archive.writestr(entry, b"content" if not name.endswith("/") else b"")
