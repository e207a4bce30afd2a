"""Inference on a deployed pipeline: which bytes go out for which input, and what is made of the answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple
from urllib.parse import quote

from specrunner.sdk.deployments import Deployment
from specrunner.sdk.exceptions import InferenceError, InferenceTimeoutError, RequestTimeoutError
from specrunner.sdk.session import API, Session, refusal
from specrunner.sdk.transport import Answer, Request, multiple

TIMEOUT = 15.0  # seconds
ARROW = "application/vnd.apache.arrow.file"
CUSTOM_JSON = "application/json; format=wallaroo"


class Selection(NamedTuple):
    """Which columns an answer has: `dataset` the wanted (default all), `exclude` the others, `separator` in names.

    Metadata columns are left out unless `dataset` names them.
    """

    dataset: Sequence[str] | None = None
    exclude: Sequence[str] | None = None
    separator: str | None = None

    @property
    def metadata(self) -> bool:
        """Whether metadata columns are wanted."""
        return self.dataset is not None and "metadata" in self.dataset

    def query(self, *, hide_metadata: bool) -> list[tuple[str, str]]:
        """The query parameters; `hide_metadata` says to the server that metadata is not wanted, where it is not."""
        hidden = [*(self.exclude or ()), *(["metadata"] if hide_metadata and not self.metadata else [])]
        return [
            *multiple("dataset[]", self.dataset or ["*"]),
            *multiple("dataset.exclude[]", hidden),
            ("dataset.separator", self.separator or "."),
        ]


def path_of(deployment: Deployment, pipeline: str) -> str:
    """The path at which a deployed pipeline takes inferences."""
    return f"{API}pipelines/infer/{quote(deployment.name, safe='')}/{quote(pipeline, safe='')}"


def infer(session: Session, path: str, value: Any, selection: Selection, timeout: float | None = None) -> Any:
    """The pipeline's answer to `value`.

    A pyarrow.Table gives a Table, a pandas.DataFrame a DataFrame: columns `time`, `in.<input>`, `out.<output>`
    and `check_failures`. A dict or list is sent as JSON and gives what the model says, untouched. `timeout` is
    seconds, default 15. Raises InferenceError for input that cannot be sent and for an answer that is an error,
    InferenceTimeoutError when none came in time.
    """
    from specrunner.sdk import tables  # its libraries are heavy

    seconds = TIMEOUT if timeout is None else timeout
    kind = tables.kind_of(value)
    if kind == "json":
        headers = {"Content-Type": CUSTOM_JSON, "Accept": CUSTOM_JSON}
        request = Request("POST", path, (), headers, tables.json_body(value), seconds)
        return _send(session, request).json()
    table = tables.table_of(value) if kind == "frame" else value
    headers = {"Content-Type": ARROW, "Accept": ARROW, "format": "arrow"}
    query = selection.query(hide_metadata=True)
    request = Request("POST", path, query, headers, tables.arrow_file(table), seconds)
    answer = tables.tidied(tables.read_arrow(_send(session, request).content))
    return tables.frame_of(answer) if kind == "frame" else answer


def _send(session: Session, request: Request) -> Answer:
    try:
        answer = session.transport.send(request)
    except RequestTimeoutError as fault:
        raise InferenceTimeoutError(
            f"Inference did not return within {request.timeout:g} s",
            fault.detail,
            "Allow more time with infer(..., timeout=...).",
        ) from fault
    if answer.ok:
        return answer
    message, _ = refusal(answer)
    remedy = "Call pipeline.deploy() first." if answer.status == 404 else ""
    raise InferenceError("Inference failed", f"{answer.status}: {message}", remedy, status=answer.status)
