"""Finds the files of a spec repository and reads their documents.

Which files count is told in `read_tree`; which of their documents are ours, in `files`. A file none of whose
documents is ours (dbt profiles, conda files, charts) is skipped and listed, also where it is no valid YAML.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from specrunner.core.errors import Diagnostic, InvalidSpecs, Place
from specrunner.core.values import Json
from specrunner.spec.cache import SpecCache
from specrunner.spec.files import PROJECT_FILE, Found
from specrunner.spec.gathering import read_file, read_files
from specrunner.spec.globs import Selection
from specrunner.spec.mistakes import Mistake
from specrunner.spec.positions import Document
from specrunner.spec.schema import PROJECT
from specrunner.spec.tree import Entry, yaml_files

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
    first = read_file(top, Entry(PROJECT_FILE, (root / PROJECT_FILE).is_symlink()), cache)
    first.ours = True
    selection, records = _settings(first.documents)
    entries = (entry for entry in yaml_files(top, _NEVER | records) if entry.path != PROJECT_FILE)
    found = read_files(top, [entry for entry in entries if entry.error or entry.path in selection], cache)
    return _reading(_outside_sources([first, *found]))


def read_patches(root: Path, environment: str, cache: SpecCache | None = None) -> Reading:
    """The documents that patch others in one environment: `environments/<environment>/*.yaml`."""
    folder = f"environments/{environment}"
    if not (root / folder).is_dir():
        return Reading()
    entries = (entry for entry in yaml_files(str(root / folder), frozenset()) if "/" not in entry.path)
    top = str(root.resolve())
    return _reading(read_files(top, [entry._replace(path=f"{folder}/{entry.path}") for entry in entries], cache))


def _reading(found: Iterable[Found]) -> Reading:
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
    specs = [one.glance.get("spec") for one in documents if one.glance.get("kind") == PROJECT]
    spec = next((spec for spec in specs if isinstance(spec, dict)), {})
    status = spec.get("status")
    directory = status.get("directory") if isinstance(status, dict) else None
    records = frozenset({_plain(directory)}) if isinstance(directory, str) else frozenset()
    return Selection(_texts(spec.get("include")), _texts(spec.get("exclude"))), records


def _texts(value: Json) -> list[str]:
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []


def _outside_sources(files: list[Found]) -> list[Found]:
    """The files outside every folder that a counted document names as its source or path.

    A document inside such a folder names nothing, so the folders are found by repetition.
    """
    counted = files
    for _ in range(8):  # each round sees one more level of folders within folders
        sources = {name for file in counted for document in file.documents for name in _sources(document.glance)}
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
