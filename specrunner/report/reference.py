"""The reference documentation: a page per kind, made from the schemas and from nothing else.

`python -m specrunner.report.reference SCHEMAS FOLDER` writes the pages; a test holds them against the schemas.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import yaml

from specrunner.core.keys import Kind
from specrunner.core.values import Json, JsonObject, canonical

KINDS: Final = ("Project", *map(str, Kind))
NOTICE: Final = "<!-- Made by `python -m specrunner.report.reference schemas docs/reference`: edit the schemas. -->"
# Made by `reference_sdk` and `reference_api`.
OTHERS: Final = frozenset({"sdk.md", "api.md"})
_MODELINE: Final = "# yaml-language-server: $schema="
_HEADS: Final = ("field", "type", "default", "what it is", "example")
_LANGUAGE: Final = """\
Every document has `apiVersion: specrunner/v1`, a `kind`, `metadata` and a `spec`. A file holds one or more of them,
divided by `---`. Durations, sizes and the other forms of values that recur are listed below.

An editor with a YAML language server completes and checks the fields if a file begins with the line that its kind's
page shows. A file with documents of several kinds begins with `# yaml-language-server: $schema=specrunner.schema.json`
and the path to that file; `specrunner schema --out FOLDER` writes it together with all schemas, for use offline, and
prints the setting for VS Code that makes these lines unnecessary.
"""


def pages(files: Mapping[str, bytes]) -> dict[str, str]:
    """The Markdown pages by file name, from the schema files by file name."""
    common: JsonObject = json.loads(files["common.schema.json"])["$defs"]
    found = {kind: json.loads(files[f"{kind.lower()}.schema.json"]) for kind in KINDS}
    made = {f"{kind.lower()}.md": "\n".join(_page(schema, common)) + "\n" for kind, schema in found.items()}
    return {"README.md": "\n".join(_index(found, common)) + "\n", **made}


def _index(schemas: Mapping[str, JsonObject], common: JsonObject) -> Iterator[str]:
    yield from (NOTICE, "", "# The spec language", "", _LANGUAGE, "## Kinds", "")
    yield from _table(
        ("kind", "what it is"),
        ((f"[{kind}]({kind.lower()}.md)", _cell(schema["description"])) for kind, schema in schemas.items()),
    )
    yield from ("", "## Forms of values", "")
    yield from _table(
        ("form", "what it is", "examples"),
        (
            (f'<a id="{name.lower()}"></a>{name}', _cell(part.get("title") or part["description"]), _examples(part))
            for name, part in sorted(common.items())
        ),
    )
    for name, part in sorted(common.items()):
        rows = [*_nested(part, common, name)]
        if rows:
            yield from ("", f"### {name}", "", part["description"], "")
            yield from _table(_HEADS, rows)


def _page(schema: JsonObject, common: JsonObject) -> Iterator[str]:
    kind = schema["title"]
    yield from (NOTICE, "", f"# {kind}", "", schema["description"], "", "## Example", "", "```yaml")
    yield f"{_MODELINE}{schema['$id']}"
    yield from (_yaml(example_of(schema, common)).rstrip("\n"), "```", "")
    required = set(schema["required"])
    for name in ("metadata", "spec"):
        part = schema["properties"][name]
        need = "required" if name in required else "optional"
        yield from (f"## {name}", "", f"{part['description']} ({need})", "")
        yield from _table(_HEADS, _rows(part, common, name))
        yield ""
    yield "A field in **bold** is required wherever the mapping that holds it is written."
    yield "[All kinds, and the forms of values](README.md)"


def _rows(schema: JsonObject, common: JsonObject, trail: str) -> Iterator[tuple[str, ...]]:
    """A row per field, nested ones after the field that holds them, under their dotted names."""
    required = set(schema.get("required", ()))
    for name, raw in schema.get("properties", {}).items():
        part = _whole(raw, common)
        shown = f"{trail}.{name}".removeprefix("metadata.").removeprefix("spec.")
        default = _code(part["default"]) if "default" in part else ""
        yield (
            f"**`{shown}`**" if name in required else f"`{shown}`",
            _type(raw, common),
            default,
            _cell(part["description"]),
            _examples(raw) or _examples(part, limit=1),
        )
        yield from _nested(raw, common, f"{trail}.{name}")


def _nested(raw: JsonObject, common: JsonObject, trail: str) -> Iterator[tuple[str, ...]]:
    """The fields of a mapping, or of those in a list or under free names; shared forms have their own table."""
    yield from _rows(raw, common, trail)
    for key, suffix in (("items", "[]"), ("additionalProperties", ".NAME")):
        inner = raw.get(key)
        if isinstance(inner, dict):
            yield from _rows(inner, common, f"{trail}{suffix}")


def _whole(schema: JsonObject, common: JsonObject) -> dict[str, Any]:
    """A schema with the definition that it refers to; what it says itself prevails."""
    name = _definition(schema)
    return {**(common[name] if name else {}), **schema}


def _definition(schema: JsonObject) -> str:
    return str(schema.get("$ref", "")).rpartition("/")[2]


def _type(raw: Json, common: JsonObject) -> str:
    name = _definition(raw)
    if name:
        return f"[{name}](README.md#{name.lower()})"
    if "enum" in raw:
        return " \\| ".join(_code(value) for value in raw["enum"])
    if "title" in raw:
        return _cell(raw["title"])
    types = raw.get("type", "any value")
    words = [types] if isinstance(types, str) else list(types)
    return " or ".join(_word(word, raw, common) for word in words)


def _word(word: str, raw: JsonObject, common: JsonObject) -> str:
    inner = raw.get("items" if word == "array" else "additionalProperties")
    if word == "array":
        return f"list: {_type(inner, common)}" if isinstance(inner, dict) else "list"
    if word == "object":
        fixed = "properties" in raw or not isinstance(inner, dict)
        return "mapping" if fixed else f"mapping of names to {_type(inner, common)}"
    limits = [f"{sign} {raw[name]}" for name, sign in _LIMITS.items() if name in raw]
    return f"{_WORDS.get(word, word)}{f' ({_JOIN.join(limits)})' if limits else ''}"


_WORDS: Final = {"string": "text", "boolean": "true or false", "integer": "whole number", "null": "null"}
_JOIN: Final = ", "
_LIMITS: Final = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤"}


def example_of(schema: JsonObject, common: JsonObject) -> Json:
    """A document that shows what the schema's own examples show: required fields, and others as far as they agree."""
    parts = {name: _example(part, common) for name, part in schema["properties"].items()}
    return parts | {"metadata": {"name": parts["metadata"]["name"]}}


def _example(raw: JsonObject, common: JsonObject) -> Json:
    part = _whole(raw, common)
    if part.get("examples"):
        return part["examples"][0]
    if "enum" in part:
        return part["enum"][0]
    return _mapping_example(part, common)


def _mapping_example(part: JsonObject, common: JsonObject) -> dict[str, Json]:
    required = part.get("required", ())
    found: dict[str, Json] = {}
    for name, raw in part.get("properties", {}).items():
        if name in required or (_is_telling(raw, common) and not _excluded(part, {*found, name})):
            found[name] = _example(raw, common)
    return found


def _is_telling(raw: JsonObject, common: JsonObject) -> bool:
    """Whether a field says itself what it might hold, or holds fields that do."""
    return bool(raw.get("examples")) or bool(_mapping_example(raw, common) if "properties" in raw else ())


def _excluded(part: JsonObject, names: set[str]) -> bool:
    """Whether the schema forbids these fields together."""
    forbidden = part.get("not", {}).get("required")
    alternatives = [set(one.get("required", ())) for one in part.get("oneOf", ())]
    return (bool(forbidden) and names >= set(forbidden)) or sum(names >= one for one in alternatives if one) > 1


def _examples(part: JsonObject, limit: int | None = None) -> str:
    return "<br>".join(_code(value) for value in part.get("examples", ())[:limit])


def _code(value: Json) -> str:
    text = value if isinstance(value, str) and value else canonical(value)
    return f"`{text}`".replace("|", "\\|")


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _table(heads: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    yield f"| {' | '.join(heads)} |"
    yield f"|{'---|' * len(heads)}"
    yield from (f"| {' | '.join(row)} |" for row in rows)


def _yaml(value: Json) -> str:
    return yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=100)


def main(arguments: list[str] | None = None) -> None:
    """Write the pages of the schemas in one folder into another, and delete pages of kinds that are gone."""
    parser = argparse.ArgumentParser(description="Write the reference documentation.")
    parser.add_argument("schemas", type=Path, help="the folder of the *.schema.json files")
    parser.add_argument("folder", type=Path, help="where the pages go")
    chosen = parser.parse_args(arguments)
    made = pages({path.name: path.read_bytes() for path in sorted(chosen.schemas.glob("*.schema.json"))})
    chosen.folder.mkdir(parents=True, exist_ok=True)
    for old in chosen.folder.glob("*.md"):
        if old.name not in {*made, *OTHERS}:
            old.unlink()
    for name, text in made.items():
        (chosen.folder / name).write_text(text, "utf-8")


if __name__ == "__main__":
    main()
