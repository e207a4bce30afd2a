"""What YAML's parser means, in the words of somebody who writes YAML.

libyaml tells two things: what it was at (the context, with a place) and what was wrong (with another place). Source
of its messages: https://github.com/yaml/libyaml, `src/scanner.c` and `src/parser.c`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Explanation:
    """How a message is told; `at_context` points at where it began and not at where the parser gave up."""

    message: str
    summary: str
    detail: str
    remedy: str
    at_context: bool = False


_KNOWN: Final = (
    Explanation(
        "found undefined alias",
        "there is no such anchor",
        "`*name` repeats what `&name` marks earlier in the same document.",
        "Mark the value with `&name`, correct the name, or quote the text if text is meant.",
    ),
    Explanation(
        "while scanning an alias",
        "text that begins with `*` must be quoted",
        "Without quotes, `*name` repeats what `&name` marks.",
        'Put quotes around it, as in `schedule: "* * * * *"`.',
        at_context=True,
    ),
    Explanation(
        "while scanning an anchor",
        "text that begins with `&` must be quoted",
        "Without quotes, `&name` marks a value for `*name` to repeat.",
        "Put quotes around it.",
        at_context=True,
    ),
    Explanation(
        "cannot start any token",
        "text can't begin with this character",
        "YAML keeps `@`, `` ` `` and `%` for itself.",
        'Put quotes around the text, as in `schedule: "@daily"`.',
    ),
    Explanation(
        "mapping values are not allowed",
        "a `:` stands where none can",
        "In a text, a colon before a space reads as the end of a key; or this line is indented too far.",
        "Put quotes around the whole text, or correct the indentation.",
    ),
    Explanation(
        "unknown escape character",
        "there is no such escape",
        "In double quotes a backslash begins an escape.",
        r"Write `\\` for a backslash, or use single quotes.",
    ),
    Explanation(
        "while scanning a quoted scalar",
        "a quote is not closed",
        "The text that begins here goes on to the end of the document.",
        "Close it with the same quote; within single quotes, write `''` for one.",
        at_context=True,
    ),
    Explanation(
        "could not find expected ':'",
        "a key has no colon",
        "Between the keys of a mapping stands something that is neither a key nor a value.",
        "Write `key: value` with a space behind the colon, or indent a text that goes on.",
    ),
    Explanation(
        "while parsing a flow node",
        "a value or a closing bracket is missing",
        "A bracket is still open, and what stands here is no value.",
        "Close the bracket, or write the value.",
    ),
    Explanation(
        "while parsing a flow",
        "a comma or a closing bracket is missing",
        "The bracket that was opened in line {line} is not closed where it should be.",
        "Close the bracket, or put a comma between what stands in it.",
    ),
    Explanation(
        "while parsing a block",
        "the indentation does not fit",
        "This line belongs neither to the mapping or list that began in line {line} nor to what stands above.",
        "Indent it as far as the keys or dashes that it belongs to.",
    ),
)
_OTHER: Final = Explanation(
    "",
    "this is not valid YAML",
    "The parser stopped: {message}.",
    "Check indentation, quotes and brackets here and in the line before.",
)


def explanation(context: str | None, problem: str | None, line: int) -> Explanation:
    """How the parser's message is told; `line` is where it began, counted from 1."""
    message = ", ".join(part for part in (context, problem) if part)
    found = next((known for known in _KNOWN if known.message in message), _OTHER)
    detail = found.detail.format(line=line, message=message)
    return Explanation(found.message, found.summary, detail, found.remedy, found.at_context)
