"""The cache of read specs: what it saves, what it survives, and what it never believes; and the reader's limits."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable
from multiprocessing import get_context
from pathlib import Path

import pytest

from specrunner.core.errors import Diagnostic, InvalidSpecs
from specrunner.core.keys import Key
from specrunner.core.resources import Desired
from specrunner.spec import cache as cache_module
from specrunner.spec import files, positions, tree, validate
from specrunner.spec.cache import OFF, SpecCache, key_of
from specrunner.spec.desired import load
from specrunner.spec.loader import MAX_BYTES, MAX_DOCUMENTS, MAX_FAULTS, MAX_NODES, Parsed, parse
from specrunner.spec.mistakes import Mistake
from specrunner.spec.schema import verdict
from specrunner.spec.tracked import STATE, is_tracked
from tests.unit.spec_samples import problem, problems, sample, task, write

HEAD = "apiVersion: specrunner/v1\n"


@pytest.fixture(autouse=True)
def switched_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(OFF, raising=False)


def cache_file(root: Path) -> Path:
    return root / STATE / "cache" / "specs.jsonl"


def read(root: Path) -> Desired:
    return load(root, cached=True)


def told(root: Path) -> list[Diagnostic]:
    with pytest.raises(InvalidSpecs) as caught:
        load(root, cached=True)
    return list(caught.value.diagnostics)


def forbid(monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on nothing may be parsed, and only the project be validated."""

    def parsed(text: str) -> object:
        raise AssertionError(f"parsed again: {text[:80]}")

    def judged(kind: str) -> object:
        assert kind == "Project", f"validated again: a {kind}"
        return before(kind)

    before = verdict
    monkeypatch.setattr(files, "parse", parsed)
    monkeypatch.setattr(positions, "parse", parsed)
    monkeypatch.setattr(validate, "verdict", judged)


def test_unchanged_files_are_not_parsed_nor_validated_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = sample(tmp_path, odd=task("env: {NUMBER: 1, NO: no}\n  schedule: {'42 * * * *'}"))
    first = read(root)
    forbid(monkeypatch)
    assert read(root) == first == load_without_cache(root, monkeypatch)


def load_without_cache(root: Path, monkeypatch: pytest.MonkeyPatch) -> Desired:
    monkeypatch.undo()
    return load(root)


def test_a_changed_file_is_read_anew_and_the_others_are_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = sample(tmp_path, extra=task("timeout: 1m"))
    read(root)
    (root / "extra.yaml").write_text(task("timeout: 2m"))
    seen: list[str] = []

    def seeing(text: str) -> Parsed:
        seen.append(text)
        return parse(text)

    monkeypatch.setattr(files, "parse", seeing)
    assert read(root).resources[Key.parse("Task/forecasting/t")].spec["timeout"] == 120
    assert seen == [task("timeout: 2m")]
    seen.clear()
    read(root)
    assert seen == []


def test_what_is_wrong_is_told_again_from_the_cache_and_without(tmp_path: Path) -> None:
    root = sample(tmp_path, extra=task("timeuot: 1m"), other=task("orchestration: nowhere", "{name: u}"))
    assert told(root) == told(root) == problems(root)


def test_a_file_with_variables_means_what_the_environment_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = sample(tmp_path, extra=task('args: {a: "${env.CACHE_TEST}"}'))
    for value in ("one", "two"):
        monkeypatch.setenv("CACHE_TEST", value)
        assert read(root).resources[Key.parse("Task/forecasting/t")].spec["args"] == {"a": value}


def test_patches_are_merged_over_remembered_documents(tmp_path: Path) -> None:
    spec = "{defaultWorkspace: forecasting, environments: {e: {}}}"
    project = HEAD + f"kind: Project\nmetadata: {{name: p}}\nspec: {spec}\n"
    patch = HEAD + "kind: Task\nmetadata: {name: t}\nspec: {timeout: 9m}\n"
    root = write(sample(tmp_path, specrunner=project, extra=task("timeout: 1m")), {"environments/e/t.yaml": patch})
    for _ in range(2):
        found = load(root, "e", cached=True).resources[Key.parse("Task/forecasting/t")]
        assert found.spec["timeout"] == 540


def test_the_cache_may_vanish_and_is_kept_out_of_git(tmp_path: Path) -> None:
    root = sample(tmp_path)
    first = read(root)
    assert (root / STATE / ".gitignore").read_text() == "*\n"
    assert (root / STATE).stat().st_mode & 0o077 == 0
    shutil.rmtree(root / STATE)
    assert read(root) == first
    assert cache_file(root).exists()


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: b"",
        lambda data: data[: len(data) // 2],
        lambda data: data[:-1],
        lambda data: b"\0" * len(data),
        lambda data: data.replace(b"nightly forecast", b"mightly forecast"),
        lambda data: data.replace(b'"format": 1', b'"format": 2'),
        lambda data: data.split(b"\n", 1)[0] + b"\n" + b"x" * 500 + b"\n",
        lambda data: data.split(b"\n", 1)[0] + b"\n" + b"\n".join(reversed(data.split(b"\n")[1:])),
        lambda data: b"\xff" + data,
    ],
)
def test_a_damaged_cache_is_as_good_as_none(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    root = sample(tmp_path)
    first = read(root)
    cache_file(root).write_bytes(damage(cache_file(root).read_bytes()))
    assert read(root) == first
    assert read(root) == first


@pytest.mark.parametrize("text", ["{", "[[0]]", "7", '[[0,1,"x",true]]', "[" * 100_000, '[["a",1,{},true]]'])
def test_a_line_of_another_shape_is_not_believed(tmp_path: Path, text: str) -> None:
    key, line = key_of(b"x"), text.encode()
    whole = key + cache_module._check(key, line) + line
    write(tmp_path, {f"{STATE}/cache/specs.jsonl": f"{cache_module._header().decode()}\n\n{whole.decode()}\n"})
    assert SpecCache(tmp_path).get(key) is None


def test_a_line_holds_for_its_own_file_only(tmp_path: Path) -> None:
    root = sample(tmp_path)
    read(root)
    header, stamps, *lines = cache_file(root).read_bytes().splitlines()
    swapped = [one[:64] + other[64:] for one, other in zip(lines, [*lines[1:], lines[0]], strict=True)]
    cache_file(root).write_bytes(b"\n".join([header, stamps, *swapped, b""]))
    known = SpecCache(root)
    assert [known.get(line[:64]) for line in lines] == [None] * len(lines)


def test_another_reader_starts_anew(tmp_path: Path) -> None:
    root = sample(tmp_path)
    read(root)
    head, rest = cache_file(root).read_bytes().split(b"\n", 1)
    cache_file(root).write_bytes(json.dumps({**json.loads(head), "reader": "0" * 64}).encode() + b"\n" + rest)
    assert SpecCache(root).get(rest.splitlines()[1][:64]) is None
    read(root)
    assert cache_file(root).read_bytes().split(b"\n", 1)[0] == head


@pytest.mark.parametrize("obstacle", ["file", "loop", "folder", "pipe"])
def test_where_the_cache_cannot_be_kept_everything_works(tmp_path: Path, obstacle: str) -> None:
    root = sample(tmp_path)
    if obstacle == "file":
        (root / STATE).write_text("in the way")
    elif obstacle == "loop":
        (root / STATE).symlink_to(STATE)
    else:
        cache_file(root).parent.mkdir(parents=True)
        cache_file(root).mkdir() if obstacle == "folder" else os.mkfifo(cache_file(root))
    assert read(root) == read(root) == load(root)


def test_no_file_is_left_where_writing_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> None:
        raise OSError(28, "No space left on device")

    root = sample(tmp_path)
    monkeypatch.setattr(Path, "replace", fails)
    read(root)
    assert list(cache_file(root).parent.iterdir()) == []


def test_another_users_cache_is_not_believed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = sample(tmp_path)
    read(root)
    key = cache_file(root).read_bytes().splitlines()[2][:64]
    assert SpecCache(root).get(key) is not None
    somebody = os.geteuid() + 1
    monkeypatch.setattr(os, "geteuid", lambda: somebody)
    assert SpecCache(root).get(key) is None


def test_the_cache_can_be_switched_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(OFF, "1")
    read(sample(tmp_path))
    assert not (tmp_path / STATE).exists()


def test_files_of_before_are_forgotten_once_they_are_many(tmp_path: Path) -> None:
    root = sample(tmp_path)
    for number in range(40):
        write(root, {"extra.yaml": task(f"timeout: {number + 1}")})
        read(root)
    lines = cache_file(root).read_bytes().splitlines()
    assert len(lines) <= 2 + 2 * 6


def _again_and_again(root: str, seed: int) -> None:
    folder = Path(root)
    for number in range(8):
        (folder / f"extra{seed}.yaml").write_text(task(f"timeout: {number + 1}", f"{{name: t{seed}}}"))
        found = load(folder, cached=True).resources[Key.parse(f"Task/forecasting/t{seed}")]
        assert found.spec["timeout"] == number + 1


def test_writers_who_race_each_other_read_right(tmp_path: Path) -> None:
    root = sample(tmp_path)
    for seed in range(3):
        (root / f"extra{seed}.yaml").write_text(task("timeout: 99", f"{{name: t{seed}}}"))
    context = get_context("spawn")
    running = [context.Process(target=_again_and_again, args=(str(root), seed)) for seed in range(3)]
    for one in running:
        one.start()
    for one in running:
        one.join(60)
    assert [one.exitcode for one in running] == [0, 0, 0]
    assert read(root) == load(root)
    assert [path.name for path in cache_file(root).parent.iterdir()] == ["specs.jsonl"]


# --- what git tracks


def git(root: Path, *arguments: str) -> None:
    base = ["git", "-c", "user.name=t", "-c", "user.email=t@localhost", "-c", "init.defaultBranch=main"]
    subprocess.run([*base, *arguments], cwd=root, check=True, capture_output=True)


@pytest.mark.parametrize("version", ["2", "4"])
@pytest.mark.parametrize("below", ["", "specs/here"])
def test_a_tracked_state_folder_is_refused_with_the_way_out(tmp_path: Path, version: str, below: str) -> None:
    git(tmp_path, "init")
    git(tmp_path, "config", "index.version", version)
    root = sample(tmp_path / below)
    read(root)
    git(tmp_path, "add", ".")
    assert is_tracked(root) is False
    read(root)
    git(root, "add", "-f", f"{STATE}/cache/specs.jsonl")
    found = told(root)
    assert [one.code for one in found] == [Mistake.TRACKED_STATE]
    git(root, *found[0].remedy.split("`")[1].split()[1:])
    read(root)


def test_forged_results_that_git_tracks_are_not_used(tmp_path: Path) -> None:
    root = sample(tmp_path, extra=task("timeout: 1m"))
    key = key_of((root / "extra.yaml").read_bytes())
    forged = json.dumps([[0, 1, {"kind": "Nonsense"}, True]]).encode()
    line = key + cache_module._check(key, forged) + forged
    text = f"{cache_module._header().decode()}\n\n{line.decode()}\n"
    write(root, {f"{STATE}/cache/specs.jsonl": text})
    git(root, "init")
    git(root, "add", "-f", ".")
    assert [one.code for one in told(root)] == [Mistake.TRACKED_STATE]


@pytest.mark.parametrize("name", [".specrunner-old/a", "other/.specrunner/a"])
def test_a_folder_of_a_like_name_is_none_of_ours(tmp_path: Path, name: str) -> None:
    root = write(sample(tmp_path), {name: "x"})
    git(root, "init")
    git(root, "add", "-f", ".")
    assert is_tracked(root) is False


def test_a_tracked_link_is_refused_too(tmp_path: Path) -> None:
    root = sample(tmp_path)
    (root / STATE).symlink_to("orchestrations")
    git(root, "init")
    git(root, "add", "-f", ".")
    assert is_tracked(root) is True


def test_worktrees_and_split_indexes_are_seen_through(tmp_path: Path) -> None:
    main = write(sample(tmp_path / "main"), {f"{STATE}/a": "x"})
    git(main, "init")
    git(main, "add", "-f", ".")
    git(main, "commit", "-m", "x")
    git(main, "worktree", "add", "../other")
    assert is_tracked(tmp_path / "other") is True
    git(main, "update-index", "--split-index")
    assert is_tracked(main) is True


def test_without_an_answer_of_git_there_is_no_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = write(sample(tmp_path), {f"{STATE}/a": "x"})
    git(root, "init")
    git(root, "add", "-f", ".")
    monkeypatch.setenv("PATH", str(tmp_path))
    read(root)
    assert is_tracked(root) is None
    assert not (root / STATE / "cache").exists()


# --- the limits of the reader


@pytest.mark.parametrize("make", [os.mkfifo, lambda path: path.symlink_to("/dev/zero")])
def test_pipes_and_devices_are_refused_and_not_opened(tmp_path: Path, make: Callable[[Path], None]) -> None:
    root = sample(tmp_path)
    make(root / "zextra.yaml")
    found = problem(root)
    assert found.place is not None and found.place.file == "zextra.yaml"


def test_a_pipe_that_takes_a_files_place_does_not_stall(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "p.yaml")
    with pytest.raises(OSError, match="no ordinary file"):
        tree.content(str(tmp_path / "p.yaml"))


@pytest.mark.parametrize(("head", "is_told"), [(HEAD + "kind: Task\n", True), ("", False)])
def test_a_huge_file_is_judged_by_its_beginning(tmp_path: Path, head: str, is_told: bool) -> None:
    root = sample(tmp_path)
    with (root / "zextra.yaml").open("w") as stream:
        stream.write(head)
        stream.truncate(2**30)
    if is_told:
        found = problem(root)
        assert (found.summary, found.code) == ("the file is too large", Mistake.FILE_TOO_LARGE)
    else:
        load(root)


def test_an_unreadable_folder_is_told_and_nothing_is_called_unknown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = write(sample(tmp_path, tasks="", zextra=task("timeout: 1m")), {"closed/tasks.yaml": ""})
    before = os.scandir

    def scan(path: str) -> object:
        if path.rstrip("/").endswith("closed"):
            raise PermissionError(13, "Permission denied")
        return before(path)

    monkeypatch.setattr(os, "scandir", scan)
    found = problem(root)
    assert (found.summary, found.detail) == ("closed can't be read", "Permission denied.")


def test_links_to_folders_are_not_followed(tmp_path: Path) -> None:
    root = sample(tmp_path)
    (root / "again").symlink_to(".")
    (root / "models/up").symlink_to("..")
    assert load(root) == load(sample(tmp_path))


def test_folders_may_be_nested_deeper_than_pythons_stack(tmp_path: Path) -> None:
    root = sample(tmp_path)
    folder = root
    for _ in range(1_200):
        folder = folder / "d"
        folder.mkdir()
    (folder / "deep.yaml").write_text(task("timeout: 7"))
    try:
        assert Key.parse("Task/forecasting/t") in load(root).resources
    finally:
        # pytest's own cleaning up is recursive, and would fail at the end of somebody's later session.
        subprocess.run(["rm", "-rf", str(root / "d")], check=True)


def test_a_name_that_is_no_text_is_shown_as_far_as_it_is(tmp_path: Path) -> None:
    root = sample(tmp_path)
    (root / os.fsdecode(b"z\xff.yaml")).write_text(task("timeuot: 1m"))
    place = problem(root).place
    assert place is not None and place.file.encode() == b"z?.yaml"


def test_mistakes_in_one_text_are_counted_out(tmp_path: Path) -> None:
    parsed = parse("".join(f"a: {n}\n" for n in range(MAX_FAULTS * 3)))
    assert len(parsed.faults) == MAX_FAULTS + 1
    assert not parsed.complete


ROOM = MAX_BYTES - 200
FILLING = {
    "lists in lists": "a: [" + "[a]," * (ROOM // 4) + "]",
    "numbers": "a: [" + "1," * (ROOM // 2) + "]",
    "tags": "a: [" + "!t b," * (ROOM // 5) + "]",
    "documents": "--- a\n" * (ROOM // 6),
    "aliases": "a: &a [x]\nb: [" + "*a," * (ROOM // 3) + "]",
    "double keys": "a: 1\n" * (ROOM // 5),
    "keys": "".join(f"k{n}:\n" for n in range(ROOM // 9)),
    "unknown keys": "".join(f"k{n}:\n" for n in range(MAX_NODES // 2 - 100)),
    "blank lines": "\n" * ROOM,
    "conflicts": "<<<<<<< a\n>>>>>>> b\n" * (ROOM // 20),
    "broken at the end": ("x" * 998 + "\n") * (ROOM // 1000) + "\t}",
    "one number": "a: " + "1" * ROOM,
    "brackets": "[" * ROOM,
    "dashes": "- " * (ROOM // 2 - 10),
    "indentation": "".join(" " * n + "a:\n" for n in range(2_800)),
    "merges": "a: &a {b: 1}\nc:\n" + "  <<: *a\n" * (ROOM // 11),
}


@pytest.mark.parametrize("kind", FILLING)
def test_a_file_at_the_limit_is_read_or_refused_soon(tmp_path: Path, kind: str) -> None:
    text = FILLING[kind]
    root = sample(tmp_path)
    (root / "zextra.yaml").write_text(HEAD + text)
    begun = time.process_time()
    try:
        load(root)
    except InvalidSpecs as error:
        assert len(error.diagnostics) <= MAX_FAULTS + 2
    # A hundred times what it takes would be a quadratic step; the machine may be slow.
    assert time.process_time() - begun < 15


def test_nodes_are_limited_before_they_are_made() -> None:
    parsed = parse("a: [" + "1," * (MAX_NODES + 10) + "]")
    assert [fault.summary for fault in parsed.faults] == ["the document is too large"]
    assert parse("a: [" + "1," * (MAX_NODES - 10) + "]").faults == ()


def test_documents_of_one_file_are_limited() -> None:
    parsed = parse("--- a\n" * (MAX_DOCUMENTS + 5))
    assert [fault.summary for fault in parsed.faults] == ["the rest of the file was not read"]
