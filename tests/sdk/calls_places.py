"""The client itself, workspaces, connections."""

from __future__ import annotations

import wallaroo

from tests.sdk.drive import OLD, OURS, URL, S, call, html, raises


@call("Client()")
def _() -> None:
    S.wl = wallaroo.Client(api_endpoint=URL, auth_type="test_auth", **({"auth_endpoint": URL} if OLD else {}))


@call("wl.in_task()")
def _() -> None:
    assert S.wl.in_task() is False


@call("wl.task_args(): outside a task")
def _() -> None:
    raises(Exception, S.wl.task_args)


@call("wl.get_current_workspace(): the default one")
def _() -> None:
    assert S.wl.get_current_workspace().id() > 0
    assert S.wl.get_current_workspace().name()


@call("wl.create_workspace(name)")
def _() -> None:
    assert S.wl.create_workspace("calls").name() == "calls"


@call("wl.create_workspace(taken)")
def _() -> None:
    raises(Exception, lambda: S.wl.create_workspace("calls"))


@call("wl.list_workspaces()")
def _() -> None:
    found = S.wl.list_workspaces()
    S.workspace = next(one for one in found if one.name() == "calls")
    assert "calls" in html(found)


@call("wl.get_workspace(name)")
def _() -> None:
    assert S.wl.get_workspace(name="calls").id() == S.workspace.id()
    assert S.wl.get_workspace(name="calls-too", create_if_not_exist=True).name() == "calls-too"


@call("wl.get_workspace(missing)")
def _() -> None:
    raises(Exception, lambda: S.wl.get_workspace(name="nowhere"))


@call("wl.set_current_workspace(workspace)")
def _() -> None:
    S.wl.set_current_workspace(S.workspace)
    assert S.wl.get_current_workspace().id() == S.workspace.id()


@call("workspace accessors")
def _() -> None:
    again = next(one for one in S.wl.list_workspaces() if one.name() == "calls")
    assert not again.archived() and again.created_at() and again.created_by() is not None
    assert again.models() == [] and again.pipelines() == []
    assert "calls" in (html(again) if OURS else repr(again))


@call("workspace.users()")
def _() -> None:
    assert isinstance(S.workspace.users(), list)


@call("wl.get_connection(missing)")
def _() -> None:
    problem = raises(Exception, lambda: S.wl.get_connection("nothing"))
    if OLD or OURS:
        assert type(problem).__name__ in {"RequiredAttributeMissing", "ConnectionNotFoundError"}, type(problem)


@call("wl.create_connection(name, type, details)")
def _() -> None:
    made = S.wl.create_connection("store", "HTTPFILE", {"host": "http://a.example/x", "deep": {"n": [1, 2.5, None]}})
    assert made.name() == "store" and made.connection_type() == "HTTPFILE"
    assert made.details()["deep"] == {"n": [1, 2.5, None]}
    assert "*****" in html(made) and "a.example" not in html(made)


@call("wl.create_connection(taken)")
def _() -> None:
    raises(Exception, lambda: S.wl.create_connection("store", "HTTPFILE", {}))


@call("wl.get_connection(name)")
def _() -> None:
    found = S.wl.get_connection(name="store")
    assert found.details()["host"] == "http://a.example/x" and found.workspace_names() == []
    assert found.created_at()


@call("workspace.add_connection(name)")
def _() -> None:
    S.workspace.add_connection("store")
    assert S.wl.get_connection("store").workspace_names() == ["calls"]


@call("workspace.list_connections()")
def _() -> None:
    found = S.workspace.list_connections()
    assert [one.name() for one in found] == ["store"]
    assert "*****" in html(found) and "a.example" not in html(found)


@call("wl.list_connections()")
def _() -> None:
    assert [one.name() for one in S.wl.list_connections()] == ["store"]


@call("workspace.remove_connection(name)")
def _() -> None:
    S.workspace.remove_connection("store")
    assert html(S.workspace.list_connections()) == "(no connections)"


@call("connection.delete_connection()")
def _() -> None:
    S.workspace.add_connection("store")
    S.wl.get_connection("store").delete_connection()
    assert list(S.wl.list_connections()) == [] and list(S.workspace.list_connections()) == []
    raises(Exception, lambda: S.wl.get_connection("store"))
