"""The rules of an orchestration's bundle, and of a model's, over the list of its files.

Three formulations of the entry point are in use; all hold, in this order: `main.py` at the top; else the first
`main.py` in any subfolder; else, where there is exactly one `.py`, that file.
"""

from __future__ import annotations

import hashlib
import io
import unicodedata
import zipfile
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

from specrunner.core.values import JsonObject

MODEL_SCRIPT = "model.py"  # at the top of a model's folder, or in the only folder that has one
MAX_ENTRIES = 20_000
MAX_UNPACKED_BYTES = 4 * 2**30
MAX_RATIO = 200  # unpacked to packed; DEFLATE of ordinary files stays far below
_LONGEST_NAME = 255  # bytes of one part of a path, on every common file system
_CHUNK = 2**20
SMALL_BYTES = 2**20  # unpacked; below that no ratio is a bomb


def entry_point(names: Iterable[str]) -> str | None:
    """The file a run starts with, or None where the bundle has none."""
    scripts = sorted((PurePosixPath(name) for name in names if name.endswith(".py")), key=_walk_order)
    mains = [path for path in scripts if path.name == "main.py"]
    if mains:
        return str(mains[0])
    return str(scripts[0]) if len(scripts) == 1 else None


def _walk_order(path: PurePosixPath) -> tuple[tuple[int, str], ...]:
    """A sorted walk of folders sees a folder's own files before its subfolders."""
    *folders, name = path.parts
    return (*((1, folder) for folder in folders), (0, name))


def requirements_file(names: Iterable[str]) -> str | None:
    """The bundle's requirements.txt, or None. Call `problems` first: it refuses several."""
    found = _requirements(names)
    return found[0] if found else None


def problems(sizes: Mapping[str, int], packed_bytes: int) -> list[str]:
    """What is wrong with a bundle of these files (name to unpacked bytes), in words; empty if nothing is."""
    found = _archive_problems(sizes, packed_bytes)
    if entry_point(sizes) is None:
        found.append(_no_entry(sizes))
    return found + _several_requirements(sizes)


def model_problems(sizes: Mapping[str, int], packed_bytes: int) -> list[str]:
    """What is wrong with a model made of these files, as `problems` says it of a bundle."""
    found = _archive_problems(sizes, packed_bytes)
    scripts = [name for name in sizes if PurePosixPath(name).name == MODEL_SCRIPT and name.count("/") <= 1]
    if MODEL_SCRIPT not in scripts and len(scripts) != 1:
        found.append(f"it has {'several' if scripts else 'no'} {MODEL_SCRIPT}, which must define predict(table)")
    return found + _several_requirements(sizes)


def _archive_problems(sizes: Mapping[str, int], packed_bytes: int) -> list[str]:
    unsafe = [name for name in sizes if not is_safe_name(name)]
    found = [f"the name {name!r} would leave the bundle, or no file can have it" for name in unsafe]
    return found + _too_much(sizes, packed_bytes)


def _several_requirements(sizes: Mapping[str, int]) -> list[str]:
    requirements, found = _requirements(sizes), []
    if len(requirements) > 1:
        found.append(f"there are {len(requirements)} requirements.txt, one is allowed: {', '.join(requirements)}")
    return found


def is_safe_name(name: str) -> bool:
    """Whether unpacking this entry makes a file inside the folder it is unpacked to, and nowhere else."""
    path = PurePosixPath(name)
    if any(char in "\\:" or unicodedata.category(char) in {"Cc", "Cs"} for char in name):
        return False
    if any(part == ".." or len(part.encode()) > _LONGEST_NAME for part in path.parts):
        return False
    return bool(path.parts) and not path.is_absolute()


def _too_much(sizes: Mapping[str, int], packed_bytes: int) -> list[str]:
    total = sum(sizes.values())
    found = []
    if len(sizes) > MAX_ENTRIES:
        found.append(f"it has {len(sizes):,} entries, {MAX_ENTRIES:,} are allowed")
    if total > MAX_UNPACKED_BYTES:
        found.append(f"it unpacks to {total:,} bytes, {MAX_UNPACKED_BYTES:,} are allowed")
    if total > max(SMALL_BYTES, MAX_RATIO * packed_bytes):
        found.append(f"it unpacks to {total // max(packed_bytes, 1):,} times its size, {MAX_RATIO} times is allowed")
    return found


def _no_entry(sizes: Mapping[str, int]) -> str:
    scripts = sum(name.endswith(".py") for name in sizes)
    return f"it has no main.py, and {scripts or 'no'} other .py file{'s' if scripts != 1 else ''} to start with"


def _requirements(names: Iterable[str]) -> list[str]:
    return sorted(name for name in names if PurePosixPath(name).name == "requirements.txt")


@dataclass(frozen=True, slots=True, order=True)
class ManifestEntry:
    """One file of a bundle: its name, its size in bytes unpacked, the sha256 of its bytes, whether it is a program."""

    name: str
    size: int
    sha: str
    executable: bool = False


@dataclass(frozen=True, slots=True)
class ManifestChange:
    """A file that differs between two bundles; None on the side that has none."""

    name: str
    old: ManifestEntry | None
    new: ManifestEntry | None


@dataclass(frozen=True, slots=True)
class Manifest:
    """The files of a bundle, sorted by name. Folders are no entries.

    It is computed from the artifact whenever it is asked for, so there is nothing to store that could be out of
    step with it: the sha under which an orchestration was applied names the bytes.
    """

    entries: tuple[ManifestEntry, ...]

    @classmethod
    def of_zip(cls, content: bytes) -> Manifest:
        """The manifest of a zip. Of files with one name the last counts, as in unpacking.

        Raises ValueError, in words, for what is no zip, is damaged or encrypted, or unpacks to more than is allowed.
        """
        try:
            with zipfile.ZipFile(io.BytesIO(content)) as archive:
                return cls(_entries(archive))
        except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError, OSError) as problem:
            raise ValueError(f"the zip can't be read: {problem}") from problem

    @classmethod
    def from_json(cls, data: Iterable[JsonObject]) -> Manifest:
        """What `as_json` gave."""
        return cls(tuple(sorted(ManifestEntry(e["name"], e["size"], e["sha"], e["executable"]) for e in data)))

    def as_json(self) -> list[JsonObject]:
        """The entries as JSON objects, sorted by name."""
        return [{"name": e.name, "size": e.size, "sha": e.sha, "executable": e.executable} for e in self.entries]

    def changes_to(self, other: Manifest) -> tuple[ManifestChange, ...]:
        """What makes the other bundle of this one: files added, removed and changed, sorted by name."""
        before = {entry.name: entry for entry in self.entries}
        after = {entry.name: entry for entry in other.entries}
        names = sorted(name for name in {*before, *after} if before.get(name) != after.get(name))
        return tuple(ManifestChange(name, before.get(name), after.get(name)) for name in names)


def _entries(archive: zipfile.ZipFile) -> tuple[ManifestEntry, ...]:
    left, found = MAX_UNPACKED_BYTES, {}
    for info in archive.infolist():
        if not info.is_dir():
            found[info.filename] = _entry(archive, info, left)
            left -= found[info.filename].size
    return tuple(sorted(found.values()))


def _entry(archive: zipfile.ZipFile, info: zipfile.ZipInfo, left: int) -> ManifestEntry:
    digest, size = hashlib.sha256(), 0
    with archive.open(info) as stream:
        while chunk := stream.read(_CHUNK):
            size += len(chunk)
            if size > left:  # what the zip's directory says of sizes may be a lie
                raise ValueError(f"it unpacks to more than {MAX_UNPACKED_BYTES:,} bytes")
            digest.update(chunk)
    return ManifestEntry(info.filename, size, digest.hexdigest(), bool(info.external_attr >> 16 & 0o100))
