"""Asking the package index something small, in the way in which a build asks it."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from pathlib import Path

from specrunner.engine.packaging import locks, uv

_SECONDS = 20.0  # for the index to answer


def ask_index(scratch: Path, environ: Mapping[str, str]) -> str:
    """What it has of a distribution that every environment needs, as a pin.

    `scratch` is an empty folder, so that no cache answers in its place. Raises PackagingFailed with uv's last lines.
    """
    ours = {name: value for name, value in environ.items() if name != "UV_CACHE_DIR"}
    tool = uv.configured(scratch, ours)
    said = tool.run(
        "pip", "compile", "--no-deps", "--no-header", "--no-annotate", "--python", sys.executable, *tool.options, "-",
        stdin=f"{locks.BASE_SET[-1]}\n",
        deadline=time.monotonic() + _SECONDS,
        summary="The package index does not answer",
        remedy="Look at the network, and at the index in pip.conf, PIP_* or UV_*.",
    )  # fmt: skip
    return said.strip()
