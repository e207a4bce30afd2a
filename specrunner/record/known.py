"""What was read of a branch before: a later commit is told from it by what has changed in between.

A tick reads the branch when it begins and again for each record; there may be a hundred thousand files by then.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from specrunner.record.listing import Lazy
from specrunner.record.plumbing import Plumbing


@dataclass(slots=True)
class Known:
    """The paths of one commit with their blobs, below a prefix, and the bytes of those that were asked for."""

    _commit: str = ""
    _prefix: str = ""
    _blobs: dict[str, str] = field(default_factory=dict)
    _data: dict[str, bytes] = field(default_factory=dict)

    def files(self, git: Plumbing, commit: str, prefix: str) -> Lazy:
        """The files of a commit whose paths begin with `prefix`; what is known of them is not read again."""
        if commit != self._commit or prefix != self._prefix:
            self._blobs = self._listed(git, commit, prefix)
            self._commit, self._prefix = commit, prefix
            there = set(self._blobs.values())
            self._data = {blob: data for blob, data in self._data.items() if blob in there}
        return Lazy(self._blobs, git.blobs, self._data)

    def _listed(self, git: Plumbing, commit: str, prefix: str) -> dict[str, str]:
        changes = git.moved(self._commit, commit, prefix) if self._commit and prefix == self._prefix else None
        if changes is None:
            return git.listing(commit, prefix)
        found = dict(self._blobs)  # who has read the other commit goes on seeing that one
        for path, blob in changes.items():
            if blob:
                found[path] = blob
            else:
                found.pop(path, None)
        return found
