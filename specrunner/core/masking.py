"""Masking secrets in texts: which texts a secret's value may show up as, and how they are covered."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping
from urllib.parse import quote, quote_plus

from specrunner.core.values import MASK, Json

SHORTEST = 4  # characters; masking shorter ones would blot out everything
MOST_LINES = 256  # of one secret that are masked one by one; every further text slows the filter of each log


def texts_of(values: Iterable[Json]) -> frozenset[str]:
    """Every text in these values that must not be shown, as it is and as JSON, Python, URLs and base64 write it.

    A text of several lines counts line by line too, because logs are read by lines. Texts of less than four
    characters are left out.
    """
    plain: set[str] = set()
    pending = list(values)
    while pending:
        value = pending.pop()
        if isinstance(value, Mapping):
            pending += value.values()
        elif isinstance(value, list | tuple):
            pending += value
        elif isinstance(value, str):
            plain |= {value, *(line.strip() for line in value.splitlines()[:MOST_LINES])}
    found = {form for text in plain if len(text) >= SHORTEST for form in _forms(text)}
    return frozenset(form for form in found if len(form) >= SHORTEST)


def _forms(text: str) -> set[str]:
    data = text.encode("utf-8", "surrogatepass")
    escaped = {json.dumps(text, ensure_ascii=ascii_only)[1:-1] for ascii_only in (True, False)}
    urls = {quote(data, safe=""), quote(data), quote_plus(data)}
    encoded = {base64.b64encode(data).decode().rstrip("="), base64.urlsafe_b64encode(data).decode().rstrip("=")}
    quoted = {repr(form)[1:-1] for form in (text, *escaped)}  # as the texts of Python's own errors have it
    return {text, *escaped, *urls, *encoded, *quoted}


def masked(text: str, hidden: Iterable[str]) -> str:
    """The text with every occurrence of the hidden texts as `*****`; places that overlap become one."""
    spans = sorted(span for one in hidden if one for span in _places(text, one))
    parts, position = [], 0
    for begin, end in spans:
        if begin >= position:
            parts += [text[position:begin], MASK]
        position = max(position, end)
    return "".join([*parts, text[position:]])


def masked_json(value: Json, hidden: Iterable[str]) -> Json:
    """A JSON value with every text in it masked, the names of mappings included."""
    texts = tuple(hidden)
    if isinstance(value, str):
        return masked(value, texts)
    if isinstance(value, Mapping):
        return {masked(str(name), texts): masked_json(item, texts) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [masked_json(item, texts) for item in value]
    return value


def _places(text: str, hidden: str) -> list[tuple[int, int]]:
    places = []
    at = text.find(hidden)
    while at >= 0:
        places.append((at, at + len(hidden)))
        at = text.find(hidden, at + 1)
    return places
