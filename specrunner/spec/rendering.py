"""`render`: what a spec repository declares for one environment, as one stream of plain YAML.

Variables are replaced, patches merged, defaults filled in; secrets stay what they are, references to their sources.
The result is itself a spec repository: written as `specrunner.yaml` beside the same files of models and code, it
declares the same. So a text that happens to look like a variable is escaped again, and the project keeps the
environment's name and variables, which its target may use.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import yaml

from specrunner.core.keys import Kind
from specrunner.core.values import Json
from specrunner.spec.desired import load
from specrunner.spec.documents import read_patches, read_tree
from specrunner.spec.drafts import identity_of
from specrunner.spec.environments import Manifest, patched
from specrunner.spec.formatting import in_order
from specrunner.spec.normalise import completed, full_schedule, settle
from specrunner.spec.project import DEFAULT_ENVIRONMENT, Project, read_project
from specrunner.spec.schedules import unwrapped
from specrunner.spec.schema import PROJECT, schema_of
from specrunner.spec.validate import validated
from specrunner.spec.variables import substitute

_LIKE_A_VARIABLE: Final = re.compile(r"\$\{[A-Za-z_]\w*\.")
_LIKE_A_NUMBER: Final = re.compile(r"[-+]?[0-9.][0-9a-fA-Fox.+-]*")


def rendered(root: Path, environment: str | None = None, *, defaults: bool = True) -> str:
    """The documents of one environment, the project first, then sorted by key. Raises InvalidSpecs.

    Without `defaults`, fields that nobody wrote are left out, and durations and sizes stay as written.
    """
    load(root, environment, offline=True)  # no secret is read here, so their files need not be there
    reading = read_tree(root)
    project, _ = read_project(reading.documents, environment, os.environ)
    patches = read_patches(root, project.environment)
    documents = [document for document in reading.documents if document.value.get("kind") != PROJECT]
    manifests, _ = patched(documents, patches.documents, lambda value: identity_of(value, project))
    found = sorted(
        (_document(manifest, project, defaults=defaults) for manifest in manifests),
        key=lambda document: (Kind(document["kind"]).rank, _workspace(document, project), document["metadata"]["name"]),
    )
    whole = [_project(project, defaults=defaults), *found]
    return dumped([in_order(document, schema_of(document["kind"])) for document in whole])


def dumped(documents: Iterable[Json]) -> str:
    """Plain values as a stream of YAML that the spec reader reads as they were."""
    return yaml.dump_all(documents, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=110)


def _workspace(document: Json, project: Project) -> str:
    return str(document["metadata"].get("workspace", project.default_workspace))


def _document(manifest: Manifest, project: Project, *, defaults: bool) -> dict[str, Any]:
    """One document, valid by itself."""
    value, _ = substitute(manifest.value, project.variables)
    kind, spec = value["kind"], value.get("spec")
    if kind == Kind.TASK and "schedule" in spec:
        value = {**value, "spec": {**spec, "schedule": unwrapped(spec["schedule"])}}
    value, _ = validated(value, manifest.layers, project.variables)
    document = dict(completed(value, kind) if defaults else value)
    metadata = dict(document["metadata"])
    if defaults and Kind(kind).in_workspace:
        metadata.setdefault("workspace", project.default_workspace)
    if project.protect:
        metadata["protect"] = True
    document["metadata"] = metadata
    if defaults and "schedule" in document.get("spec", {}):
        schedule = full_schedule(document["spec"]["schedule"], [])
        settle(schedule, [])
        document["spec"] = {**document["spec"], "schedule": schedule}
    whole: dict[str, Any] = escaped(document)
    return whole


def _project(project: Project, *, defaults: bool) -> dict[str, Any]:
    """The project with the one environment that was chosen; which files it read says nothing any more."""
    if project.document is None:
        raise AssertionError("specs that load have a project")
    value, _ = validated(project.document.value, [project.document], project.variables)
    document = dict(completed(value, PROJECT) if defaults else value)
    spec = {
        name: item
        for name, item in document.get("spec", {}).items()
        if name not in {"environments", "defaultEnvironment", "include", "exclude"}
    }
    if defaults or project.target != "local":
        spec["target"] = project.target
    if project.environment != DEFAULT_ENVIRONMENT or value.get("spec", {}).get("environments"):
        values = escaped(dict(project.variables.vars))
        spec["environments"] = {project.environment: {"vars": values} if values else {}}
        spec["defaultEnvironment"] = project.environment
    return {**document, "spec": spec}


def escaped(value: Json) -> Json:
    """Texts that look like a variable as the language writes such texts: `$${vars.NAME}`."""
    if isinstance(value, dict):
        return {name: escaped(item) for name, item in value.items()}
    if isinstance(value, list):
        return [escaped(item) for item in value]
    return _LIKE_A_VARIABLE.sub(r"$\g<0>", value) if isinstance(value, str) else value


class _Dumper(yaml.SafeDumper):
    """Quotes whatever any YAML reader, of version 1.1 or 1.2, would take for something else than text."""

    def ignore_aliases(self, data: object) -> bool:
        """Every value in full: nobody should have to look an anchor up."""
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    """PyYAML knows what is no text in YAML 1.1; `1e3` and `0o17` are numbers in 1.2 only."""
    style = "'" if _LIKE_A_NUMBER.fullmatch(text) else "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)
