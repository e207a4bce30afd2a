"""Secrets at rest, and the bytes of artifacts."""

from __future__ import annotations

import hashlib
import io
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from specrunner.core.errors import NotFound, SpecrunnerError, Unavailable
from specrunner.core.values import Secret
from specrunner.engine.artifacts import Artifacts
from specrunner.engine.vault import KEY_VARIABLE, Vault


def test_the_key_is_the_owners_alone(tmp_path: Path) -> None:
    Vault.open(tmp_path, {})
    assert (tmp_path / "key").stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["key"]


def test_a_key_that_is_given_makes_no_file(tmp_path: Path) -> None:
    sealed = Vault.open(tmp_path, {KEY_VARIABLE: "any text"}).encrypt({"a": 1})
    assert list(tmp_path.iterdir()) == []
    assert Vault(b"any text").decrypt(sealed) == {"a": 1}


def test_all_who_come_first_have_the_same_key(tmp_path: Path) -> None:
    gate, prints = threading.Barrier(8), []

    def first() -> None:
        gate.wait()
        prints.append(Vault.open(tmp_path, {}).fingerprint(Secret("x")))

    threads = [threading.Thread(target=first) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(prints) == 8 and len(set(prints)) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["key"]


def test_another_key_is_told_in_words_and_without_the_value(tmp_path: Path) -> None:
    sealed = Vault.open(tmp_path, {}).encrypt({"password": "sentinel"})
    with pytest.raises(SpecrunnerError, match="cannot be read with this key") as caught:
        Vault.open(tmp_path, {KEY_VARIABLE: "another"}).decrypt(sealed)
    told = caught.value.summary + caught.value.detail + caught.value.remedy
    assert KEY_VARIABLE in told and "sentinel" not in told


def test_a_key_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    (tmp_path / "key").mkdir()
    with pytest.raises(SpecrunnerError, match=r"key file .* can't be used") as caught:
        Vault.open(tmp_path, {})
    assert KEY_VARIABLE in caught.value.remedy


def test_fingerprints_are_equal_for_equal_values_and_under_one_key_only() -> None:
    one, other = Vault(b"one"), Vault(b"other")
    assert one.fingerprint(Secret({"a": 1, "b": [2]})) == Vault(b"one").fingerprint(Secret({"b": [2], "a": 1.0}))
    assert one.fingerprint(Secret("a")) != one.fingerprint(Secret("b"))
    assert one.fingerprint(Secret("a")) != other.fingerprint(Secret("a"))
    assert hashlib.sha256(b'"a"').hexdigest() != one.fingerprint(Secret("a"))


def test_sealing_twice_gives_other_bytes_and_the_same_value() -> None:
    vault = Vault(b"key")
    first, second = vault.encrypt(["x"]), vault.encrypt(["x"])
    assert first != second and vault.decrypt(first) == vault.decrypt(second) == ["x"]


def test_an_artifact_is_known_by_the_sha_of_its_bytes(tmp_path: Path) -> None:
    artifacts, data = Artifacts(tmp_path / "artifacts"), b"some bytes" * 1000
    sha = artifacts.put(data)
    assert sha == hashlib.sha256(data).hexdigest()
    assert artifacts.put_stream(io.BytesIO(data)) == (sha, len(data))
    assert artifacts.path(sha).read_bytes() == data
    files = [path for path in (tmp_path / "artifacts").rglob("*") if path.is_file()]
    assert files == [artifacts.path(sha)]


def test_an_artifact_that_is_not_there_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="is not in the store") as caught:
        Artifacts(tmp_path).path("0" * 64)
    assert "Apply" in caught.value.remedy


def test_a_stream_that_breaks_leaves_nothing(tmp_path: Path) -> None:
    class Broken(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        Artifacts(tmp_path / "artifacts").put_stream(Broken())
    assert list((tmp_path / "artifacts").iterdir()) == []


def test_a_disk_that_refuses_is_told(tmp_path: Path) -> None:
    (tmp_path / "artifacts").write_text("in the way")
    with pytest.raises(Unavailable, match="can't take this file in"):
        Artifacts(tmp_path / "artifacts").put(b"x")


def test_the_same_bytes_from_many_threads_are_one_artifact(tmp_path: Path) -> None:
    artifacts, data, shas = Artifacts(tmp_path), b"x" * (2 << 20), []
    threads = [threading.Thread(target=lambda: shas.append(artifacts.put(data))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(shas) == 8 and len(set(shas)) == 1
    assert artifacts.path(shas[0]).read_bytes() == data


def test_a_key_that_a_killed_process_never_put_in_place_goes_and_that_of_a_living_one_stays(tmp_path: Path) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    left, living = tmp_path / f"key.{gone.pid}.abc", tmp_path / f"key.{os.getpid()}.abc"
    rotating = tmp_path / "key.0123456789abcdef"
    for file in (left, living, rotating):
        file.write_bytes(b"x")
    Vault.open(tmp_path, {})
    assert sorted(tmp_path.iterdir()) == sorted([tmp_path / "key", living, rotating])
