"""Services: kept alive by a host, started again when they end, and told apart by how they are."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from specrunner.core.lifecycle import RunState, TaskState
from specrunner.core.services import ServiceState
from specrunner.engine.engine import Engine
from specrunner.engine.records import Origin, Run, Task
from specrunner.engine.tasks.services import answers
from tests.integration.daemon_samples import daemon
from tests.integration.engine_samples import add_task, engine_on, until

LISTENING = """\
import socket, threading
listening = socket.create_server(("127.0.0.1", {port}))
threading.Event().wait()
"""


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    with engine_on(tmp_path / "state") as opened:
        yield opened


@pytest.fixture
def port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        number: int = found.getsockname()[1]
    return number


def service(engine: Engine, port: int, code: str = LISTENING) -> Task:
    return add_task(engine, code.format(port=port), "web", service={"port": port})


def living(engine: Engine, task: Task) -> Run:
    """The one run that lives, once there is one."""
    until(lambda: [run for run in engine.history.of_task(task.id) if run.status is RunState.RUNNING], "a living run")
    (found,) = [run for run in engine.history.of_task(task.id) if not run.status.ended]
    return found


def test_a_service_is_started_and_ready_when_its_port_answers(engine: Engine, port: int) -> None:
    task = service(engine, port)
    assert engine.services.state(task) is ServiceState.WAITING
    with daemon(engine.folder):
        assert living(engine, task).origin is Origin.SERVICE
        until(lambda: engine.services.state(task) is ServiceState.RUNNING, "its port")


def test_a_service_that_is_killed_comes_again_and_a_killed_task_does_not(engine: Engine, port: int) -> None:
    task = service(engine, port)
    with daemon(engine.folder):
        first = living(engine, task)
        engine.runs.kill(first.id, grace=0.0)
        second = living(engine, task)
        assert second.id != first.id
        engine.runs.kill_task(task)
        assert engine.tasks.get(task.id).status is TaskState.KILLED
        assert engine.services.state(engine.tasks.get(task.id)) is ServiceState.STOPPED
    assert all(run.status is RunState.KILLED for run in engine.history.of_task(task.id))


def test_a_service_that_ends_again_and_again_is_in_a_crash_loop(engine: Engine, port: int) -> None:
    task = service(engine, port, "raise SystemExit(3)")
    with daemon(engine.folder):
        until(lambda: engine.services.state(task) is ServiceState.CRASH_LOOP, "a crash loop")
    runs = engine.history.of_task(task.id)
    assert len(runs) >= 3 and {run.exit_code for run in runs if run.status.ended} == {3}


def test_a_service_outlives_its_host_and_the_next_one_starts_no_second(engine: Engine, port: int) -> None:
    task = service(engine, port)
    with daemon(engine.folder) as first:
        run = living(engine, task)
        first.crash()
    with daemon(engine.folder) as second:
        other = add_task(engine, "", "other")
        assert engine.runs.carry_out(engine.runs.submit(other).id).status is RunState.SUCCESS
        assert second.stop() == "True"
    assert [found.id for found in engine.history.of_task(task.id)] == [run.id]


def test_a_changed_service_is_started_anew_from_its_new_spec(engine: Engine, port: int) -> None:
    task = service(engine, port)
    with daemon(engine.folder):
        old = living(engine, task)
        changed = service(engine, port, "print('anew', flush=True)\n" + LISTENING)
        assert changed.id == task.id
        until(lambda: engine.history.get(old.id).status is RunState.KILLED, "the end of the old one")
        assert living(engine, changed).orchestration_id == changed.orchestration_id != old.orchestration_id


def test_services_take_up_no_slot(engine: Engine, port: int) -> None:
    task, other = service(engine, port), add_task(engine, "", "other")
    with daemon(engine.folder, slots=1):
        living(engine, task)
        assert engine.runs.carry_out(engine.runs.submit(other).id).status is RunState.SUCCESS


ECHO = """\
import socket, threading
listening = socket.create_server(("127.0.0.1", {port}))
while True:
    caller, _ = listening.accept()
    with caller:
        caller.sendall(b"you said " + caller.recv(100))
"""


def test_a_service_on_request_starts_at_the_first_connection_which_is_answered(engine: Engine, port: int) -> None:
    task = add_task(engine, ECHO.format(port=port), "web", service={"port": port, "activation": "onRequest"})
    with daemon(engine.folder) as host:
        until(lambda: answers(port), "the host listens")  # which is a call, and wakes it
        first = living(engine, task)
        until(lambda: engine.services.state(task) is ServiceState.RUNNING, "the service itself")
        engine.runs.kill(first.id, grace=0.0)
        with calling(port) as caller:
            caller.sendall(b"good morning")
            assert caller.recv(100) == b"you said good morning"
        assert living(engine, task).id != first.id
        assert host.stop() == "True"


def calling(port: int) -> socket.socket:
    """A connection to whoever listens: the host, once it has seen the end of the service."""
    found: list[socket.socket] = []

    def connect() -> bool:
        with suppress(OSError):
            found.append(socket.create_connection(("127.0.0.1", port), 20))
        return bool(found)

    until(connect, "somebody listens")
    return found[0]


def test_a_service_on_request_that_nobody_calls_does_not_run(engine: Engine, port: int) -> None:
    task = add_task(engine, ECHO.format(port=port), "web", service={"port": port, "activation": "onRequest"})
    other = add_task(engine, "", "other")
    with daemon(engine.folder) as host:
        until(lambda: not is_free(port), "the host listens")
        assert engine.runs.carry_out(engine.runs.submit(other).id).status is RunState.SUCCESS
        engine.runs.kill_task(task)
        until(lambda: is_free(port), "the host listens for it no more")
        assert host.stop() == "True"
    assert engine.history.of_task(task.id) == []


def is_free(port: int) -> bool:
    """Whether nobody listens there; unlike a call, asking so wakes nobody."""
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except OSError:
        return False
    return True
