"""What every adapter of the `Target` port keeps. A new adapter joins `ADAPTERS` and passes unchanged."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from specrunner.core.decide import NO_WISHES, Wishes, emptied, make_plan
from specrunner.core.errors import BadInput, NotFound, PackagingFailed, Place, SpecrunnerError, StalePlan, Unavailable
from specrunner.core.fields import Action
from specrunner.core.keys import Key, Kind
from specrunner.core.lifecycle import Reason, RunState
from specrunner.core.outcome import RunView
from specrunner.core.plan import Plan, Step
from specrunner.core.resources import Desired, Owner, Payload, Resource, intent_of, references_of
from specrunner.core.values import Json, Secret
from specrunner.engine.tables import Media, encode
from specrunner.targets.base import PutOrder, Target
from specrunner.targets.local.target import LocalTarget
from tests.integration.engine_samples import FOREVER, PATIENCE, bundle, model_bytes, open_engine, until
from tests.unit.serving_samples import rows_table

OURS, THEIRS = Owner("shop", "prod"), Owner("shop", "test")
SENTINEL = "swordfish-7c1f2a90"
PLACE = Place("specs.yaml", 1, 1)


def local(folder: Path) -> Target:
    return LocalTarget(open_engine(folder))


ADAPTERS: Mapping[str, Callable[[Path], Target]] = {"local": local}


def key(kind: Kind, name: str) -> Key:
    return Key.of(kind, name, "lab")


def resource(kind: Kind, name: str, spec: Mapping[str, Json], **more: Any) -> Resource:
    made = key(kind, name)
    return Resource(made, spec, PLACE, references=references_of(made, spec), **more)


def payload(name: str, data: bytes) -> Payload:
    return Payload(hashlib.sha256(data).hexdigest(), len(data), name, lambda: data)


def workspace() -> Resource:
    return resource(Kind.WORKSPACE, "lab", {})


def connection(host: str = "a", **more: Any) -> Resource:
    spec = {"type": "S3", "details": {"host": host, "port": 1}, "workspaces": ["lab"], "detailsFrom": {"env": "STORE"}}
    return resource(Kind.CONNECTION, "store", spec, secrets={"detailsFrom": {"env": "STORE"}}, **more)


def model(width: int = 18) -> Resource:
    file = payload("houses.onnx", model_bytes(width))
    return resource(Kind.MODEL, "houses", {"framework": "onnx", "path": "houses.onnx", "sha": file.sha}, payload=file)


def pipeline(width: int = 18, **spec: Json) -> Resource:
    shas = {"houses": model(width).spec["sha"]}
    return resource(
        Kind.PIPELINE, "prices", {"steps": [{"model": "houses"}], "modelShas": shas, "deployed": True, **spec}
    )


def orchestration(code: str = "print('hello')", requirements: str | None = None) -> Resource:
    file = payload("code.zip", bundle(code, requirements))
    return resource(Kind.ORCHESTRATION, "code", {"source": "code", "sha": file.sha}, payload=file)


def task(source: Resource, name: str = "job", **spec: Json) -> Resource:
    full = {"orchestration": "code", "orchestrationSha": source.spec["sha"], "history": {"success": 10}, **spec}
    secrets = {f"secretEnv.{variable}": {"env": variable} for variable in spec.get("secretEnv", ())}
    return resource(Kind.TASK, name, full, secrets=secrets)


def everything(code: str = "print('hello')") -> list[Resource]:
    """An object of each kind."""
    source = orchestration(code)
    job = task(source, args={"n": 1}, secretEnv={"KEY": {"env": "KEY"}})
    return [workspace(), connection(), model(), pipeline(), source, job]


class Applying:
    """A project that is applied to a target by the decisions of `core`, one step after the other."""

    def __init__(self, target: Target, owner: Owner = OURS) -> None:
        self.target = target
        self.owner = owner
        self.values: dict[str, Secret] = {"STORE": Secret({"password": SENTINEL}), "KEY": Secret(f"key-{SENTINEL}")}

    def desired(self, resources: list[Resource]) -> Desired:
        return Desired(self.owner, {found.key: found for found in resources})

    def plan(self, resources: list[Resource], wishes: Wishes = NO_WISHES) -> Plan:
        desired = self.desired(resources)
        prints = {
            found.key: {path: self.target.fingerprint(value) for path, value in self.secrets(found).items()}
            for found in resources
        }
        return make_plan(desired if resources else emptied(desired), self.target.read(), prints, wishes)

    def secrets(self, declared: Resource) -> dict[str, Secret]:
        return {path: self.values[source["env"]] for path, source in declared.secrets.items()}

    def order(self, declared: Resource, step: Step) -> PutOrder:
        return PutOrder(declared, step, self.owner, self.secrets(declared))

    def apply(self, resources: list[Resource], wishes: Wishes = NO_WISHES) -> list[RunView]:
        """Do what the plan says; the runs that came of it."""
        by_key, runs = {found.key: found for found in resources}, []
        for step in self.plan(resources, wishes).work:
            if step.deletes:
                self.target.delete(step)
                continue
            self.target.put(self.order(by_key[step.key], step))
            if step.intent:
                runs.append(self.target.run(step.key, step.intent))
        return runs

    def step(self, declared: Resource, others: list[Resource]) -> Step:
        """The step that is planned for one resource."""
        return next(step for step in self.plan([*others, declared]).steps if step.key == declared.key)


@pytest.fixture(params=sorted(ADAPTERS))
def make(request: pytest.FixtureRequest) -> Callable[[Path], Target]:
    return ADAPTERS[request.param]


@pytest.fixture
def target(make: Callable[[Path], Target], tmp_path: Path) -> Iterator[Target]:
    opened = make(tmp_path / "state")
    yield opened
    for step in Applying(opened).plan([]).work:
        opened.delete(step)  # kills what still runs
    opened.close()


@pytest.fixture
def project(target: Target) -> Applying:
    return Applying(target)


# Round trips


def test_what_was_put_is_read_as_it_was_declared(project: Applying) -> None:
    resources = everything()
    runs = project.apply(resources)
    assert [run.status for run in runs] == [RunState.SUCCESS]
    after = project.plan(resources)
    assert after.steps == () and after.unchanged == len(resources) and after.notices == ()
    live = project.target.read()
    assert set(live) == {found.key for found in resources}
    assert all(found.owner == OURS and found.id for found in live.values())


def test_reading_changes_nothing(project: Applying) -> None:
    project.apply(everything())
    assert project.target.read() == project.target.read()


def test_another_who_opens_the_target_reads_the_same(
    project: Applying, make: Callable[[Path], Target], tmp_path: Path
) -> None:
    project.apply(everything())
    other = make(tmp_path / "state")
    try:
        assert other.read() == project.target.read()
        assert Applying(other).plan(everything()).steps == ()
    finally:
        other.close()


@pytest.mark.parametrize("kind", list(Kind))
def test_metadata_is_kept_for_every_kind(project: Applying, kind: Kind) -> None:
    project.apply(everything())
    more: dict[str, Any] = {"labels": {"team": "x"}, "description": "why it is there", "protect": True}
    changed = [replace(found, **more) if found.key.kind is kind else found for found in everything()]
    assert [step.key.kind for step in project.plan(changed).steps] == [kind]
    project.apply(changed)
    assert project.plan(changed).steps == ()
    found = next(found for found in project.target.read().values() if found.key.kind is kind)
    assert (found.labels, found.description, found.protect) == tuple(more.values())
    assert [step.blocked_by != "" for step in project.plan([]).steps if step.key == found.key] == [True]
    project.apply(everything())


CHANGES: Mapping[str, tuple[list[Resource], Action]] = {
    "details": ([connection(host="b")], Action.UPDATE),
    "model": ([model(7), pipeline(7)], Action.UPLOAD),
    "undeploy": ([pipeline(deployed=False)], Action.UPDATE),
    "resources": ([pipeline(resources={"cpus": 1})], Action.REDEPLOY),
    "code": ([orchestration("print('new')"), task(orchestration("print('new')"), args={"n": 1})], Action.UPLOAD),
    "arguments": ([task(orchestration(), args={"n": 2})], Action.RUN),
    "schedule": ([task(orchestration(), schedule={"cron": "0 2 * * *"})], Action.RESCHEDULE),
}


@pytest.mark.parametrize("change", sorted(CHANGES))
def test_a_change_is_made_and_then_there_is_none(project: Applying, change: str) -> None:
    project.apply(everything())
    changed, action = CHANGES[change]
    resources = list(({found.key: found for found in everything()} | {found.key: found for found in changed}).values())
    ids = {name: found.id for name, found in project.target.read().items()}
    steps = {step.key: step.action for step in project.plan(resources).steps}
    assert steps[changed[0].key] is action
    project.apply(resources)
    assert project.plan(resources).steps == ()
    untouched = set(ids) - {found.key for found in changed}
    assert {name: found.id for name, found in project.target.read().items() if name in untouched} == {
        name: ids[name] for name in untouched
    }


def test_another_value_of_a_secret_is_a_change(project: Applying) -> None:
    project.apply(everything())
    project.values["STORE"] = Secret({"password": "another"})
    steps = project.plan(everything()).steps
    assert [(step.key.kind, step.changes[0].path) for step in steps] == [(Kind.CONNECTION, "detailsFrom")]
    project.apply(everything())
    assert project.plan(everything()).steps == ()


def test_a_secret_is_neither_read_nor_printed(project: Applying) -> None:
    project.apply(everything())
    assert SENTINEL not in repr(project.target.read()) + repr(project.target.runs())
    one = project.target.fingerprint(Secret({"a": 1, "b": 2}))
    assert one == project.target.fingerprint(Secret({"b": 2, "a": 1})) != project.target.fingerprint(Secret({"a": 1}))


# Again


@pytest.mark.parametrize("kind", list(Kind))
def test_put_twice_is_put_once(project: Applying, kind: Kind) -> None:
    """Also with the step of the first time: an apply that was interrupted may do it again."""
    resources = everything()
    declared = next(found for found in resources if found.key.kind is kind)
    before = [found for found in resources if found.key.kind.rank < kind.rank]
    project.apply(before)
    order = project.order(declared, project.step(declared, before))
    project.target.put(order)
    once = project.target.read()
    project.target.put(order)
    project.target.put(project.order(declared, replace(order.step, live=once[declared.key].fingerprint)))
    assert project.target.read() == once


@pytest.mark.parametrize("kind", list(Kind))
def test_delete_twice_is_fine(project: Applying, kind: Kind) -> None:
    project.apply(everything())
    steps = project.plan([]).steps
    assert {step.key.kind for step in steps} == set(Kind)
    for step in steps:
        project.target.delete(step)
        project.target.delete(step)
        assert step.key not in project.target.read()
        if step.key.kind is kind:
            return


def test_what_was_deleted_may_be_made_anew(project: Applying) -> None:
    project.apply(everything())
    project.apply([])
    assert project.target.read() == {}
    assert [run.status for run in project.apply(everything())] == [RunState.SUCCESS]
    assert project.plan(everything()).steps == ()


def test_deleting_something_that_others_need_is_refused(project: Applying) -> None:
    project.apply(everything())
    steps = {step.key.kind: step for step in project.plan([]).steps}
    for kind in (Kind.WORKSPACE, Kind.MODEL, Kind.ORCHESTRATION):
        with pytest.raises(SpecrunnerError):
            project.target.delete(steps[kind])
    assert project.plan(everything()).steps == ()


# Stale plans


def test_a_plan_for_an_object_that_was_changed_meanwhile_is_stale(project: Applying) -> None:
    base = [workspace(), connection()]
    project.apply(base)
    old_change, old_delete = project.step(connection(host="b"), [workspace()]), project.plan([workspace()]).steps[0]
    project.apply([workspace(), connection(host="c")])
    changed = project.target.read()
    with pytest.raises(StalePlan, match="Connection/store") as caught:
        project.target.put(project.order(connection(host="b"), old_change))
    assert "specrunner plan" in caught.value.remedy
    with pytest.raises(StalePlan):
        project.target.delete(old_delete)
    assert project.target.read() == changed


def test_a_plan_for_an_object_that_is_gone_or_there_by_now_is_stale(project: Applying) -> None:
    create = project.step(connection(host="b"), [workspace()])
    project.apply([workspace(), connection()])
    with pytest.raises(StalePlan):
        project.target.put(project.order(connection(host="b"), create))
    change = project.step(connection(host="b"), [workspace()])
    project.apply([workspace()])
    with pytest.raises(StalePlan):
        project.target.put(project.order(connection(host="b"), change))
    assert set(project.target.read()) == {key(Kind.WORKSPACE, "lab")}


# Owners


def test_what_belongs_to_another_is_seen_as_such(project: Applying) -> None:
    project.apply([workspace(), connection()])
    other = Applying(project.target, THEIRS)
    with pytest.raises(SpecrunnerError, match="belongs to shop/prod"):
        other.plan([connection()])
    assert other.plan([]).steps == ()


def test_an_object_whose_making_failed_belongs_to_who_began_it(project: Applying) -> None:
    """So that the mended specs can be applied without adopting what one's own apply had left half made."""
    broken = orchestration(requirements="impossible==9")
    with pytest.raises(PackagingFailed):
        project.apply([workspace(), broken])
    live = project.target.read()[broken.key]
    assert (live.owner, live.state) == (OURS, "error") and "impossible" in live.detail
    again = project.plan([workspace(), broken]).steps
    assert [(step.key, step.blocked_by) for step in again] == [(broken.key, "")]
    assert "somebody else" not in again[0].reason
    project.apply([workspace(), orchestration()])
    assert project.plan([workspace(), orchestration()]).steps == ()


def test_a_version_that_cannot_be_packaged_does_not_take_the_place_of_one_that_can(project: Applying) -> None:
    project.apply([workspace(), orchestration()])
    with pytest.raises(PackagingFailed):
        project.apply([workspace(), orchestration(requirements="impossible==9")])
    live = project.target.read()[key(Kind.ORCHESTRATION, "code")]
    assert live.owner == OURS and live.spec["sha"] == orchestration().spec["sha"]
    assert project.plan([workspace(), orchestration()]).steps == ()


def test_an_object_that_could_not_be_made_at_all_belongs_to_nobody(project: Applying) -> None:
    project.apply([workspace()])
    project.values["STORE"] = Secret("no mapping")
    with pytest.raises(BadInput, match="no mapping"):
        project.apply([workspace(), connection()])
    assert set(project.target.read()) == {key(Kind.WORKSPACE, "lab")}
    other = Applying(project.target, THEIRS)
    other.apply([connection()])
    assert project.target.read()[connection().key].owner == THEIRS
    other.apply([])


# Runs


def mark(path: Path, rest: str = "") -> str:
    return f"open({str(path)!r}, 'a').write('ran ')\n{rest}"


def test_an_intent_that_was_carried_out_is_not_carried_out_again(project: Applying, tmp_path: Path) -> None:
    resources = everything(mark(tmp_path / "mark"))
    (first,) = project.apply(resources)
    job = resources[-1]
    again = project.target.run(job.key, first.intent)
    assert (again.id, again.status, again.ended) == (first.id, RunState.SUCCESS, first.ended)
    assert project.target.read()[job.key].intents == {intent_of(job.spec): "success"}
    by_hand = project.target.run(job.key, None, {"n": 7})
    assert (by_hand.intent, by_hand.args) == ("", {"n": 7}) and by_hand.id != first.id
    assert (tmp_path / "mark").read_text() == "ran ran "
    assert project.plan(resources).steps == ()


def test_a_failure_is_told_and_not_repeated_by_a_plan(project: Applying) -> None:
    resources = everything("print('at work')\nraise SystemExit(3)")
    (run,) = project.apply(resources)
    assert (run.status, run.reason, run.exit_code) == (RunState.FAILURE, Reason.EXIT, 3)
    assert run.log_tail == ("at work",) and run.task == resources[-1].key and run.args == {"n": 1}
    after = project.plan(resources)
    assert after.steps == () and [notice.key for notice in after.notices] == [run.task]
    again = project.target.run(run.task, run.intent)  # as a person may ask for
    assert again.id != run.id and again.status is RunState.FAILURE
    assert [found.id for found in project.target.runs(run.task)] == [again.id, run.id]


def test_an_intent_under_way_is_waited_for(project: Applying, tmp_path: Path) -> None:
    source = orchestration(mark(tmp_path / "mark"))
    project.apply([workspace(), source])
    job = task(source)
    project.target.put(project.order(job, project.step(job, [workspace(), source])))
    with ThreadPoolExecutor(6) as pool:
        runs = list(pool.map(lambda _: project.target.run(job.key, intent_of(job.spec)), range(6)))
    assert len({run.id for run in runs}) == 1 and {run.status for run in runs} == {RunState.SUCCESS}
    assert (tmp_path / "mark").read_text() == "ran "


def test_whoever_stops_waiting_leaves_the_run_to_the_next(
    project: Applying, make: Callable[[Path], Target], tmp_path: Path
) -> None:
    source = orchestration(FOREVER)
    project.apply([workspace(), source])
    job, intent = task(source), intent_of(task(source).spec)
    project.target.put(project.order(job, project.step(job, [workspace(), source])))
    found: list[RunView] = []
    waiting = threading.Thread(target=lambda: found.append(project.target.run(job.key, intent)))
    waiting.start()
    until(lambda: [list(project.target.log(run.id)) for run in project.target.runs()] not in ([], [[]]), "a line")
    project.target.stop_waiting()
    waiting.join(PATIENCE)
    assert [run.status for run in found] == [RunState.RUNNING]
    other = make(tmp_path / "state")
    try:
        assert [(run.id, run.status) for run in other.runs(job.key)] == [(found[0].id, RunState.RUNNING)]
        assert Applying(other).step(job, [workspace(), source]).intent == intent
        # Removing the task ends what runs of it.
        Applying(other).apply([workspace(), source])
        assert [run.status for run in other.runs()] == [RunState.KILLED]
    finally:
        other.close()


def test_logs_have_times_and_those_of_nothing_are_not_found(project: Applying) -> None:
    (run,) = project.apply(everything("print('one')\nprint('two')"))
    lines = list(project.target.log(run.id))
    assert [text for _, text in lines] == ["one", "two"] == list(run.log_tail)
    assert run.started is not None and all(abs(moment - run.started.timestamp()) < 60 for moment, _ in lines)
    with pytest.raises(NotFound):
        list(project.target.log("nobody"))
    with pytest.raises(NotFound):
        project.target.run(key(Kind.TASK, "nobody"), None)
    assert list(project.target.runs(key(Kind.TASK, "nobody"))) == []


def test_runs_outlive_their_task(project: Applying) -> None:
    (run,) = project.apply(everything())
    project.apply([])
    assert [found.id for found in project.target.runs()] == [run.id]


# Inference


def test_inference_through_a_deployed_pipeline(project: Applying, tmp_path: Path) -> None:
    file, prices = tmp_path / "rows.arrow", key(Kind.PIPELINE, "prices")
    file.write_bytes(encode(rows_table(3), Media.ARROW_FILE))
    with pytest.raises(NotFound):
        project.target.infer(prices, file)
    project.apply(everything())
    assert project.target.infer(prices, file).num_rows == 3
    file.write_bytes(encode(rows_table(3, width=2), Media.ARROW_FILE))
    with pytest.raises(BadInput):
        project.target.infer(prices, file)
    undeployed = [pipeline(deployed=False) if found.key == prices else found for found in everything()]
    project.apply(undeployed)
    with pytest.raises(Unavailable):
        project.target.infer(prices, file)


# Many at once


def test_eight_threads_put_and_read_at_once(project: Applying) -> None:
    """Objects of several kinds in workspaces of their own, while others read everything."""
    stop, trouble = threading.Event(), []

    def read() -> None:
        while not stop.is_set():
            try:
                project.target.read()
            except Exception as problem:  # whatever it is, it is the finding
                trouble.append(problem)
                return

    def work(number: int) -> None:
        place = f"lab-{number}"
        store = Key(Kind.CONNECTION, "", f"store-{number}")
        houses = Key(Kind.MODEL, place, "houses")
        made = [
            Resource(Key(Kind.WORKSPACE, "", place), {}, PLACE),
            replace(connection(), key=store, spec={**connection().spec, "workspaces": [place]}),
            replace(model(), key=houses, references=references_of(houses, {})),
        ]
        for declared in made:
            project.target.put(project.order(declared, Step(declared.key, Action.CREATE, "")))

    reader = threading.Thread(target=read)
    reader.start()
    try:
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(work, range(8)))
    finally:
        stop.set()
        reader.join()
    assert trouble == []
    assert len(project.target.read()) == 24 and all(found.owner == OURS for found in project.target.read().values())
