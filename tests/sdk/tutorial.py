"""Runs the blocks of a tutorial as a notebook would, in one session; run by the interpreter that has the client.

    python -m tests.sdk.tutorial BLOCKS OUTPUTS

BLOCKS is a JSON list of Python texts. What they display and print is written to OUTPUTS, a list for each block: texts,
HTML where an object has it. Ends at the first block that fails.
"""

from __future__ import annotations

import ast
import contextlib
import importlib
import io
import json
import os
import re
import sys
import threading
import time
import traceback
import urllib.parse
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

_NAP = 0.5  # seconds: loops that wait for something look again after this, whatever they ask for
_PATIENCE = 600.0  # seconds that a loop of the tutorials may wait, though it would for ever
_really_sleep = time.sleep
_began: list[float] = [0.0]  # when the block did

shown: list[str] = []


def display(*things: Any) -> None:
    """What a notebook shows of a thing."""
    for thing in things:
        html = getattr(thing, "_repr_html_", None)
        shown.append(html() if html is not None else repr(thing))


def wait_for(condition: Callable[[], Any], seconds: float) -> None:
    """In place of a printed sleep: until its event has come, at most as long as is printed, and a second.

    Where more wants to run than this machine has processors, as much longer as that makes things take.
    """
    began, allowed = time.monotonic(), seconds + 1.0
    while not condition():
        allowed = max(allowed, (seconds + 1.0) * os.getloadavg()[0] / (os.cpu_count() or 1))
        assert time.monotonic() - began < allowed, f"it did not come within {allowed:.0f} s"
        _really_sleep(0.2)


def nap(seconds: float) -> None:
    """In place of `time.sleep`: shorter, and no longer than it takes for something to be wrong."""
    _really_sleep(min(float(seconds), _NAP))
    if threading.current_thread() is threading.main_thread() and time.monotonic() - _began[0] > _PATIENCE:
        raise TimeoutError(f"the block has not ended after {_PATIENCE:.0f} s")


def approve(printed: io.StringIO) -> None:
    """Do as a person does who is told to log in: open the page, and approve."""
    while True:
        found = re.search(r"(http\S+user_code=\S+)\n", printed.getvalue())
        if found:
            code = found[1].rpartition("=")[2]
            urllib.request.urlopen(found[1], urllib.parse.urlencode({"user_code": code}).encode()).close()
            return
        _really_sleep(0.2)


def run(code: str, names: dict[str, Any]) -> None:
    """Execute a block; the value of its last line is displayed, unless it is None."""
    tree = ast.parse(code)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, "<block>", "exec"), names)
    if isinstance(last, ast.Expr):
        value = eval(compile(ast.Expression(last.value), "<block>", "eval"), names)
        if value is not None:
            display(value)


def main() -> None:
    # Before anybody imports what is replaced.
    setattr(importlib.import_module("IPython.display"), "display", display)  # noqa: B010
    setattr(time, "sleep", nap)  # noqa: B010
    # All rows of a frame are shown: those that are printed need not be the first and the last here.
    importlib.import_module("pandas").set_option("display.max_rows", None)
    names: dict[str, Any] = {"__name__": "__main__", "wait_for": wait_for}
    outputs, wrong = [], ""
    for place, code in enumerate(json.loads(Path(sys.argv[1]).read_text("utf-8"))):
        sys.stderr.write(f"{time.strftime('%X')} block {place}\n")
        _began[:] = [time.monotonic()]
        shown.clear()
        printed = io.StringIO()
        approving = threading.Thread(target=approve, args=(printed,), daemon=True)
        approving.start()
        try:
            with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
                run(code, names)
        except BaseException:
            wrong = f"{code}\n\n{printed.getvalue()}\n{traceback.format_exc()}"
        outputs.append([*printed.getvalue().splitlines(), *shown])
        if wrong:
            break
    Path(sys.argv[2]).write_text(json.dumps({"outputs": outputs, "wrong": wrong}), "utf-8")


if __name__ == "__main__":
    main()
