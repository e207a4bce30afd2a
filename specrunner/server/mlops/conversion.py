"""What an upload says of a model beside its bytes, and how far the platform is with it."""

from __future__ import annotations

from collections.abc import Mapping

from specrunner.core.errors import BadInput
from specrunner.core.lifecycle import ModelState
from specrunner.core.values import Json
from specrunner.engine.engine import Engine
from specrunner.engine.records import ModelVersion
from specrunner.server.calls import field_of

# Our states in the clients' words.
_STATUS = {
    ModelState.PENDING_PACKAGING: "pending_load_container",
    ModelState.PACKAGING: "attempting_load_container",
    ModelState.READY: "ready",
    ModelState.ERROR: "error",
}
_SCHEMAS = {"input_schema": "inputs", "output_schema": "outputs"}


def config_of(engine: Engine, metadata: Mapping[str, Json], file_name: str) -> dict[str, Json]:
    """The configuration of a version: framework, requirements and schemas.

    Where the client names no framework the file's name tells it. Raises BadInput for a framework that is not served.
    """
    conversion = metadata.get("conversion") and field_of(metadata, "conversion", dict)
    told: Mapping[str, Json] = conversion or {}
    named = field_of(told, "framework", str) if told.get("framework") else framework_of_file(file_name)
    config: dict[str, Json] = {"framework": named}
    requirements = told.get("requirements") or []
    if not isinstance(requirements, list) or not all(isinstance(one, str) for one in requirements):
        raise BadInput("`requirements` must be a list of texts.", f"It is {requirements!r}.")
    if requirements:
        config["requirements"] = requirements
    config |= schemas_of(metadata)
    engine.loading.check_framework(config)
    return config


def framework_of_file(file_name: str) -> str:
    """The framework that a file's name tells: ONNX for `.onnx`, else Python, which tells pickles apart by itself."""
    return "onnx" if file_name.lower().endswith(".onnx") or "." not in file_name else "python"


def schemas_of(said: Mapping[str, Json]) -> dict[str, Json]:
    """`inputs` and `outputs` from the Arrow schemas that a client sends, as far as they can be declared."""
    from specrunner.engine import tables

    found: dict[str, Json] = {}
    for theirs, ours in _SCHEMAS.items():
        if said.get(theirs) is not None:
            fields = tables.fields_of_schema(field_of(said, theirs, str))
            found |= {ours: fields} if fields else {}
    return found


def state_json(found: ModelVersion) -> dict[str, Json]:
    """How far a version is; on an error, why."""
    framework = str(found.config.get("framework", "onnx"))
    return {
        "status": _STATUS[found.status],
        "error_summary": found.error or None,
        "conversion": {"framework": framework, "arch": "x86", "accel": "none"},
    }


def begun(engine: Engine, found: ModelVersion) -> ModelVersion:
    """The version, which is being made ready in the background if it isn't ready; after an upload, and when asked."""
    if found.status in {ModelState.PENDING_PACKAGING, ModelState.PACKAGING}:
        engine.loading.begin(found.id)
    return found
