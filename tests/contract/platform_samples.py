"""A platform that speaks the MLOps API, for the contract of targets: a real server over an engine, with its host.

All who open the same folder reach the same platform; the last of them to close ends it.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import httpx

from specrunner.core.ports import Clock
from specrunner.engine.engine import Engine
from specrunner.targets.base import Target
from specrunner.targets.memory import MemoryState, MemoryTarget
from specrunner.targets.wallaroo import WallarooTarget
from specrunner.targets.wallaroo.http import Platform
from specrunner.targets.wallaroo.memory import Memory
from tests.integration.mlops_face import platform_on


@dataclass
class _Running:
    """One platform that runs, and how many have it open."""

    engine: Engine
    url: str
    stack: ExitStack
    users: int = 0


_RUNNING: dict[Path, _Running] = {}


class _Way(httpx.HTTPTransport):
    """The way to a platform of this process."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder
        _RUNNING[folder].users += 1

    def close(self) -> None:
        super().close()
        found = _RUNNING[self.folder]
        found.users -= 1
        if not found.users:
            del _RUNNING[self.folder]
            found.stack.close()


def wallaroo(folder: Path, clock: Clock | None = None) -> Target:
    """A client of the platform of this folder; the clock is that of leases, which the platform does not have."""
    if folder not in _RUNNING:
        stack = ExitStack()
        platform = stack.enter_context(platform_on(folder))
        _RUNNING[folder] = _Running(platform.engine, platform.url, stack)
    client = httpx.Client(transport=_Way(folder), timeout=30)
    leases = MemoryTarget(MemoryState(folder / "wallaroo-leases.json"), clock=clock)
    memory = Memory(folder / "wallaroo.json")
    # What it has no words for is left out: the samples are made for targets that have them.
    return WallarooTarget(Platform(_RUNNING[folder].url, client=client), memory, leases, warn=lambda _problems: None)


def engine_behind(target: WallarooTarget) -> Engine:
    """The engine of the platform behind a target."""
    client = target._platform.client
    assert client is not None and isinstance(client._transport, _Way)
    return _RUNNING[client._transport.folder].engine


_NAMES = "the platform keeps the names of its objects: `renamedFrom` is refused when it is planned"
_INSTANTS = "the platform does not tell which instant of a schedule a run was for"
_ORDERS = "a task that runs once is what is remembered of it: the platform has its orders only, and removes none"
_STATUS = "nothing is brought back: what was applied is read from the status files with everything else"
# What the contract asks and a platform has no way to keep: tests by name, each with its reason.
WITHOUT: Mapping[str, Mapping[str, str]] = {
    "wallaroo": {
        "test_a_renamed_object_is_the_same_object": _NAMES,
        "test_the_runs_of_a_task_follow_it_to_its_new_key": _NAMES,
        "test_renaming_twice_is_renaming_once": _NAMES,
        "test_a_rename_may_change_more": _NAMES,
        "test_a_rename_of_what_was_changed_meanwhile_is_stale": _NAMES,
        "test_several_renames_and_changes_of_those_who_name_them_go_in_one_apply": _NAMES,
        "test_a_task_that_uses_a_renamed_workspace_finds_it_in_the_same_apply": _NAMES,
        "test_a_task_that_uses_a_renamed_workspace_is_not_run_again": _NAMES,
        "test_the_old_name_is_free_after_a_rename": _NAMES,
        "test_another_process_sees_the_new_name": _NAMES,
        "test_what_was_missed_is_made_up_for_once": _INSTANTS,
        "test_what_is_yet_to_come_was_not_missed": _INSTANTS,
        "test_more_than_a_thousand_and_an_empty_span_are_refused": _INSTANTS,
        "test_what_reads_stores_nothing": f"{_INSTANTS}, and this test asks that too",
        "test_a_service_that_nobody_keeps_alive_waits_and_a_suspended_one_is_stopped": (
            "the platform keeps what runs continuously alive by itself, and tells no port: services are refused"
        ),
        "test_what_was_applied_and_removed_by_another_is_missing[wallaroo-Task]": _ORDERS,
        "test_what_a_task_has_run_is_not_run_again_because_somebody_removed_it": _ORDERS,
        "test_a_failure_is_told_and_not_repeated_by_a_plan": "the platform tells neither exit codes nor their reasons",
        "test_a_fresh_target_remembers_nobody": _STATUS,
        "test_applying_alone_does_not_make_it_remember": _STATUS,
        "test_what_was_brought_back_is_as_it_was_applied_and_nothing_runs": _STATUS,
        "test_bringing_back_twice_is_bringing_back_once": _STATUS,
        "test_metadata_comes_back": _STATUS,
        "test_a_restored_intent_counts_as_carried_out": _STATUS,
        "test_a_restored_intent_that_went_wrong_is_not_repeated_by_a_plan": _STATUS,
        "test_a_restored_run_was_when_its_record_says": _STATUS,
        "test_what_was_brought_back_can_be_changed_run_and_deleted": _STATUS,
        "test_a_task_that_was_suspended_is_brought_back_suspended": _STATUS,
        "test_what_is_there_already_is_not_brought_back_over": _STATUS,
        "test_nothing_is_brought_back_over_what_another_has_made": _STATUS,
        "test_bringing_back_goes_on_where_it_was_cut_off": _STATUS,
        "test_a_secret_that_somebody_has_exchanged_is_noticed_and_put_back": (
            "the platform tells details one connection at a time, and lists are all that is asked for a plan"
        ),
        "test_the_bytes_of_models_and_orchestrations_are_given_back": "the platform gives no bytes back",
        "test_they_are_those_in_force": "the platform gives no bytes back",
        "test_they_come_back_with_their_objects": _STATUS,
    }
}
