"""Our own files in every environment: the SDK, and the package `wallaroo` under which it is known too.

They are laid in as plain files and not installed: specrunner's dependencies stay out of the user's
environment, and what a run imports is of the version that started it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import cache
from pathlib import Path, PurePosixPath
from types import MappingProxyType

import specrunner
from specrunner.core import values
from specrunner.engine.packaging import locks

Files = Mapping[str, bytes]  # path below site-packages, with forward slashes, to the file's bytes

_ALIAS = PurePosixPath("sdk/alias")
# Lets the platform's own client find the run; only where the lock brings that client.
_STARTUP = PurePosixPath("sdk/startup")
_CLIENT = "wallaroo"
_HOOK = "specrunner_wallaroo"


@cache
def files() -> Files:
    """The files of the layer, as the running specrunner has them.

    Read once a process: every start of a run asks for them, and reading them takes longer than the rest of finding
    its environment. What is laid in is so of one version, also where specrunner is replaced under a running engine.
    """
    package = Path(specrunner.__file__).parent
    found = [package / "__init__.py", package / "py.typed", *sorted((package / "sdk").rglob("*"))]
    sources = [path for path in found if path.suffix == ".py" or path.name == "py.typed"]
    layer = {
        _destination(PurePosixPath(path.relative_to(package))): path.read_bytes()
        for path in sources
        # sdk/alias/__init__.py, if there is one, would become a module at the top of site-packages.
        if path.is_file() and path.parent != package / _ALIAS
    }
    return MappingProxyType(layer)


def version(layer: Files) -> str:
    """The digest of names and bytes; an environment with another one is another environment."""
    return values.digest({name: hashlib.sha256(content).hexdigest() for name, content in layer.items()})


def lay(layer: Files, site_packages: Path, lock: str) -> None:
    """Write the layer. A package that the lock pins a distribution of is left as the user wants it."""
    pinned = locks.pinned_names(lock)
    hooked = {f"{_HOOK}.py": layer.get(f"{_HOOK}.py", b""), f"{_HOOK}.pth": f"import {_HOOK}\n".encode()}
    for name, content in ({**layer, **hooked} if _CLIENT in pinned else layer).items():
        path = site_packages / name
        if PurePosixPath(name).parts[0] in pinned or (name in hooked and _CLIENT not in pinned):
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        # Never write through: a file that is there is a hard link into uv's cache.
        path.unlink(missing_ok=True)
        path.write_bytes(content)


def _destination(name: PurePosixPath) -> str:
    if name.is_relative_to(_STARTUP):
        return str(name.relative_to(_STARTUP))
    return str(name.relative_to(_ALIAS)) if name.is_relative_to(_ALIAS) else str("specrunner" / name)
