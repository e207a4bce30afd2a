"""A state folder with secrets in it, applied from files, and a rotation that is killed on its way."""

from __future__ import annotations

import os
import signal
import sys
from contextlib import closing
from pathlib import Path

from specrunner.core.plan import Plan
from specrunner.core.values import Secret
from specrunner.engine.clock import SystemClock
from specrunner.reconcile import planner
from specrunner.reconcile.executor import Execution
from specrunner.spec.desired import load
from specrunner.spec.secrets import FileSecrets
from specrunner.targets.local.target import LocalTarget
from tests.integration.engine_samples import open_engine
from tests.unit.spec_samples import write

PASSWORD, API_KEY = "correct-horse-battery", "staple-0815"
SPECS = {
    "specrunner.yaml": """\
        apiVersion: specrunner/v1
        kind: Project
        metadata: {name: rotation}
        spec: {defaultWorkspace: lab}
        """,
    "objects.yaml": """\
        apiVersion: specrunner/v1
        kind: Workspace
        metadata: {name: lab}
        ---
        apiVersion: specrunner/v1
        kind: Connection
        metadata: {name: store}
        spec:
          type: S3
          workspaces: [lab]
          details: {host: here}
          detailsFrom: {file: secrets/store.json}
        ---
        apiVersion: specrunner/v1
        kind: Orchestration
        metadata: {name: code}
        spec: {source: code}
        ---
        apiVersion: specrunner/v1
        kind: Task
        metadata: {name: nightly}
        spec:
          orchestration: code
          schedule: "0 2 * * *"
          secretEnv: {API_KEY: {file: secrets/api-key}}
        """,
    "code/main.py": "print('hello')\n",
    "secrets/store.json": f'{{"user": "me", "password": "{PASSWORD}"}}\n',
    "secrets/api-key": f"{API_KEY}\n",
}


def state(root: Path) -> Path:
    return root / ".specrunner"


def applied(root: Path) -> Path:
    """The specs at `root`, applied once; gives `root`."""
    write(root, SPECS)
    with closing(LocalTarget(open_engine(state(root)))) as target:
        planned = planner.plan(load(root), target, FileSecrets(root))
        outcome = Execution(planned.plan, planned.desired, planned.secrets, target, SystemClock(), Silent()).run()
        assert outcome.exit_code == 0, outcome
    return root


def planned(root: Path) -> Plan:
    """What would change now."""
    with closing(LocalTarget(open_engine(state(root)))) as target:
        return planner.plan(load(root), target, FileSecrets(root)).plan


def stored(root: Path) -> tuple[Secret, Secret]:
    """The secrets as the engine gives them."""
    with open_engine(state(root)) as engine:
        (task,) = engine.tasks.all()
        return engine.connections.secret_details("store"), Secret(engine.tasks.secret_env(task.id))


class Silent:
    """A listener that does not."""

    def started(self, _step: object) -> None: ...

    def restoring(self, _key: object, _text: str) -> None: ...

    def restored(self, _key: object, _problem: object) -> None: ...

    def noted(self, _step: object, _text: str) -> None: ...

    def ended(self, _outcome: object) -> None: ...


def main(root: str, point: str) -> None:
    """Rotate, and be killed at this point."""

    def reached(here: str) -> None:
        if here == point:
            os.kill(os.getpid(), signal.SIGKILL)

    with open_engine(state(Path(root))) as engine:
        engine.rotate_key(reached=reached)


if __name__ == "__main__":
    main(*sys.argv[1:])
