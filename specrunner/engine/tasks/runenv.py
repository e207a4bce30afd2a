"""The declared environment of a run's process: these variables and nothing else of the host's."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from specrunner.core.errors import UsageError
from specrunner.core.masking import texts_of
from specrunner.core.values import iso
from specrunner.engine.records import Run, Task

# Passed on as they are: where certificates and proxies are is the machine's matter, not the engine's.
PASSED_ON = (
    "LANG",
    "LC_ALL",
    "TZ",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "REQUESTS_CA_BUNDLE",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "no_proxy",
)
LOOPBACK = ("127.0.0.1", "localhost")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_OURS = ("SPECRUNNER_", "WALLAROO_")
_SYSTEM_PATH = ("/usr/local/bin", "/usr/bin", "/bin")


def run_environment(
    task: Task,
    run: Run,
    python: Path,
    api: tuple[str, str],
    secrets: Mapping[str, str],
    host: Mapping[str, str],
    named: Mapping[str, str],
) -> dict[str, str]:
    """The environment of one run. `api` is the address and the token of the engine's API, `named` what whoever hosts
    the engine named for all runs.

    What the task declares wins over what the machine gives; what a run needs to find its engine wins over all.
    """
    url, token = api
    return {
        "LANG": "C.UTF-8",
        **{name: host[name] for name in PASSED_ON if name in host},
        **_beside_the_proxy(host),
        **named,
        **task.spec.get("env", {}),
        **secrets,
        "PATH": ":".join((str(python.parent), *_SYSTEM_PATH)),
        "SPECRUNNER_URL": url,
        "SPECRUNNER_TOKEN": token,
        "SPECRUNNER_WORKSPACE_ID": str(run.workspace_id),
        "SPECRUNNER_TASK_ID": task.id,
        **({"SPECRUNNER_SCHEDULED_AT": iso(run.scheduled_at)} if run.scheduled_at else {}),
        # The names under which the platform's own client looks for the same.
        "WALLAROO_URL": url,
        "WALLAROO_AUTH_URL": url,
        "WALLAROO_TASK_ID": task.id,
    }


def named_variables(words: Sequence[str], host: Mapping[str, str]) -> dict[str, str]:
    """What `NAME` (with the host's value) and `NAME=VALUE` stand for.

    Raises UsageError for a name that no variable can have or that the engine sets itself, and for one the host lacks.
    """
    found: dict[str, str] = {}
    for word in words:
        name, given, value = word.partition("=")
        if not _NAME.fullmatch(name) or name.startswith(_OURS) or name in {"PATH", "HOME"}:
            raise UsageError(
                f"Runs can't be given the variable {name!r}.",
                detail="It is no name of a variable, or specrunner sets it for each run itself.",
                remedy="Pass NAME or NAME=VALUE, where NAME is letters, digits and underscores.",
            )
        if not given and name not in host:
            raise UsageError(
                f"Runs can't be given the variable {name}, which is not set here.",
                remedy=f"Set it before you start the server, or say its value: {name}=VALUE.",
            )
        found[name] = value if given else host[name]
    return found


def _beside_the_proxy(host: Mapping[str, str]) -> dict[str, str]:
    """Where the machine has a proxy, this machine itself is reached without it: the engine's API is there."""
    if not any(name.lower() in {"http_proxy", "https_proxy"} for name in host):
        return {}
    return {name: ",".join(filter(None, (host.get(name), *LOOPBACK))) for name in ("NO_PROXY", "no_proxy")}


def redactions(values: Sequence[object]) -> tuple[str, ...]:
    """The texts a log must not show: every string in these values, in every form that `texts_of` knows."""
    return tuple(sorted(texts_of(values), key=lambda text: (-len(text), text)))
