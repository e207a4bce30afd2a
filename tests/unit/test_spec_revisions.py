"""The specs at another commit: read out of git's objects, with nothing of the user's touched."""

from __future__ import annotations

import hashlib
import os
import subprocess
from pathlib import Path

import pytest

from specrunner.core.errors import InvalidSpecs, NotFound, SpecrunnerError
from specrunner.core.keys import Key
from specrunner.spec.desired import load
from specrunner.spec.revisions import Revisions, head
from tests.unit.spec_samples import sample

TASK = "Task/forecasting/nightly forecast"


def git(folder: Path, *words: str) -> str:
    author = ["-c", "user.name=Ada", "-c", "user.email=ada@example.com", "-c", "init.defaultBranch=main"]
    done = subprocess.run(["git", *author, *words], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def commit(folder: Path, *options: str) -> str:
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "a commit", *options)
    return git(folder, "rev-parse", "HEAD")


@pytest.fixture(params=["", "ml/specs"], ids=["at the top", "in a subfolder"])
def specs(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A clone with the sample in one commit."""
    top = tmp_path / "clone"
    root: Path = top / request.param
    sample(root)
    git(top, "init", "-q")
    commit(top)
    return root


def edit(file: Path, old: str, new: str) -> None:
    text = file.read_text("utf-8")
    assert old in text
    file.write_text(text.replace(old, new), "utf-8")


def test_what_was_declared_is_read_as_it_was(specs: Path) -> None:
    before = load(specs)
    edit(specs / "serving.yaml", "house-price", "home-price")
    with Revisions(specs) as revisions:
        then = revisions.desired_at("HEAD")
        assert set(then.resources) == set(before.resources)
        for key, resource in then.resources.items():
            assert resource.spec == before.resources[key].spec
            if resource.payload:
                assert hashlib.sha256(resource.payload.read()).hexdigest() == resource.payload.sha


def test_the_work_tree_the_index_and_the_head_stay_as_they_are(specs: Path) -> None:
    edit(specs / "workspace.yaml", "forecasting", "forecasts")
    git(specs, "add", "-A")
    edit(specs / "workspace.yaml", "forecasts", "forecasting")
    index = Path(git(specs, "rev-parse", "--path-format=absolute", "--git-path", "index"))
    before = (index.read_bytes(), git(specs, "status", "--porcelain"), git(specs, "stash", "list"))
    with Revisions(specs) as revisions:
        revisions.desired_at("HEAD")
    head(specs)
    assert (index.read_bytes(), git(specs, "status", "--porcelain"), git(specs, "stash", "list")) == before


def test_changed_since_names_what_was_added_changed_and_removed_and_nothing_else(specs: Path) -> None:
    edit(specs / "specrunner.yaml", "spec:", "# a comment moves nothing\nspec:")
    edit(specs / "serving.yaml", "apiVersion", "# nor does a place\napiVersion")
    with Revisions(specs) as revisions:
        assert revisions.changed_since("HEAD", load(specs)) == frozenset()
        (specs / "connection.yaml").unlink()
        (specs / "workspaces.yaml").write_text(
            "apiVersion: specrunner/v1\nkind: Workspace\nmetadata: {name: other}\n", "utf-8"
        )
        (specs / "orchestrations/remote/main.py").chmod(0o755)
        found = revisions.changed_since("HEAD", load(specs))
    changed = ["Connection/inputs", "Workspace/other", "Orchestration/forecasting/remote-inference", TASK]
    assert found == frozenset(map(Key.parse, changed))


def test_where_no_specs_were_yet_everything_has_changed(tmp_path: Path) -> None:
    (tmp_path / "README").write_text("nothing yet\n")
    git(tmp_path, "init", "-q")
    commit(tmp_path)
    sample(tmp_path / "specs")
    now = load(tmp_path / "specs")
    with Revisions(tmp_path / "specs") as revisions:
        assert revisions.changed_since("HEAD", now) == frozenset(now.resources)
        with pytest.raises(NotFound, match="there were no specs here"):
            revisions.desired_at("HEAD")


def test_an_unknown_revision_is_told_with_the_nearest(specs: Path) -> None:
    git(specs, "branch", "release-2026")
    with Revisions(specs) as revisions:
        with pytest.raises(NotFound) as near:
            revisions.desired_at("release-2027")
        assert "release-2026" in near.value.remedy
        with pytest.raises(NotFound) as far:
            revisions.commit_of("0123456789")
        assert "git branch" in far.value.remedy
        with pytest.raises(NotFound):
            revisions.commit_of("--output=x")


def test_a_clone_of_a_part_of_the_history_says_how_to_get_the_rest(specs: Path, tmp_path: Path) -> None:
    first = commit(specs, "--allow-empty")
    commit(specs, "--allow-empty")
    top = git(specs, "rev-parse", "--show-toplevel")
    git(tmp_path, "clone", "-q", "--depth", "1", f"file://{top}", "shallow")
    with Revisions(tmp_path / "shallow" / specs.relative_to(top)) as revisions:
        with pytest.raises(NotFound) as unknown:
            revisions.desired_at(first)
        assert "git fetch --unshallow" in unknown.value.remedy
        revisions.desired_at("HEAD")


def test_outside_git_there_is_no_head_and_no_history(tmp_path: Path) -> None:
    sample(tmp_path)
    assert head(tmp_path) is None
    with Revisions(tmp_path) as revisions, pytest.raises(SpecrunnerError, match="in no git repository"):
        revisions.desired_at("HEAD")


def test_specs_that_were_wrong_then_are_told_with_their_commit(specs: Path) -> None:
    edit(specs / "serving.yaml", "framework", "framwork")
    wrong = commit(specs)
    edit(specs / "serving.yaml", "framwork", "framework")
    with Revisions(specs) as revisions, pytest.raises(InvalidSpecs) as problem:
        revisions.desired_at("HEAD")
    assert all(one.summary.startswith(f"at commit {wrong[:12]}") for one in problem.value.diagnostics)


def test_head_says_whether_the_specs_are_as_committed(specs: Path) -> None:
    found = head(specs)
    assert found is not None
    assert (found.commit, found.dirty) == (git(specs, "rev-parse", "HEAD"), False)
    (specs / "new.yaml").write_text("", "utf-8")
    assert (again := head(specs)) is not None
    assert again.dirty


def test_what_lies_beside_the_specs_makes_them_not_dirty(tmp_path: Path) -> None:
    sample(tmp_path / "specs")
    git(tmp_path, "init", "-q")
    commit(tmp_path)
    (tmp_path / "notes.txt").write_text("mine")
    assert (found := head(tmp_path / "specs")) is not None
    assert not found.dirty


@pytest.mark.parametrize("goal", ["../../../etc", "/etc", "loop"])
def test_a_link_that_leads_out_does_not_come_along(specs: Path, goal: str) -> None:
    (specs / "loop").symlink_to(goal)
    (specs / "good").symlink_to("orchestrations")
    commit(specs)
    with Revisions(specs) as revisions:
        folder = revisions._folder(revisions.commit_of("HEAD"))
        assert not os.path.lexists(folder / "loop")
        assert (folder / "good" / "remote" / "main.py").is_file()


def test_a_link_over_a_link_leads_nowhere_either(specs: Path) -> None:
    (specs / "p/q").mkdir(parents=True)
    (specs / "p/q/up").symlink_to("../..")
    (specs / "p/q/out").symlink_to("up/../..")  # read by its words alone, it would stay among the specs
    commit(specs)
    with Revisions(specs) as revisions:
        folder = revisions._folder(revisions.commit_of("HEAD"))
        assert not os.path.lexists(folder / "p/q/out")


def test_the_folders_are_gone_afterwards(specs: Path) -> None:
    with Revisions(specs) as revisions:
        folder = revisions._folder(revisions.commit_of("HEAD"))
        assert folder.is_dir()
    assert not folder.exists()


def test_what_git_lfs_keeps_is_read_from_its_own_folder(specs: Path) -> None:
    data = (specs / "models/house_price.onnx").read_bytes()
    oid = hashlib.sha256(data).hexdigest()
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{oid}\nsize {len(data)}\n"
    (specs / "models/house_price.onnx").write_text(pointer)
    commit(specs)
    (specs / "models/house_price.onnx").write_bytes(data)
    kept = Path(git(specs, "rev-parse", "--path-format=absolute", "--git-common-dir"), "lfs/objects", oid[:2], oid[2:4])
    kept.mkdir(parents=True)
    (kept / oid).write_bytes(data)
    with Revisions(specs) as revisions:
        assert revisions.changed_since("HEAD", load(specs)) == frozenset()


def test_a_bundle_leaves_out_then_what_a_gitignore_above_says(tmp_path: Path) -> None:
    top = tmp_path / "clone"
    sample(top / "specs")
    (top / ".gitignore").write_text("*.csv\n")
    (top / "specs/orchestrations/remote/data.csv").write_text("1,2\n")
    git(top, "init", "-q")
    git(top, "add", "-f", "specs/orchestrations/remote/data.csv")
    commit(top)
    with Revisions(top / "specs") as revisions:
        assert revisions.changed_since("HEAD", load(top / "specs")) == frozenset()


def test_what_specrunner_itself_writes_makes_them_not_dirty(specs: Path) -> None:
    for name in ("status/default/README.md", ".specrunner/state.db"):
        (specs / name).parent.mkdir(parents=True)
        (specs / name).write_text("written")
    assert (found := head(specs, ["status", ".specrunner"])) is not None
    assert not found.dirty
