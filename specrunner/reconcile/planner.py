"""Planning: read both sides, look at the secrets, let `core` decide. Nothing is written."""

from __future__ import annotations

from dataclasses import dataclass, replace

from specrunner.core.decide import NO_WISHES, Wishes, emptied, make_plan
from specrunner.core.errors import Diagnostic, InvalidSpecs, SpecrunnerError
from specrunner.core.keys import Key
from specrunner.core.plan import Notice, Plan
from specrunner.core.ports import SecretSource
from specrunner.core.resources import Desired, Live, Resource
from specrunner.core.safety import brake
from specrunner.core.values import Secret
from specrunner.targets.base import Target

Secrets = dict[Key, dict[str, Secret]]

_DETAILS = "detailsFrom"  # a mapping; every other secret is the text of a variable


@dataclass(frozen=True, slots=True)
class Planned:
    """A plan with what it was made from; `secrets` are the values that could be read."""

    plan: Plan
    desired: Desired
    live: Live
    secrets: Secrets
    unreadable: tuple[Diagnostic, ...] = ()


def plan(
    desired: Desired, target: Target, source: SecretSource, wishes: Wishes = NO_WISHES, commit: str = ""
) -> Planned:
    """What would change, and why. A secret that can't be read here is no error yet: the plan says so.

    Raises InvalidSpecs for what the target can't do.
    """
    if unsupported := target.unsupported(desired.resources.values()):
        raise InvalidSpecs(unsupported)
    live = target.read()
    secrets, unread = _read_secrets(desired, source)
    fingerprints = {
        key: {path: target.fingerprint(value) for path, value in found.items()} for key, found in secrets.items()
    }
    made = make_plan(desired, live, fingerprints, wishes)
    notices = (*made.notices, *(one.notice for one in unread))
    made = replace(made, commit=commit, notices=notices)
    return Planned(made, desired, live, secrets, tuple(one.diagnostic for one in unread))


def plan_destroy(desired: Desired, target: Target, commit: str = "") -> Planned:
    """The plan that leaves nothing of this project's environment."""
    live, nothing = target.read(), emptied(desired)
    made = make_plan(nothing, live, {})
    steps = tuple(replace(step, reason="destroy removes everything of this project") for step in made.steps)
    return Planned(replace(made, steps=steps, commit=commit), nothing, live, {})


def check(planned: Planned, target: Target, force: bool = False) -> None:
    """What must hold before the first write: secrets readable, files usable, the brake not pulled.

    Raises InvalidSpecs for secrets that can't be read and files that can't be used, Refused by the brake.
    """
    resources = planned.desired.resources
    written = [resources[step.key] for step in planned.plan.work if step.key in resources]
    problems = [*(planned.unreadable if planned.plan.work else ()), *target.unfit(written)]
    if problems:
        raise InvalidSpecs(problems)
    if not force:
        owned = sum(found.owner == planned.desired.owner for found in planned.live.values())
        brake(planned.plan.steps, owned, planned.desired.safety)


def _read_secrets(desired: Desired, source: SecretSource) -> tuple[Secrets, tuple[_Unread, ...]]:
    found: Secrets = {}
    unread = []
    for key, resource in desired.resources.items():
        for path, reference in resource.secrets.items():
            try:
                found.setdefault(key, {})[path] = source.resolve(reference, mapping=path == _DETAILS)
            except SpecrunnerError as problem:
                unread.append(_Unread(resource, path, problem))
    return found, tuple(unread)


@dataclass(frozen=True, slots=True)
class _Unread:
    """A secret whose source could not be had."""

    resource: Resource
    path: str
    problem: SpecrunnerError

    @property
    def notice(self) -> Notice:
        """What the plan says of it: the plan stands, and apply will see."""
        text = f"the secret `{self.path}` is unknown until apply: {self.problem.summary}"
        return Notice(self.resource.key, text, self.problem.remedy)

    @property
    def diagnostic(self) -> Diagnostic:
        """What apply says of it."""
        words = f"The secret `{self.path}` of {self.resource.key} can't be read: {self.problem.summary}"
        return Diagnostic(words, self.problem.detail, self.problem.remedy, self.resource.place)
