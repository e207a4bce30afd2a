"""The reference of the SDK: a page made from its docstrings and signatures, and from nothing else.

`python -m specrunner.report.reference_sdk specrunner/sdk docs/reference/sdk.md` writes it; a test holds it against the
source. The source is read and not imported, so that no client is needed to describe one.
"""

from __future__ import annotations

import argparse
import ast
import inspect
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

_COMMAND: Final = "python -m specrunner.report.reference_sdk specrunner/sdk docs/reference/sdk.md"
NOTICE: Final = f"<!-- Made by `{_COMMAND}`: edit the docstrings. -->"
_FUNCTIONS: Final = ("in_task", "task_args", "record_result")  # of the module `runtime`
# What code gets into its hands, in the order in which it meets it; by module.
NOUNS: Final[Mapping[str, tuple[str, ...]]] = {
    "client": ("Client", "Auth"),
    "workspaces": ("Workspace",),
    "connections": ("Connection",),
    "models": ("ModelVersion",),
    "framework": ("Framework",),
    "pipelines": ("Pipeline", "PipelineVersion"),
    "orchestrations": ("Orchestration",),
    "tasks": ("Task", "TaskRun", "ArbexStatus"),
    "tags": ("Tag",),
    "users": ("User",),
}
_ERRORS: Final = ("exceptions", "object")
_Function = ast.FunctionDef | ast.AsyncFunctionDef


def page(sources: Mapping[str, str]) -> str:
    """The Markdown page, from the texts of the modules by their names."""
    return "\n".join(_lines({name: ast.parse(text) for name, text in sources.items()})) + "\n"


def _lines(modules: Mapping[str, ast.Module]) -> Iterator[str]:
    yield from (NOTICE, "", "# The SDK", "")
    yield "`from specrunner import sdk`. In a run the same classes are there as `wallaroo`, unless the orchestration's"
    yield "requirements bring the client of that name. Lists show themselves as tables in a notebook."
    yield ""
    for module, names in NOUNS.items():
        for found in _classes(modules[module], names):
            yield from _class(found, _inherited(found, modules))
    yield from ("## In a run", "")
    for function in _public_functions(modules["runtime"].body):
        if function.name in _FUNCTIONS:
            yield from _function(function, "sdk.")
    yield from ("## Exceptions", "", "| exception | is a | when |", "|---|---|---|")
    for module in _ERRORS:
        for found in (one for one in modules[module].body if isinstance(one, ast.ClassDef)):
            bases = ", ".join(f"`{ast.unparse(base)}`" for base in found.bases)
            yield f"| `{found.name}` | {bases} | {_words(found).replace(chr(10), ' ')} |"


def _classes(module: ast.Module, names: tuple[str, ...]) -> Iterator[ast.ClassDef]:
    found = {one.name: one for one in module.body if isinstance(one, ast.ClassDef)}
    yield from (found[name] for name in names)


def _inherited(found: ast.ClassDef, modules: Mapping[str, ast.Module]) -> list[_Function]:
    """What a noun has from a class of the SDK that it is built on, and does not say otherwise itself."""
    named = {one.name: one for module in modules.values() for one in module.body if isinstance(one, ast.ClassDef)}
    bases = [named[base.id] for base in found.bases if isinstance(base, ast.Name) and base.id in named]
    own = {one.name for one in _public_functions(found.body)}
    return [one for base in bases for one in _public_functions(base.body) if one.name not in own]


def _class(found: ast.ClassDef, inherited: list[_Function]) -> Iterator[str]:
    yield from (f"## {found.name}", "", _words(found), "")
    made = next((one for one in found.body if isinstance(one, ast.FunctionDef) and one.name == "__init__"), None)
    if made is not None and found.name == "Client":
        yield from (f"`sdk.Client({_parameters(made)})`", "")
    assigned = [target for one in found.body if isinstance(one, ast.Assign) for target in one.targets]
    members = [name for name in map(ast.unparse, assigned) if not name.startswith("_")]
    if members:
        yield from (", ".join(f"`{name}`" for name in members), "")
    for function in (*inherited, *_public_functions(found.body)):
        yield from _function(function)


def _public_functions(body: list[ast.stmt]) -> Iterator[_Function]:
    yield from (one for one in body if isinstance(one, _Function) and not one.name.startswith("_"))


def _function(found: _Function, owner: str = "") -> Iterator[str]:
    gives = f" -> {ast.unparse(found.returns)}" if found.returns is not None else ""
    is_property = any(ast.unparse(one) == "property" for one in found.decorator_list)
    signature = found.name if is_property else f"{found.name}({_parameters(found)})"
    begins = "await " if isinstance(found, ast.AsyncFunctionDef) else ""
    code = f"{begins}{owner}{signature}{gives}"
    yield from (f"### {owner}{found.name}", "", "```python", code, "```", "", _words(found), "")


def _parameters(found: _Function) -> str:
    listed = found.args
    kept = ast.arguments(
        posonlyargs=listed.posonlyargs,
        args=[one for one in listed.args if one.arg != "self"],
        vararg=listed.vararg,
        kwonlyargs=[one for one in listed.kwonlyargs if not one.arg.startswith("_")],
        kw_defaults=[
            value
            for one, value in zip(listed.kwonlyargs, listed.kw_defaults, strict=True)
            if not one.arg.startswith("_")
        ],
        kwarg=None if listed.kwarg is None or listed.kwarg.arg.startswith("_") else listed.kwarg,
        defaults=listed.defaults,
    )
    return ast.unparse(kept)


def _words(found: ast.ClassDef | _Function) -> str:
    return inspect.cleandoc(ast.get_docstring(found) or "")


def sources_in(folder: Path) -> dict[str, str]:
    """The texts of the modules of a package, by their names."""
    return {path.stem: path.read_text("utf-8") for path in sorted(folder.glob("*.py"))}


def main(arguments: list[str] | None = None) -> None:
    """Write the page of the package in one folder to a file."""
    parser = argparse.ArgumentParser(description="Write the reference of the SDK.")
    parser.add_argument("package", type=Path, help="the folder of the SDK's modules")
    parser.add_argument("file", type=Path, help="where the page goes")
    chosen = parser.parse_args(arguments)
    chosen.file.write_text(page(sources_in(chosen.package)), "utf-8")


if __name__ == "__main__":
    main()
