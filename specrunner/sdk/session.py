"""What all objects of one client share: the JSON routes of the platform, and the current workspace."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from specrunner.sdk import runtime
from specrunner.sdk.exceptions import ApiError, SdkError
from specrunner.sdk.transport import REQUEST_TIMEOUT, Answer, Request, Transport

API = "/v1/api/"
JSON_HEADERS = {"Content-Type": "application/json", "Accept": "application/json"}

_DEFAULT = "{ user_default_workspace(where: {user_id: {_eq: null}}) { workspace { id } } }"
_REMEDIES = {
    401: "Set SPECRUNNER_TOKEN to a token of this platform; `specrunner token create` makes one.",
    403: "Use a token that has this right, or attach what is needed to the task's workspace.",
    404: "Check the name, and that it belongs to a workspace that this caller may use.",
    409: "Choose another name, or get the one that exists.",
    507: "Free space on the server.",
}


class Session:
    """The routes and the state of one client.

    `chosen_workspace` is the id that `set_current_workspace` chose, None before.
    """

    def __init__(self, transport: Transport) -> None:
        self.transport = transport
        self.chosen_workspace: int | None = None

    def post(
        self,
        route: str,
        body: Mapping[str, Any],
        *,
        timeout: float = REQUEST_TIMEOUT,
        repeatable: bool = True,
    ) -> Any:
        """What `POST /v1/api/<route>` answers, parsed; None for an empty answer. Raises ApiError unless it succeeds."""
        content = json.dumps(body).encode()
        request = Request("POST", API + route, (), JSON_HEADERS, content, timeout, repeatable)
        answer = self.transport.send(request)
        if not answer.ok:
            raise api_error(answer, f"The platform refused {route}")
        return answer.json()

    def graphql(self, query: str, variables: Mapping[str, Any]) -> dict[str, Any]:
        """The data that a GraphQL document gives. Raises ApiError, also where only a part could be answered."""
        content = json.dumps({"query": query, "variables": dict(variables)}).encode()
        answer = self.transport.send(Request("POST", "/v1/graphql", (), JSON_HEADERS, content))
        if not answer.ok:
            raise api_error(answer, "The platform refused a query")
        found = answer.json()
        if found.get("errors"):
            raise ApiError("The platform refused a query", str(found["errors"][0].get("message", "")), status=400)
        return dict(found["data"])

    def current_workspace_id(self) -> int:
        """The id of the workspace that new things go to.

        The chosen one, else the run's, else the only one there is, else the one in which the caller begins. Raises
        SdkError when none of these tells.
        """
        known = self.chosen_workspace if self.chosen_workspace is not None else runtime.workspace_id()
        if known is not None:
            return known
        every = self.post("workspaces/list", {})["workspaces"]
        if len(every) == 1:
            return int(every[0]["id"])
        begins = self.graphql(_DEFAULT, {})["user_default_workspace"]
        if begins:
            return int(begins[0]["workspace"]["id"])
        raise SdkError(
            "There is no current workspace",
            f"This caller sees {len(every)} workspaces, and none was chosen.",
            "Call set_current_workspace(get_workspace(name)) first.",
        )


def api_error(answer: Answer, summary: str) -> ApiError:
    """The error that an answer tells, in whichever of the platform's shapes."""
    message, code = refusal(answer)
    return ApiError(
        summary,
        f"{answer.status}: {message}" if message else f"The answer was {answer.status}.",
        _REMEDIES.get(answer.status, ""),
        status=answer.status,
        code=code,
    )


def refusal(answer: Answer) -> tuple[str, int]:
    """Message and code of an answer that is an error; the message is shortened to what a person can read."""
    try:
        data = json.loads(answer.content)
    except ValueError:
        return answer.text().strip()[:1000], answer.status
    if isinstance(data, list) and data:
        data = data[0]
    if not isinstance(data, dict):
        return answer.text()[:1000], answer.status
    code = data.get("code")
    message = data.get("error") or data.get("msg") or data.get("detail") or answer.text()
    return str(message)[:4000], code if isinstance(code, int) else answer.status
