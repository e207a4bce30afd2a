"""What reading a file gave the last time, so that unchanged files are neither parsed nor validated again.

`<root>/.specrunner/cache/specs.jsonl` holds a header, the stamps of files, then one line per file: the sha256 of the
file's bytes, a checksum of the line, and as JSON the file's documents: each as it became when it was fitted to its
schema and completed, or as it was written where that depends on more than the file, or failed. The header names the
reader: the code of this package, its schemas and its parsers; another reader ignores all of it. So what is
remembered depends on the file's bytes and the reader, on nothing else. Which file has which bytes is told by its
stamp where that is beyond doubt (see `stamps`), and by reading it where not.

The cache is never trusted further than that, and never an error. A line that fails its checksum is as good as
absent; the file is replaced in one step, so that writers who race each other cost one of them its work and nobody
a wrong result; where it can't be written, it is not. Who can commit files must not be able to say what other
files mean: a `.specrunner` that git tracks is a problem, and its cache is left alone.
"""

from __future__ import annotations

import functools
import hashlib
import itertools
import json
import os
import stat
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, NamedTuple

from specrunner.core.errors import Diagnostic, Place
from specrunner.core.keys import Kind
from specrunner.core.values import Json
from specrunner.spec.findings import Reference
from specrunner.spec.mistakes import Mistake
from specrunner.spec.stamps import Stamp, dumped, is_settled, loaded, now_in
from specrunner.spec.tracked import STATE, is_tracked

OFF: Final = "SPECRUNNER_NO_CACHE"  # the environment variable that switches the cache off, where it is not empty
MAX_CACHE_BYTES: Final = 256 * 2**20

_FILE: Final = f"{STATE}/cache/specs.jsonl"
_FORMAT: Final = 3
_BESIDES: Final = 1_000  # stamps kept of files that were not looked at
_KEY: Final = 64  # hexadecimal digits of a sha256
_CHECK: Final = 32  # hexadecimal digits of a line's checksum


class Remembered(NamedTuple):
    """One document of a file: the `number`-th from 0, starting at `line`.

    `whole` is as its schema wants it, with `references`, which its arguments make; `value` is as written. One of the
    two is enough.
    """

    number: int
    line: int
    value: Json
    whole: Json = None
    references: tuple[Reference, ...] = ()


class SpecCache:
    """The remembered files of one spec repository; what is put here is kept once `save` is called.

    Not for several threads; several processes may use the same repository.
    """

    def __init__(self, root: Path) -> None:
        self._file = root / _FILE
        stamps, lines = _parts(_read(self._file))
        self._stamps = _stamps(stamps)
        self._lines = dict(lines)
        self._used: dict[bytes, bytes] = {}
        self._now: int | None = None
        self._seen: dict[str, tuple[Stamp, bytes]] = {}
        self._changed = False

    def begin(self) -> None:
        """To be called before a file is opened: what is changed from now on is told by its stamp, or by its bytes."""
        if self._now is None:
            with suppress(OSError):
                _prepare(self._file.parent)
            self._now = now_in(self._file.parent)

    def unchanged(self, path: str, stamp: Stamp) -> bytes | None:
        """The key of the file's bytes where this stamp says that they are those of the last time, else None."""
        known = self._stamps.get(path)
        if known is None or known[0] != stamp:
            return None
        self._seen[path] = known
        return known[1]

    def stamped(self, path: str, stamp: Stamp, key: bytes) -> None:
        """A file was read: with this stamp it has bytes of this key."""
        if is_settled(stamp, self._now or 0):
            self._seen[path] = (stamp, key)
            self._changed = True

    def get(self, key: bytes) -> list[Remembered] | None:
        """The documents of the file whose bytes have this key, or None where they are not known."""
        line = self._lines.get(key)
        if line is None or line[_KEY : _KEY + _CHECK] != _check(key, line[_KEY + _CHECK :]):
            return None
        try:
            found = [_remembered(*one) for one in json.loads(line[_KEY + _CHECK :])]
        except (ValueError, TypeError, RecursionError):
            return None
        self._used[key] = line
        return found

    def put(self, key: bytes, documents: Iterable[Remembered]) -> None:
        """Remember the documents of a file; what JSON can't give back exactly is not remembered."""
        try:
            text = json.dumps(list(documents), separators=(",", ":"), allow_nan=False).encode()
        except (ValueError, RecursionError):
            return
        self._used[key] = key + _check(key, text) + text
        self._changed = True

    def line(self, key: bytes) -> bytes:
        """What is kept of the file whose bytes have this key, in one line; nothing where it is not remembered."""
        return self._used.get(key, b"")

    def take(self, line: bytes) -> bytes:
        """Learn a line that another process made by the same code; its key."""
        key = line[:_KEY]
        if key not in self._lines:
            self._lines[key] = line
            self._changed = True
        return key

    def save(self) -> None:
        """Write what this process used, and as many others again: those of another branch, say."""
        if not self._changed:
            return
        others = [line for key, line in self._lines.items() if key not in self._used][: len(self._used)]
        # Those of other environments' patches too, which this reading had no need of.
        besides = itertools.islice((one for one in self._stamps.items() if one[0] not in self._seen), _BESIDES)
        stamps = dumped({**dict(besides), **self._seen})
        with suppress(OSError):
            _replace(
                self._file, b"\n".join([_header(), _check(b"", stamps) + stamps, *self._used.values(), *others, b""])
            )
            self._changed = False


def key_of(data: bytes) -> bytes:
    """The key of a file with these bytes."""
    return hashlib.sha256(data).hexdigest().encode()


def _remembered(number: int, line: int, value: Json, whole: Json, references: list[Any]) -> Remembered:
    if type(number) is not int or type(line) is not int or not isinstance(value if whole is None else whole, dict):
        raise TypeError("this is no document")
    return Remembered(
        number, line, value, whole, tuple((tuple(trail), Kind(kind), name) for trail, kind, name in references)
    )


def _check(key: bytes, text: bytes) -> bytes:
    return hashlib.blake2b(key + text, digest_size=_CHECK // 2).hexdigest().encode()


def _read(file: Path) -> bytes:
    """The bytes of our own cache file; nothing where it is no ordinary file of this user, or too large."""
    try:
        descriptor = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return b""
    try:
        state = os.fstat(descriptor)
        # What another user wrote is not believed.
        ours = stat.S_ISREG(state.st_mode) and state.st_uid == os.geteuid() and state.st_size <= MAX_CACHE_BYTES
        return os.read(descriptor, state.st_size) if ours else b""
    except OSError:
        return b""
    finally:
        os.close(descriptor)


def _parts(data: bytes) -> tuple[bytes, Iterable[tuple[bytes, bytes]]]:
    """The line of the stamps, and those of files by their keys."""
    header, _, rest = data.partition(b"\n")
    if header != _header():
        return b"", ()
    stamps, _, rest = rest.partition(b"\n")
    return stamps, ((line[:_KEY], line) for line in rest.split(b"\n") if line)


def _stamps(line: bytes) -> dict[str, tuple[Stamp, bytes]]:
    if line[:_CHECK] != _check(b"", line[_CHECK:]):
        return {}
    try:
        return loaded(line[_CHECK:])
    except (ValueError, TypeError, AttributeError, RecursionError):
        return {}


def _replace(file: Path, data: bytes) -> None:
    """Put a file in place in one step, readable by its owner only. Raises OSError."""
    if len(data) > MAX_CACHE_BYTES:
        return
    _prepare(file.parent)
    descriptor, name = tempfile.mkstemp(dir=file.parent, prefix=file.name, suffix=".new")
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(data)
        Path(name).replace(file)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _prepare(folder: Path) -> None:
    """Make `.specrunner/cache`; what stands in `.specrunner` is never committed. Raises OSError."""
    state = folder.parent
    state.mkdir(mode=0o700, exist_ok=True)
    folder.mkdir(mode=0o700, exist_ok=True)
    ignore = state / ".gitignore"
    if not ignore.exists():
        ignore.write_text("*\n", "utf-8")


@functools.cache
def _header() -> bytes:
    """The first line: whoever's first line differs reads differently."""
    return json.dumps({"format": _FORMAT, "reader": _reader()}).encode()


def _reader() -> str:
    """What decides how a file is read: the code of this package, the schemas, and the libraries."""
    import importlib.util

    import yaml

    from specrunner.spec.schema import schema_files

    digest = hashlib.sha256(yaml.__version__.encode())
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    for name, data in schema_files().items():
        digest.update(name.encode() + data)
    found = importlib.util.find_spec("jsonschema_rs")  # its version, without the time that importing it takes
    if found is not None and found.origin:
        state = Path(found.origin).stat()
        digest.update(f"{state.st_size} {state.st_mtime_ns}".encode())
    return digest.hexdigest()


def open_cache(root: Path) -> tuple[SpecCache | None, list[Diagnostic]]:
    """The cache of the specs at `root`, and the problem that git tracks it: then there is none.

    There is none either where `SPECRUNNER_NO_CACHE` is set, or where git can't say whether it tracks it.
    """
    tracked = is_tracked(root)
    problem = Diagnostic(
        f"git tracks {STATE}",
        "It holds state and results of one machine; whoever commits it could forge them.",
        f"Type `git rm -r --cached {STATE}`, and commit.",
        Place(STATE),
        code=Mistake.TRACKED_STATE,
    )
    usable = tracked is False and not os.environ.get(OFF)
    return SpecCache(root) if usable else None, [problem] if tracked else []
