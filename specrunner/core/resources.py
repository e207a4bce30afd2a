"""What the files declare and what the target holds, as plain values."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from specrunner.core.errors import Diagnostic, Place
from specrunner.core.fields import VERBATIM, Action, Rule, plain, rule_for
from specrunner.core.keys import Key, Kind, shared_key
from specrunner.core.notifications import Notification
from specrunner.core.values import Json, JsonObject, digest, is_nothing


@dataclass(frozen=True, slots=True)
class Payload:
    """Bytes that go with a resource: a model file, the zip of an orchestration.

    `sha` is the sha256 of the bytes, `size` their number, `file_name` what people call them; `read` gives
    them when they are needed.
    """

    sha: str
    size: int
    file_name: str
    read: Callable[[], bytes] = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Resource:
    """One declared object.

    `spec` is normalised: defaults filled in, durations in seconds, secrets as references. A resource with a
    payload has its sha at `spec["sha"]`. `secrets` maps a path in the spec (`detailsFrom`, `secretEnv.KEY`)
    to its source. `references` are the keys it cannot do without. `renamed_from` is the key it had before, if the
    files say so. `locate` gives the place of a field of the spec, slowly: only for what is shown.
    """

    key: Key
    spec: JsonObject
    place: Place
    labels: Mapping[str, str] = field(default_factory=dict)
    description: str = ""
    protect: bool = False
    payload: Payload | None = None
    secrets: Mapping[str, JsonObject] = field(default_factory=dict)
    references: tuple[Key, ...] = ()
    renamed_from: Key | None = None
    locate: Callable[[tuple[str, ...]], Place] | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Safety:
    """The brake of a project, in percent of its live objects."""

    max_delete_percent: float = 30
    max_update_percent: float = 50


@dataclass(frozen=True, slots=True)
class Owner:
    """Who an object belongs to; another environment of the same project is another owner."""

    project: str
    environment: str

    def __str__(self) -> str:
        return f"{self.project}/{self.environment}"


@dataclass(frozen=True, slots=True)
class Desired:
    """Everything a spec repository declares for one environment.

    `target` and `status` are as declared, before variables. `warnings` are what a person should know and what
    stops nothing.
    """

    owner: Owner
    resources: Mapping[Key, Resource]
    target: Json = "local"
    status: Json = None
    safety: Safety = Safety()
    notifications: tuple[Notification, ...] = ()
    warnings: tuple[Diagnostic, ...] = ()


class Presence(StrEnum):
    """Whether an object that a target tells of is really there."""

    PRESENT = "present"
    MISSING = "missing"  # the target remembers that it was applied; somebody else has removed it since
    LEAVING = "leaving"  # being deleted: still listed, and its name is not free yet
    RECORDED = "recorded"  # only the status files know it: the target has lost its memory


@dataclass(frozen=True, slots=True)
class LiveObject:
    """One object as the target has it.

    `spec` is what is in force now, in the shape of `Resource.spec`; `applied` what a project last put there
    (None where nobody owns it); `secrets` the keyed fingerprints of the secrets then applied, `held` those of what the
    target has at the same paths now (None where it can't tell); `intents` the status of the last run of each intent of
    a run-once task. `opaque` are dotted paths that the target accepts and
    never tells, or tells masked: there, what was applied counts as live. `applied_labels` are the labels that a
    project last put there, for targets that add some of their own; None says that `labels` are just those.
    """

    key: Key
    spec: JsonObject
    id: str
    state: str = ""
    detail: str = ""
    owner: Owner | None = None
    applied: JsonObject | None = None
    protect: bool = False
    labels: Mapping[str, str] = field(default_factory=dict)
    description: str = ""
    secrets: Mapping[str, str] = field(default_factory=dict)
    intents: Mapping[str, str] = field(default_factory=dict)
    presence: Presence = Presence.PRESENT
    opaque: frozenset[str] = frozenset()
    applied_labels: Mapping[str, str] | None = None
    held: Mapping[str, str] | None = None

    @property
    def fingerprint(self) -> str:
        """Changes whenever anything changes that a plan was made from; states and runs move on by themselves."""
        ours = [str(self.owner), self.applied, metadata_of(self), dict(self.secrets)]
        if self.held is not None and self.held != self.secrets:
            ours.append(dict(self.held))
        return digest([self.id, self.spec, ours])


Live = Mapping[Key, LiveObject]


def metadata_of(thing: Resource | LiveObject) -> dict[str, Json]:
    """Labels, description and protection as one comparable mapping; what is empty is absent."""
    found = {"labels": dict(thing.labels), "description": thing.description, "protect": thing.protect}
    return {name: value for name, value in found.items() if value}


def is_run_once(spec: JsonObject) -> bool:
    """Whether a task's spec means "run once", neither on a schedule nor as a service."""
    return spec.get("schedule") is None and spec.get("service") is None


def intent_of(spec: JsonObject) -> str:
    """The intent of a run-once task: a hash of all that makes it another order, its orchestration's sha included.

    The field table says which fields those are. Names of other objects are none of them, so that renaming those
    repeats nothing: not the workspaces that the code may use, nor the orchestration where its sha is known. A field
    that is null or empty is as good as absent; below that an argument that is null is another than one that is not
    there.
    """
    rows = _ordering(frozenset(spec))
    return digest({name: _plain_order(rule, spec[name]) for name, rule in rows if not is_nothing(spec[name])})


def _plain_order(rule: Rule, value: Json) -> Json:
    if rule.path in VERBATIM or not isinstance(value, dict):
        return plain(rule, value)
    if not any(isinstance(part, str) for part in value.values()):
        return value
    return {name: plain(rule_for(Kind.TASK, f"{rule.path}.{name}"), part) for name, part in value.items()}


@functools.lru_cache(maxsize=1_000)
def _ordering(names: frozenset[str]) -> tuple[tuple[str, Rule], ...]:
    """The fields of a task that make it another order, with their rows."""
    rows = [(name, rule_for(Kind.TASK, name)) for name in sorted(names)]
    return tuple(
        (name, rule)
        for name, rule in rows
        if rule.action is Action.RUN or (name == "orchestration" and "orchestrationSha" not in names)
    )


def content_identity(sha: str, spec: JsonObject) -> str:
    """What a version of a model is, for whoever asks whether two are the same: its bytes, and how they are loaded.

    An ONNX file is all of it, where nothing more is declared; for others framework, requirements and schema count.
    """
    rest = {name: value for name, value in spec.items() if name not in {"path", "sha"} and not is_nothing(value)}
    return sha if not sha or rest == {"framework": "onnx"} else digest({"sha": sha, **rest})


def references_of(key: Key, spec: JsonObject) -> tuple[Key, ...]:
    """The keys that an object with this spec cannot do without, its workspace included."""
    found = [shared_key(Kind.WORKSPACE, "", key.workspace)] if key.workspace else []
    if key.kind is Kind.CONNECTION:
        found += [shared_key(Kind.WORKSPACE, "", name) for name in spec.get("workspaces") or ()]
    elif key.kind is Kind.PIPELINE:
        found += [Key(Kind.MODEL, key.workspace, name) for name in _step_models(spec)]
    elif key.kind is Kind.TASK and spec.get("orchestration"):
        found.append(shared_key(Kind.ORCHESTRATION, key.workspace, str(spec["orchestration"])))
    return tuple(dict.fromkeys(found))


def _step_models(spec: JsonObject) -> list[str]:
    """The models of a pipeline's steps: `{model, shadow: [models]}` or `{split: [{model, weight}]}`."""
    names: list[str] = []
    for step in spec.get("steps") or ():
        names += [step["model"]] if "model" in step else [arm["model"] for arm in step.get("split", ())]
        names += step.get("shadow", ())
    return names


def reached_from(key: Key, spec: JsonObject) -> frozenset[str]:
    """The workspaces whose code may name this object: its own, or those a connection is attached to."""
    if key.kind is Kind.WORKSPACE:
        return frozenset({key.name})
    return frozenset(spec.get("workspaces") or ()) if key.kind is Kind.CONNECTION else frozenset({key.workspace})
