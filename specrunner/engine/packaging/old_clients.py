"""The platform's own client in versions older than this Python: newer distributions in the place of some of its pins.

Until 2024.3 that client pins numpy, pandas and the like exactly, to versions that have no wheels for Python 3.11 and
don't build there. Code that runs with it needs it all the same, and it works with the newer ones (docs/adr/0056).
"""

from __future__ import annotations

import re

from specrunner.engine.packaging import locks

_CLIENT = re.compile(r"wallaroo\s*={2,3}\s*(\d{4})\.(\d+)[^\s;]*", re.IGNORECASE)
_FIRST_THAT_FITS = (2024, 4)
_INSTEAD = {
    "aiohttp": "aiohttp>=3.9,<4",
    "matplotlib": "matplotlib==3.9.4",
    "numpy": "numpy==1.26.0",
    "pandas": "pandas==2.2.0",
    "pyarrow": "pyarrow==14.0.1",
    "pyyaml": "pyyaml>=6.0.1,<7",
    "scipy": "scipy>=1.11,<1.14",
    "seaborn": "seaborn==0.13.2",
}


def overrides(requirements: str) -> str:
    """What a resolver is to take instead of the pins of such a client, one a line; empty where none is asked for.

    A distribution that the requirements name themselves is left to them.
    """
    lines = list(locks.logical_lines(requirements))
    if not any(_is_old(line) for line in lines):
        return ""
    named = {locks.name_of(line) for line in lines if line not in locks.BASE_SET}  # which we add, bare, ourselves
    return "".join(f"{line}\n" for name, line in _INSTEAD.items() if name not in named)


def _is_old(line: str) -> bool:
    found = _CLIENT.match(line)
    return found is not None and (int(found[1]), int(found[2])) < _FIRST_THAT_FITS
