"""The specs as they were at another commit, and which commit they are at now.

Files of a commit are written to a folder of our own, out of git's objects: neither the work tree nor the index of the
repository is touched, and no hook, filter or program that the repository names is started. A symbolic link comes
along only where it leads to a place among the specs.
"""

from __future__ import annotations

import difflib
import os
import re
import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final

from specrunner.core.errors import Diagnostic, InvalidSpecs, NotFound, SpecrunnerError
from specrunner.core.keys import Key
from specrunner.core.resources import Desired, Resource
from specrunner.spec.desired import bare_project, load
from specrunner.spec.files import PROJECT_FILE

if TYPE_CHECKING:
    from types import TracebackType

    from git import Repo
    from git.objects import Blob, Tree

_GIT_SECONDS: Final = 30.0
_PROJECTS: Final = 20  # changes of the project that are gone back
_LINK: Final = 0o120000
_STORED_ELSEWHERE: Final = re.compile(rb"version https://git-lfs\.github\.com/spec/v1\noid sha256:([0-9a-f]{64})\n")
_LONGEST_POINTER: Final = 1024  # bytes, as the specification of Git LFS says


@dataclass(frozen=True, slots=True)
class Revision:
    """The commit that is checked out, and its author; `dirty`, where the specs are not as committed, new files too."""

    commit: str
    dirty: bool
    author: str = ""


def head(root: Path, besides: Iterable[str] = ()) -> Revision | None:
    """The commit of the specs at `root`; None outside git, before the first commit, and where git is not there.

    What stands in the folders `besides` makes it not dirty. Asks `git` itself: GitPython takes a tenth of a second
    to load, which `plan` spends better.
    """
    found = _git(root, "log", "-1", "--no-show-signature", "--format=%H %an <%ae>", "HEAD")
    if not found:
        return None
    commit, _, author = found.strip().partition(" ")
    status = _git(
        root,
        "status",
        "--porcelain",
        "--untracked-files=normal",
        "--",
        ".",
        *(f":(exclude,literal){name}" for name in besides),
    )
    return Revision(commit, bool(status), author)


def _git(root: Path, *words: str) -> str:
    # Without optional locks `status` writes no refreshed index; without a monitor it starts no program.
    environ = {**os.environ, "GIT_OPTIONAL_LOCKS": "0"}
    command = ["git", "-c", "core.fsmonitor=false", *words]
    try:
        done = subprocess.run(
            command, cwd=root, env=environ, capture_output=True, text=True, timeout=_GIT_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired, UnicodeDecodeError):
        return ""
    return done.stdout if done.returncode == 0 else ""


class Revisions:
    """The history of a spec repository. A context: bytes of what it gave can be read as long as it lasts."""

    def __init__(self, root: Path) -> None:
        self._root = root.resolve()
        self._folders: dict[str, TemporaryDirectory[str]] = {}
        self._repo: Repo | None = None

    def __enter__(self) -> Revisions:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for folder in self._folders.values():
            folder.cleanup()
        if self._repo is not None:
            self._repo.close()

    def commit_of(self, ref: str) -> str:
        """The full id of the commit that a person means. Raises NotFound, SpecrunnerError outside git."""
        from git.exc import GitCommandError

        repo = self._opened()
        try:
            return str(repo.git.rev_parse("--verify", "--quiet", "--end-of-options", f"{ref}^{{commit}}"))
        except (GitCommandError, ValueError) as problem:
            shallow = repo.git.rev_parse("--is-shallow-repository") == "true"
            raise _unknown(ref, ["HEAD", *map(str, repo.references)], shallow=shallow) from problem

    def desired_at(self, ref: str, environment: str | None = None) -> Desired:
        """What the specs declared at a commit, in one environment.

        Raises NotFound for an unknown revision and where no specs were there yet, InvalidSpecs where they were wrong,
        saying at which commit, SpecrunnerError outside git.
        """
        commit = self.commit_of(ref)
        folder = self._folder(commit)
        if not (folder / PROJECT_FILE).is_file():
            raise NotFound(
                f"At commit {commit[:12]} there were no specs here.",
                detail=f"The commit has no {PROJECT_FILE} in this folder.",
                remedy="Name a later commit.",
            )
        try:
            return load(folder, environment, offline=True)
        except InvalidSpecs as problem:
            raise InvalidSpecs(_then(one, commit) for one in problem.diagnostics) from problem

    def last_project(self, environment: str | None = None) -> tuple[str, Desired] | None:
        """The last commit here whose project can be read, and that project without what it declared.

        None where none of the last few changes of the project left it readable, and outside git.
        """
        found = _git(self._root, "log", "--first-parent", f"--max-count={_PROJECTS}", "--format=%H", "--", PROJECT_FILE)
        for commit in found.split():
            try:
                return commit, bare_project(self._folder(commit), environment)
            except SpecrunnerError:
                continue
        return None

    def changed_since(self, ref: str, now: Desired) -> frozenset[Key]:
        """The keys that are declared otherwise than at that commit, in the environment of `now`: added ones, changed
        ones and removed ones. All of them, where no specs were there yet. Raises as `desired_at` does.
        """
        commit = self.commit_of(ref)
        if not (self._folder(commit) / PROJECT_FILE).is_file():
            return frozenset(now.resources)
        before = self.desired_at(commit, now.owner.environment).resources
        return frozenset(
            key for key in {*before, *now.resources} if not _alike(before.get(key), now.resources.get(key))
        )

    def _opened(self) -> Repo:
        from git import Repo
        from git.exc import GitError

        if self._repo is None:
            try:
                self._repo = Repo(self._root, search_parent_directories=True)
            except GitError as problem:
                raise SpecrunnerError(
                    f"{self._root} is in no git repository.",
                    detail="Only git knows what the specs were at another commit.",
                    remedy="Run this in a clone, or leave the revision out.",
                ) from problem
        return self._repo

    def _folder(self, commit: str) -> Path:
        """The spec folder as it was, extracted once."""
        top = Path(self._opened().working_tree_dir or self._root).resolve()
        inside = self._root.relative_to(top) if self._root.is_relative_to(top) else Path()
        if commit not in self._folders:
            folder = TemporaryDirectory(prefix="specrunner-commit-")
            self._folders[commit] = folder
            # So the reader takes the same folder for the repository's top as in the work tree.
            (Path(folder.name) / ".git").mkdir()
            _extract(self._opened(), commit, inside, Path(folder.name))
        return Path(self._folders[commit].name) / inside


def _extract(repo: Repo, commit: str, inside: Path, target: Path) -> None:
    """The files of one folder of a commit, with the `.gitignore` files above it, which say what bundles leave out."""
    tree: Tree | None = repo.commit(commit).tree
    specs = target / inside
    specs.mkdir(parents=True, exist_ok=True)
    for depth, part in enumerate(inside.parts):
        if tree is None:
            return
        above = [blob for blob in tree.blobs if blob.name == ".gitignore" and blob.mode != _LINK]
        _write(repo, above, target.joinpath(*inside.parts[:depth]), tree)
        tree = next((found for found in tree.trees if found.name == part), None)
    if tree is not None:
        links = _write(repo, _blobs(tree), specs, tree)
        _link(links, specs)


def _blobs(tree: Tree) -> Iterator[Blob]:
    waiting = [tree]
    while waiting:
        found = waiting.pop()
        yield from found.blobs
        waiting += found.trees


def _write(repo: Repo, blobs: Iterable[Blob], folder: Path, tree: Tree) -> list[tuple[Path, str]]:
    """Write the files of a tree to a folder; its links, and where each leads, are given to be made when all stand."""
    links = []
    for blob in blobs:
        name = PurePosixPath(str(blob.path)).relative_to(str(tree.path))
        if ".." in name.parts:  # no git writes such a name, but an object may hold anything
            continue
        data: bytes = blob.data_stream.read()
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if blob.mode == _LINK:
            links.append((path, os.fsdecode(data)))
        else:
            path.write_bytes(_content(repo, data))
            path.chmod(blob.mode & 0o777)  # a bundle keeps the executable bit
    return links


def _link(links: list[tuple[Path, str]], specs: Path) -> None:
    for path, goal in links:
        path.symlink_to(goal)
    for path, _ in links:
        try:
            stays = path.resolve().is_relative_to(specs.resolve())
        except (OSError, RuntimeError):  # a circle of links
            stays = False
        if not stays:
            path.unlink()


def _content(repo: Repo, data: bytes) -> bytes:
    """The bytes of a file; of one that Git LFS keeps, the ones that it names, where this clone has them."""
    pointer = _STORED_ELSEWHERE.match(data) if len(data) <= _LONGEST_POINTER else None
    if pointer is None:
        return data
    oid = pointer[1].decode()
    kept = Path(repo.common_dir) / "lfs" / "objects" / oid[:2] / oid[2:4] / oid
    return kept.read_bytes() if kept.is_file() else data


def _alike(before: Resource | None, now: Resource | None) -> bool:
    """Whether the same is declared, wherever it stands; what bytes a payload has, the spec's sha says."""
    if before is None or now is None:
        return False
    return replace(before, place=now.place, payload=None) == replace(now, payload=None)


def _then(problem: Diagnostic, commit: str) -> Diagnostic:
    return replace(problem, summary=f"at commit {commit[:12]}, {problem.summary}")


def _unknown(ref: str, known: list[str], *, shallow: bool) -> NotFound:
    near = difflib.get_close_matches(ref, known, n=3, cutoff=0.5)
    meant = " or ".join(f"`{name}`" for name in near)
    otherwise = "Fetch the rest: `git fetch --unshallow`." if shallow else "`git branch --all` lists the branches."
    return NotFound(
        f"Git knows no revision {ref!r} here.",
        detail="This clone has a part of the history only, as those of CI often do." if shallow else "",
        remedy=f"Did you mean {meant}?" if meant and not shallow else otherwise,
    )
