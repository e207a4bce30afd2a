"""Many inferences at once, on threads, behind the platform's asynchronous call."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

AT_ONCE = 8


async def parallel_infer(infer: Callable[[Any], Any], value: Any, batch_size: int, num_parallel: int) -> Any:
    """The answer to a table or a frame, sent in batches of so many rows, so many at once; rows keep their order.

    Raises ValueError for other input and for sizes below one, else what `infer` raises.
    """
    from specrunner.sdk import tables  # its libraries are heavy

    if batch_size < 1 or num_parallel < 1:
        raise ValueError("batch_size and num_parallel must be 1 or more")
    if tables.kind_of(value) == "json":
        raise ValueError("parallel_infer takes a pandas.DataFrame or a pyarrow.Table")
    rows = len(value)
    cut = partial(_batch, value, batch_size)
    loop = asyncio.get_running_loop()
    with ThreadPoolExecutor(num_parallel) as pool:
        work = [loop.run_in_executor(pool, infer, cut(start)) for start in range(0, rows, batch_size)]
        answers = await asyncio.gather(*work)
    return _joined(answers) if answers else await loop.run_in_executor(None, infer, value)


def _batch(value: Any, size: int, start: int) -> Any:
    return value.slice(start, size) if hasattr(value, "slice") else value.iloc[start : start + size]


def _joined(answers: list[Any]) -> Any:
    if hasattr(answers[0], "schema"):
        import pyarrow as pa

        return pa.concat_tables(answers)
    import pandas as pd

    return pd.concat(answers, ignore_index=True)
