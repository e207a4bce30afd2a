"""What can be reached: our own loopback, and the index that distributions come from."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from tempfile import TemporaryDirectory

from specrunner.core.errors import PackagingFailed
from specrunner.core.health import Check, Verdict
from specrunner.engine.packaging import probing


def loopback() -> Check:
    """Whether a port can be had for the API that runs talk to."""
    try:
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
            with socket.create_connection(("127.0.0.1", port), timeout=5):
                pass
    except OSError as problem:
        means = "Code in runs can't reach specrunner, so nothing can run."
        return Check("ports", Verdict.BAD, f"127.0.0.1: {problem.strerror or problem}", means, "Bring up `lo`.")
    return Check("ports", Verdict.OK, "127.0.0.1 gives ports and answers")


def index() -> Check:
    """Whether the configured package index answers: asked by uv, as a build would ask it."""
    means = "What was built before is built again from uv's cache; new requirements can't be had."
    try:
        with TemporaryDirectory(prefix="specrunner-doctor-") as scratch:
            found = probing.ask_index(Path(scratch), os.environ)
    except PackagingFailed as problem:
        said = problem.detail.strip().splitlines()
        remedy = "Look at the network, and at the index in pip.conf, PIP_* or UV_*."
        return Check("package index", Verdict.LIMITED, said[-1].strip() if said else problem.summary, means, remedy)
    return Check("package index", Verdict.OK, f"it answers, and has {found}")
