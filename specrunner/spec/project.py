"""The project: what holds for the whole repository, and the environment that was chosen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from specrunner.core.errors import Diagnostic, Place
from specrunner.core.notifications import Notification
from specrunner.core.resources import Safety
from specrunner.core.values import Json
from specrunner.spec.documents import SMALLEST_PROJECT
from specrunner.spec.files import PROJECT_FILE
from specrunner.spec.findings import Finding, listed, nearest
from specrunner.spec.mistakes import Mistake
from specrunner.spec.normalise import completed
from specrunner.spec.notifications import read_notifications
from specrunner.spec.positions import Document, diagnose, written
from specrunner.spec.schema import PROJECT
from specrunner.spec.validate import validated
from specrunner.spec.variables import Variables, substitute

DEFAULT_ENVIRONMENT = "default"  # the environment of a project that declares none


@dataclass(frozen=True, slots=True)
class Project:
    """The project as it holds in one environment; `target` and `status` as declared, before variables."""

    name: str = ""
    environment: str = DEFAULT_ENVIRONMENT
    environments: tuple[str, ...] = ()
    default_workspace: str = ""
    target: Json = "local"
    status: Json = None
    safety: Safety = field(default_factory=Safety)
    notifications: tuple[Notification, ...] = ()
    protect: bool = False
    variables: Variables = field(default_factory=lambda: Variables(lenient=True))
    document: Document | None = None

    @property
    def is_sound(self) -> bool:
        """Whether it could be read whole; if not, what is missing elsewhere may be missing because of it."""
        return not self.variables.lenient


def read_project(
    documents: Sequence[Document], environment: str | None, env: Mapping[str, str]
) -> tuple[Project, list[Diagnostic]]:
    """The project among the documents, and what is wrong with it.

    A project that is wrong is given as far as it can be used, with lenient variables, so that everything else
    can still be checked.
    """
    projects = [document for document in documents if document.glance.get("kind") == PROJECT]
    own = [document for document in projects if document.file.path == PROJECT_FILE]
    problems = [_stray(document) for document in projects if document.file.path != PROJECT_FILE]
    if not own:
        return Project(variables=Variables(env=env, lenient=True)), [*problems, _missing()]
    problems += [_second(document, own[0].place) for document in own[1:]]
    project, findings = _project(own[0], environment, env)
    return project, [*problems, *(diagnose([own[0]], finding) for finding in findings)]


def _project(document: Document, environment: str | None, env: Mapping[str, str]) -> tuple[Project, list[Finding]]:
    plain = Variables(env=env, lenient=True)
    whole = document.whole
    if whole is None:
        value, findings = validated(document.value, [document], plain)
        if findings:
            workspace = _default_workspace(value)
            return Project(document=document, default_workspace=workspace, variables=plain), findings
        whole = completed(value, PROJECT)
    spec = whole["spec"]
    name, findings = _chosen(spec, environment)
    project = Project(
        name=whole["metadata"]["name"],
        environment=name,
        environments=tuple(spec["environments"]) or (name,),
        default_workspace=spec.get("defaultWorkspace", ""),
        target=spec["target"],
        status=spec.get("status"),
        document=document,
        variables=plain,
        safety=Safety(spec["safety"]["maxDeletePercent"], spec["safety"]["maxUpdatePercent"]),
    )
    if findings:
        return project, findings
    settings = spec["environments"].get(name, {})
    variables, findings = _variables(document, name, settings.get("vars", {}), env)
    target, protect = settings.get("target", project.target), settings.get("protect", False)
    notifications, wrong = read_notifications(spec["notifications"], variables)
    project = replace(project, target=target, protect=protect, variables=variables, notifications=notifications)
    return project, [*findings, *wrong]


def _default_workspace(value: Json) -> str:
    spec = value.get("spec")
    found = spec.get("defaultWorkspace") if isinstance(spec, dict) else None
    # A name that no workspace can have is told at its place; nothing else can be judged by it.
    return found if isinstance(found, str) and "/" not in found else ""


def _chosen(spec: Mapping[str, Any], environment: str | None) -> tuple[str, list[Finding]]:
    declared = spec["environments"]
    default = spec.get("defaultEnvironment")
    findings = []
    if default is not None and default not in declared:
        meant = nearest(default, declared)
        findings.append(
            Finding(
                ("spec", "defaultEnvironment"),
                f"there is no environment {default!r}",
                _declared(declared),
                f"Write `defaultEnvironment: {meant}`."
                if meant
                else "Declare it under `environments`, or delete this line.",
                code=Mistake.UNKNOWN_ENVIRONMENT,
            )
        )
    name = environment or default or (None if declared else DEFAULT_ENVIRONMENT)
    if name is None:
        findings.append(
            Finding(
                ("spec", "environments"),
                "it is not said which environment is meant",
                _declared(declared),
                f"Pass `-e {next(iter(declared))}`, or add `defaultEnvironment: {next(iter(declared))}`.",
                at_key=True,
                code=Mistake.NO_ENVIRONMENT,
            )
        )
    elif environment and name not in declared and (declared or name != DEFAULT_ENVIRONMENT):
        meant = nearest(name, declared) or next(iter(declared), None)
        trail = ("spec", "environments") if declared else ()
        findings.append(
            Finding(
                trail,
                f"there is no environment {name!r}",
                _declared(declared),
                f"Pass `-e {meant}`." if meant else "Leave `-e` out, or declare it under `environments`.",
                at_key=True,
                code=Mistake.UNKNOWN_ENVIRONMENT,
            )
        )
    return name or DEFAULT_ENVIRONMENT, findings


def _declared(environments: Mapping[str, Any]) -> str:
    return f"The project declares {listed(environments)}." if environments else "The project declares no environments."


def _variables(
    document: Document, environment: str, values: Mapping[str, Json], env: Mapping[str, str]
) -> tuple[Variables, list[Finding]]:
    """The environment's variables; in their values only variables of the process hold."""
    trail = ("spec", "environments", environment, "vars")
    resolved, findings = substitute(dict(values), Variables(env=env), trail)
    texts: dict[str, str] = {}
    for name, value in values.items():
        if isinstance(value, bool | int | float):
            text = written([document], (*trail, name))
            if text:
                texts[name] = text
    return Variables(vars=resolved, env=env, texts=texts, lenient=bool(findings)), findings


def _missing() -> Diagnostic:
    return Diagnostic(
        f"{PROJECT_FILE} declares no project",
        "It must hold a document of kind Project.",
        f"Add:\n{SMALLEST_PROJECT}",
        Place(PROJECT_FILE, 1),
        code=Mistake.NO_PROJECT,
    )


def _stray(document: Document) -> Diagnostic:
    return diagnose(
        [document],
        Finding(
            ("kind",),
            "a project is declared outside specrunner.yaml",
            "The project stands in specrunner.yaml at the root.",
            "Delete this document.",
            code=Mistake.STRAY_PROJECT,
        ),
    )


def _second(document: Document, first: Place) -> Diagnostic:
    return diagnose(
        [document],
        Finding(
            ("kind",),
            "the project is declared twice",
            f"The first stands at {first}.",
            "Delete one of them.",
            related=(first,),
            code=Mistake.SECOND_PROJECT,
        ),
    )
