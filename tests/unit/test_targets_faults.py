"""Faults on order: each strikes the calls it is for, at its moment, and lets all others pass."""

from __future__ import annotations

import inspect
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from specrunner.core.errors import Place, Refused, Transient
from specrunner.core.fields import Action
from specrunner.core.keys import Key, Kind
from specrunner.core.plan import Step
from specrunner.core.resources import Owner, Resource
from specrunner.core.values import Secret
from specrunner.targets.base import PutOrder, Target
from specrunner.targets.faults import WRITES, Call, Delay, Fail, Faulty, Moment, Rule, Stale
from specrunner.targets.memory import MemoryState, MemoryTarget

OURS = Owner("shop", "prod")
LAB, ANNEX = Key(Kind.WORKSPACE, "", "lab"), Key(Kind.WORKSPACE, "", "annex")


def order(key: Key = LAB) -> PutOrder:
    return PutOrder(Resource(key, {}, Place("specs.yaml")), Step(key, Action.CREATE, ""), OURS)


def faulty(*rules: Rule) -> tuple[Faulty, Target]:
    target = MemoryTarget()
    return Faulty(target, rules), target


def test_without_rules_calls_pass_and_are_counted() -> None:
    ours, target = faulty()
    ours.fingerprint(Secret("a"))
    ours.put(order())
    assert ours.read() == target.read() and set(target.read()) == {LAB}
    ours.remember(OURS)
    assert ours.calls == [
        Call(1, 0, "fingerprint"),
        Call(2, 1, "put", LAB),
        Call(3, 0, "read"),
        Call(4, 2, "remember"),
    ]
    assert ours.writes == [Call(2, 1, "put", LAB), Call(4, 2, "remember")]


def test_every_method_of_the_port_passes_through_with_the_same_signature() -> None:
    port = {name: found for name, found in inspect.getmembers(Target, inspect.isfunction) if not name.startswith("_")}
    for name, found in port.items():
        assert inspect.signature(getattr(Faulty, name)) == inspect.signature(found), name
    assert set(port) >= WRITES
    assert Faulty(MemoryTarget()).name == "memory"


def test_a_fault_before_the_effect_leaves_nothing() -> None:
    ours, target = faulty(Fail(write=1))
    with pytest.raises(Transient):
        ours.put(order())
    assert target.read() == {}
    ours.put(order())
    assert set(target.read()) == {LAB}


def test_a_lost_reply_leaves_the_effect() -> None:
    ours, target = faulty(Fail(write=1, moment=Moment.AFTER))
    with pytest.raises(Transient):
        ours.put(order())
    assert set(target.read()) == {LAB}


def test_a_rule_is_for_the_calls_it_names() -> None:
    ours, target = faulty(Fail(method="put", key=ANNEX))
    ours.put(order(LAB))
    for _ in range(2):
        with pytest.raises(Transient):
            ours.put(order(ANNEX))
    assert set(target.read()) == {LAB}


def test_a_rule_may_count_all_calls() -> None:
    ours, _ = faulty(Fail(call=2))
    ours.read()
    with pytest.raises(Transient):
        ours.read()
    ours.read()


def test_a_rule_strikes_as_often_as_it_says() -> None:
    ours, _ = faulty(Fail(method="put", times=2))
    for _ in range(2):
        with pytest.raises(Transient):
            ours.put(order())
    ours.put(order())
    assert len(ours.writes) == 3


def test_a_fault_may_be_of_any_kind() -> None:
    ours, _ = faulty(Fail(method="read", error=lambda: Refused("no")))
    with pytest.raises(Refused, match="no"):
        ours.read()


def test_a_delay_waits_and_goes_on() -> None:
    waited: list[float] = []
    ours = Faulty(MemoryTarget(), [Delay(seconds=3, method="put")], waited.append)
    ours.put(order())
    ours.read()
    assert waited == [3] and set(ours.read()) == {LAB}


def test_a_stale_read_tells_what_was() -> None:
    ours, _ = faulty(Stale(reads=2, call=6))
    ours.read()
    ours.put(order(LAB))
    assert set(ours.read()) == {LAB}
    ours.put(order(ANNEX))
    assert set(ours.read()) == {LAB, ANNEX}
    assert set(ours.read()) == {LAB}  # the sixth call is the fourth read: as the second was
    assert set(ours.read()) == {LAB, ANNEX}


def test_a_stale_read_before_there_was_another_tells_the_first() -> None:
    ours, _ = faulty(Stale(reads=5))
    ours.put(order(LAB))
    ours.read()
    ours.put(order(ANNEX))
    assert set(ours.read()) == {LAB}


def test_calls_from_several_threads_are_counted_one_by_one() -> None:
    ours, _ = faulty(Fail(write=20))
    keys = [Key(Kind.WORKSPACE, "", f"lab-{number}") for number in range(40)]

    def put(key: Key) -> bool:
        try:
            ours.put(order(key))
        except Transient:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(put, keys)) == [False] + [True] * 39
    assert [call.write for call in ours.writes] == list(range(1, 41))
    assert len(ours.read()) == 39


KILLED = """
import sys
from pathlib import Path
from specrunner.targets.faults import Faulty, Kill, Moment
from specrunner.targets.memory import MemoryState, MemoryTarget
from tests.unit.test_targets_faults import ANNEX, LAB, order
target = Faulty(MemoryTarget(MemoryState(Path(sys.argv[1]))), [Kill(write=2, moment=Moment(sys.argv[2]))])
target.put(order(LAB))
target.put(order(ANNEX))
print("still here")
"""


@pytest.mark.parametrize(("moment", "there"), [(Moment.BEFORE, {LAB}), (Moment.AFTER, {LAB, ANNEX})])
def test_a_kill_ends_the_process_at_the_very_call(tmp_path: Path, moment: Moment, there: set[Key]) -> None:
    path = tmp_path / "state.json"
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(path), moment],
        cwd=root,
        env={"PYTHONPATH": str(root)},
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout) == (-signal.SIGKILL, b"")
    assert set(MemoryTarget(MemoryState(path)).read()) == there
