"""Equal folders give equal zips, whoever wrote them, when, in which order and under which umask; manifests tell."""

from __future__ import annotations

import io
import os
import random
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from specrunner.core.bundles import Manifest, ManifestEntry
from specrunner.spec.bundle import folder_payload, orchestration_payload

CHECKOUT = Path(__file__).parents[2]
_NAMES = st.sampled_from(["a", "B", "é", "e\u0301", "z-1", ".hidden", "data file", "x.py", "Z.py", "-", "~"])
_PATHS = st.lists(_NAMES, min_size=1, max_size=3).map("/".join)
_TREES = st.dictionaries(_PATHS, st.binary(max_size=40), max_size=8).map(lambda tree: {**tree, "main.py": b"print(1)"})


def write(root: Path, tree: Mapping[str, bytes], order: random.Random, umask: int) -> None:
    """Write a tree in some order; a name that is a folder already, or has a file above it, is left out."""
    before = os.umask(umask)
    try:
        for name in sorted(tree, key=lambda _: order.random()):
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(tree[name])
            os.utime(path, (order.randrange(2**31), order.randrange(2**31)))
    finally:
        os.umask(before)


def possible(tree: Mapping[str, bytes]) -> dict[str, bytes]:
    folders = {str(parent) for name in tree for parent in Path(name).parents}
    return {name: data for name, data in tree.items() if name not in folders}


@settings(max_examples=60, deadline=None)
@given(_TREES, st.randoms(use_true_random=False), st.sampled_from([0o022, 0o002, 0o077, 0o000]))
def test_equal_folders_give_equal_zips(tree: dict[str, bytes], order: random.Random, umask: int) -> None:
    tree = possible(tree)
    with tempfile.TemporaryDirectory() as base:
        for name, mask in (("one", 0o022), ("other", umask)):
            (Path(base) / name / "code").mkdir(parents=True)
            write(Path(base) / name / "code", tree, order, mask)
        one, other = (orchestration_payload(Path(base) / name / "code") for name in ("one", "other"))
        assert (one.sha, one.size, one.read()) == (other.sha, other.size, other.read())
        manifest = Manifest.of_zip(one.read())
        with zipfile.ZipFile(io.BytesIO(one.read())) as archive:
            assert {entry.name: entry.size for entry in manifest.entries} == {n: len(d) for n, d in tree.items()}
            assert {name: archive.read(name) for name in archive.namelist()} == tree


@settings(max_examples=60, deadline=None)
@given(_TREES, _TREES)
def test_the_changes_between_two_manifests_lead_from_one_to_the_other(
    old: dict[str, bytes], new: dict[str, bytes]
) -> None:
    before, after = Manifest.of_zip(zipped(old)), Manifest.of_zip(zipped(new))
    entries = {entry.name: entry for entry in before.entries}
    for change in before.changes_to(after):
        assert entries.pop(change.name, None) == change.old != change.new
        if change.new is not None:
            entries[change.name] = change.new
    assert tuple(sorted(entries.values())) == after.entries
    assert before.changes_to(before) == ()
    assert {change.name for change in before.changes_to(after)} == {
        name for name in {*old, *new} if old.get(name) != new.get(name)
    }
    assert Manifest.from_json(before.as_json()) == before


def zipped(tree: Mapping[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", compression) as archive:
        for name, data in tree.items():
            archive.writestr(zipfile.ZipInfo(name), data, compression)
    return target.getvalue()


def test_a_manifest_says_size_sum_and_mode_and_packing_does_not_matter() -> None:
    sha = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"  # sha256 of `hello`
    stored, deflated = (zipped({"b/": b"", "b/a": b"hello"}, how) for how in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))
    assert stored != deflated
    assert Manifest.of_zip(stored) == Manifest.of_zip(deflated) == Manifest((ManifestEntry("b/a", 5, sha),))


def test_the_executable_bit_is_a_change(tmp_path: Path) -> None:
    (tmp_path / "run.sh").write_text("echo")
    before = Manifest.of_zip(folder_payload(tmp_path).read())
    (tmp_path / "run.sh").chmod(0o755)
    (change,) = before.changes_to(Manifest.of_zip(folder_payload(tmp_path).read()))
    assert change.old is not None and change.new is not None
    assert (change.old.executable, change.new.executable, change.old.sha) == (False, True, change.new.sha)


@pytest.mark.parametrize("damage", [lambda data: b"", lambda data: data[:-30], lambda data: b"x" * 100])
def test_a_damaged_zip_has_no_manifest(damage: object) -> None:
    assert callable(damage)
    with pytest.raises(ValueError, match="the zip can't be read"):
        Manifest.of_zip(damage(zipped({"main.py": b"print(1)"})))


def test_a_flipped_byte_in_a_file_is_seen() -> None:
    data = bytearray(zipped({"main.py": b"print(1)"}))
    data[data.index(b"print")] ^= 1
    with pytest.raises(ValueError, match="the zip can't be read"):
        Manifest.of_zip(bytes(data))


def test_another_process_in_another_zone_locale_and_umask_makes_the_same_bytes(tmp_path: Path) -> None:
    tree = {"main.py": b"print(1)\n", "lib/é.py": b"x = 1\n", "data/x y": bytes(range(256))}
    (tmp_path / "here").mkdir()
    write(tmp_path / "here", tree, random.Random(1), 0o022)
    code = (
        "import os, sys, random; os.umask(0o077)\n"
        "from pathlib import Path\n"
        "from tests.property.test_bundle_bytes import write\n"
        "from specrunner.spec.bundle import orchestration_payload\n"
        f"tree = {tree!r}\n"
        "root = Path(sys.argv[1]); root.mkdir(); write(root, tree, random.Random(2), 0o077)\n"
        "print(orchestration_payload(root).sha)"
    )
    environ = {**os.environ, "TZ": "Pacific/Kiritimati", "LC_ALL": "C", "PYTHONHASHSEED": "7"}
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "there")],
        cwd=CHECKOUT,
        env=environ,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout.strip() == orchestration_payload(tmp_path / "here").sha
