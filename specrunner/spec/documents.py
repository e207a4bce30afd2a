"""Finds the files of a spec repository and reads their documents.

Which files count is told in `read_tree`; which of their documents are ours, in `_standing`. A file none of whose
documents is ours (dbt profiles, conda files, charts) is skipped and listed, also where it is no valid YAML.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import Enum, auto
from pathlib import Path, PurePosixPath
from typing import Final

from specrunner.core.errors import Diagnostic, InvalidSpecs, Place
from specrunner.core.values import Json
from specrunner.spec.globs import Selection
from specrunner.spec.loader import Fault, parse
from specrunner.spec.positions import Document, SourceFile, line_at
from specrunner.spec.schema import KINDS, PROJECT

PROJECT_FILE: Final = "specrunner.yaml"
SMALLEST_PROJECT: Final = """\
apiVersion: specrunner/v1
kind: Project
metadata: {name: my-project}
spec: {defaultWorkspace: my-workspace}"""
_NEVER: Final = frozenset({"status", "environments"})  # at the root: records, and patches
_SUFFIXES: Final = (".yaml", ".yml")


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


def read_tree(root: Path) -> Reading:
    """Every document of the repository at `root`.

    `specrunner.yaml` at the root, and every `*.yaml` and `*.yml` below that its `include` and `exclude` let
    through; hidden folders, `status/` and `environments/` at the root, the folder of the records, and the
    folders named as a `source` or model `path` never count. Raises InvalidSpecs where there is no project file.
    """
    if not (root / PROJECT_FILE).is_file():
        raise InvalidSpecs([_no_project(root)])
    first = _read(root, PROJECT_FILE)
    first.ours = True
    selection, records = _settings(first.documents)
    never = _NEVER | records
    files = [name for name in _files(root, never) if name != PROJECT_FILE and name in selection]
    return _reading(_outside_sources([first, *(_read(root, name) for name in files)]))


def read_patches(root: Path, environment: str) -> Reading:
    """The documents that patch others in one environment: `environments/<environment>/*.yaml`."""
    folder = root / "environments" / environment
    names = sorted(path.name for path in folder.iterdir() if path.suffix in _SUFFIXES) if folder.is_dir() else []
    return _reading(_read(root, f"environments/{environment}/{name}") for name in names)


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


def _files(root: Path, never: frozenset[str], prefix: str = "") -> Iterator[str]:
    with os.scandir(root / prefix) as entries:
        ordered = sorted(entries, key=lambda entry: entry.name)
    for entry in ordered:
        name = prefix + entry.name
        if entry.is_dir(follow_symlinks=False):
            if not entry.name.startswith(".") and name not in never:
                yield from _files(root, never, f"{name}/")
        elif name.endswith(_SUFFIXES):
            yield name


def _outside_sources(files: list[_Found]) -> list[_Found]:
    """The files outside every folder that a counted document names as its source or path.

    A document inside such a folder names nothing, so the folders are found by repetition.
    """
    counted = files
    for _ in range(8):  # each round sees one more level of folders within folders
        sources = {name for file in counted for document in file.documents for name in _sources(document.value)}
        outside = [file for file in files if sources.isdisjoint(map(str, PurePosixPath(file.path).parents))]
        if len(outside) == len(counted):
            break
        counted = outside
    return counted


def _sources(value: Json) -> Iterator[str]:
    spec = value.get("spec")
    if isinstance(spec, dict):
        for name in (spec.get("source"), spec.get("path")):
            # The root itself as a source leaves the specs in it what they are.
            if isinstance(name, str) and _plain(name) != ".":
                yield _plain(name)


def _plain(name: str) -> str:
    return os.path.normpath(name).replace(os.sep, "/")


def _read(root: Path, name: str) -> _Found:
    found = _Found(name)
    path = root / name
    if path.is_symlink() and not path.resolve().is_relative_to(root.resolve()):
        found.problems.append(
            Diagnostic(
                f"{name} leaves the repository",
                "It is a symbolic link to a file outside.",
                "Copy the file, or name it under `exclude`.",
                Place(name),
            )
        )
        found.ours, found.complete = True, False
        return found
    try:
        data = path.read_bytes()
    except OSError as error:
        problem = Diagnostic(f"{name} can't be read", f"{error.strerror}.", "Check its permissions.", Place(name))
        found.problems.append(problem)
        found.ours, found.complete = True, False
        return found
    if name != PROJECT_FILE and not any(word in data for word in (b"apiVersion", b"kind", b"specrunner", b"\0")):
        return found
    return _parsed(found, data)


def _parsed(found: _Found, data: bytes) -> _Found:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        _undecodable(found, data, error)
        return found
    file = SourceFile(found.path, text)
    parsed = parse(text)
    documents = [Document(file, index, line, value) for index, (line, value) in enumerate(parsed.documents)]
    standings = [_standing(document.value) for document in documents]
    found.ours = _Standing.OURS in standings or (not parsed.complete and _mentions_us(text))
    found.complete = parsed.complete
    found.problems += [_diagnostic(file, fault) for fault in parsed.faults]
    for document, standing in zip(documents, standings, strict=True):
        if standing is _Standing.OURS:
            found.documents.append(document)
        elif standing is _Standing.FOREIGN:
            found.problems.append(_foreign(document))
    return found


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
    return group == "specrunner" or difflib.SequenceMatcher(None, group.casefold(), "specrunner").ratio() >= 0.8


_VERSION_LINE: Final = re.compile(r"^\s*[\"']?apiVersion[\"']?\s*:\s*[\"']?([^/\s\"']+)", re.MULTILINE)


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
    )
    found.problems.append(_diagnostic(SourceFile(found.path, text), fault))


def _diagnostic(file: SourceFile, fault: Fault) -> Diagnostic:
    return Diagnostic(
        fault.summary,
        fault.detail,
        fault.remedy,
        Place(file.path, fault.line, fault.column),
        source=line_at(file.text, fault.line),
    )
