"""Making very many objects that all stay, without the garbage collector looking for garbage among them."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def uncollected() -> Iterator[None]:
    """Values by the hundred thousand and no cycles: looking for some would take longer than making them.

    What was made meanwhile counts as old afterwards; otherwise the collector would go through all of it at the end.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.freeze()
            gc.unfreeze()
            gc.enable()
