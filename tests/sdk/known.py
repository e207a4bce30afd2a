"""What is known to be otherwise than a client promises, and the calls that a client does not have; with reasons."""

from __future__ import annotations

from tests.sdk.versions import NEW, OLD, OURS

DIFFERENT: dict[str, dict[str, str]] = {
    OLD: {
        "wl.search_pipelines(created_start, created_end)": (
            "with both limits this client sends the first as the second too, so nothing is ever between them"
        ),
    },
}
_LATER = "this client came before the call"
_EARLIER = "newer clients say wl.model_version_by_name"
_PRIVATE = "a private call; ours has a public one, or no need of it"
_NO_NEED = "nothing in the tutorials asks for it, and ours leaves it out"
LACKING: dict[str, dict[str, str]] = {
    NEW: {"wl.model_by_name(name, version)": _EARLIER},
    OLD: {
        "wl.get_workspace(name)": _LATER,
        "wl.get_workspace(missing)": _LATER,
        "wl.get_model(name)": _LATER,
        "wl.get_model(missing)": _LATER,
        "wl.model_version_by_name(name, version)": _LATER,
        "model.get_upload_logs()": _LATER,
        "wl.get_pipeline(missing)": _LATER,
        "wl.get_pipeline(name)": _LATER,
        "pipeline.parallel_infer(DataFrame)": _LATER,
        "pipeline.async_infer(DataFrame)": _LATER,
        "task._pause(), task._resume()": _LATER,
        "orchestration.run_continuously(name, json_args)": _LATER,
    },
    OURS: {
        "model.config()": _NO_NEED,
        "model.last_update_time(), model.uid(), model.tags()": "model.version() and wl.list_tags() tell it",
        "wl.model_version_by_name(name, version)": _NO_NEED,
        "model.get_upload_logs()": "model.error() tells why a model is not ready",
        "deployment.infer(DataFrame)": "pipeline.infer needs no round trip more, so there is no such object",
        "pipeline.async_infer(DataFrame)": "pipeline.parallel_infer does as much, without a client of httpx",
        "wl.list_deployments()": _NO_NEED,
        "wl.deployment_by_name(name)": _NO_NEED,
        "model._update_visibility(), pipeline._update_visibility()": _PRIVATE,
        "task._pause(), task._resume()": _PRIVATE,
        "Client(auth_type=AuthType.NONE)": "our client asks for no log-in where none is needed",
    },
}
