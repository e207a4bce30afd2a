"""Reading the files of specs: out of the cache where that knows them, and very many new ones with help."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from specrunner.core.errors import SpecrunnerError
from specrunner.spec.cache import Remembered, SpecCache, key_of
from specrunner.spec.files import Found, parsed, shown, too_large, unread
from specrunner.spec.helpers import helped
from specrunner.spec.loader import MAX_BYTES
from specrunner.spec.mistakes import Mistake
from specrunner.spec.positions import Document, SourceFile
from specrunner.spec.tree import Content, Entry, content


def read_file(root: str, entry: Entry, cache: SpecCache | None) -> Found:
    """What stands in one file below `root`."""
    found = Found(shown(entry.path))
    path = f"{root}/{entry.path}"
    if entry.is_link and not Path(path).resolve().is_relative_to(root):
        return unread(
            found,
            f"{found.path} leaves the repository",
            "It is a symbolic link to a file outside.",
            "Copy the file, or name it under `exclude`.",
            Mistake.LEAVES_REPOSITORY,
        )
    if entry.error or not entry.is_file:
        remedy = "Check its permissions." if entry.error else "Delete it, or name it under `exclude`."
        return unread(found, f"{found.path} can't be read", f"{entry.error or 'It is no ordinary file'}.", remedy)
    if cache is not None and entry.stamp is not None:
        cache.begin()
    try:
        read = content(path)
    except OSError as error:
        remedy = "Create what the link points to, or delete it." if entry.is_link else "Check its permissions."
        return unread(found, f"{found.path} can't be read", f"{error.strerror}.", remedy)
    if read.size > MAX_BYTES:
        return too_large(found, read.data, read.size)
    return parsed(found, read.data) if cache is None else _through(cache, found, entry, read, key_of(read.data))


def _through(cache: SpecCache, found: Found, entry: Entry, read: Content, key: bytes) -> Found:
    """What bytes of this key say, from the cache if it knows them, and otherwise for the cache to know."""
    if entry.stamp is not None:  # not so of links: they may come to lead elsewhere
        cache.stamped(entry.path, read.stamp, key)
    known = cache.get(key)
    if known is not None:
        return _known(found, known, lambda: read.data.decode("utf-8-sig"))
    if not parsed(found, read.data).problems and found.complete:
        cache.put(key, [_remembered(document) for document in found.documents])
    return found


def read_files(root: str, entries: Sequence[Entry], cache: SpecCache | None) -> list[Found]:
    """What stands in these files, in their order. Where very many are new, other processes help to read them."""
    if cache is None:
        return [read_file(root, entry, None) for entry in entries]
    found = {entry.path: _unopened(root, entry, cache) for entry in entries}
    new = [entry for entry in entries if found[entry.path] is None]
    if new:
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
