"""The HTTP face under requests that schemathesis thinks of: whatever comes, nothing is answered with a 5xx."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from tests.conftest import Soak
from tests.integration.server_face import Face, opened
from tests.unit.serving_samples import WIDTH

schemathesis = pytest.importorskip("schemathesis")

_JSON: dict[str, Any] = {"application/json": {"schema": {}}}
_TENSOR = {
    "type": "object",
    "required": ["name", "datatype", "shape"],
    "properties": {
        "name": {"enum": ["float_input", "tensor", ""]},
        "datatype": {"enum": ["FP32", "FP64", "INT64", "BYTES", "BOOL", "X"]},
        "shape": {"type": "array", "items": {"type": "integer"}, "maxItems": 4},
        "data": {"type": "array", "maxItems": 2 * WIDTH},
        "parameters": {"type": "object"},
    },
}
_RECORD = {"type": "object", "properties": {"tensor": {"type": "array", "items": {"type": "number"}}}}
_BODIES: dict[str, Any] = {
    "/v1/api/pipelines/infer/prices-1/prices": {"type": "array", "items": _RECORD},
    "/v2/models/prices/infer": {
        "type": "object",
        "properties": {
            "id": {"type": "string"},
            "inputs": {"type": "array", "items": _TENSOR},
            "outputs": {"type": "array", "items": {"type": "object"}},
            "parameters": {"type": "object"},
        },
    },
    "/v1/api/pipelines/create": {
        "type": "object",
        "required": ["pipeline_id", "workspace_id", "definition"],
        "properties": {
            "pipeline_id": {"type": "string"},
            "workspace_id": {"enum": [1, 2, 3]},
            "definition": {"type": "object", "properties": {"steps": {"type": "array", "items": {"type": "object"}}}},
        },
    },
    "/v1/api/pipelines/deploy": {"type": "object", "properties": {"pipeline_version_pk_id": {"enum": [1, 2, "1"]}}},
    "/v1/logs/topic/workspace-1-pipeline-prices-inference/records": {"type": "object"},
}
_QUERY = [
    {"name": name, "in": "query", "schema": {"type": "string"}}
    for name in ("dataset[]", "dataset.separator", "page_size", "time.start", "order", "workspace")
]
_HEADERS = [{"name": "Inference-Header-Content-Length", "in": "header", "schema": {"type": "integer"}}]
DESCRIBED = {
    "openapi": "3.0.3",
    "info": {"title": "the routes of inference", "version": "1"},
    "paths": {
        path: {
            "post": {
                "parameters": [*_QUERY, *_HEADERS],
                "requestBody": {"content": {"application/json": {"schema": body}}},
                "responses": {"default": {"description": "anything", "content": _JSON}},
            }
        }
        for path, body in _BODIES.items()
    },
}


@pytest.fixture(scope="module")
def face(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Face]:
    with opened(tmp_path_factory.mktemp("fuzz") / "state") as made:
        made.deployed()
        yield made


@pytest.mark.parametrize("path", _BODIES)
def test_nothing_that_is_sent_is_answered_with_a_5xx(face: Face, path: str, soak: Soak) -> None:
    operation = schemathesis.openapi.from_dict(DESCRIBED)[path]["POST"]
    token = {"Authorization": str(face.http.headers["Authorization"])}

    @given(case=operation.as_strategy())
    @settings(
        max_examples=2_000 if soak.is_full else 40,
        deadline=None,
        derandomize=not soak.is_full,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def search(case: Any) -> None:
        answer = case.call(base_url=str(face.http.base_url), headers=token)
        assert answer.status_code < 500, answer.text

    search()
    assert face.anybody.get("/healthz").status_code == 200
