"""The expressions of workflows, as far as ours use them.

Source: https://docs.github.com/actions/reference/evaluate-expressions-in-workflows-and-actions. What is not known here
is an error, so that a workflow can't come to depend on what no test resolves.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_HOLE = re.compile(r"\$\{\{(.*?)\}\}", re.DOTALL)
_TOKEN = re.compile(r"\s*(?:('(?:[^']|'')*')|(\|\||&&|==|!=|!|\(|\))|([A-Za-z_][\w.-]*)|(\d+))")


def filled(value: Any, contexts: Mapping[str, Any]) -> Any:
    """A value of a workflow with its expressions resolved; one that is a single expression keeps its type."""
    if isinstance(value, Mapping):
        return {name: filled(one, contexts) for name, one in value.items()}
    if isinstance(value, list):
        return [filled(one, contexts) for one in value]
    if not isinstance(value, str):
        return value
    whole = _HOLE.fullmatch(value.strip())
    if whole:
        return evaluated(whole[1], contexts)
    return _HOLE.sub(lambda found: as_text(evaluated(found[1], contexts)), value)


def evaluated(text: str, contexts: Mapping[str, Any]) -> Any:
    """The value of one expression."""
    reader = _Reader(text, contexts)
    value = reader.either()
    assert reader.done, f"not understood: {text!r}"
    return value


def as_text(value: Any) -> str:
    """A value inside a text, as GitHub writes it."""
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)


class _Reader:
    def __init__(self, text: str, contexts: Mapping[str, Any]) -> None:
        self._contexts = contexts
        self._tokens = list(_TOKEN.finditer(text))
        assert "".join(found[0] for found in self._tokens).strip() == text.strip(), f"not understood: {text!r}"
        self._at = 0

    @property
    def done(self) -> bool:
        return self._at == len(self._tokens)

    def either(self) -> Any:
        value = self.both()
        while self._take("||"):
            other = self.both()
            value = value or other
        return value

    def both(self) -> Any:
        value = self.equal()
        while self._take("&&"):
            other = self.equal()
            value = other if value else value
        return value

    def equal(self) -> Any:
        value = self.single()
        if self._take("=="):
            return as_text(value) == as_text(self.single())
        if self._take("!="):
            return as_text(value) != as_text(self.single())
        return value

    def single(self) -> Any:
        if self._take("!"):
            return not self.single()
        if self._take("("):
            value = self.either()
            assert self._take(")")
            return value
        found = self._tokens[self._at]
        self._at += 1
        if found[1]:
            return found[1][1:-1].replace("''", "'")
        if found[4]:
            return int(found[4])
        if self._take("("):  # a function; ours have no arguments
            assert self._take(")")
            return self._contexts["functions"][found[3]]
        return self._looked_up(found[3])

    def _looked_up(self, path: str) -> Any:
        name, *rest = path.split(".")
        assert name in self._contexts, f"no context {name!r} here"
        value: Any = self._contexts[name]
        for part in rest:
            value = value.get(part) if isinstance(value, Mapping) else None
        return value

    def _take(self, sign: str) -> bool:
        if self._at < len(self._tokens) and self._tokens[self._at][2] == sign:
            self._at += 1
            return True
        return False
