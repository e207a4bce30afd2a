"""Orchestrations, tasks and their runs."""

from __future__ import annotations

from tests.sdk.drive import FOLDER, S, call, html, raises, until


@call("wl.upload_orchestration(path, name)")
def _() -> None:
    S.orchestration = S.wl.upload_orchestration(path=str(FOLDER / "hello.zip"), name="hello")
    assert S.orchestration.name() == "hello" and S.orchestration.file_name() == "hello.zip"
    assert len(S.orchestration.sha()) == 64


@call("orchestration.status()")
def _() -> None:
    until(lambda: S.orchestration.status() in {"ready", "error"}, "the packaging")
    assert S.orchestration.status() == "ready"
    assert "hello.zip" in html(S.orchestration)


@call("wl.upload_orchestration(bytes_buffer, name)")
def _() -> None:
    data = (FOLDER / "hello.zip").read_bytes()
    made = S.wl.upload_orchestration(bytes_buffer=data, name="bytes")
    assert made.file_name() == "-" and made.id() != S.orchestration.id()
    until(lambda: made.status() == "ready", "the packaging")
    named = S.wl.upload_orchestration(bytes_buffer=data, name="bytes too", file_name="given.zip")
    assert named.file_name() == "given.zip"


@call("wl.upload_orchestration(no main.py)")
def _() -> None:
    made = S.wl.upload_orchestration(path=str(FOLDER / "bad.zip"), name="bad")
    until(lambda: made.status() == "error", "the refusal")


@call("wl.list_orchestrations()")
def _() -> None:
    found = S.wl.list_orchestrations()
    assert S.orchestration.id() in [one.id() for one in found]
    assert f"{S.orchestration.sha()[:6]}...{S.orchestration.sha()[-6:]}" in html(found)


@call("orchestration.run_once(name, json_args, timeout)")
def _() -> None:
    S.task = S.orchestration.run_once(name="greet", json_args={"who": "world"}, timeout=60)
    assert S.task.id()


@call("task.status()")
def _() -> None:
    until(lambda: str(getattr(S.task.status(), "value", S.task.status())) == "started", "the start")
    assert S.task.name() == "greet" and S.task.input_data() == {"who": "world"}


@call("task.last_runs()")
def _() -> None:
    until(lambda: list(S.task.last_runs(status="success")), "the end")
    assert len(S.task.last_runs()) == 1 and len(S.task.last_runs(limit=1, status="all")) == 1
    assert len(S.task.last_runs(status="failure")) == 0
    assert "success" in html(S.task.last_runs())
    raises(ValueError, lambda: S.task.last_runs(status="nonsense"))


@call("run.logs(limit)")
def _() -> None:
    run = S.task.last_runs()[0]
    lines = run.logs()
    assert any("hello world" in line for line in lines), list(lines)
    assert len(run.logs(limit=1)) == 1 and "done" in run.logs(limit=1)[0]
    assert "hello world" in html(lines)
    html(run)


@call("task table")
def _() -> None:
    again = S.wl.get_task_by_id(S.task.id())
    shown = html(again)
    assert "Temporary Run" in shown and "success" in shown and "<td>-</td>" in shown, shown


@call("orchestration.run_once(name): twice the same name")
def _() -> None:
    again = S.orchestration.run_once(name="greet", json_args={})
    assert again.id() != S.task.id() and again.name() == "greet"


@call("wl.list_tasks()")
def _() -> None:
    found = S.wl.list_tasks()
    assert S.task.id() in [one.id() for one in found]
    assert "greet" in html(found)


@call("wl.get_task_by_id(id)")
def _() -> None:
    assert S.wl.get_task_by_id(S.task.id()).name() == "greet"


@call("wl.get_task_by_id(missing)")
def _() -> None:
    missing = "00000000-0000-4000-8000-000000000000"
    raises(Exception, lambda: S.wl.get_task_by_id(missing).name())


@call("orchestration.run_scheduled(name, schedule, timeout, json_args)")
def _() -> None:
    S.scheduled = S.orchestration.run_scheduled(name="nightly", schedule="0 2 * * *", timeout=60, json_args={})
    until(lambda: str(getattr(S.scheduled.status(), "value", S.scheduled.status())) == "started", "the schedule")
    shown = html(S.wl.get_task_by_id(S.scheduled.id()))
    assert "Scheduled Run" in shown and "0 2 * * *" in shown and "unknown" in shown, shown


@call("orchestration.run_scheduled(bad schedule)")
def _() -> None:
    raises(Exception, lambda: S.orchestration.run_scheduled(name="x", schedule="61 * * * *", json_args={}))


@call("orchestration.list_tasks()")
def _() -> None:
    assert S.scheduled.id() in [one.id() for one in S.orchestration.list_tasks()]


@call("task._pause(), task._resume()")
def _() -> None:
    S.scheduled._pause()
    assert S.scheduled.status() == "paused"
    S.scheduled._resume()
    assert S.scheduled.status() == "started"


@call("task.kill()")
def _() -> None:
    assert repr(S.scheduled.kill()) == "<ArbexStatus.PENDING_KILL: 'pending_kill'>"
    assert repr(S.scheduled.kill()) == "<ArbexStatus.PENDING_KILL: 'pending_kill'>"


@call("wl.list_tasks(killed=True)")
def _() -> None:
    assert [one.id() for one in S.wl.list_tasks(killed=True)] == [S.scheduled.id()]


@call("task.kill(): one that has ended")
def _() -> None:
    assert repr(S.task.kill()) == "<ArbexStatus.PENDING_KILL: 'pending_kill'>"
    assert "False" in html(S.wl.get_task_by_id(S.task.id()))


@call("orchestration.run_continuously(name, json_args)")
def _() -> None:
    service = S.orchestration.run_continuously(name="service", json_args={})
    until(lambda: str(getattr(service.status(), "value", service.status())) == "started", "the service")
    service.kill()
