from __future__ import annotations

import hashlib
import os
import stat
import struct
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from specrunner.core import bundles as rules
from specrunner.core.errors import PackagingFailed
from specrunner.engine.packaging import bundles

MakeZip = Callable[..., Path]


@pytest.fixture
def make_zip(tmp_path: Path) -> MakeZip:
    def make(*entries: tuple[str, bytes], mode: int = 0o100644, deflated: bool = False) -> Path:
        path = tmp_path / "bundle.zip"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED if deflated else zipfile.ZIP_STORED) as archive:
            for name, content in entries:
                entry = zipfile.ZipInfo(name)
                entry.external_attr = mode << 16
                entry.compress_type = archive.compression
                archive.writestr(entry, content)
        return path

    return make


def refusal(zip_path: Path, folder: Path) -> str:
    """What inspecting says; unpacking must say the same and write nothing."""
    with pytest.raises(PackagingFailed) as inspected:
        bundles.inspect(zip_path)
    with pytest.raises(PackagingFailed) as unpacked:
        bundles.unpack(zip_path, folder)
    assert unpacked.value.detail == inspected.value.detail
    assert inspected.value.remedy
    assert not folder.exists()
    return inspected.value.detail


def test_inspect_tells_files_entry_requirements_and_digest(make_zip: MakeZip) -> None:
    marked = b"\xef\xbb\xbfrequests==2.31.0\n"
    path = make_zip(("main.py", b"print(1)"), ("requirements.txt", marked), ("data/x", b"abc"))
    bundle = bundles.inspect(path)
    assert bundle.files == {"main.py": 8, "requirements.txt": 20, "data/x": 3}
    assert bundle.entry == "main.py"
    assert bundle.requirements == "requests==2.31.0\n"
    assert bundle.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_requirements_are_empty_where_there_are_none(make_zip: MakeZip) -> None:
    assert bundles.inspect(make_zip(("job.py", b""))).requirements == ""


def test_unpack_writes_the_files_and_keeps_only_the_executable_bit(make_zip: MakeZip, tmp_path: Path) -> None:
    path = make_zip(("main.py", b"1"), ("bin/", b""), ("bin/tool", b"2"), mode=0o104711)
    old = os.umask(0o022)
    try:
        bundles.unpack(path, tmp_path / "work")
    finally:
        os.umask(old)
    assert (tmp_path / "work/main.py").read_bytes() == b"1"
    assert (tmp_path / "work/bin/tool").read_bytes() == b"2"
    assert stat.S_IMODE((tmp_path / "work/bin/tool").stat().st_mode) == 0o755


def test_ordinary_files_are_not_executable(make_zip: MakeZip, tmp_path: Path) -> None:
    bundles.unpack(make_zip(("main.py", b""), mode=0o100666), tmp_path / "work")
    assert not os.access(tmp_path / "work/main.py", os.X_OK)


def test_what_is_no_zip_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "bundle.zip"
    path.write_bytes(b"this is no zip")
    assert "cannot be read as a zip" in refusal(path, tmp_path / "work")


def test_a_missing_zip_is_refused(tmp_path: Path) -> None:
    assert "cannot be read as a zip" in refusal(tmp_path / "missing.zip", tmp_path / "work")


def test_all_problems_are_listed_at_once(make_zip: MakeZip, tmp_path: Path) -> None:
    path = make_zip(("../a.txt", b""), ("/b.txt", b""), ("x/requirements.txt", b""), ("requirements.txt", b""))
    detail = refusal(path, tmp_path / "work").splitlines()
    assert len(detail) == 4
    assert any("'../a.txt'" in line for line in detail)
    assert any("'/b.txt'" in line for line in detail)
    assert any("main.py" in line for line in detail)
    assert any("2 requirements.txt" in line for line in detail)


@pytest.mark.parametrize("name", ["../up/", "/root/", "a/../../b/"])
def test_folders_that_leave_are_refused_too(make_zip: MakeZip, tmp_path: Path, name: str) -> None:
    assert "would leave" in refusal(make_zip(("main.py", b""), (name, b"")), tmp_path / "work")


@pytest.mark.parametrize(("mode", "words"), [(stat.S_IFLNK, "symbolic link"), (stat.S_IFIFO, "neither a file")])
def test_links_and_special_files_are_refused(make_zip: MakeZip, tmp_path: Path, mode: int, words: str) -> None:
    assert words in refusal(make_zip(("main.py", b"/etc/passwd"), mode=mode | 0o644), tmp_path / "work")


def test_a_path_that_is_there_twice_is_refused(make_zip: MakeZip, tmp_path: Path) -> None:
    path = make_zip(("main.py", b"1"), ("./main.py", b"2"))
    assert "'main.py' is there twice" in refusal(path, tmp_path / "work")


def test_a_path_that_is_file_and_folder_is_refused(make_zip: MakeZip, tmp_path: Path) -> None:
    path = make_zip(("main.py", b""), ("a", b""), ("a/b", b""))
    assert "'a' is both a file and a folder" in refusal(path, tmp_path / "work")


def test_names_that_differ_by_case_never_overwrite_each_other(make_zip: MakeZip, tmp_path: Path) -> None:
    bundles.unpack(make_zip(("main.py", b""), ("Data", b"big"), ("data", b"small")), tmp_path / "work")
    assert (tmp_path / "work/Data").read_bytes() == b"big"
    assert (tmp_path / "work/data").read_bytes() == b"small"


def test_a_bomb_is_refused_by_what_it_declares(make_zip: MakeZip, tmp_path: Path) -> None:
    path = make_zip(("main.py", b"\0" * 3_000_000), deflated=True)
    assert f"{rules.MAX_RATIO} times is allowed" in refusal(path, tmp_path / "work")


def test_too_many_entries_are_refused_folders_included(
    make_zip: MakeZip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rules, "MAX_ENTRIES", 3)
    path = make_zip(("main.py", b""), *((f"{number}/", b"") for number in range(3)))
    assert "4 entries, 3 are allowed" in refusal(path, tmp_path / "work")


@pytest.mark.parametrize("declared", [10, 2_000_000])
def test_a_bomb_that_lies_about_its_size_stops_at_what_it_declares(
    make_zip: MakeZip, tmp_path: Path, declared: int
) -> None:
    path = make_zip(("main.py", os.urandom(50_000) + b"\0" * 1_000_000), deflated=True)
    content = bytearray(path.read_bytes())
    # The unpacked size: at byte 22 of the local header, 24 of the central one (APPNOTE.TXT 4.3.7, 4.3.12).
    for signature, offset in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        struct.pack_into("<I", content, content.find(signature) + offset, declared)
    path.write_bytes(content)
    with pytest.raises(PackagingFailed, match="cannot be used"):
        bundles.unpack(path, tmp_path / "work")
    assert (tmp_path / "work/main.py").stat().st_size <= declared


def test_unpacking_follows_no_link_that_is_there(make_zip: MakeZip, tmp_path: Path) -> None:
    outside, work = tmp_path / "outside", tmp_path / "work"
    outside.mkdir()
    work.mkdir()
    (work / "data").symlink_to(outside)
    with pytest.raises(PackagingFailed) as caught:
        bundles.unpack(make_zip(("main.py", b""), ("data/x", b"")), work)
    assert "is there already" in caught.value.detail
    assert list(outside.iterdir()) == []


@pytest.mark.parametrize("dangling", [True, False])
def test_unpacking_overwrites_nothing(make_zip: MakeZip, tmp_path: Path, dangling: bool) -> None:
    work, target = tmp_path / "work", tmp_path / "target"
    work.mkdir()
    if dangling:
        (work / "main.py").symlink_to(target)
    else:
        (work / "main.py").write_text("old")
    with pytest.raises(PackagingFailed):
        bundles.unpack(make_zip(("main.py", b"new")), work)
    assert not target.exists()
    assert dangling or (work / "main.py").read_text() == "old"


def test_damaged_bytes_are_refused(make_zip: MakeZip, tmp_path: Path) -> None:
    path = make_zip(("main.py", b"print('whole')"))
    path.write_bytes(path.read_bytes().replace(b"whole", b"holed"))
    with pytest.raises(PackagingFailed):
        bundles.unpack(path, tmp_path / "work")


def test_requirements_that_are_no_text_are_refused(make_zip: MakeZip) -> None:
    with pytest.raises(PackagingFailed) as caught:
        bundles.inspect(make_zip(("main.py", b""), ("requirements.txt", b"\xff\xfe")))
    assert "requirements.txt is not UTF-8 text" in caught.value.detail


def test_the_module_needs_the_standard_library_only() -> None:
    module = "specrunner.engine.packaging.bundles"
    code = f"import sys; before = set(sys.modules); import {module}; print(*set(sys.modules) - before)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    foreign = {name.partition(".")[0] for name in loaded} - sys.stdlib_module_names - {"specrunner"}
    assert foreign == set()
