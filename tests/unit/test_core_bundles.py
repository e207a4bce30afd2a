from __future__ import annotations

from collections.abc import Mapping

import pytest

from specrunner.core.bundles import (
    MAX_ENTRIES,
    MAX_RATIO,
    MAX_UNPACKED_BYTES,
    SMALL_BYTES,
    entry_point,
    is_safe_name,
    problems,
    requirements_file,
)


@pytest.mark.parametrize(
    ("names", "entry"),
    [
        (["main.py"], "main.py"),
        (["a/main.py", "job.py", "main.py"], "main.py"),
        (["job.py", "src/main.py"], "src/main.py"),
        (["b/main.py", "a/x/main.py"], "a/x/main.py"),
        (["a/x/main.py", "a/main.py"], "a/main.py"),
        (["a/b/c/main.py", "a.b/main.py"], "a/b/c/main.py"),
        (["job.py", "README.md", "data/x.csv"], "job.py"),
        (["src/job.py"], "src/job.py"),
    ],
)
def test_the_entry_point_is_main_at_the_top_then_in_a_subfolder_then_the_only_script(
    names: list[str], entry: str
) -> None:
    assert entry_point(names) == entry
    assert entry_point(list(reversed(names))) == entry


@pytest.mark.parametrize(
    "names", [[], ["README.md"], ["a.py", "b.py"], ["Main.py", "b.py"], ["main.pyc"], ["main.py.txt"]]
)
def test_there_is_no_entry_point_where_none_of_the_rules_holds(names: list[str]) -> None:
    assert entry_point(names) is None


def test_a_folder_named_main_is_no_entry_point() -> None:
    assert entry_point(["main.py/readme.txt"]) is None


def test_requirements_may_lie_in_a_subfolder_but_only_once() -> None:
    assert requirements_file(["main.py"]) is None
    assert requirements_file(["main.py", "src/requirements.txt"]) == "src/requirements.txt"
    (problem,) = problems({"main.py": 1, "requirements.txt": 1, "src/requirements.txt": 1}, 1)
    assert problem == "there are 2 requirements.txt, one is allowed: requirements.txt, src/requirements.txt"


def test_an_ordinary_bundle_has_no_problems() -> None:
    assert problems({"main.py": 100, "requirements.txt": 10, "data/table.csv": 10_000}, 4_000) == []


@pytest.mark.parametrize(
    ("sizes", "words"),
    [
        ({}, "it has no main.py, and no other .py files to start with"),
        ({"a.py": 1, "b.py": 1}, "it has no main.py, and 2 other .py files to start with"),
    ],
)
def test_a_bundle_that_starts_with_nothing_says_what_is_there(sizes: Mapping[str, int], words: str) -> None:
    assert problems(sizes, 1) == [words]


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "/",
        "/etc/passwd",
        "..",
        "../x",
        "a/../../x",
        "a/..",
        "a\\b",
        "..\\x",
        "C:x",
        "C:/x",
        "a\x00b",
        "a\nb",
        "a\x7f",
        "\x85",
        "\ud800",
        "x" * 256,
        "é" * 128,
        "a/" + "b" * 256,
    ],
)
def test_names_that_would_leave_the_bundle_or_that_no_file_can_have_are_unsafe(name: str) -> None:
    assert not is_safe_name(name)
    found = problems({"main.py": 1, name: 1}, 1)
    assert found == [f"the name {name!r} would leave the bundle, or no file can have it"]


@pytest.mark.parametrize(
    "name", ["main.py", "a/b.txt", "./a", "a..b", "...", ".hidden", "ä ö/€.py", "x" * 255, "é" * 127]
)
def test_ordinary_names_are_safe(name: str) -> None:
    assert is_safe_name(name)


def test_a_bundle_at_its_limits_is_accepted_and_one_beyond_is_not() -> None:
    names = {f"{number}.txt": 0 for number in range(MAX_ENTRIES - 1)} | {"main.py": 0}
    assert problems(names, 1) == []
    assert problems(names | {"one more": 0}, 1) == ["it has 20,001 entries, 20,000 are allowed"]
    assert problems({"main.py": MAX_UNPACKED_BYTES}, MAX_UNPACKED_BYTES) == []
    (problem,) = problems({"main.py": MAX_UNPACKED_BYTES + 1}, MAX_UNPACKED_BYTES)
    assert problem == "it unpacks to 4,294,967,297 bytes, 4,294,967,296 are allowed"


def test_a_bomb_is_known_by_its_ratio_but_not_where_it_is_small() -> None:
    assert problems({"main.py": SMALL_BYTES}, 1) == []
    packed = SMALL_BYTES
    assert problems({"main.py": MAX_RATIO * packed}, packed) == []
    assert problems({"main.py": (MAX_RATIO + 1) * packed}, packed) == [
        "it unpacks to 201 times its size, 200 times is allowed"
    ]
    assert "times its size" in problems({"main.py": SMALL_BYTES + 1}, 0)[0]


def test_every_problem_is_told_at_once() -> None:
    found = problems({"../x": MAX_UNPACKED_BYTES + 1, "requirements.txt": 1, "a/requirements.txt": 1}, 1)
    assert len(found) == 5
