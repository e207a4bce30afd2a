"""Git from below: refs, trees, blobs and whole commits, without a checkout.

No work tree, no index and no HEAD is looked at or written, no hook or other program that the repository names is
started, and nothing is collected on the side. Commits are made by one `git fast-import`, which reads only the folders
that it changes. It must hear `done`, so that a batch whose writer was killed is none.
"""

from __future__ import annotations

import hashlib
import os
import re
import signal
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from subprocess import PIPE, TimeoutExpired
from typing import Any, Final

from specrunner.core.errors import SpecrunnerError

LOCALLY: Final = 120.0  # seconds that a command may take that asks nobody else
WRITING: Final = "refs/specrunner/writing"  # where a commit lies until it has a place
_QUIET: Final = (
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "gc.auto=0",
    "maintenance.auto=false",
    "fetch.recurseSubmodules=false",
    "fetch.prune=false",
    "fetch.writeCommitGraph=false",
    "push.gpgSign=false",
    "push.followTags=false",
    "push.recurseSubmodules=no",
    "fastimport.unpackLimit=100",
)
_ENVIRON: Final = {"GIT_TERMINAL_PROMPT": "0", "GIT_OPTIONAL_LOCKS": "0"}
_lent: dict[str, str] = {}  # by whoever knows how git gets in: variables for git alone
_CREDENTIALS: Final = re.compile(r"(?<=://)[^/@\s'\"]+(?=@)")
_NOBODY: Final = "specrunner <specrunner@localhost>"
_TIMED_OUT: Final = 124  # the status that `timeout` of coreutils gives


def lend(environ: Mapping[str, str]) -> None:
    """Give git, and no other program, these variables for as long as this process lives."""
    _lent.update(environ)


@dataclass(frozen=True, slots=True)
class Done:
    """How a command of git ended, and what it said; credentials in addresses are masked in `words`."""

    code: int
    out: bytes
    words: str

    @property
    def text(self) -> str:
        """What it printed, without the last newline."""
        return self.out.decode("utf-8", "surrogateescape").rstrip("\n")


@dataclass(frozen=True, slots=True)
class Change:
    """One path of a commit: the blob that it had before, and the one that it has then; empty where there is none."""

    path: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class NewCommit:
    """A commit to be made: by path the bytes, the id of a blob that is there already, or None to remove it.

    `author` is who made it, as git writes that (`Name <email> seconds zone`); empty where we do, now.
    """

    files: Mapping[str, bytes | str | None]
    message: str
    author: str = ""


class Plumbing:
    """The git repository in which a folder lies. Raises SpecrunnerError where there is none, or no git."""

    def __init__(self, folder: Path) -> None:
        try:
            from git import GitError, Repo
        except ImportError as problem:  # the library that calls git can't be imported where there is no git
            raise _no_git() from problem
        try:
            with Repo(folder, search_parent_directories=True) as repository:
                self.directory, self.common = Path(repository.git_dir), Path(repository.common_dir)
                # From there git itself would call, and a remote's relative address counts from there.
                self._at = Path(repository.working_tree_dir or self.common)
        except GitError as problem:
            raise SpecrunnerError(
                f"{folder} is in no git repository, so that no branch can hold its status.",
                remedy="Make it one with `git init`, or write `status: {directory: status}` in specrunner.yaml.",
            ) from problem

    def run(self, *words: str, data: bytes | None = None, seconds: float = LOCALLY) -> Done:
        """Run one command of git, whatever becomes of it; one that takes too long is killed with all it started."""
        from git import Git, GitCommandNotFound

        settings = [word for setting in _QUIET for word in ("-c", setting)]
        try:
            process: Any = Git(str(self._at)).execute(
                ["git", *settings, f"--git-dir={self.directory}", *words],
                istream=PIPE,
                as_process=True,
                env={**_ENVIRON, **_lent},
                start_new_session=True,  # no terminal: nobody is asked for a password there
            )
        except GitCommandNotFound as problem:
            raise _no_git() from problem
        try:
            out, err = process.communicate(data or b"", timeout=seconds)
        except TimeoutExpired:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            return Done(_TIMED_OUT, b"", f"git {words[0]} did not end within {seconds:g} seconds")
        return Done(process.returncode, out, without_credentials(err.decode("utf-8", "replace").strip()))

    def must(self, *words: str, data: bytes | None = None) -> Done:
        """Run one command that has to work. Raises SpecrunnerError with git's own words."""
        done = self.run(*words, data=data)
        if done.code:
            raise SpecrunnerError(
                f"git {words[0]} failed in {self.directory}: {_last_line(done.words) or f'exit {done.code}'}",
                detail="What is recorded is as it was before.",
                remedy="See to it that the disk has room and your user may write there; then do it again.",
            )
        return done

    def tip(self, ref: str) -> str:
        """The commit that a ref names in full; empty where there is no such ref."""
        done = self.run("rev-parse", "--verify", "--quiet", "--end-of-options", f"{ref}^{{commit}}")
        return done.text if done.code == 0 else ""

    @cached_property
    def is_shallow(self) -> bool:
        """Whether this clone has a part of the history only."""
        return (self.common / "shallow").exists()

    @cached_property
    def identity(self) -> str:
        """Who commits: the user as git knows them, else specrunner itself."""
        done = self.run("-c", "user.useConfigOnly=true", "var", "GIT_COMMITTER_IDENT")
        return done.text.rpartition(" ")[0].rpartition(" ")[0] if done.code == 0 else _NOBODY

    def inside(self, folder: Path) -> str:
        """Where a folder lies in the work tree, with forward slashes."""
        return folder.resolve().relative_to(self._at.resolve()).as_posix()

    @cached_property
    def usual_remote(self) -> str:
        """`origin`, or the only remote there is; empty where there is none, or nobody can tell which."""
        names = self.run("remote").text.split()
        return "origin" if "origin" in names else names[0] if len(names) == 1 else ""

    def listing(self, commit: str, prefix: str = "") -> dict[str, str]:
        """The blobs of a commit whose paths begin with `prefix`, by path."""
        folder = prefix.rpartition("/")[0]
        words = ["ls-tree", "-r", "-z", "--full-tree", commit, *(["--", f"{folder}/"] if folder else [])]
        found = {}
        for line in self.must(*words).out.decode("utf-8", "surrogateescape").split("\0")[:-1]:
            meta, _, path = line.partition("\t")
            mode, kind, blob = meta.split(" ")
            if kind == "blob" and mode.startswith("100") and path.startswith(prefix):  # no link is followed
                found[path] = blob
        return found

    def moved(self, old: str, new: str, prefix: str = "") -> dict[str, str] | None:
        """The paths below `prefix` that differ between two commits, with their blobs in the new one; empty for none.

        None where git can't tell, since one of the commits is not here.
        """
        done = self.run("diff-tree", "-r", "-z", "--no-renames", old, new)
        if done.code:
            return None
        parts = done.text.split("\0")
        found = {}
        for meta, path in zip(parts[0::2], parts[1::2], strict=False):
            _, mode, _, blob, _ = meta.split(" ")
            if path.startswith(prefix):
                found[path] = blob if mode.startswith("100") else ""
        return found

    def blobs(self, ids: Iterable[str]) -> dict[str, bytes]:
        """The bytes of blobs, by their ids."""
        wanted = list(dict.fromkeys(ids))
        if not wanted:
            return {}
        out = self.must("cat-file", "--batch", data="".join(f"{one}\n" for one in wanted).encode()).out
        found, at = {}, 0
        for one in wanted:
            end = out.index(b"\n", at)
            size = int(out[at:end].split(b" ")[2])
            found[one] = out[end + 1 : end + 1 + size]
            at = end + size + 2
        return found

    def at(self, commit: str, paths: Sequence[str]) -> dict[str, str]:
        """The blobs that a commit has at these paths, without those that it has not."""
        if not commit or not paths:
            return {}
        asked = "".join(f"{commit}:{path}\n" for path in paths)
        lines = self.must("cat-file", "--batch-check=%(objecttype) %(objectname)", data=asked.encode()).text.split("\n")
        found = (line.split(" ") for line in lines)
        return {path: words[1] for path, words in zip(paths, found, strict=True) if words[0] == "blob"}

    def changes(self, commit: str) -> list[Change]:
        """What a commit changed against its first parent."""
        words = ("diff-tree", "-r", "-z", "--root", "--no-commit-id", "--no-renames", "-m", "--first-parent", commit)
        parts = self.must(*words).text.split("\0")
        found = []
        for meta, path in zip(parts[0::2], parts[1::2], strict=False):
            _, _, before, after, _ = meta.split(" ")
            found.append(Change(path, before.strip("0") and before, after.strip("0") and after))
        return found

    def commit(self, parent: str, commits: Sequence[NewCommit], moment: int) -> str:
        """Make commits, one upon the other and the first upon `parent` (none: an orphan); gives the last one's id.

        They lie at `WRITING` until a ref is given to them; whatever goes wrong before, nothing has happened.
        """
        stamp = f"{self.identity} {moment} +0000"
        stream = [b"feature done\n"]
        for number, one in enumerate(commits, 1):
            message, author = one.message.encode(), one.author or stamp
            stream.append(f"commit {WRITING}\nmark :{number}\nauthor {author}\ncommitter {stamp}\n".encode())
            stream.append(b"data %d\n%s\n" % (len(message), message))
            before = f":{number - 1}" if number > 1 else parent
            stream.append(f"from {before}\n".encode() if before else b"")
            stream += [_line(path, data) for path, data in sorted(one.files.items())]
        stream.append(f"get-mark :{len(commits)}\ndone\n".encode())
        self.run("update-ref", "-d", WRITING)  # else an orphan would follow what was written last
        return self.must("fast-import", "--quiet", "--force", "--done", data=b"".join(stream)).text

    def place(self, refs: Mapping[str, tuple[str, str]]) -> bool:
        """Move refs from one commit to another, all or none; an empty id is "there is none". False where one moved."""
        orders = [f"delete {WRITING}\n"] if self.tip(WRITING) else []
        for ref, (old, new) in refs.items():
            none = "0" * len(old or new or "0" * 40)
            orders.append(f"update {ref} {new or none} {old or none}\n")
        return self.run("update-ref", "--stdin", data="".join(orders).encode()).code == 0

    def blob_id(self, data: bytes, like: str) -> str:
        """The id that these bytes have in this repository, whose ids look `like` this one."""
        algorithm = hashlib.sha1 if len(like) == 40 else hashlib.sha256
        return algorithm(b"blob %d\0%s" % (len(data), data)).hexdigest()


def is_nobody(identity: str) -> bool:
    """Whether git was told no name, so that specrunner commits."""
    return identity == _NOBODY


def without_credentials(text: str) -> str:
    """A text in which addresses have no user and no password."""
    return _CREDENTIALS.sub("*****", text)


def _line(path: str, data: bytes | str | None) -> bytes:
    quoted = '"' + path.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'
    if data is None:
        return f"D {quoted}\n".encode()
    if isinstance(data, str):
        return f"M 100644 {data} {quoted}\n".encode()
    return f"M 100644 inline {quoted}\ndata {len(data)}\n".encode() + data + b"\n"


def _last_line(text: str) -> str:
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1].removeprefix("fatal: ").removeprefix("error: ") if lines else ""


def _no_git() -> SpecrunnerError:
    return SpecrunnerError(
        "git is not there, and the status branch is written with it.",
        remedy="Install git, or write `status: {directory: status}` in specrunner.yaml.",
    )
