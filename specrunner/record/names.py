"""Names of objects as names of files, reversibly: RFC 3986 percent-encoding of all but letters, digits and `_-.`.

A file name holds 255 bytes and an escaped name may need more. The part that does not fit is then replaced by a
digest of the whole, behind a `~`, which no escaped name contains; the file's `key` says the name in full.
"""

from __future__ import annotations

import functools
import hashlib
import re
from urllib.parse import quote, unquote

_LONGEST = 200  # bytes; leaves room for endings and for the temporary name of a file being written
_DIGEST = 16  # hexadecimal digits


@functools.lru_cache(maxsize=65_536)
def to_file_name(name: str) -> str:
    """A file name for any name of an object; a leading dot is encoded too, so that no file is hidden."""
    escaped = quote(name, safe=" ").replace("~", "%7E")
    if escaped.startswith("."):
        escaped = f"%2E{escaped[1:]}"
    if len(escaped) <= _LONGEST:
        return escaped
    kept = re.sub(r"%.?$", "", escaped[: _LONGEST - _DIGEST - 1])  # no escape is cut in two
    return f"{kept}~{hashlib.sha256(name.encode()).hexdigest()[:_DIGEST]}"


def from_file_name(file_name: str) -> str:
    """The name that `to_file_name` was given. Raises ValueError for one that did not fit and was shortened."""
    if "~" in file_name:
        raise ValueError(f"{file_name!r} was shortened: its file says the name in full")
    return unquote(file_name)
