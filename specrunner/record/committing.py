"""The folder of status files as a commit of the branch that is checked out, where somebody asked for one.

It holds that folder alone: what else is edited or staged stays so. No hook runs, and nothing is pushed.
"""

from __future__ import annotations

from pathlib import Path

from specrunner.core.errors import SpecrunnerError
from specrunner.record.plumbing import Done, Plumbing, is_nobody


def commit_folder(folder: Path, message: str) -> bool:
    """Commit what is news in this folder; False where nothing is.

    Raises SpecrunnerError where git refuses; the files are as they were written then.
    """
    git = Plumbing(folder.parent)
    where = f":(top,literal){git.inside(folder)}"
    _must(git.run("add", "--all", "--", where), folder)
    if git.run("diff", "--cached", "--quiet", "--no-ext-diff", "--", where).code == 0:
        return False
    person = ("-c", "user.name=specrunner", "-c", "user.email=specrunner@localhost") if is_nobody(git.identity) else ()
    words = ("commit", "--quiet", "--no-verify", "--no-gpg-sign", "--only", f"--message={message}", "--", where)
    _must(git.run(*person, *words), folder)
    return True


def _must(done: Done, folder: Path) -> None:
    if done.code:
        raise SpecrunnerError(
            f"The status files in {folder} can't be committed.",
            detail=done.words,
            remedy="They are written; end the merge or rebase that is under way, or take the folder out of .gitignore, "
            "and `specrunner record --commit` again.",
        )
