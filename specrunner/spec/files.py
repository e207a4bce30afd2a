"""Reading one file of specs: what of it is ours, and what is wrong with it; from the cache where that knows it."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum, auto
from pathlib import Path
from typing import Final

from specrunner.core.errors import Diagnostic, Place, SpecrunnerError
from specrunner.core.keys import Kind
from specrunner.core.values import Json
from specrunner.spec.cache import Remembered, SpecCache, key_of
from specrunner.spec.faults import Fault
from specrunner.spec.findings import Finding, Reference
from specrunner.spec.helpers import helped
from specrunner.spec.loader import MAX_BYTES, MAX_FAULTS, parse
from specrunner.spec.mistakes import Mistake
from specrunner.spec.normalise import completed, plain_task
from specrunner.spec.positions import Document, SourceFile, line_at
from specrunner.spec.schema import KINDS
from specrunner.spec.tree import Content, Entry, content
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


def read_file(root: str, entry: Entry, cache: SpecCache | None) -> Found:
    """What stands in one file below `root`."""
    found = Found(shown(entry.path))
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
    if cache is not None:
        cache.begin()
    try:
        read = content(path)
    except OSError as error:
        remedy = "Create what the link points to, or delete it." if entry.is_link else "Check its permissions."
        return _unread(found, f"{found.path} can't be read", f"{error.strerror}.", remedy)
    if read.size > MAX_BYTES:
        return _too_large(found, read.data, read.size)
    return _parsed(found, read.data) if cache is None else _through(cache, found, entry, read, key_of(read.data))


def _through(cache: SpecCache, found: Found, entry: Entry, read: Content, key: bytes) -> Found:
    """What bytes of this key say, from the cache if it knows them, and otherwise for the cache to know."""
    if entry.stamp is not None:  # not so of links: they may come to lead elsewhere
        cache.stamped(entry.path, read.stamp, key)
    known = cache.get(key)
    if known is not None:
        return _known(found, known, lambda: read.data.decode("utf-8-sig"))
    if not _parsed(found, read.data).problems and found.complete:
        cache.put(key, [_remembered(document) for document in found.documents])
    return found


def read_files(root: str, entries: Sequence[Entry], cache: SpecCache | None) -> list[Found]:
    """What stands in these files, in their order. Where very many are new, other processes help to read them."""
    if cache is None:
        return [read_file(root, entry, None) for entry in entries]
    found = {entry.path: _unopened(root, entry, cache) for entry in entries}
    new = [entry for entry in entries if found[entry.path] is None]
    cache.begin()
    with helped(new, [entry.size for entry in new], lambda entry: _line(root, entry, cache)) as helpers:
        read = {entry.path: read_file(root, entry, cache) for entry in new[: helpers.first]}
        made = zip(new[helpers.first :], helpers.answers(), strict=True)
        read |= {entry.path: _taken(root, entry, line, cache) for entry, line in made}
    return [found[entry.path] or read[entry.path] for entry in entries]


def _line(root: str, entry: Entry, cache: SpecCache) -> bytes:
    """What a helper tells of a file: its stamp, and what is to be remembered; nothing, if that is not all of it."""
    if entry.stamp is None:
        return b""
    try:
        read = content(f"{root}/{entry.path}")
    except OSError:
        return b""
    if read.size > MAX_BYTES:
        return b""
    key = key_of(read.data)
    _through(cache, Found(shown(entry.path)), entry, read, key)
    line = cache.line(key)
    return b" ".join([*(b"%d" % number for number in read.stamp), line]) if line else b""


def _taken(root: str, entry: Entry, line: bytes | None, cache: SpecCache) -> Found:
    """What stands in a file that a helper may have read."""
    if line:
        size, inode, modified, changed, rest = line.split(b" ", 4)
        key = cache.take(rest)
        known = cache.get(key)
        if known is not None:
            cache.stamped(entry.path, (int(size), int(inode), int(modified), int(changed)), key)
            return _later(root, entry, known, key)
    return read_file(root, entry, cache)


def _unopened(root: str, entry: Entry, cache: SpecCache) -> Found | None:
    """What stands in a file that its stamp says is unchanged; None where that, or the file, is not known."""
    key = cache.unchanged(entry.path, entry.stamp) if entry.stamp is not None else None
    known = cache.get(key) if key is not None else None
    if key is None or known is None:
        return None
    return _later(root, entry, known, key)


def _later(root: str, entry: Entry, known: Sequence[Remembered], key: bytes) -> Found:
    """A file that is opened only if somebody wants its text."""
    found = Found(shown(entry.path))
    return _known(found, known, lambda: _text_of(found.path, f"{root}/{entry.path}", key))


def shown(path: str) -> str:
    """The path as text, also where its bytes are none."""
    return path if path.isascii() else path.encode("utf-8", "replace").decode()


def _known(found: Found, known: Sequence[Remembered], text: Callable[[], str]) -> Found:
    file = SourceFile(found.path, text)
    found.documents = [Document(file, *one) for one in known]
    found.ours = bool(known)
    return found


def _text_of(name: str, path: str, key: bytes) -> str:
    """The text of a file that was read before. Raises SpecrunnerError where it has been changed since."""
    try:
        data, _ = content(path)
    except OSError:
        data = b""
    if key_of(data) != key:
        raise SpecrunnerError(f"{name} was changed while it was read.", remedy="Do the same again.")
    return data.decode("utf-8-sig")


def _remembered(document: Document) -> Remembered:
    """A document as it is kept: as written only where that is needed."""
    value = document.read if document.whole is None else None
    return Remembered(document.index, document.line, value, document.whole, document.references)


# A file without any of these has nothing to do with us; UTF-16 has zeros, and is told.
_OUR_WORDS: Final = (b"apiVersion", b"kind", b"specrunner", b"\0")


def _unread(found: Found, summary: str, detail: str, remedy: str, code: Mistake = Mistake.UNREADABLE) -> Found:
    found.problems.append(Diagnostic(summary, detail, remedy, Place(found.path), code=code))
    found.ours, found.complete = True, False
    return found


def _too_large(found: Found, data: bytes, size: int) -> Found:
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


def _parsed(found: Found, data: bytes) -> Found:
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
