"""Which Python an environment is made for: the facts that lock and environment depend on."""

from __future__ import annotations

import json
import subprocess
import sys
import sysconfig
from dataclasses import asdict, dataclass
from pathlib import Path

from specrunner.core.errors import PackagingFailed

_ANSWER_SECONDS = 30
_FACTS = """
import json, sys, sysconfig
print(json.dumps({
    "implementation": sys.implementation.name,
    "version": ".".join(map(str, sys.version_info[:3])),
    "platform": sysconfig.get_platform(),
    "abi": sysconfig.get_config_var("SOABI") or sys.implementation.cache_tag,
}))
"""


@dataclass(frozen=True, slots=True)
class Interpreter:
    """A Python program. `version` has three parts, `abi` names the binary interface, C library included."""

    path: Path
    implementation: str
    version: str
    platform: str
    abi: str

    @property
    def identity(self) -> dict[str, str]:
        """The facts without the path: equal ones can share an environment."""
        return {name: value for name, value in asdict(self).items() if name != "path"}


def describe(path: Path | None) -> Interpreter:
    """The interpreter at `path`, by default the one that runs this.

    Raises PackagingFailed where it cannot be started.
    """
    if path is None or path == Path(sys.executable):
        return _running()
    try:
        answer = subprocess.run(
            [str(path), "-I", "-c", _FACTS], capture_output=True, text=True, check=True, timeout=_ANSWER_SECONDS
        )
        return Interpreter(path, **json.loads(answer.stdout))
    except (OSError, subprocess.SubprocessError, ValueError, TypeError) as error:
        raise PackagingFailed(
            f"{path} is no Python that works", str(error), "Name the program of a Python 3.11 or newer."
        ) from error


def _running() -> Interpreter:
    return Interpreter(
        path=Path(sys.executable),
        implementation=sys.implementation.name,
        version=".".join(str(part) for part in sys.version_info[:3]),
        platform=sysconfig.get_platform(),
        abi=sysconfig.get_config_var("SOABI") or str(sys.implementation.cache_tag),
    )
