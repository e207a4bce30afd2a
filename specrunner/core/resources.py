"""What the files declare and what the target holds, as plain values."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from specrunner.core.errors import Diagnostic, Place
from specrunner.core.fields import Action, rule_for
from specrunner.core.keys import Key, Kind
from specrunner.core.values import Json, JsonObject, canonical, digest


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
    to its source. `references` are the keys it cannot do without.
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
    warnings: tuple[Diagnostic, ...] = ()


@dataclass(frozen=True, slots=True)
class LiveObject:
    """One object as the target has it.

    `spec` is what is in force now, in the shape of `Resource.spec`; `applied` what a project last put there
    (None where nobody owns it); `secrets` the keyed fingerprints of the secrets then applied; `intents` the
    status of the last run of each intent of a run-once task.
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

    @property
    def fingerprint(self) -> str:
        """Changes whenever anything changes that a plan was made from; states and runs move on by themselves."""
        ours = [str(self.owner), self.applied, metadata_of(self), dict(self.secrets)]
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

    The field table says which fields those are. A field that is null or an empty mapping is as good as absent;
    below that an argument that is null is another than one that is not there.
    """
    ordered = ((name, rule_for(Kind.TASK, name), value) for name, value in spec.items())
    order = {
        name: sorted(value, key=canonical) if rule.unordered else value
        for name, rule, value in ordered
        if rule.action is Action.RUN and value not in (None, {})
    }
    return digest(order)


def references_of(key: Key, spec: JsonObject) -> tuple[Key, ...]:
    """The keys that an object with this spec cannot do without, its workspace included."""
    found = [Key(Kind.WORKSPACE, "", key.workspace)] if key.workspace else []
    if key.kind is Kind.CONNECTION:
        found += [Key(Kind.WORKSPACE, "", name) for name in spec.get("workspaces") or ()]
    elif key.kind is Kind.PIPELINE:
        found += [Key(Kind.MODEL, key.workspace, name) for name in _step_models(spec)]
    elif key.kind is Kind.TASK and spec.get("orchestration"):
        found.append(Key(Kind.ORCHESTRATION, key.workspace, str(spec["orchestration"])))
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
