"""One file of specs, its bytes given: what of it is ours, and what is wrong with it."""

from __future__ import annotations

import difflib
import functools
import re
from dataclasses import dataclass, field, replace
from enum import Enum, auto
from itertools import islice
from typing import Final

from specrunner.core.errors import Diagnostic, Place
from specrunner.core.keys import Kind
from specrunner.core.values import Json
from specrunner.spec.faults import Fault
from specrunner.spec.findings import Finding, Reference
from specrunner.spec.loader import MAX_BYTES, MAX_FAULTS, parse
from specrunner.spec.mistakes import Mistake
from specrunner.spec.normalise import completed, plain_task
from specrunner.spec.positions import Document, SourceFile, line_at
from specrunner.spec.schema import KINDS
from specrunner.spec.validate import fitted

PROJECT_FILE: Final = "specrunner.yaml"


@dataclass(slots=True)
class Found:
    """One file's contribution; `ours` says whether anything in it is meant for us."""

    path: str
    documents: list[Document] = field(default_factory=list)
    problems: list[Diagnostic] = field(default_factory=list)
    ours: bool = False
    complete: bool = True


def shown(path: str) -> str:
    """The path as text, also where its bytes are none."""
    return path if path.isascii() else path.encode("utf-8", "replace").decode()


# A file without any of these has nothing to do with us; UTF-16 has zeros, and is told.
_OUR_WORDS: Final = (b"apiVersion", b"kind", b"specrunner", b"\0")


def unread(found: Found, summary: str, detail: str, remedy: str, code: Mistake = Mistake.UNREADABLE) -> Found:
    """A file that can't be read, with why."""
    found.problems.append(Diagnostic(summary, detail, remedy, Place(found.path), code=code))
    found.ours, found.complete = True, False
    return found


def too_large(found: Found, data: bytes, size: int) -> Found:
    """Refused by its size, if it is ours: what lies beyond the limit is never read."""
    if found.path != PROJECT_FILE and not _mentions_us(data.decode("utf-8-sig", errors="replace")):
        return found
    return unread(
        found,
        "the file is too large",
        f"It has {size:,} bytes; a file of specs may have {MAX_BYTES:,}.",
        "Split it into several files.",
        Mistake.FILE_TOO_LARGE,
    )


def parsed(found: Found, data: bytes) -> Found:
    """What the bytes say, read anew."""
    if found.path != PROJECT_FILE and not any(word in data for word in _OUR_WORDS):
        return found
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        _undecodable(found, data, error)
        return found
    return _fresh(found, SourceFile(found.path, text))


def _fresh(found: Found, file: SourceFile) -> Found:
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
            found.documents.append(_judged(document) if is_plain else document)
        elif standing is _Standing.FOREIGN and found.ours and len(found.problems) < MAX_FAULTS:
            found.problems.append(_foreign(document))
    return found


def _judged(document: Document) -> Document:
    """The document with what it is as its schema wants it, if it is right."""
    fit = fitted(document)
    if fit is None:
        return document
    whole = completed(fit, fit["kind"])
    findings: list[Finding] = []
    references: list[Reference] = []
    if fit["kind"] == Kind.TASK:
        references = plain_task(whole["spec"], findings)
    return document if findings else replace(document, whole=whole, references=tuple(references))


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


@functools.lru_cache(maxsize=1024)
def _is_near(group: str) -> bool:
    if len(group) > 40:
        return False  # comparing takes time
    return group == "specrunner" or difflib.SequenceMatcher(None, group.casefold(), "specrunner").ratio() >= 0.8


_MOST_GROUPS: Final = 1_000
_VERSION_LINE: Final = re.compile(r"^[ \t]*[\"']?apiVersion[\"']?\s*:\s*[\"']?([^/\s\"']+)", re.MULTILINE)


def _mentions_us(text: str) -> bool:
    """Whether a text that can't be parsed was meant for us."""
    # Each group once, and no more than a text of people's has: to compare one takes microseconds.
    groups = dict.fromkeys(match[1] for match in _VERSION_LINE.finditer(text))
    return any(map(_is_near, islice(groups, _MOST_GROUPS)))


def _foreign(document: Document) -> Diagnostic:
    return Diagnostic(
        "this document is not one of specrunner's",
        "Others in this file are, so all must be.",
        "Begin it with `apiVersion: specrunner/v1`, or move it to a file of its own.",
        Place(document.file.path, document.line, 1),
        source=line_at(document.file.text, document.line),
        code=Mistake.FOREIGN_DOCUMENT,
    )


def _undecodable(found: Found, data: bytes, error: UnicodeDecodeError) -> None:
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
