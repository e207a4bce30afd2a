"""A small project on a memory target, planned and applied as the command line does."""

from __future__ import annotations

import hashlib
import io
import threading
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from specrunner.core.errors import Diagnostic, SpecrunnerError
from specrunner.core.keys import Key, Kind
from specrunner.core.outcome import Outcome, StepOutcome
from specrunner.core.plan import Step
from specrunner.core.recorded import Recorded, Records
from specrunner.core.resources import Desired, Payload, Resource, references_of
from specrunner.core.values import JsonObject, Secret
from specrunner.engine.clock import SystemClock
from specrunner.reconcile import planner, restoring
from specrunner.reconcile.executor import Execution
from specrunner.reconcile.history import unknown_commit
from specrunner.reconcile.planner import Planned
from specrunner.targets.base import Target
from tests.unit.core_samples import OWNER, PLACE

WAIT = 10  # seconds after which a test that hangs fails


class Environ:
    """Secrets by name."""

    def __init__(self, **values: str) -> None:
        self.values = values

    def resolve(self, source: JsonObject, mapping: bool = False) -> Secret:
        name = source["env"]
        if name not in self.values:
            raise SpecrunnerError(f"{name} is not set.")
        return Secret({"password": self.values[name]} if mapping else self.values[name])


@dataclass
class Heard:
    """A listener that remembers."""

    notes: list[str] = field(default_factory=list)
    ended_steps: list[StepOutcome] = field(default_factory=list)
    back: dict[Key, Diagnostic | None] = field(default_factory=dict)
    began: threading.Event = field(default_factory=threading.Event)

    def started(self, _step: Step) -> None:
        self.began.set()

    def noted(self, _step: Step, text: str) -> None:
        self.notes.append(text)

    def ended(self, outcome: StepOutcome) -> None:
        self.ended_steps.append(outcome)

    def restoring(self, _key: Key, text: str) -> None:
        self.notes.append(text)

    def restored(self, key: Key, problem: Diagnostic | None) -> None:
        self.back[key] = problem


def key(text: str) -> Key:
    return Key.parse(text)


def zipped(**files: str) -> bytes:
    """A zip of these texts; two underscores stand for the dot of the ending."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, text in files.items():
            archive.writestr(zipfile.ZipInfo(name.replace("__", ".")), text)
    return packed.getvalue()


def declared(kind: Kind, name: str, spec: Mapping[str, Any] | None = None, **more: Any) -> Resource:
    one = Key.of(kind, name, "w")
    return Resource(one, spec or {}, PLACE, references=references_of(one, spec or {}), **more)


def workspace() -> Resource:
    return declared(Kind.WORKSPACE, "w")


def connection(name: str = "store", host: str = "here", **more: Any) -> Resource:
    return declared(Kind.CONNECTION, name, {"type": "S3", "details": {"host": host}, "workspaces": ["w"]}, **more)


def with_secret(host: str = "here") -> Resource:
    source = {"env": "PASSWORD"}
    spec = {"type": "S3", "details": {"host": host}, "detailsFrom": source, "workspaces": ["w"]}
    return declared(Kind.CONNECTION, "store", spec, secrets={"detailsFrom": source})


def orchestration(data: bytes = b"one", **more: Any) -> Resource:
    sha = hashlib.sha256(data).hexdigest()
    payload = Payload(sha, len(data), "code.zip", lambda: data)
    return declared(Kind.ORCHESTRATION, "code", {"source": "code", "sha": sha}, payload=payload, **more)


def task(data: bytes = b"one", name: str = "nightly", **spec: Any) -> Resource:
    code = {"orchestration": "code", "orchestrationSha": hashlib.sha256(data).hexdigest()}
    return declared(Kind.TASK, name, {**code, **spec})


def project(*resources: Resource) -> Desired:
    return Desired(OWNER, {one.key: one for one in resources})


def recorded(*resources: Resource, **more: Any) -> Records:
    """What status files say of these after an apply."""
    found = (
        Recorded(one.key, OWNER, one.spec, id=f"id-{one.key}", protect=one.protect, labels=one.labels, **more)
        for one in resources
    )
    return Records(tuple(found))


def planned(desired: Desired, target: Target, source: Environ | None = None, **how: Any) -> Planned:
    return planner.plan(desired, target, source or Environ(), **how)


def execution(
    made: Planned, target: Target, source: Environ | None = None, at_commit: Any = unknown_commit, **how: Any
) -> Execution:
    restores = restoring.prepared(made, source or Environ(), at_commit)
    listener = how.pop("listener", None) or Heard()
    how.setdefault("pause", lambda _seconds: False)
    return Execution(made.plan, made.desired, made.secrets, target, SystemClock(), listener, restores=restores, **how)


def applied(desired: Desired, target: Target, records: Records | None = None, **how: Any) -> Outcome:
    source = how.pop("source", None)
    asked = {"recorded": lambda: records} if records is not None else {}
    return execution(planned(desired, target, source, **asked), target, source, **how).run()


def fates(outcome: Outcome) -> dict[str, str]:
    return {str(one.step.key): str(one.fate) for one in outcome.steps}


def keys_of(found: Iterable[Key]) -> set[str]:
    return {str(one) for one in found}
