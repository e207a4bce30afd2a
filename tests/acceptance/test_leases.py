"""One apply at a time, and what is said of one that was cut off."""

from __future__ import annotations

import subprocess
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from specrunner.core.keys import Key
from specrunner.core.leases import Holder
from specrunner.targets.faults import Fail
from tests.acceptance.in_memory import InMemory, memory

__all__ = ["memory"]

ROWS = "Connection/rows"


@pytest.fixture
def specs(memory: InMemory) -> InMemory:
    """A connection and a workspace of its own."""
    host(memory, "a")
    memory.repo.document("Workspace", "annex", {})
    return memory


@pytest.fixture
def applied(specs: InMemory) -> InMemory:
    specs.run("apply", "--yes")
    return specs


def host(memory: InMemory, name: str) -> None:
    memory.repo.document("Connection", "rows", {"type": "HTTP", "details": {"host": name}})


def hold(memory: InMemory, name: str, **more: Any) -> None:
    now = datetime.now(UTC)
    holder = Holder("grace", "ci-7", 4711, now, "t", url="https://ci.example.com/7", **more)
    assert memory.target.take_lease(name, holder) is None


def test_a_second_apply_is_refused_with_who_holds_the_first_and_unlock_breaks_it(applied: InMemory) -> None:
    hold(applied, "acceptance/default")
    host(applied, "b")
    refused = applied.run("apply", "--yes", code=1).err
    for words in ("grace", "ci-7", "4711", "https://ci.example.com/7", "`specrunner unlock`"):
        assert words in refused
    assert applied.run("plan", "--detailed-exitcode", code=2)  # looking is never locked out
    assert "grace on ci-7" in applied.run("unlock", code=64).out
    assert "Broken: acceptance/default" in applied.run("unlock", "--yes").out
    applied.run("apply", "--yes")
    assert "Nobody holds" in applied.run("unlock").out


def test_unlock_breaks_the_lease_of_its_environment_only_or_all(applied: InMemory) -> None:
    hold(applied, "other/default")
    assert "Nobody holds" in applied.run("unlock", "--yes").out
    applied.run("apply", "--yes")  # another project's lease is none of our business
    assert "Broken: other/default" in applied.run("unlock", "--all", "--yes").out
    hold(applied, "*")
    assert "everything on this target" in applied.run("unlock", "--yes").out
    assert not applied.target.leases()
    assert "-e" in applied.run("unlock", "--all", "-e", "default", code=64).err


def test_an_apply_gives_its_lease_back_however_it_ends(applied: InMemory) -> None:
    applied.repo.remove("workspace-annex.yaml")
    applied.run("apply", code=64)  # nobody to ask
    assert not applied.target.leases()


def test_unlock_works_while_the_specs_are_broken(applied: InMemory) -> None:
    hold(applied, "acceptance/default")
    applied.repo.write("broken.yaml", "apiVersion: specrunner/v1\nkind: Workspace\nmetadata: {nam: x}\n")
    assert "Broken: acceptance/default" in applied.run("unlock", "--yes").out
    assert "'prod'" in applied.run("unlock", "--yes", "-e", "prod", code=1).err


def test_unlock_says_that_a_lease_has_expired(applied: InMemory) -> None:
    hold(applied, "acceptance/default")
    lease = applied.state.leases["acceptance/default"]
    past = lease.expires - timedelta(minutes=5)
    applied.state.leases["acceptance/default"] = type(lease)(lease.name, lease.holder, past, past)
    assert "It has expired." in applied.run("unlock", "--yes").out


def cut_off() -> Exception:
    """The process ends here, as far as it can without ending the tests."""
    raise KeyboardInterrupt


def test_plan_and_apply_say_that_an_apply_was_cut_off(specs: InMemory, monkeypatch: pytest.MonkeyPatch) -> None:
    specs.goes_wrong(Fail(method="put", key=Key.parse(ROWS), error=cut_off))
    with pytest.raises(BaseException):  # noqa: B017 - whatever a killed process looks like from outside
        specs.run("apply", "--yes", "--parallelism", "1")
    specs.goes_wrong()
    assert "was cut off" in specs.run("plan").out
    assert "was cut off" in specs.run("apply", "--yes").out
    assert "was cut off" not in specs.run("plan").out


def test_git_is_not_needed(specs: InMemory, monkeypatch: pytest.MonkeyPatch) -> None:
    real = subprocess.run

    def no_git(command: list[str], *words: Any, **named: Any) -> Any:
        if command[0] == "git" or command[0].endswith("/git"):
            raise FileNotFoundError("git")
        return real(command, *words, **named)

    monkeypatch.setattr(subprocess, "run", no_git)
    specs.run("apply", "--yes")
    assert ROWS in specs.live()
