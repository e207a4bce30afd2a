"""Looks into an orchestration's zip and unpacks it, trusting nothing that the zip says of itself.

`core.bundles` decides what a bundle may be, from names and sizes. This module adds what only the file can
tell: that it is a zip at all, that its entries are plain files and folders, that no two of them are one path,
and that what really comes out is as large as was declared. It uses the standard library only, because it
lies on the way to the first line of every run.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from specrunner.core import bundles
from specrunner.core.errors import PackagingFailed

Problems = Callable[[Mapping[str, int], int], list[str]]  # of a `core.bundles` rule book

_CHUNK = 1 << 20
_MAX_REQUIREMENTS = 1 << 20  # bytes; the longest generated requirement files stay below a tenth of it
_ENCRYPTED = 0x1  # bit 0 of the general purpose flags, APPNOTE.TXT 4.4.4
_REMEDY = "Pack the orchestration's folder again: plain files and folders, main.py, at most one requirements.txt."


@dataclass(frozen=True, slots=True)
class Bundle:
    """What a bundle holds.

    `files` maps each file's path (forward slashes, relative) to its unpacked bytes, folders are not listed.
    `entry` is the file a run starts with, `requirements` the text of requirements.txt ("" where there is none),
    `sha256` the digest of the zip's own bytes, 64 hexadecimal digits.
    """

    files: Mapping[str, int]
    entry: str
    requirements: str
    sha256: str


def inspect(zip_path: Path) -> Bundle:
    """Check a zip without unpacking it, and say what it holds.

    Raises PackagingFailed, whose detail lists everything that is wrong with it, one problem a line.
    """
    with _opened(zip_path) as archive:
        files = _checked(archive, zip_path)
        requirements = _requirements(archive, files, zip_path)
    entry = bundles.entry_point(files)
    assert entry is not None, "a bundle without problems has an entry point"  # noqa: S101  # narrows the type
    return Bundle({name: entry.file_size for name, entry in files.items()}, entry, requirements, _sha256(zip_path))


_DISK_TROUBLE = {errno.ENOSPC, errno.EDQUOT, errno.EROFS}  # not the bundle's fault


def unpack(zip_path: Path, folder: Path, problems: Problems = bundles.problems) -> None:
    """Write a bundle's files below `folder`, which is made if it is missing.

    Files get mode 0644, or 0755 where the zip has any executable bit, less the umask. Nothing that is there
    already is followed or overwritten. Raises PackagingFailed for every bundle that `inspect` refuses, by the rules
    of an orchestration or by other `problems`, where a
    path is taken, and where the bytes are not as many as declared; part of the bundle may be written then. Raises
    OSError where the disk is full or read-only.
    """
    with _opened(zip_path) as archive:
        files = _checked(archive, zip_path, problems)
        folder.mkdir(parents=True, exist_ok=True)
        made: set[PurePosixPath] = {PurePosixPath()}
        for name in _folder_names(archive):
            _make_folder(folder, name, made)
        for text, entry in files.items():
            name = PurePosixPath(text)
            _make_folder(folder, name.parent, made)
            _write(archive, entry, folder / name)


def model_requirements(zip_path: Path) -> str:
    """Check a model's zip without unpacking it; the text of its requirements.txt, "" where there is none.

    Raises PackagingFailed as `inspect` does.
    """
    with _opened(zip_path) as archive:
        return _requirements(archive, _checked(archive, zip_path, bundles.model_problems), zip_path)


@contextmanager
def _opened(zip_path: Path) -> Iterator[zipfile.ZipFile]:
    """The archive; what zipfile, zlib and the file system complain of becomes PackagingFailed."""
    try:
        with zipfile.ZipFile(zip_path) as archive:
            yield archive
    except FileExistsError as error:
        raise _refusal(zip_path, [f"{error.filename} is there already, and unpacking overwrites nothing"]) from error
    except (zipfile.BadZipFile, zlib.error, EOFError, ValueError, NotImplementedError, OSError) as error:
        if isinstance(error, OSError) and error.errno in _DISK_TROUBLE:
            raise
        # NotImplementedError: a compression method or zip version that Python cannot read.
        raise _refusal(zip_path, [f"it cannot be read as a zip file: {error}"]) from error


def _checked(
    archive: zipfile.ZipFile, zip_path: Path, problems: Problems = bundles.problems
) -> dict[str, zipfile.ZipInfo]:
    """The files of the archive by clean path. Raises PackagingFailed with all problems."""
    entries = archive.infolist()
    files = {_clean(entry.filename): entry for entry in entries if not _is_folder(entry)}
    sizes = {name: entry.file_size for name, entry in files.items()}
    found = problems(sizes, zip_path.stat().st_size)
    # Folders are no files and so unknown to the rules above, but they can leave the bundle and exhaust inodes too.
    folders = [entry.filename for entry in entries if _is_folder(entry)]
    found += [f"the path {name!r} would leave the bundle" for name in folders if not bundles.is_safe_name(name)]
    if len(entries) > bundles.MAX_ENTRIES >= len(sizes):
        found.append(f"it has {len(entries):,} entries, {bundles.MAX_ENTRIES:,} are allowed")
    found += _odd_entries(entries) + _clashes(entries)
    if found:
        raise _refusal(zip_path, found)
    return files


def _odd_entries(entries: Iterable[zipfile.ZipInfo]) -> list[str]:
    """Entries that are not plain files or folders."""
    found = []
    for entry in entries:
        kind = stat.S_IFMT(entry.external_attr >> 16)
        if kind == stat.S_IFLNK:
            found.append(f"{entry.filename!r} is a symbolic link, and links are not unpacked")
        elif kind not in {0, stat.S_IFREG, stat.S_IFDIR}:
            found.append(f"{entry.filename!r} is neither a file nor a folder")
        if entry.flag_bits & _ENCRYPTED:
            found.append(f"{entry.filename!r} is encrypted")
    return found


def _clashes(entries: Iterable[zipfile.ZipInfo]) -> list[str]:
    """Paths that stand for two things. Names that differ by case alone are two files, as on Linux."""
    seen: set[str] = set()
    folders = {_clean(entry.filename) for entry in entries if _is_folder(entry)}
    found = []
    for entry in entries:
        name = _clean(entry.filename)
        if not _is_folder(entry) and name in seen:
            found.append(f"the path {name!r} is there twice")
        if not _is_folder(entry):
            seen.add(name)
            folders.update(str(parent) for parent in PurePosixPath(name).parents)
    return found + [f"the path {name!r} is both a file and a folder" for name in sorted(seen & folders)]


def _is_folder(entry: zipfile.ZipInfo) -> bool:
    return entry.filename.endswith("/")  # ZipInfo.is_dir fails at an empty name


def _clean(name: str) -> str:
    # "a//b", "./a/b" and "a/b" are one path; PurePosixPath keeps ".." and a leading slash, which are refused.
    return str(PurePosixPath(name)) if name else name


def _requirements(archive: zipfile.ZipFile, files: Mapping[str, zipfile.ZipInfo], zip_path: Path) -> str:
    name = bundles.requirements_file(files)
    if name is None:
        return ""
    if files[name].file_size > _MAX_REQUIREMENTS:
        raise _refusal(zip_path, [f"{name} has {files[name].file_size:,} bytes, {_MAX_REQUIREMENTS:,} are allowed"])
    try:
        return archive.read(files[name]).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise _refusal(zip_path, [f"{name} is not UTF-8 text: {error.reason} at byte {error.start}"]) from error


def _folder_names(archive: zipfile.ZipFile) -> Iterator[PurePosixPath]:
    return (PurePosixPath(entry.filename) for entry in archive.infolist() if _is_folder(entry))


def _make_folder(root: Path, name: PurePosixPath, made: set[PurePosixPath]) -> None:
    """Make a folder and those above it. One that is there is used only if it is a real folder, not a link."""
    if name in made:
        return
    _make_folder(root, name.parent, made)
    path = root / name
    try:
        path.mkdir()
    except FileExistsError:
        if not stat.S_ISDIR(path.lstat().st_mode):
            raise
    made.add(name)


def _write(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, path: Path) -> None:
    mode = 0o755 if (entry.external_attr >> 16) & 0o111 else 0o644
    # O_EXCL also refuses a dangling link in the place of the file.
    target = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    with open(target, "wb") as sink, archive.open(entry) as source:  # noqa: PTH123  # a descriptor, not a path
        written = 0
        while chunk := source.read(_CHUNK):
            written += len(chunk)
            if written > entry.file_size:
                break
            sink.write(chunk)
    if written != entry.file_size:
        raise zipfile.BadZipFile(f"{entry.filename!r} does not unpack to the {entry.file_size:,} bytes it declares")


def _sha256(zip_path: Path) -> str:
    with zip_path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _refusal(zip_path: Path, found: Iterable[str]) -> PackagingFailed:
    return PackagingFailed(f"The bundle {zip_path.name} cannot be used", "\n".join(found), _REMEDY)
