"""What a supervisor needs before the code of its run may begin, without the imports that it does not.

`json` and `signal` bring in `re`, `enum`, `functools` and `collections`, and with `ctypes` they would be more than half
of a supervisor's start. The C modules beneath them do the work alone. Those have no promise of compatibility, so where
one is missing or other than we know it, the public module takes its place: the same, only later.
Standard library only. Source: prctl(2).
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal
    from collections.abc import Callable
    from typing import Any
else:
    try:
        import _signal as signal
    except ImportError:
        import signal

__all__ = ["parse", "prctl", "signal", "written"]
_RTLD_NOW = 2


class _Reading:
    """What `json.JSONDecoder` would tell the scanner of itself."""

    strict = True
    object_hook = object_pairs_hook = None
    parse_float = float
    parse_int = int
    parse_constant = {"NaN": float("nan"), "Infinity": float("inf"), "-Infinity": float("-inf")}.__getitem__
    memo: dict[str, str] = {}  # noqa: RUF012 - the scanner's own


def parse(text: bytes) -> Any:
    """`json.loads` of UTF-8. Raises ValueError as that does."""
    try:
        from _json import make_scanner

        decoded = text.decode()
        value, end = make_scanner(_Reading)(decoded, 0)  # type: ignore[arg-type]  # it takes whatever has these names
        whole = end == len(decoded)
    except (ImportError, StopIteration, TypeError, AttributeError, SystemError):
        # Without the package the scanner has no error of its own to raise: a text that is wrong is a SystemError.
        whole = False
    if whole:
        return value
    import json  # also for space around the value, which our own records don't have, and to say what is wrong

    return json.loads(text)


def written(value: object) -> str:
    """`json.dumps`, of what has a form in JSON without the package; the rest goes to the package."""
    try:
        from _json import encode_basestring_ascii

        return _text(value, encode_basestring_ascii)
    except (ImportError, TypeError):
        import json

        return json.dumps(value)


def _text(value: object, quoted: Callable[[str], str]) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{quoted(name)}: {_text(item, quoted)}" for name, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_text(item, quoted) for item in value) + "]"
    if isinstance(value, str):
        return quoted(value)
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, int):
        return int.__repr__(value)  # of enumerations too
    if isinstance(value, float) and value - value == 0:  # neither infinite nor NaN
        return float.__repr__(value)
    raise TypeError


def prctl(option: int, value: int) -> bool:
    """Ask the kernel for something about this process; False where it refuses or has no such thing."""
    try:
        return _call_c("prctl", (option, value, 0, 0, 0)) == 0
    except (AttributeError, OSError):
        return False


def _call_c(name: str, arguments: tuple[int, ...]) -> int:
    """A function of the C library. Raises AttributeError or OSError where there is none of this name."""
    try:
        import _ctypes

        handle = _ctypes.dlopen(None, _RTLD_NOW)  # type: ignore[arg-type]  # None is this process itself
        address = _ctypes.dlsym(handle, name)
        return int(_ctypes.call_cdeclfunction(address, arguments))
    except (ImportError, AttributeError, TypeError):
        import ctypes

        return int(ctypes.CDLL(None)[name](*arguments))
