"""Variables: `${vars.NAME}` of the environment and `${env.NAME:-default}` of the process.

They stand inside any text but `kind`, `apiVersion` and names of files. A value that is exactly one variable keeps
the variable's type. `$${vars.NAME}` is the text itself; `${NAME}` without a dot is left alone, shells use it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from specrunner.core.values import Json
from specrunner.spec.findings import Finding, Trail, dotted, listed, nearest
from specrunner.spec.mistakes import Mistake

_VARIABLE: Final = re.compile(r"(\$?)\$\{(?P<scope>[A-Za-z_]\w*)\.(?P<name>[^}:]*)(?P<default>:-[^}]*)?\}")


@dataclass(frozen=True, slots=True)
class Variables:
    """What variables stand for. `texts` are the scalars of `vars` exactly as written, where they are known.

    A `lenient` set takes an unknown variable for text: where the project could not be read, nobody can say.
    """

    vars: Mapping[str, Json] = field(default_factory=dict)
    env: Mapping[str, str] = field(default_factory=dict)
    texts: Mapping[str, str] = field(default_factory=dict)
    lenient: bool = False

    def written(self, text: str) -> str | None:
        """What a text that is exactly one variable stands for, as it was written, or None."""
        match = _VARIABLE.fullmatch(text)
        return self.texts.get(match["name"]) if match and match["scope"] == "vars" and not match[1] else None


def is_file_name(trail: Trail) -> bool:
    """Whether a file's name stands here: a model's path, an orchestration's source, the file of a secret."""
    return trail in {("spec", "path"), ("spec", "source"), ("spec", "detailsFrom", "file")} or (
        trail[:2] == ("spec", "secretEnv") and trail[3:] == ("file",)
    )


def substitute(value: Json, variables: Variables, trail: Trail = ()) -> tuple[Json, list[Finding]]:
    """The value with its variables replaced, and a finding for each that can't be."""
    found: list[Finding] = []
    return _replaced(value, variables, trail, found), found


def _replaced(value: Json, variables: Variables, trail: Trail, found: list[Finding]) -> Json:
    if isinstance(value, dict):
        return {name: _replaced(item, variables, (*trail, name), found) for name, item in value.items()}
    if isinstance(value, list):
        return [_replaced(item, variables, (*trail, index), found) for index, item in enumerate(value)]
    if not isinstance(value, str) or "${" not in value or trail in {("kind",), ("apiVersion",)}:
        return value
    if is_file_name(trail):
        return _file_name(value, trail, found)
    return _text(value, variables, trail, found)


def _file_name(value: str, trail: Trail, found: list[Finding]) -> str:
    if _VARIABLE.search(value):
        found.append(
            Finding(
                trail,
                f"`{dotted(trail)}` can't contain a variable",
                "Names of files are the same in every environment.",
                "Write the name out, or patch it in environments/<name>/*.yaml.",
                code=Mistake.MISPLACED_VARIABLE,
            )
        )
    return value


def _text(value: str, variables: Variables, trail: Trail, found: list[Finding]) -> Json:
    whole = _VARIABLE.fullmatch(value)
    if whole and not whole[1]:
        return _value(whole, variables, trail, found)

    def part(match: re.Match[str]) -> str:
        if match[1]:
            return match[0][1:]
        replaced = _value(match, variables, trail, found)
        return replaced if isinstance(replaced, str) else _part_text(match, replaced, variables, trail, found)

    return _VARIABLE.sub(part, value)


def _part_text(match: re.Match[str], value: Json, variables: Variables, trail: Trail, found: list[Finding]) -> str:
    if isinstance(value, dict | list):
        found.append(
            Finding(
                trail,
                f"{match[0]} is no text",
                "It is a mapping or list, and stands inside a text.",
                f"Let `{match[0]}` be the whole value.",
                code=Mistake.MISPLACED_VARIABLE,
            )
        )
    return variables.texts.get(match["name"]) or json.dumps(value)


def _value(match: re.Match[str], variables: Variables, trail: Trail, found: list[Finding]) -> Json:
    scope, name, default = match["scope"], match["name"], match["default"]
    if scope == "vars" and name in variables.vars and default is None:
        return variables.vars[name]
    if scope == "env" and (name in variables.env or default is not None):
        return variables.env.get(name) or (default[2:] if default is not None else "")
    if not (variables.lenient and scope in {"vars", "env"}):
        found.append(_undefined(match, variables, trail))
    return match[0]


def _undefined(match: re.Match[str], variables: Variables, trail: Trail) -> Finding:
    scope, name = match["scope"], match["name"]
    if scope not in {"vars", "env"}:
        meant = nearest(scope, ["vars", "env"]) or "vars"
        return Finding(
            trail,
            f"{match[0]} is no variable",
            "Variables are ${vars.NAME} and ${env.NAME:-default}.",
            f"Write `${{{meant}.{name}}}`, or `${match[0]}` if this very text is meant.",
            code=Mistake.NO_VARIABLE,
        )
    if scope == "env":
        return Finding(
            trail,
            f"the environment variable {name!r} is not set",
            f"{match[0]} has no default.",
            f"Set {name}, or write `${{env.{name}:-a default}}`.",
            code=Mistake.UNSET_VARIABLE,
        )
    if match["default"] is not None:
        return Finding(
            trail,
            f"{match[0]} can't have a default",
            "Only variables of the process have one.",
            f"Write `${{vars.{name}}}`, and its value under `vars` in specrunner.yaml.",
            code=Mistake.NO_VARIABLE,
        )
    close = nearest(name, variables.vars)
    known = f"This environment defines {listed(sorted(variables.vars)) or 'none'}."
    add = f"Add `{name}: …` under the environment's `vars` in specrunner.yaml."
    remedy = f"Write `${{vars.{close}}}`." if close else add
    return Finding(trail, f"the variable {name!r} is not defined", known, remedy, code=Mistake.UNDEFINED_VARIABLE)
