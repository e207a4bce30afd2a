"""Finds the files of a spec repository and reads their documents.

Which files count is told in `read_tree`; which of their documents are ours, in `_standing`. A file none of whose
documents is ours (dbt profiles, conda files, charts) is skipped and listed, also where it is no valid YAML.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from enum import Enum, auto
from pathlib import Path
from typing import Final

from specrunner.core.errors import Diagnostic, InvalidSpecs, Place
from specrunner.core.values import Json
from specrunner.spec.cache import Remembered, SpecCache, key_of
from specrunner.spec.faults import Fault
from specrunner.spec.globs import Selection
from specrunner.spec.loader import MAX_BYTES, MAX_FAULTS, parse
from specrunner.spec.mistakes import Mistake
from specrunner.spec.normalise import completed
from specrunner.spec.positions import Document, SourceFile, line_at
from specrunner.spec.schema import KINDS, PROJECT
from specrunner.spec.tree import Entry, content, yaml_files
from specrunner.spec.validate import fitted

PROJECT_FILE: Final = "specrunner.yaml"
SMALLEST_PROJECT: Final = """\
apiVersion: specrunner/v1
kind: Project
metadata: {name: my-project}
spec: {defaultWorkspace: my-workspace}"""
_NEVER: Final = frozenset({"status", "environments"})  # at the root: records, and patches


@dataclass(frozen=True, slots=True)
class Reading:
    """What was read: documents in order of path, the files skipped, and what is wrong with the YAML itself.

    `complete` is False where a file broke off, so that names may be missing that somebody refers to.
    """

    documents: tuple[Document, ...] = ()
    skipped: tuple[str, ...] = ()
    problems: tuple[Diagnostic, ...] = ()
    complete: bool = True


@dataclass(slots=True)
class _Found:
    """One file's contribution; `ours` says whether anything in it is meant for us."""

    path: str
    documents: list[Document] = field(default_factory=list)
    problems: list[Diagnostic] = field(default_factory=list)
    ours: bool = False
    complete: bool = True


def read_tree(root: Path, cache: SpecCache | None = None) -> Reading:
    """Every document of the repository at `root`.

    `specrunner.yaml` at the root, and every `*.yaml` and `*.yml` below that its `include` and `exclude` let
    through; hidden folders, `status/` and `environments/` at the root, the folder of the records, and the
    folders named as a `source` or model `path` never count. What `cache` remembers is not read anew, and what is
    read is put there. Raises InvalidSpecs where there is no project file.
    """
    if not (root / PROJECT_FILE).is_file():
        raise InvalidSpecs([_no_project(root)])
    top = str(root.resolve())
    first = _read(top, Entry(PROJECT_FILE, (root / PROJECT_FILE).is_symlink()), cache)
    first.ours = True
    selection, records = _settings(first.documents)
    entries = (entry for entry in yaml_files(top, _NEVER | records) if entry.path != PROJECT_FILE)
    found = [_read(top, entry, cache) for entry in entries if entry.error or entry.path in selection]
    return _reading(_outside_sources([first, *found]))


def read_patches(root: Path, environment: str, cache: SpecCache | None = None) -> Reading:
    """The documents that patch others in one environment: `environments/<environment>/*.yaml`."""
    folder = f"environments/{environment}"
    if not (root / folder).is_dir():
        return Reading()
    entries = (entry for entry in yaml_files(str(root / folder), frozenset()) if "/" not in entry.path)
    top = str(root.resolve())
    return _reading(_read(top, entry._replace(path=f"{folder}/{entry.path}"), cache) for entry in entries)


def _reading(found: Iterable[_Found]) -> Reading:
    files = list(found)
    counted = [file for file in files if file.ours]
    return Reading(
        tuple(document for file in counted for document in file.documents),
        tuple(file.path for file in files if not file.ours),
        tuple(problem for file in counted for problem in file.problems),
        all(file.complete for file in counted),
    )


def _no_project(root: Path) -> Diagnostic:
    return Diagnostic(
        f"there is no {PROJECT_FILE} here",
        f"{root} is no spec repository: its root needs that file.",
        f"Change to the right folder, type `specrunner init`, or write {PROJECT_FILE}:\n{SMALLEST_PROJECT}",
        Place(PROJECT_FILE),
        code=Mistake.NO_PROJECT,
    )


def _settings(documents: Iterable[Document]) -> tuple[Selection, frozenset[str]]:
    """Which files the project counts, and the folder of its records; a wrong project is told elsewhere."""
    specs = [one.value.get("spec") for one in documents if one.value.get("kind") == PROJECT]
    spec = next((spec for spec in specs if isinstance(spec, dict)), {})
    status = spec.get("status")
    directory = status.get("directory") if isinstance(status, dict) else None
    records = frozenset({_plain(directory)}) if isinstance(directory, str) else frozenset()
    return Selection(_texts(spec.get("include")), _texts(spec.get("exclude"))), records


def _texts(value: Json) -> list[str]:
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []


def _outside_sources(files: list[_Found]) -> list[_Found]:
    """The files outside every folder that a counted document names as its source or path.

    A document inside such a folder names nothing, so the folders are found by repetition.
    """
    counted = files
    for _ in range(8):  # each round sees one more level of folders within folders
        sources = {name for file in counted for document in file.documents for name in _sources(document.value)}
        outside = [file for file in files if not _is_below(file.path, sources)] if sources else files
        if len(outside) == len(counted):
            break
        counted = outside
    return counted


def _is_below(path: str, folders: set[str]) -> bool:
    while "/" in path:
        path = path.rpartition("/")[0]
        if path in folders:
            return True
    return False


def _sources(value: Json) -> Iterator[str]:
    spec = value.get("spec")
    if isinstance(spec, dict):
        for name in (spec.get("source"), spec.get("path")):
            # The root itself as a source leaves the specs in it what they are.
            if isinstance(name, str) and _plain(name) != ".":
                yield _plain(name)


def _plain(name: str) -> str:
    return os.path.normpath(name).replace(os.sep, "/")


def _read(root: str, entry: Entry, cache: SpecCache | None) -> _Found:
    found = _Found(entry.path if entry.path.isascii() else entry.path.encode("utf-8", "replace").decode())
    path = f"{root}/{entry.path}"
    if entry.is_link and not Path(path).resolve().is_relative_to(root):
        return _unread(
            found,
            f"{found.path} leaves the repository",
            "It is a symbolic link to a file outside.",
            "Copy the file, or name it under `exclude`.",
            Mistake.LEAVES_REPOSITORY,
        )
    if entry.error or not entry.is_file:
        remedy = "Check its permissions." if entry.error else "Delete it, or name it under `exclude`."
        return _unread(found, f"{found.path} can't be read", f"{entry.error or 'It is no ordinary file'}.", remedy)
    try:
        data, size = content(path)
    except OSError as error:
        remedy = "Create what the link points to, or delete it." if entry.is_link else "Check its permissions."
        return _unread(found, f"{found.path} can't be read", f"{error.strerror}.", remedy)
    if size > MAX_BYTES:
        return _too_large(found, data, size)
    if found.path != PROJECT_FILE and not any(word in data for word in _OUR_WORDS):
        return found
    return _parsed(found, data, cache)


# A file without any of these has nothing to do with us; UTF-16 has zeros, and is told.
_OUR_WORDS: Final = (b"apiVersion", b"kind", b"specrunner", b"\0")


def _unread(found: _Found, summary: str, detail: str, remedy: str, code: Mistake = Mistake.UNREADABLE) -> _Found:
    found.problems.append(Diagnostic(summary, detail, remedy, Place(found.path), code=code))
    found.ours, found.complete = True, False
    return found


def _too_large(found: _Found, data: bytes, size: int) -> _Found:
    """Refused by its size, if it is ours: what lies beyond the limit is never read."""
    if found.path != PROJECT_FILE and not _mentions_us(data.decode("utf-8-sig", errors="replace")):
        return found
    return _unread(
        found,
        "the file is too large",
        f"It has {size:,} bytes; a file of specs may have {MAX_BYTES:,}.",
        "Split it into several files.",
        Mistake.FILE_TOO_LARGE,
    )


def _parsed(found: _Found, data: bytes, cache: SpecCache | None) -> _Found:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        _undecodable(found, data, error)
        return found
    file = SourceFile(found.path, text)
    if cache is None:
        return _fresh(found, file)
    key = key_of(data)
    known = cache.get(key)
    if known is not None:
        found.documents = [Document(file, *one) for one in known]
        found.ours = bool(known)
    elif not _fresh(found, file).problems and all(document.whole is not None for document in found.documents):
        cache.put(key, [Remembered(one.index, one.line, one.value, one.whole) for one in found.documents])
    return found


def _fresh(found: _Found, file: SourceFile) -> _Found:
    """Read without a cache."""
    parsed = parse(file.text)
    # With a variable in it, a document means what the environment says.
    is_plain = "${" not in file.text
    standings = [_standing(value) for _, value in parsed.documents]
    found.ours = _Standing.OURS in standings or (not parsed.complete and _mentions_us(file.text))
    found.complete = parsed.complete
    found.problems += [_diagnostic(file, fault) for fault in parsed.faults]
    for index, ((line, value), standing) in enumerate(zip(parsed.documents, standings, strict=True)):
        document = Document(file, index, line, value)
        if standing is _Standing.OURS:
            found.documents.append(replace(document, whole=_whole(document)) if is_plain else document)
        elif standing is _Standing.FOREIGN and found.ours and len(found.problems) < MAX_FAULTS:
            found.problems.append(_foreign(document))
    return found


def _whole(document: Document) -> Json:
    fit = fitted(document)
    return None if fit is None else completed(fit, fit["kind"])


class _Standing(Enum):
    """What a document is to us."""

    OURS = auto()  # it says so, or nearly so: the schema tells what is amiss
    FOREIGN = auto()  # something else
    EMPTY = auto()  # nothing


def _standing(value: Json) -> _Standing:
    if value is None:
        return _Standing.EMPTY
    if not isinstance(value, dict):
        return _Standing.FOREIGN
    version = value.get("apiVersion")
    if isinstance(version, str):
        ours = _is_near(version.partition("/")[0])
    else:
        ours = (value.get("kind") in KINDS and ("metadata" in value or "spec" in value)) or any(
            isinstance(item, str) and item.startswith("specrunner/v") for item in value.values()
        )
    return _Standing.OURS if ours else _Standing.FOREIGN


def _is_near(group: str) -> bool:
    if len(group) > 40:
        return False  # comparing takes time
    return group == "specrunner" or difflib.SequenceMatcher(None, group.casefold(), "specrunner").ratio() >= 0.8


_VERSION_LINE: Final = re.compile(r"^[ \t]*[\"']?apiVersion[\"']?\s*:\s*[\"']?([^/\s\"']+)", re.MULTILINE)


def _mentions_us(text: str) -> bool:
    """Whether a text that can't be parsed was meant for us."""
    return any(_is_near(match[1]) for match in _VERSION_LINE.finditer(text))


def _foreign(document: Document) -> Diagnostic:
    return Diagnostic(
        "this document is not one of specrunner's",
        "Others in this file are, so all must be.",
        "Begin it with `apiVersion: specrunner/v1`, or move it to a file of its own.",
        Place(document.file.path, document.line, 1),
        source=line_at(document.file.text, document.line),
        code=Mistake.FOREIGN_DOCUMENT,
    )


def _undecodable(found: _Found, data: bytes, error: UnicodeDecodeError) -> None:
    wide = data[:2] in {b"\xff\xfe", b"\xfe\xff"}
    text = data.decode("utf-16" if wide else "utf-8", errors="replace")
    found.ours, found.complete = found.ours or found.path == PROJECT_FILE or _mentions_us(text), False
    before = data[: error.start].decode("utf-8-sig", errors="replace").split("\n")
    fault = Fault(
        len(before),
        len(before[-1]) + 1,
        "the file is not UTF-8",
        f"The byte 0x{data[error.start]:02X} can't stand here.",
        "Save the file as UTF-8.",
        Mistake.NOT_UTF8,
    )
    found.problems.append(_diagnostic(SourceFile(found.path, text), fault))


def _diagnostic(file: SourceFile, fault: Fault) -> Diagnostic:
    return Diagnostic(
        fault.summary,
        fault.detail,
        fault.remedy,
        Place(file.path, fault.line, fault.column),
        source=line_at(file.text, fault.line),
        code=fault.code,
    )
