"""Payloads: an orchestration's folder as a reproducible zip, a ready zip or a model file byte for byte.

Equal sources give equal bytes on every machine: entries are sorted and stored, not deflated (so no version of
zlib matters), dated 1980-01-01, and of the mode only the executable bit is kept. Left out are what `.gitignore`
files name, `__pycache__`, `.git` and `.venv`. Symbolic links are refused: what they mean depends on the machine.
"""

from __future__ import annotations

import functools
import hashlib
import io
import stat
import zipfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

from specrunner.core.bundles import model_problems, problems
from specrunner.core.errors import SpecrunnerError
from specrunner.core.resources import Payload
from specrunner.spec.globs import Ignored, Selection, repository_top

LEFT_OUT: Final = frozenset({"__pycache__", ".git", ".venv"})
_DATE: Final = (1980, 1, 1, 0, 0, 0)  # the first date that a zip can say
_CHUNK: Final = 2**20


class BadBundle(ValueError):
    """A bundle can't be made or run; `reasons` are all in words."""

    def __init__(self, reasons: Sequence[str]) -> None:
        super().__init__("; ".join(reasons))
        self.reasons = tuple(reasons)


def orchestration_payload(
    source: Path, include: Sequence[str] = (), exclude: Sequence[str] = (), root: Path | None = None
) -> Payload:
    """The bundle of an orchestration: a folder zipped, or a ready zip as it is.

    `root` is the folder of the specs: its `.gitignore` counts, and those up to the repository's top.
    Raises BadBundle where it has no entry point, two requirements.txt, a link, or breaks another rule.
    """
    if source.is_dir():
        payload = folder_payload(source, include, exclude, root)
        sizes = _sizes(source, Selection(include, exclude), root)
    else:
        payload, sizes = file_payload(source), _zip_sizes(source)
    reasons = problems(sizes, payload.size)
    if reasons:
        raise BadBundle(reasons)
    return payload


def model_payload(folder: Path, root: Path | None = None) -> Payload:
    """The bundle of a model's folder, by the same rules. Raises BadBundle where it has no model.py, among others."""
    payload = folder_payload(folder, root=root)
    reasons = model_problems(_sizes(folder, Selection((), ()), root), payload.size)
    if reasons:
        raise BadBundle(reasons)
    return payload


def _sizes(folder: Path, selection: Selection, root: Path | None) -> dict[str, int]:
    return {name: path.stat().st_size for name, path in files_of(folder, selection, root)}


def file_payload(path: Path) -> Payload:
    """A file byte for byte; its sum is streamed, so that size does not matter."""
    digest, size = hashlib.sha256(), 0
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
            size += len(chunk)
    sha = digest.hexdigest()
    return Payload(sha, size, path.name, functools.partial(_unchanged, path, sha, path.read_bytes))


def folder_payload(
    folder: Path, include: Sequence[str] = (), exclude: Sequence[str] = (), root: Path | None = None
) -> Payload:
    """A folder as a reproducible zip, made anew when it is read. Raises BadBundle for what a zip can't carry."""
    make = functools.partial(zip_folder, folder, Selection(include, exclude), root)
    content = make()
    sha = hashlib.sha256(content).hexdigest()
    return Payload(sha, len(content), f"{folder.name}.zip", functools.partial(_unchanged, folder, sha, make))


def zip_folder(folder: Path, selection: Selection, root: Path | None = None) -> bytes:
    """The bytes of the reproducible zip of a folder. Raises BadBundle for a link or a special file."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, path in files_of(folder, selection, root):
            archive.writestr(_entry(name, path), path.read_bytes())
    return buffer.getvalue()


def files_of(folder: Path, selection: Selection, root: Path | None = None) -> list[tuple[str, Path]]:
    """The files that go in, as (name in the zip, path), sorted by name. Raises BadBundle for what can't."""
    ignored = Ignored(repository_top((root or folder).resolve()))
    reasons: list[str] = []
    found = sorted(_walk(folder.resolve(), "", ignored, selection, reasons))
    if reasons:
        raise BadBundle(reasons)
    return found


def _walk(
    folder: Path, prefix: str, ignored: Ignored, selection: Selection, reasons: list[str]
) -> Iterator[tuple[str, Path]]:
    for path in sorted(folder.iterdir()):
        name = prefix + path.name
        is_folder = path.is_dir() and not path.is_symlink()
        if path.name in LEFT_OUT or ignored(path, is_folder):
            continue
        if is_folder:
            yield from _walk(path, f"{name}/", ignored, selection, reasons)
        elif name in selection:
            if path.is_symlink() or not path.is_file():
                what = "a symbolic link" if path.is_symlink() else "no ordinary file"
                reasons.append(f"{name!r} is {what}")
            else:
                yield name, path


def _entry(name: str, path: Path) -> zipfile.ZipInfo:
    executable = path.stat().st_mode & stat.S_IXUSR
    entry = zipfile.ZipInfo(name, _DATE)
    entry.create_system = 3  # Unix, whatever this machine is: only then does the mode mean anything
    entry.external_attr = (stat.S_IFREG | (0o755 if executable else 0o644)) << 16
    entry.compress_type = zipfile.ZIP_STORED
    return entry


def _zip_sizes(path: Path) -> dict[str, int]:
    try:
        with zipfile.ZipFile(path) as archive:
            return {entry.filename: entry.file_size for entry in archive.infolist() if not entry.is_dir()}
    except (zipfile.BadZipFile, OSError, NotImplementedError) as error:
        raise BadBundle([f"it can't be opened as a zip: {error}"]) from error


def _unchanged(path: Path, sha: str, read: Callable[[], bytes]) -> bytes:
    content = read()
    if hashlib.sha256(content).hexdigest() != sha:
        raise SpecrunnerError(
            f"{path.name} changed while it was in use", "Its content is not what was planned.", "Run the command again."
        )
    return content
