"""The client that orchestrations and notebooks import.

    from specrunner import sdk

    client = sdk.Client()
    pipeline = client.pipelines_by_name("house-price")[0]
    answer = pipeline.infer(table)
    sdk.record_result({"rows": answer.num_rows})

How the parts work together: `client.Client` is what code talks to. It reads the address and the token of the
platform from the environment that a run is started with (`runtime`), and owns one `session.Session`: the JSON
routes over a `transport.Transport`, plus the current workspace. The nouns, `workspaces`, `connections`,
`models` and `pipelines`, are thin: an object holds the server's last answer and asks again when something is
missing or may have changed. `deployments`, `inference` and `logs` are the three longer stories behind a
pipeline; `tables` is the only module that touches pyarrow and pandas, and imports them when first used.
`display` makes the tables of notebooks.

This package stands apart. It is copied as files into the environment of every run, beside whatever the user pins: it
needs nothing but the standard library for HTTP, runs on Python 3.9 and later, and imports nothing else of specrunner.
`alias/wallaroo` is laid beside it under the name that the tutorials import.
"""

from __future__ import annotations

from specrunner.sdk.client import Client
from specrunner.sdk.connections import Connection
from specrunner.sdk.exceptions import (
    ApiError,
    CommunicationError,
    DeploymentError,
    InferenceError,
    InferenceTimeoutError,
    ModelUploadError,
    NotInRunError,
    SdkError,
    WaitForDeployError,
    WaitForError,
)
from specrunner.sdk.framework import Framework
from specrunner.sdk.models import ModelVersion
from specrunner.sdk.object import ConnectionNotFoundError, EntityNotFoundError, RequiredAttributeMissing
from specrunner.sdk.pipelines import Pipeline, PipelineVersion
from specrunner.sdk.runtime import in_task, record_result, task_args
from specrunner.sdk.workspaces import Workspace

__all__ = [
    "ApiError",
    "Client",
    "CommunicationError",
    "Connection",
    "ConnectionNotFoundError",
    "DeploymentError",
    "EntityNotFoundError",
    "Framework",
    "InferenceError",
    "InferenceTimeoutError",
    "ModelUploadError",
    "ModelVersion",
    "NotInRunError",
    "Pipeline",
    "PipelineVersion",
    "RequiredAttributeMissing",
    "SdkError",
    "WaitForDeployError",
    "WaitForError",
    "Workspace",
    "in_task",
    "record_result",
    "task_args",
]
