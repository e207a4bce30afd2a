"""The small project of `plan_situations`, and what a person sees who types commands in it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from specrunner.targets.faults import Faulty
from specrunner.targets.memory import Hooks, MemoryTarget
from tests.acceptance import samples
from tests.acceptance.in_memory import InMemory

Typed = Iterator[tuple[int, str]]  # the exit status, and the words behind `specrunner`
Situation = Callable[[InMemory], Typed]

ROWS, HOUSES, PRICES = "Connection/rows", "Model/lab/houses", "Pipeline/lab/prices"
HELLO, GREET, NIGHTLY = "Orchestration/lab/hello", "Task/lab/greet", "Task/lab/nightly"
MAIN = "import sys\n\nprint('hello')\n"
QUERY = "select price, area\nfrom houses\nwhere sold is not null\norder by area\nlimit 1000\n"


def rows(m: InMemory, **spec: Any) -> None:
    whole = {"type": "HTTP", "details": {"host": "https://a.example/rows", "port": 443}, "workspaces": ["lab"], **spec}
    m.repo.document("Connection", "rows", whole)


def details(m: InMemory, **more: Any) -> None:
    rows(m, details={"host": "https://a.example/rows", "port": 443, **more})


def prices(m: InMemory, **spec: Any) -> None:
    m.repo.document("Pipeline", "prices", {"deployed": True, "steps": [{"model": "houses"}], **spec})


def nightly(m: InMemory, cron: str = "0 2 * * *") -> None:
    m.repo.task("nightly", "hello", schedule=cron)


def declared(m: InMemory) -> InMemory:
    """One object of each kind, and a second task."""
    rows(m)
    m.repo.write_bytes("models/houses.onnx", samples.model())
    m.repo.document("Model", "houses", {"path": "models/houses.onnx", "framework": "onnx"})
    prices(m)
    m.repo.orchestration("hello", MAIN)
    m.repo.task("greet", "hello", args={"rows": 10})
    nightly(m)
    return m


def applied(m: InMemory) -> InMemory:
    declared(m).run("apply", "--yes")
    return m


def with_hooks(m: InMemory, hooks: Hooks) -> None:
    m.target = Faulty(MemoryTarget(m.state, hooks))


def typed(m: InMemory, found: Situation, normalise: Callable[[str], str]) -> str:
    """What a person sees in a situation: each command, what it prints, and how it exits where that is not 0."""
    before = Path.cwd()
    os.chdir(m.repo.root)
    try:
        seen = [_seen(m, code, words, normalise) for code, words in found(m)]
    finally:
        os.chdir(before)
    return "\n".join(seen)


def _seen(m: InMemory, code: int, words: str, normalise: Callable[[str], str]) -> str:
    result = m.run(*words.split(), code=code)
    parts = [f"$ specrunner {words}\n", normalise(result.out) if result.out else ""]
    parts += [f"--- stderr\n{normalise(result.err)}"] if result.err else []
    parts += [f"--- exit {code}\n"] if code else []
    return "".join(parts)
