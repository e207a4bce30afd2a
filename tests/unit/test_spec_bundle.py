"""Reproducible zips of folders, and what stays out of them."""

from __future__ import annotations

import io
import os
import zipfile
from pathlib import Path

import pytest

from specrunner.core.errors import SpecrunnerError
from specrunner.spec.bundle import BadBundle, file_payload, folder_payload, orchestration_payload
from tests.unit.spec_samples import write


def names(content: bytes) -> list[str]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return archive.namelist()


def test_the_bytes_of_a_zip_are_fixed(tmp_path: Path) -> None:
    """A literal sum: it must not change with the machine, the Python or the version of zlib."""
    write(tmp_path, {"code/main.py": "print('hello')\n", "code/lib/é.py": "x = 1\n", "code/run.sh": "echo\n"})
    (tmp_path / "code/run.sh").chmod(0o744)
    expected = "6f35a38156b0fbe290941d5bad3f38ba9e99466ad305da3a03da55f8b552d892"
    assert orchestration_payload(tmp_path / "code").sha == expected


def test_entries_are_sorted_stored_dated_and_plain(tmp_path: Path) -> None:
    write(tmp_path, {"main.py": "", "b/x.py": "", "a.txt": "a" * 1000})
    (tmp_path / "a.txt").chmod(0o600)
    (tmp_path / "main.py").chmod(0o777)
    with zipfile.ZipFile(io.BytesIO(orchestration_payload(tmp_path).read())) as archive:
        entries = archive.infolist()
    assert [entry.filename for entry in entries] == ["a.txt", "b/x.py", "main.py"]
    assert {entry.compress_type for entry in entries} == {zipfile.ZIP_STORED}
    assert {entry.date_time for entry in entries} == {(1980, 1, 1, 0, 0, 0)}
    assert [oct(entry.external_attr >> 16) for entry in entries] == ["0o100644", "0o100644", "0o100755"]


def test_ignored_and_made_files_stay_out(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            ".gitignore": "*.log\n/code/secret/\nbuild/\n",
            "code/.gitignore": "!keep.log\n/top.txt\n",
            "code/main.py": "",
            "code/a.log": "",
            "code/keep.log": "",
            "code/top.txt": "",
            "code/sub/top.txt": "",
            "code/secret/key": "",
            "code/sub/build/x": "",
            "code/__pycache__/m.pyc": "",
            "code/.venv/x": "",
            "code/.git/x": "",
        },
    )
    content = orchestration_payload(tmp_path / "code", root=tmp_path).read()
    assert names(content) == [".gitignore", "keep.log", "main.py", "sub/top.txt"]


def test_ignore_files_count_up_to_the_repository(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            ".gitignore": "*.log\n",
            "repo/.git/HEAD": "",
            "repo/.gitignore": "*.tmp\n",
            "repo/specs/code/main.py": "",
            "repo/specs/code/a.log": "",
            "repo/specs/code/a.tmp": "",
        },
    )
    content = orchestration_payload(tmp_path / "repo/specs/code", root=tmp_path / "repo/specs").read()
    assert names(content) == ["a.log", "main.py"]


def test_include_and_exclude_choose(tmp_path: Path) -> None:
    write(tmp_path, {"main.py": "", "lib/a.py": "", "lib/a.md": "", "tests/t.py": ""})
    assert names(orchestration_payload(tmp_path, ["*.py"], ["tests/"]).read()) == ["lib/a.py", "main.py"]


def test_links_are_refused_unless_excluded(tmp_path: Path) -> None:
    write(tmp_path, {"main.py": ""})
    (tmp_path / "link").symlink_to("main.py")
    (tmp_path / "folder").symlink_to(tmp_path)
    with pytest.raises(BadBundle) as caught:
        orchestration_payload(tmp_path)
    assert caught.value.reasons == ("'folder' is a symbolic link", "'link' is a symbolic link")
    assert names(orchestration_payload(tmp_path, exclude=["link", "folder"]).read()) == ["main.py"]


def test_a_pipe_is_refused(tmp_path: Path) -> None:
    write(tmp_path, {"main.py": ""})
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(BadBundle, match="'pipe' is no ordinary file"):
        orchestration_payload(tmp_path)


def test_a_ready_zip_is_taken_byte_for_byte(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "ready.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("sub/", "")
        archive.writestr("sub/main.py", "print(1)\n")
    payload = orchestration_payload(tmp_path / "ready.zip")
    assert payload.read() == (tmp_path / "ready.zip").read_bytes()
    assert payload.file_name == "ready.zip"


def test_a_zip_with_a_name_that_leaves_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "bad.zip", "w") as archive:
        archive.writestr("../main.py", "")
    with pytest.raises(BadBundle, match="would leave the bundle"):
        orchestration_payload(tmp_path / "bad.zip")


def test_a_model_folder_needs_no_entry_point(tmp_path: Path) -> None:
    write(tmp_path, {"weights.bin": "x"})
    assert names(folder_payload(tmp_path).read()) == ["weights.bin"]


def test_what_changed_since_it_was_summed_is_not_given(tmp_path: Path) -> None:
    write(tmp_path, {"m.onnx": "one"})
    payload = file_payload(tmp_path / "m.onnx")
    write(tmp_path, {"m.onnx": "two"})
    with pytest.raises(SpecrunnerError, match=r"m\.onnx changed while it was in use"):
        payload.read()
