from __future__ import annotations

import fcntl
import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from specrunner.core.errors import SpecrunnerError
from specrunner.core.fields import Action
from specrunner.core.interrupted import Interrupted, InterruptedStep
from specrunner.core.keys import Key
from specrunner.core.lifecycle import Reason, RunState
from specrunner.core.outcome import Outcome, RunView
from specrunner.core.recorded import RunTimes
from specrunner.core.resources import Resource
from specrunner.record.files import run_file, run_path
from specrunner.record.folder import FolderStatus
from specrunner.record.recorded import recorded, run_of
from specrunner.record.status import record
from specrunner.record.summary import header_of
from specrunner.record.writing import to_yaml
from specrunner.targets.faults import Fail, Faulty
from specrunner.targets.memory import MemoryTarget
from tests.unit.core_samples import OWNER
from tests.unit.reconcile_samples import (
    Environ,
    applied,
    connection,
    keys_of,
    orchestration,
    planned,
    project,
    task,
    with_secret,
    workspace,
)

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
SCHEMA = json.loads((Path(__file__).parents[2] / "schemas" / "status.schema.json").read_bytes())
LABELLED = connection(labels={"team": "a"}, description="Where: it all is\nin two lines", protect=True)
ALL = (workspace(), LABELLED, orchestration(), task(name="a b/ü: %"))


class Kept:
    """A repository in memory; writes nothing that is there already, and remembers what it wrote last."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.changed: list[str] = []

    def read(self, prefix: str) -> Mapping[str, bytes]:
        return {name: data for name, data in self.files.items() if name.startswith(prefix)}

    def check(self, prefix: str) -> None:
        assert prefix

    def write(self, files: Mapping[str, bytes | None], message: str) -> None:
        assert message
        self.changed = [name for name, data in files.items() if self.files.get(name) != data]
        for name, data in files.items():
            if data is None:
                self.files.pop(name, None)
            else:
                self.files[name] = data


def apply_and_record(kept: Kept, target: Any, *resources: Resource, commit: str = "", **more: Any) -> Outcome:
    records, kept.changed = recorded(kept, OWNER), []
    assert not records.problems
    outcome = applied(project(*resources), target, records, source=Environ(PASSWORD="pw"))
    outcome = replace(outcome, plan=replace(outcome.plan, commit=commit))
    record(kept, OWNER, outcome, target, **more)
    return outcome


def loaded(kept: Kept, name: str) -> Any:
    return yaml.safe_load(kept.files[f"staging/{name}"])


def of_kind(kept: Kept, folder: str) -> list[Any]:
    return [yaml.safe_load(data) for name, data in kept.files.items() if name.startswith(f"staging/{folder}/")]


def test_what_is_recorded_can_be_read_back_whole() -> None:
    kept, target = Kept(), MemoryTarget()
    apply_and_record(kept, target, *ALL, commit="c" * 40)
    found = {one.key: one for one in recorded(kept, OWNER).objects}
    live = target.read()
    (run,) = target.runs()
    assert found.keys() == live.keys()
    for key, one in found.items():
        assert (one.applied, one.id, one.owner) == (live[key].applied, live[key].id, OWNER)
        assert one.commit == "c" * 40
    labelled = found[LABELLED.key]
    assert (labelled.labels, labelled.description, labelled.protect) == (
        LABELLED.labels,
        LABELLED.description,
        True,
    )
    (done,) = [one for one in found.values() if one.intents]
    assert list(done.intents.values()) == ["success"]
    assert dict(done.runs) == {run.intent: run.id}


def test_every_file_fits_the_schema() -> None:
    kept = Kept()
    apply_and_record(kept, MemoryTarget(), *ALL, commit="c" * 40, interrupted=cut_off(), who="ada")
    fresh = MemoryTarget()  # a fresh machine: everything is restored
    more = (connection("other"), task(name="later", schedule={"cron": "0 2 * * *"}))
    apply_and_record(kept, fresh, *ALL, *more)
    fresh.state.add(Key.parse("Model/w/m"), {}, b"bytes")
    served = replace(workspace(), key=Key.parse("Pipeline/w/p"), spec={"deployed": True, "steps": [{"model": "m"}]})
    apply_and_record(kept, fresh, *ALL, *more, served)
    checker = jsonschema.Draft202012Validator(SCHEMA)
    files = {name: yaml.safe_load(data) for name, data in kept.files.items() if name.endswith(".yaml")}
    assert len(files) == 13
    for name, content in files.items():
        assert not [error.message for error in checker.iter_errors(content)], name


def test_a_fresh_machine_changes_no_file_where_nothing_has_changed() -> None:
    kept = Kept()
    apply_and_record(kept, MemoryTarget(), *ALL, with_secret_named("secret"), commit="c" * 40)
    fresh = MemoryTarget()
    fresh.state.count = 1000  # its ids are others
    outcome = apply_and_record(kept, fresh, *ALL, with_secret_named("secret"), commit="d" * 40)
    assert len(outcome.restored) == 5
    assert kept.changed == []


def with_secret_named(name: str) -> Resource:
    return replace(with_secret(), key=Key.parse(f"Connection/{name}"))


def test_a_commit_that_leaves_an_object_as_it_was_leaves_its_file_as_it_was() -> None:
    kept, target = Kept(), MemoryTarget()
    apply_and_record(kept, target, workspace(), connection(), connection("other"), commit="c" * 40)
    apply_and_record(kept, target, workspace(), connection(host="new"), connection("other"), commit="d" * 40)
    assert loaded(kept, "connections/store.yaml")["observedCommit"] == "d" * 40
    assert loaded(kept, "connections/other.yaml")["observedCommit"] == "c" * 40
    assert "staging/connections/other.yaml" not in kept.changed


def test_what_could_not_be_brought_back_keeps_its_record() -> None:
    kept = Kept()
    apply_and_record(kept, MemoryTarget(), workspace(), connection())
    fresh = Faulty(MemoryTarget(), [Fail(method="restore", key=connection().key, times=0)])
    apply_and_record(kept, fresh, workspace(), connection())
    assert "staging/connections/store.yaml" in kept.files


def test_what_somebody_else_removed_keeps_its_record_while_it_is_ours() -> None:
    kept, target = Kept(), MemoryTarget()
    apply_and_record(kept, target, workspace(), connection())
    before = kept.files["staging/connections/store.yaml"]
    (raw,) = [one for one in target.state.objects.values() if one.key.name == "store"]
    with target.state.writing():
        target.state.drop(raw.id)
    made = planned(project(workspace(), connection()), target)
    record(kept, OWNER, Outcome(replace(made.plan, steps=()), (), NOON, NOON), target)
    assert kept.files["staging/connections/store.yaml"] == before


def test_the_records_of_runs_outlive_the_memory_of_the_target() -> None:
    kept = Kept()
    apply_and_record(kept, MemoryTarget(), *ALL)
    runs = {name: data for name, data in kept.files.items() if "/runs/" in name}
    assert len(runs) == 1
    fresh = MemoryTarget()
    apply_and_record(kept, fresh, *ALL)
    assert {name: data for name, data in kept.files.items() if "/runs/" in name} == runs


def test_the_records_of_runs_are_cut_to_the_history_of_the_task_wherever_they_came_from() -> None:
    kept, few = Kept(), {"succeeded": 2, "failed": 1}
    ids = []
    for turn in range(4):  # each on a fresh machine
        target = MemoryTarget()
        target.state.count = 100 * turn
        resources = (workspace(), orchestration(), task(args={"turn": turn}, history=few))
        outcome = apply_and_record(kept, target, *resources)
        ids += [one.run.id for one in outcome.steps if one.run is not None]
    assert {run["id"] for run in of_kind(kept, "runs")} == set(ids[-2:])
    (written,) = of_kind(kept, "tasks")
    assert [run["id"] for run in written["lastRuns"]] == ids[:1:-1]
    assert sorted(written["intentRuns"].values()) == sorted(ids)


def cut_off() -> Interrupted:
    done = InterruptedStep(workspace().key, Action.CREATE, "done")
    begun = InterruptedStep(task().key, Action.CREATE, run="run-1")
    back = InterruptedStep(connection().key, Action.CREATE, "done", restored=True)
    earlier = Interrupted("apply-0", str(OWNER), "e" * 64, "", NOON - timedelta(hours=1), "")
    return Interrupted("apply-1", str(OWNER), "f" * 64, "c" * 40, NOON, "ada", (done, begun, back), earlier)


def test_an_apply_that_was_cut_off_is_recorded_by_the_next_one_with_what_is_known() -> None:
    kept = Kept()
    apply_and_record(kept, MemoryTarget(), workspace(), interrupted=cut_off(), who="bob")
    found = loaded(kept, f"applies/20261121T120000Z-{'f' * 12}.yaml")
    assert (found["interrupted"], found["who"], found["ended"], found["exitCode"]) == (True, "ada", None, None)
    assert found["restored"] == ["Connection/store"]
    assert found["steps"] == [
        {"key": "Workspace/w", "action": "create", "fate": "done"},
        {"key": "Task/w/nightly", "action": "create", "underWay": True, "runId": "run-1"},
    ]
    assert loaded(kept, f"applies/20261121T110000Z-{'e' * 12}.yaml")["interrupted"] is True
    assert sorted(one.get("who", "") for one in of_kind(kept, "applies")) == ["", "ada", "bob"]


def test_an_apply_that_was_killed_after_it_had_been_recorded_keeps_its_own_record() -> None:
    kept, path = Kept(), f"staging/applies/20261121T120000Z-{'f' * 12}.yaml"
    kept.files[path] = b"apiVersion: specrunner/v1\nkind: ApplyStatus\n"
    apply_and_record(kept, MemoryTarget(), workspace(), interrupted=cut_off())
    assert kept.files[path] == b"apiVersion: specrunner/v1\nkind: ApplyStatus\n"


def test_no_record_holds_a_secret() -> None:
    kept = Kept()
    desired = project(workspace(), with_secret())
    target = MemoryTarget()
    outcome = applied(desired, target, source=Environ(PASSWORD="hunter22"))
    record(kept, OWNER, outcome, target)
    assert not [name for name, data in kept.files.items() if b"hunter22" in data]
    assert b"PASSWORD" in kept.files["staging/connections/store.yaml"]


class TestDamage:
    """Files that people or merges have spoilt."""

    PATH = "staging/connections/store.yaml"

    def kept(self) -> Kept:
        kept = Kept()
        apply_and_record(kept, MemoryTarget(), workspace(), connection())
        return kept

    @pytest.mark.parametrize(
        "damage",
        [
            lambda data: b"",
            lambda data: b"<<<<<<< ours\n" + data,
            lambda data: data.replace(b"host: here", b"host: there"),
            lambda data: data.replace(b"specrunner/v1", b"specrunner/v2"),
            lambda data: data.replace(b"Connection/store", b"Connection/other"),
            lambda data: data.replace(b"owner: ", b"owner: 7 #"),
            lambda data: b"\xff\xfe" + data,
            lambda data: b"- 1\n",
            lambda data: b"[" * 10_000,
            lambda data: b"a: &a [x,x,x]\nb: &b [*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b]\nd: [*c,*c,*c,*c]\n",
            lambda data: data[: len(data) // 2],
        ],
    )
    def test_a_damaged_file_is_a_problem_with_its_path_and_the_others_are_read(self, damage: Any) -> None:
        kept = self.kept()
        kept.files[self.PATH] = damage(kept.files[self.PATH])
        found = recorded(kept, OWNER)
        assert keys_of(one.key for one in found.objects) == {"Workspace/w"}
        (problem,) = found.problems
        assert self.PATH in problem.summary
        assert problem.remedy

    def test_files_that_are_not_ours_are_passed_over(self) -> None:
        kept = self.kept()
        kept.files |= {"staging/notes.yaml": b"[", "staging/connections/readme.txt": b"[", "other/tasks/x.yaml": b"["}
        assert not recorded(kept, OWNER).problems

    def test_a_damaged_record_of_a_run_is_passed_over(self) -> None:
        assert run_of(task().key, b"\xff[") is None
        assert run_of(task().key, b"id: x\nstatus: unheard of\ncreated: now\n") is None

    def test_the_top_of_a_file_may_lack_everything(self) -> None:
        assert header_of(b"\xff") == {}


def test_a_run_that_makes_up_for_a_skip_has_a_record_beside_that_of_the_skip() -> None:
    skip = RunView("r1", task().key, RunState.SKIPPED, NOON, Reason.SKIPPED_OVERLAP, scheduled=NOON, ended=NOON)
    again = replace(skip, id="r2", status=RunState.SUCCESS, reason=None, beside=True)
    assert [run_path(run).rpartition("/")[2] for run in (skip, again)] == [
        "20261121T120000Z.yaml",
        "20261121T120000Z-r2.yaml",
    ]
    for run in (skip, again):
        jsonschema.validate(run_file(run), SCHEMA)
        assert run_of(run.task, to_yaml(run_file(run))) == run


def test_a_folder_gives_back_what_was_written_below_the_prefix_only(tmp_path: Path) -> None:
    folder = FolderStatus(tmp_path / "status")
    assert folder.read("live/") == {}
    folder.write({"live/a/b.yaml": b"1", "live/README.md": b"2", "lively/c.yaml": b"3"}, "message")
    (tmp_path / "outside").write_bytes(b"secret")
    (tmp_path / "status" / "live" / "link").symlink_to(tmp_path / "outside")
    assert folder.read("live/") == {"live/a/b.yaml": b"1", "live/README.md": b"2"}
    folder.write({"live/a/b.yaml": None}, "message")
    assert folder.read("live/") == {"live/README.md": b"2"}
    assert folder.read("") == {"live/README.md": b"2", "lively/c.yaml": b"3"}


def test_what_a_removed_file_leaves_empty_goes_with_it_up_to_the_environment(tmp_path: Path) -> None:
    folder = FolderStatus(tmp_path)
    folder.write({"live/runs/w/task/1.yaml": b"1", "live/tasks/w/task.yaml": b"2", "live/tasks/x/y.yaml": b"3"}, "m")
    folder.write({"live/runs/w/task/1.yaml": None, "live/tasks/w/task.yaml": None}, "m")
    assert sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*")) == [
        "live",
        "live/tasks",
        "live/tasks/x",
        "live/tasks/x/y.yaml",
    ]
    folder.write({"live/tasks/x/y.yaml": None}, "m")
    assert [path.name for path in tmp_path.rglob("*")] == ["live"]


def test_two_writers_never_meet_in_one_part_and_what_a_kill_leaves_goes_at_the_next_write(tmp_path: Path) -> None:
    one, other = FolderStatus(tmp_path), FolderStatus(tmp_path)
    (tmp_path / ".part-of-somebody-killed").write_bytes(b"half")
    part, file = one._part()
    with file:
        file.write(b"ours")
        other.write({"live/a.yaml": b"theirs"}, "m")
        assert sorted(path.name for path in tmp_path.iterdir()) == sorted([part.name, "live"])
    other.write({"live/a.yaml": b"theirs again"}, "m")
    assert [path.name for path in tmp_path.iterdir()] == ["live"]
    assert other.read("live/") == {"live/a.yaml": b"theirs again"}


def test_a_part_that_was_swept_before_it_was_locked_is_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = fcntl.flock
    swept: list[Path] = []

    def slow(file: Any, how: int) -> None:
        if not swept:
            swept.extend(tmp_path.iterdir())
            swept[0].unlink()
        real(file, how)

    monkeypatch.setattr(fcntl, "flock", slow)
    FolderStatus(tmp_path).write({"a.yaml": b"1"}, "m")
    assert swept
    assert FolderStatus(tmp_path).read("") == {"a.yaml": b"1"}


def test_a_disk_that_refuses_leaves_no_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuses(_self: Path, _place: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", refuses)
    with pytest.raises(SpecrunnerError, match="No space left"):
        FolderStatus(tmp_path).write({"a.yaml": b"1"}, "m")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_can_not_be_written_is_told_before_anything_is_written(tmp_path: Path) -> None:
    FolderStatus(tmp_path / "none" / "status").check("live")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "live").write_bytes(b"")
    with pytest.raises(SpecrunnerError, match=r"/live is no folder"):
        FolderStatus(tmp_path).check("live")


def test_problems_name_the_file_below_the_folder_of_all_of_them() -> None:
    kept = Kept()
    apply_and_record(kept, MemoryTarget(), workspace(), connection())
    kept.files["staging/connections/store.yaml"] = b""
    (problem,) = recorded(kept, OWNER, "status").problems
    assert "status/staging/connections/store.yaml" in problem.summary
    assert problem.place is not None and problem.place.file == "status/staging/connections/store.yaml"


def test_the_times_of_runs_come_back_from_their_records_where_they_are_there() -> None:
    kept, target = Kept(), MemoryTarget()
    apply_and_record(kept, target, *ALL)
    (run,) = target.runs()
    (done,) = [one for one in recorded(kept, OWNER).objects if one.intents]
    assert done.times == {run.id: RunTimes(run.created, run.started, run.ended)}
    (path,) = [name for name in kept.files if "/runs/" in name]
    del kept.files[path]
    assert not [one for one in recorded(kept, OWNER).objects if one.times]
