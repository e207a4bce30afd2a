"""What is known to be otherwise than the client promises, and why."""

from __future__ import annotations

from tests.sdk.environments import OLD

DIFFERENT: dict[str, dict[str, str]] = {
    OLD: {
        "wl.search_pipelines(created_start, created_end)": (
            "with both limits this client sends the first as the second too, so nothing is ever between them"
        ),
    },
}
