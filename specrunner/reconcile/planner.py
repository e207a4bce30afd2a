"""Planning: read both sides, look at the secrets, let `core` decide. Nothing is written."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

from specrunner.core.decide import NO_WISHES, Wishes, emptied, make_plan
from specrunner.core.errors import Diagnostic, InvalidSpecs, SpecrunnerError
from specrunner.core.keys import Key
from specrunner.core.plan import Notice, Plan
from specrunner.core.ports import SecretSource
from specrunner.core.recorded import NO_RECORDS, Recorded, Records
from specrunner.core.resources import Desired, Live, LiveObject, Owner, Resource
from specrunner.core.safety import brake, counted
from specrunner.core.selection import selected
from specrunner.core.values import Secret
from specrunner.reconcile.history import AtCommit, unknown_commit
from specrunner.reconcile.retrying import Pause, Trying, asleep
from specrunner.targets.base import Target

Secrets = dict[Key, dict[str, Secret]]
ReadRecords = Callable[[], Records]

MAPPING_SECRET: Final = "detailsFrom"  # noqa: S105 (a mapping; every other secret is the text of a variable)


def nothing_recorded() -> Records:
    """A `ReadRecords` for a project without status files."""
    return NO_RECORDS


@dataclass(frozen=True, slots=True)
class Planned:
    """A plan with what it was made from; `secrets` are the values that could be read.

    `whole` is the plan before a selection or an approval left steps out. `recorded` are the objects in `live` that
    only the status files know, `problems` the status files that would have been needed and can't be read.
    """

    plan: Plan
    desired: Desired
    live: Live
    secrets: Secrets
    whole: Plan
    unreadable: tuple[Unread, ...] = ()
    recorded: Mapping[Key, Recorded] = field(default_factory=dict)
    problems: tuple[Diagnostic, ...] = ()


@dataclass(frozen=True, slots=True)
class Unread:
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


def plan(
    desired: Desired,
    target: Target,
    source: SecretSource,
    wishes: Wishes = NO_WISHES,
    commit: str = "",
    *,
    recorded: ReadRecords = nothing_recorded,
    keys: frozenset[Key] | None = None,
    now: datetime | None = None,
    at_commit: AtCommit = unknown_commit,
    pause: Pause = asleep,
) -> Planned:
    """What would change, and why. A secret that can't be read here is no error yet: the plan says so.

    `recorded` is asked only where the target has lost its memory. With `keys`, only their steps and what those need
    are kept; with `now`, previews are made as of that instant, with the bytes of recorded objects from `at_commit`.
    Raises InvalidSpecs for what the target can't do.
    """
    if unsupported := target.unsupported(desired.resources.values()):
        raise InvalidSpecs(unsupported)
    seen = _look(desired.owner, target, recorded, pause)
    secrets, unread = _read_secrets(desired, source)
    fingerprints = {
        key: {path: target.fingerprint(value) for path, value in found.items()} for key, found in secrets.items()
    }
    whole = replace(make_plan(desired, seen.live, fingerprints, wishes), commit=commit)
    made = whole if keys is None else selected(whole, desired, keys)
    concerned = _concerned(made, whole, unread, seen)
    made = replace(made, notices=(*made.notices, *(one.notice for one in concerned)))
    if now is not None and made.steps:  # what needs no preview does without its libraries too
        from specrunner.reconcile.previews import Stores, previewed

        stored = Stores(target, seen.recorded, at_commit)
        made = previewed(made, desired, seen.live, stored, now)
    return Planned(made, desired, seen.live, secrets, whole, concerned, seen.recorded, seen.problems)


def plan_destroy(
    desired: Desired,
    target: Target,
    commit: str = "",
    *,
    recorded: ReadRecords = nothing_recorded,
    pause: Pause = asleep,
) -> Planned:
    """The plan that leaves nothing of this project's environment."""
    seen, nothing = _look(desired.owner, target, recorded, pause), emptied(desired)
    made = make_plan(nothing, seen.live, {})
    steps = tuple(replace(step, reason="destroy removes everything of this project") for step in made.steps)
    made = replace(made, steps=steps, commit=commit)
    return Planned(made, nothing, seen.live, {}, made, (), seen.recorded, seen.problems)


def check(planned: Planned, target: Target, force: bool = False) -> None:
    """What must hold before the first write: secrets and records readable, files usable, the brake not pulled.

    Raises InvalidSpecs for secrets and status files that can't be read and files that can't be used, Refused by
    the brake.
    """
    resources = planned.desired.resources
    written = [resources[step.key] for step in planned.plan.work if step.key in resources]
    unread = planned.unreadable if planned.plan.work or planned.recorded else ()
    problems = [*planned.problems, *(one.diagnostic for one in unread), *target.unfit(written)]
    if problems:
        raise InvalidSpecs(problems)
    if not force:
        brake(planned.plan.steps, counted(planned.live, planned.desired.owner), planned.desired.safety)


@dataclass(frozen=True, slots=True)
class _Seen:
    """What is live, what is only recorded (it is in `live` too), and which records can't be read."""

    live: Live
    recorded: Mapping[Key, Recorded] = field(default_factory=dict)
    problems: tuple[Diagnostic, ...] = ()


def _look(owner: Owner, target: Target, recorded: ReadRecords, pause: Pause) -> _Seen:
    trying = Trying(pause=pause)
    live = trying(target.read)
    if trying(lambda: target.remembers(owner)):
        return _Seen(live)
    records = recorded()
    lost = {one.key: one for one in records.objects if one.owner == owner and _is_lost(one, live.get(one.key))}
    # What another owner has recorded here is his, also while it is nowhere live.
    others = {one.key: one for one in records.objects if one.owner != owner and one.key not in live}
    told = {key: one.as_live() for key, one in {**others, **lost}.items()}
    return _Seen({**live, **told}, lost, records.problems)


def _is_lost(recorded: Recorded, live: LiveObject | None) -> bool:
    """Whether a recorded object is still to be brought back.

    One that was being brought back when the apply was killed is ours already, and nothing counts as applied to it yet.
    """
    return live is None or bool(live.owner == recorded.owner and recorded.applied and live.applied == {})


def _concerned(made: Plan, whole: Plan, unread: tuple[Unread, ...], seen: _Seen) -> tuple[Unread, ...]:
    """The unreadable secrets that this plan may need: of a selection, those of its steps and of what comes back."""
    if made is whole:
        return unread
    needed = {*(step.key for step in made.steps), *seen.recorded}
    return tuple(one for one in unread if one.resource.key in needed)


def _read_secrets(desired: Desired, source: SecretSource) -> tuple[Secrets, tuple[Unread, ...]]:
    found: Secrets = {}
    unread = []
    for key, resource in desired.resources.items():
        for path, reference in resource.secrets.items():
            try:
                found.setdefault(key, {})[path] = source.resolve(reference, mapping=path == MAPPING_SECRET)
            except SpecrunnerError as problem:
                unread.append(Unread(resource, path, problem))
    return found, tuple(unread)
