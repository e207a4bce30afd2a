"""Models."""

from __future__ import annotations

from wallaroo.object import EntityNotFoundError

from tests.sdk.drive import FOLDER, OLD, S, call, framework, html, raises, status_of


@call("wl.upload_model(name, path).configure()")
def _() -> None:
    S.model = S.wl.upload_model("houses", str(FOLDER / "linear.onnx"), **framework()).configure()
    assert S.model.name() == "houses" and len(S.model.sha()) == 64 and S.model.file_name() == "linear.onnx"
    assert S.model.version() and "houses" in (repr(S.model) if OLD else html(S.model))


@call("model.configure(tensor_fields, batch_config)")
def _() -> None:
    found = S.model.configure(runtime="onnx", tensor_fields=["tensor"], batch_config="single")
    assert found.id() == S.model.id()


@call("model.config()")
def _() -> None:
    assert S.model.config().runtime() == "onnx"


@call("model.status()")
def _() -> None:
    assert status_of(S.model) == "ready"


@call("model.last_update_time(), model.uid(), model.tags()")
def _() -> None:
    assert S.model.last_update_time() and S.model.uid() and S.model.tags() == []


@call("wl.list_models()")
def _() -> None:
    found = S.wl.list_models()
    assert [one.name() for one in found] == ["houses"]
    assert "houses" in html(found)


@call("wl.get_model(name)")
def _() -> None:
    found = S.wl.get_model("houses")
    assert found.name() == "houses" and found.id() == S.model.id()


@call("wl.get_model(missing)")
def _() -> None:
    raises(Exception, lambda: S.wl.get_model("nothing"))


@call("wl.model_version_by_name(name, version)")
def _() -> None:
    assert S.wl.model_version_by_name("houses", S.model.version()).id() == S.model.id()
    raises(EntityNotFoundError, lambda: S.wl.model_version_by_name("houses", "nothing"))


@call("wl.model_by_name(name, version)")
def _() -> None:
    assert S.wl.model_by_name("houses", S.model.version()).id() == S.model.id()
    raises(EntityNotFoundError, lambda: S.wl.model_by_name("houses", "nothing"))


@call("workspace.models()")
def _() -> None:
    assert [one.name() for one in S.workspace.models()] == ["houses"]


@call("model.get_upload_logs()")
def _() -> None:
    S.model.get_upload_logs()
