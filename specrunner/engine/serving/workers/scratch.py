"""The folder of one loaded model: its unpacked files, the worker's code, its home, and the output of its workers.

    <engine>/models/loaded/XXXX/  code/specrunner_worker/*.py   model/ (a folder, or one file)   home/

The folder is held by a lock of the kernel's for as long as its engine lives, so that what a killed engine left is known
and swept by the next that loads a model. Logs lie outside, at `<engine>/models/logs/<version>/`, and outlive it.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import stat
import tempfile
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path
from types import MappingProxyType

from specrunner.core.bundles import model_problems
from specrunner.core.errors import BadInput, PackagingFailed, Unavailable
from specrunner.engine.packaging import bundles
from specrunner.engine.serving.frameworks import is_folder

KEPT_LOGS = 8  # of the workers that a model has had
_LOCK = "lock"
_NEW = 60.0  # seconds
_sweeping = threading.Lock()


@cache
def worker_files() -> Mapping[str, bytes]:
    """The worker's own code, read once a process: workers that are restarted later are of one version with it."""
    package = Path(__file__).parent / "inside"
    return MappingProxyType({path.name: path.read_bytes() for path in sorted(package.glob("*.py"))})


class Scratch:
    """A fresh folder; `close` removes it. Raises Unavailable where it can't be made."""

    def __init__(self, parent: Path) -> None:
        try:
            parent.mkdir(parents=True, exist_ok=True)
            with _sweeping:
                _sweep(parent)
                self.folder = Path(tempfile.mkdtemp(prefix="model-", dir=parent))
                self._lock = _locked(self.folder)
            self.code, self.home = self.folder / "code", self.folder / "home"
            self.home.mkdir()
            package = self.code / "specrunner_worker"
            package.mkdir(parents=True)
            for name, content in worker_files().items():
                (package / name).write_bytes(content)
        except OSError as error:
            raise Unavailable(
                "The model can't be loaded.",
                f"Its folder below {parent} can't be written: {error.strerror}.",
                "Make room on the disk, or mend the folder's permissions.",
            ) from error

    def lay(self, path: Path, file_name: str) -> Path:
        """Put the model there: a zip unpacked, another file under its own name. Raises BadInput for a bad zip."""
        target = self.folder / "model"
        if is_folder(path):
            try:
                bundles.unpack(path, target, model_problems)
            except PackagingFailed as error:
                raise BadInput(
                    f"{file_name} can't be unpacked", error.detail, "Zip the model's folder again."
                ) from None
            return target
        target.mkdir()
        laid = target / (Path(file_name).name or "model")
        # A link: the bytes in the store are never changed, and may be many.
        laid.symlink_to(path.absolute())
        return laid

    def close(self) -> None:
        """Remove it. Doing so again is fine."""
        _remove(self.folder)
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1


def _locked(folder: Path) -> int:
    descriptor = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return descriptor


def _sweep(parent: Path) -> None:
    """Remove what engines left that were killed."""
    for folder in parent.glob("model-*"):
        try:
            if time.time() - folder.stat().st_mtime < _NEW:  # another engine may just be about to lock it
                continue
            descriptor = _locked(folder)
        except OSError:  # it is in use, or being removed
            continue
        _remove(folder)
        os.close(descriptor)


def _remove(folder: Path) -> None:
    """A model's code may have taken the permission to write away from its folders."""
    for path, names, _ in os.walk(folder):
        for name in names:
            with suppress(OSError):
                Path(path, name).chmod(stat.S_IRWXU, follow_symlinks=False)
    shutil.rmtree(folder, ignore_errors=True)


def fresh_log(folder: Path, keep: int = KEPT_LOGS) -> Path:
    """A folder for the output of one more worker of a model, of which only the last keep theirs."""
    folder.mkdir(parents=True, exist_ok=True)
    _forget_old_logs(folder, keep)
    return Path(tempfile.mkdtemp(prefix=f"worker-{time.time_ns():020d}-", dir=folder))


def newest_log(folder: Path) -> Path | None:
    """The output of the worker that was started last; None where none was."""
    return max(folder.glob("worker-*"), default=None)


def _forget_old_logs(folder: Path, keep: int) -> None:
    for path in sorted(folder.glob("worker-*"))[: -keep + 1]:
        shutil.rmtree(path, ignore_errors=True)
