"""`--commit`: the folder of status files as a commit of the branch that is checked out, and nothing else with it."""

from __future__ import annotations

import pytest

from tests.acceptance.in_memory import InMemory, memory
from tests.contract.repository_samples import git

__all__ = ["memory"]


@pytest.fixture
def specs(memory: InMemory) -> InMemory:
    """A clone with a hook that refuses, something staged, and something that was edited since."""
    repo = memory.repo
    repo.document("Connection", "rows", {"type": "HTTP", "details": {"host": "a"}})
    repo.write(".gitignore", ".specrunner/\n")
    git(repo.root, "init", "-q", "-b", "main")
    git(repo.root, "add", "-A")
    git(repo.root, "commit", "-q", "-m", "specs")
    repo.write("staged.txt", "staged")
    git(repo.root, "add", "staged.txt")
    repo.write("edited.txt", "edited")
    hook = repo.write(".git/hooks/pre-commit", "#!/bin/sh\nexit 1\n")
    hook.chmod(0o755)
    return memory


def log(specs: InMemory) -> list[str]:
    return git(specs.repo.root, "log", "--format=%s").splitlines()


def test_the_folder_is_committed_alone_and_what_else_is_staged_or_edited_stays_so(specs: InMemory) -> None:
    before = git(specs.repo.root, "rev-parse", "HEAD")
    assert "README.md, committed" in specs.run("apply", "--yes", "--commit").out
    assert log(specs) == ["Status of acceptance/default", "specs"]
    changed = git(specs.repo.root, "diff", "--name-only", before, "HEAD").splitlines()
    assert changed and all(path.startswith("status/default/") for path in changed)
    status = git(specs.repo.root, "status", "--porcelain").splitlines()
    assert sorted(status) == ["?? edited.txt", "A  staged.txt"]


def test_without_news_there_is_no_commit(specs: InMemory) -> None:
    specs.run("apply", "--yes", "--commit")
    for words in (("record", "--commit"), ("tick", "--commit"), ("apply", "--yes", "--commit")):
        assert ", committed" not in specs.run(*words).said
    assert len(log(specs)) == 2


def test_without_the_word_nothing_is_committed_and_record_makes_up_for_it(specs: InMemory) -> None:
    specs.run("apply", "--yes")
    assert log(specs) == ["specs"]
    specs.run("record", "--commit")
    assert len(log(specs)) == 2
    specs.run("destroy", "--yes", "--commit")
    assert len(log(specs)) == 3 and "rows" not in git(specs.repo.root, "ls-files", "status")


def test_a_commit_that_git_refuses_leaves_the_files_and_says_why(specs: InMemory) -> None:
    specs.repo.write(".gitignore", ".specrunner/\nstatus/\n")
    said = specs.run("apply", "--yes", "--commit", code=5).said
    assert "can't be committed" in said and "ignored" in said
    assert (specs.repo.root / "status/default/README.md").is_file()
    assert log(specs) == ["specs"]


def test_what_is_recorded_on_a_branch_needs_no_commit(specs: InMemory) -> None:
    project = specs.repo.root / "specrunner.yaml"
    project.write_text(project.read_text().replace("directory: status", "branch: specrunner-status"))
    for words in (("apply", "--yes"), ("record",), ("tick",)):
        assert "on a branch" in specs.run(*words, "--commit", code=64).err
    assert specs.live() == {}
