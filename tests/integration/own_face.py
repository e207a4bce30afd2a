"""Specrunner's own API on loopback, with callers of every kind."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx

from specrunner.core.access import Scope
from specrunner.engine.engine import Engine
from specrunner.engine.records import Run
from specrunner.server.host import LoopbackApi, Serving
from tests.integration.engine_samples import add_orchestration, add_pipeline, engine_on

PREFIX = "/v1/specrunner"
HIDDEN = "hidden-4711"  # in the names of all that a caller limited to `lab` must not hear of
SENTINEL = "swordfish-0b5e"


@dataclass(frozen=True, slots=True)
class OwnFace:
    """The server, what is in it, and the tokens of its callers by name."""

    engine: Engine
    http: httpx.Client
    tokens: Mapping[str, str]
    run: Run
    hidden_run: Run
    api: LoopbackApi

    def forgive(self) -> None:
        """Let no failed log-in so far count."""
        for access in self.api.accesses:
            access.guesses.forget()

    def ask(self, method: str, path: str, who: str = "", **more: Any) -> httpx.Response:
        headers = more.pop("headers", {})
        if who:
            headers = {"Authorization": f"Bearer {self.tokens[who]}", **headers}
        return self.http.request(method, path, headers=headers, **more)


@contextmanager
def own_face(folder: Path, *, is_open: bool = False) -> Iterator[OwnFace]:
    """Workspaces `lab` and a hidden one, each with a task, a run, a pipeline and a connection."""
    with engine_on(folder) as engine:
        run, hidden = [_filled(engine, name) for name in ("lab", HIDDEN)]

        def carry(found: Run) -> None:
            threading.Thread(target=engine.runs.carry_out, args=(found.id,)).start()

        api = LoopbackApi(engine, serving=Serving(carry, is_open=lambda: is_open))
        tokens = {} if is_open else _tokens(engine)
        calling = engine.runs.submit(engine.tasks.get(run.task_id))  # waits all the time, so that its token is valid
        tokens["a run"] = engine.runs.token(calling.id)
        try:
            with httpx.Client(base_url=api.address(), trust_env=False, timeout=30) as http:
                yield OwnFace(engine, http, tokens, run, hidden, api)
        finally:
            engine.runs.stop_waiting()
            api.close()


def _filled(engine: Engine, name: str) -> Run:
    workspace = engine.workspaces.ensure(name)
    version = add_orchestration(engine, workspace, "print('hello')", f"code-{name}")
    spec = {"orchestration": version.name, "schedule": {"cron": "0 0 1 1 *", "timezone": "UTC"}}
    task = engine.tasks.put(workspace.id, f"job-{name}", version.id, spec, {})
    add_pipeline(engine, workspace, f"prices-{name}", f"houses-{name}")
    engine.connections.put(f"store-{name}", "HTTP", {"host": name}, {"password": f"{SENTINEL}-{name}"}, [name])
    return engine.runs.submit(task)


def _tokens(engine: Engine) -> dict[str, str]:
    made = {str(scope): engine.tokens.create(str(scope), [scope])[1] for scope in Scope}
    made["limited"] = engine.tokens.create("limited", [Scope.APPLY], ["lab"])[1]
    made["elsewhere"] = engine.tokens.create("elsewhere", [Scope.APPLY], ["nowhere"])[1]
    revoked, made["revoked"] = engine.tokens.create("revoked", [Scope.ADMIN])
    engine.tokens.revoke(revoked.id)
    short = engine.now() + timedelta(microseconds=50_000)
    made["expired"] = engine.tokens.create("expired", [Scope.ADMIN], None, short)[1]
    return {name: str(secret.reveal()) for name, secret in made.items()}
