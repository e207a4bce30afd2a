from __future__ import annotations

from pathlib import Path

import pytest

import specrunner
from specrunner.core.errors import PackagingFailed
from specrunner.engine.packaging import base_layer, locks, old_clients


def test_the_base_set_joins_unpinned() -> None:
    assert locks.with_base_set("requests==2.31.0  # old\n\n# note\n").splitlines() == [
        "requests==2.31.0", "pandas", "pyarrow", "requests",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "line", ["-r other.txt", "--index-url https://a.test", "-e .", "--find-links \\\n https://a.test", "-c limits.txt"]
)
def test_options_of_pip_are_refused_and_named(line: str) -> None:
    with pytest.raises(PackagingFailed) as caught:
        locks.with_base_set(f"numpy\n{line}\n")
    assert line.split(maxsplit=1)[0] in caught.value.detail
    assert "numpy" not in caught.value.detail


def test_a_lock_is_sorted_pins() -> None:
    resolved = "b==2\na==1.0\nc @ https://a.test/c-1-py3-none-any.whl\nd @ git+https://a.test/d@0123abc\n"
    assert locks.finished(resolved, "") == "".join(sorted(resolved.splitlines(keepends=True)))


@pytest.mark.parametrize("line", ["a @ file:///srv/a", "./a", "a>=1", "-e file:///a"])
def test_what_is_no_exact_pin_is_refused(line: str) -> None:
    with pytest.raises(PackagingFailed) as caught:
        locks.finished(f"b==1\n{line}\n", "")
    assert caught.value.detail == line


def test_hashes_of_the_user_are_kept() -> None:
    requirements = "Some.Name[extra]==1 \\\n    --hash=sha256:aa \\\n    --hash=sha256:bb\nother==2\n"
    lock = locks.finished("some-name==1\nother==2\n", requirements)
    assert lock == "other==2\nsome-name==1 --hash=sha256:aa --hash=sha256:bb\n"
    assert locks.finished(lock, "") == lock


def test_names_are_normalised() -> None:
    assert locks.pinned_names("A_b==1\nc.D @ https://a.test/x\n") == {"a-b", "c-d"}


def test_the_base_layer_is_the_sdk_and_its_alias_without_the_engine() -> None:
    layer = base_layer.files()
    assert layer["specrunner/__init__.py"] == Path(specrunner.__file__).read_bytes()
    assert "specrunner/sdk/__init__.py" in layer
    assert "wallaroo/__init__.py" in layer
    assert {name.split("/")[0] for name in layer} == {"specrunner", "specrunner_wallaroo.py", "wallaroo"}
    assert not [name for name in layer if "alias" in name or "engine" in name or "__pycache__" in name]


def test_the_version_of_the_base_layer_follows_names_and_bytes() -> None:
    first = base_layer.version({"a": b"1"})
    assert base_layer.version({"a": b"1"}) == first
    assert len({first, base_layer.version({"a": b"2"}), base_layer.version({"b": b"1"})}) == 3


def test_laying_in_never_writes_through_a_link_and_leaves_pinned_packages(tmp_path: Path) -> None:
    cached = tmp_path / "cached.py"
    cached.write_bytes(b"theirs")
    site = tmp_path / "site"
    (site / "specrunner").mkdir(parents=True)
    (site / "specrunner/__init__.py").hardlink_to(cached)
    base_layer.lay({"specrunner/__init__.py": b"ours", "wallaroo/__init__.py": b"alias"}, site, "wallaroo==2026.1\n")
    assert (site / "specrunner/__init__.py").read_bytes() == b"ours"
    assert cached.read_bytes() == b"theirs"
    assert not (site / "wallaroo").exists()


@pytest.mark.parametrize(("version", "is_old"), [("2022.4.0", True), ("2023.2.0", True), ("2024.4.0", False)])
def test_an_old_client_gets_newer_distributions_in_the_place_of_its_pins(version: str, is_old: bool) -> None:
    wanted = locks.with_base_set(f"wallaroo=={version}\nnumpy==1.26.4  # mine\nscipy\n")
    named = locks.pinned_names(old_clients.overrides(wanted))
    assert ({"pandas", "pyarrow", "matplotlib"} <= named) == is_old
    assert not named & {"numpy", "scipy"}, "what the requirements name themselves is left to them"


@pytest.mark.parametrize("line", ["pandas", "wallaroo", "wallaroo-tools==2023.1.0", "awallaroo==2023.1.0"])
def test_nothing_is_put_in_the_place_of_other_pins(line: str) -> None:
    assert old_clients.overrides(locks.with_base_set(line)) == ""
