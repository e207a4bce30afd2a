"""Text of strangers inside Markdown and HTML: shown as it is, and never read as markup.

Markup characters become character references, which CommonMark never takes for structure
(https://spec.commonmark.org/0.31.2/#entity-and-numeric-character-references). GitHub looks for mentions and
references to issues in what is shown, but not inside of code; outside, a zero-width space keeps them from it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Final

from specrunner.core.values import JsonObject
from specrunner.report.diagnostics import harmless

_MARKUP: Final = {ord(char): f"&#{ord(char)};" for char in "&<>\"'`*_[]\\|~#!$"}
_SPACE: Final = "&#8203;"
# Behind these GitHub sees a person, an issue, or the address of a site.
_LINKING: Final = re.compile(r"@|&#35;(?=\d)|\bGH-(?=\d)|://|\bwww\.", re.IGNORECASE)
_CODE: Final = re.compile(r"`([^`\n]+)`")


def code(text: str) -> str:
    """Inline code that holds for a table's cell and for a summary as well."""
    return f"<code>{_referenced(text)}</code>"


def prose(text: str) -> str:
    """A sentence of ours with names of others in it, on one line; what stands between backticks becomes code."""
    parts = _CODE.split(" ".join(text.split()))
    return "".join(code(part) if number % 2 else _quiet(part) for number, part in enumerate(parts))


def _referenced(text: str) -> str:
    return harmless(text).translate(_MARKUP)


def _quiet(text: str) -> str:
    return _LINKING.sub(lambda match: f"{match[0]}{_SPACE}", _referenced(text))


def fenced(lines: Iterable[str], language: str = "") -> list[str]:
    """Lines in a fence that none of them can close."""
    shown = [harmless(line) for line in lines]
    longest = max((len(run) for line in shown for run in re.findall(r"`+", line)), default=0)
    fence = "`" * max(3, longest + 1)
    return [f"{fence}{language}", *shown, fence]


def comment(name: str, value: JsonObject) -> str:
    """An HTML comment on one line with JSON for machines; nothing in the JSON can end the comment."""
    text = json.dumps(value, separators=(",", ":"))
    for found, written in (("<", "\\u003c"), (">", "\\u003e"), ("@", "\\u0040"), ("--", "\\u002d\\u002d")):
        text = text.replace(found, written)
    return f"<!-- {name} {text} -->"
