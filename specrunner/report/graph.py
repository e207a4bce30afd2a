"""The references of a spec repository, drawn: as a tree for the terminal, as a flowchart for Mermaid.

Both show for each object what it cannot do without: what its fields name, what `dependsOn` adds, and what its
arguments refer to. That every object needs its own workspace goes without saying: workspaces are the headings.
References form no cycle, the reader has seen to that.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from specrunner.core.keys import Key, Kind
from specrunner.core.resources import Desired, Resource
from specrunner.report.lines import Line

_NOWHERE = "in no workspace"


def tree_lines(desired: Desired) -> Iterator[Line]:
    """A heading per workspace, below it what nothing else there needs, and below that what it needs in turn.

    What was drawn in full before is only named again, so that the drawing grows with the number of references.
    """
    groups = _groups(desired.resources)
    if not groups:
        yield Line("Nothing is declared.")
    for number, (heading, keys) in enumerate(groups.items()):
        if number:
            yield Line()
        yield Line(_heading(heading, desired.resources), "bold")
        drawn: set[Key] = set()
        for key in keys:
            yield from _branch(key, desired.resources, drawn)


def _heading(key: Key | None, resources: Mapping[Key, Resource]) -> str:
    if key is None:
        return _NOWHERE
    waits = needs_of(resources[key])
    return f"{key} (needs {', '.join(map(str, waits))})" if waits else str(key)


def _groups(resources: Mapping[Key, Resource]) -> dict[Key | None, list[Key]]:
    """The top of each workspace's tree: its objects, and the connections attached to it, that no other there needs."""
    groups: dict[Key | None, list[Key]] = {key: [] for key in sorted(resources) if key.kind is Kind.WORKSPACE}
    for key in sorted(resources):
        if key.kind is not Kind.WORKSPACE:
            homes: list[Key | None] = [*homes_of(resources[key])]
            for home in homes or [None]:
                groups.setdefault(home, []).append(key)
    return {home: _tops(keys, resources) for home, keys in groups.items()}


def _tops(keys: Sequence[Key], resources: Mapping[Key, Resource]) -> list[Key]:
    needed = {other for key in keys for other in needs_of(resources[key])}
    return [key for key in keys if key not in needed]


def homes_of(resource: Resource) -> list[Key]:
    """The workspaces where an object is drawn: its own, or those that a connection is attached to."""
    if resource.key.kind is Kind.CONNECTION:
        return [Key(Kind.WORKSPACE, "", name) for name in resource.spec.get("workspaces", ())]
    return [Key(Kind.WORKSPACE, "", resource.key.workspace)] if resource.key.workspace else []


def needs_of(resource: Resource) -> list[Key]:
    """What an object needs besides the workspaces where it is drawn, sorted."""
    return sorted(set(resource.references) - set(homes_of(resource)))


def _branch(top: Key, resources: Mapping[Key, Resource], drawn: set[Key]) -> Iterator[Line]:
    """One object with all below it; with its own stack, since chains may be longer than Python's."""
    stack = [(top, "  ", "  ")]
    while stack:
        key, before, below = stack.pop()
        needs = needs_of(resources[key]) if key.kind is not Kind.WORKSPACE else []
        again = bool(needs) and key in drawn
        yield Line(f"{before}{key}{' (see above)' if again else ''}", "dim" if again else "")
        if again:
            continue
        drawn.add(key)
        last = len(needs) - 1
        stack += [
            (needs[index], f"{below}{'└─' if index == last else '├─'} ", f"{below}{'  ' if index == last else '│ '} ")
            for index in range(last, -1, -1)
        ]


def mermaid_lines(desired: Desired) -> Iterator[Line]:
    """A flowchart (https://mermaid.js.org/syntax/flowchart.html): arrows point at what is needed.

    Workspaces are frames around their objects; a dotted arrow leads from a connection to each workspace that it is
    attached to.
    """
    resources = desired.resources
    names = {key: f"n{number}" for number, key in enumerate(sorted(resources))}
    yield Line("flowchart LR")
    for home, keys in _frames(resources).items():
        indent = "  "
        if home is not None:
            yield Line(f"  subgraph {names[home]}[{_label('', str(home))}]")
            indent = "    "
        yield from (Line(f"{indent}{names[key]}[{_label(f'{key.kind}<br/>', key.name)}]") for key in keys)
        if home is not None:
            yield Line("  end")
    yield from _arrows(resources, names)


def _frames(resources: Mapping[Key, Resource]) -> dict[Key | None, list[Key]]:
    frames: dict[Key | None, list[Key]] = {key: [] for key in sorted(resources) if key.kind is Kind.WORKSPACE}
    for key in sorted(resources):
        if key.kind is not Kind.WORKSPACE:
            home = Key(Kind.WORKSPACE, "", key.workspace) if key.workspace else None
            frames.setdefault(home if home in frames else None, []).append(key)
    return frames


def _arrows(resources: Mapping[Key, Resource], names: Mapping[Key, str]) -> Iterator[Line]:
    for key in sorted(resources):
        attached = homes_of(resources[key]) if key.kind is Kind.CONNECTION else []
        yield from _lines(names, key, attached, "-.->|attached|")
        yield from _lines(names, key, needs_of(resources[key]), "-->")


def _lines(names: Mapping[Key, str], key: Key, others: Iterable[Key], arrow: str) -> Iterator[Line]:
    return (Line(f"  {names[key]} {arrow} {names[other]}") for other in others if other in names)


def _label(markup: str, text: str = "") -> str:
    """A quoted label: markup, then text with all that Mermaid could read as syntax written as character codes.

    The start of a text counts as well: Mermaid takes `1. ` and `- ` there for lists.
    """
    coded = re.sub(r"[^\w .,/()-]|(?<=^\d)\.|^[-.]", lambda match: f"#{ord(match[0])};", text)
    return f'"{markup}{coded}"'
