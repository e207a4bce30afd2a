"""Situations in which people ask for a plan, each made as it comes about: files are edited, others touch the target.

Each sets its scene and yields the commands that are then typed, with the status that each must exit with.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from typing import Any
from unittest.mock import patch

from specrunner.core.keys import Key
from specrunner.core.lifecycle import Reason, RunState
from specrunner.core.resources import Resource
from specrunner.core.values import Secret
from specrunner.targets.memory import Ended, Hooks, Job, MemoryState
from tests.acceptance import samples
from tests.acceptance.in_memory import InMemory
from tests.acceptance.plan_scene import (
    GREET,
    MAIN,
    NIGHTLY,
    PRICES,
    QUERY,
    ROWS,
    Situation,
    Typed,
    applied,
    declared,
    details,
    nightly,
    prices,
    rows,
    with_hooks,
)

SITUATIONS: dict[str, Situation] = {}


def situation(found: Situation) -> Situation:
    """Its golden file is named like the function."""
    SITUATIONS[found.__name__.removeprefix("_").replace("_", "-")] = found
    return found


# Ours alone


@situation
def _create(m: InMemory) -> Typed:
    declared(m)
    yield 0, "plan"


@situation
def _empty(m: InMemory) -> Typed:
    applied(m)
    yield 0, "plan"


@situation
def _update(m: InMemory) -> Typed:
    applied(m)
    details(m, host="https://b.example/rows")
    yield 0, "plan"


@situation
def _replace(m: InMemory) -> Typed:
    applied(m)
    rows(m, type="FTP")
    yield 0, "plan"


@situation
def _rename(m: InMemory) -> Typed:
    applied(m)
    m.repo.remove("pipeline-prices.yaml")
    spec = {"deployed": True, "steps": [{"model": "houses"}]}
    m.repo.document("Pipeline", "house-prices", spec, renamedFrom="prices")
    yield 0, "plan"


@situation
def _rename_without_a_word(m: InMemory) -> Typed:
    applied(m)
    for path in ("pipeline-prices.yaml", "task-greet.yaml"):
        m.repo.remove(path)
    m.repo.document("Pipeline", "house-prices", {"deployed": True, "steps": [{"model": "houses"}]})
    m.repo.task("welcome", "hello", args={"rows": 10})
    yield 0, "plan"


@situation
def _delete(m: InMemory) -> Typed:
    applied(m)
    m.repo.remove("task-nightly.yaml")
    yield 0, "plan"


@situation
def _delete_what_a_task_needs(m: InMemory) -> Typed:
    applied(m)
    shutil.rmtree(m.repo.root / "orchestrations/hello")
    m.repo.remove("orchestration-hello.yaml")
    yield 1, "plan"


@situation
def _undeploy(m: InMemory) -> Typed:
    applied(m)
    prices(m, deployed=False)
    yield 0, "plan"


@situation
def _schedule(m: InMemory) -> Typed:
    applied(m)
    nightly(m, "30 3 * * *")
    yield 0, "plan"


@situation
def _suspend(m: InMemory) -> Typed:
    applied(m)
    m.repo.task("nightly", "hello", schedule={"cron": "0 2 * * *", "suspend": True})
    yield 0, "plan"


@situation
def _run_again(m: InMemory) -> Typed:
    applied(m)
    m.repo.task("greet", "hello", args={"rows": 20})
    yield 0, "plan"


@situation
def _failed_run(m: InMemory) -> Typed:
    def fails(_job: Job) -> Ended:
        return Ended(RunState.FAILURE, Reason.EXIT, 1, "exit code 1")

    with_hooks(m, Hooks(run=fails))
    declared(m).run("apply", "--yes", code=6)
    yield 0, "plan"


@situation
def _long_text(m: InMemory) -> Typed:
    details(declared(m), query=QUERY)
    m.run("apply", "--yes")
    details(m, query=QUERY.replace("not null", "not null and price > 0"))
    yield 0, "plan"


@situation
def _json_in_a_string(m: InMemory) -> Typed:
    details(declared(m), filter='{"city": "Riga", "rooms": [2, 3], "sold": true}')
    m.run("apply", "--yes")
    details(m, filter='{"rooms": [2, 3, 4], "city": "Riga", "sold": false}')
    yield 0, "plan"


@situation
def _bundle(m: InMemory) -> Typed:
    applied(m)
    m.repo.write("orchestrations/hello/main.py", MAIN.replace("hello", "hello again"))
    m.repo.write("orchestrations/hello/greeting.py", "WORDS = 'hello'\n")
    yield 0, "plan"


@situation
def _bundle_in_a_renamed_workspace(m: InMemory) -> Typed:
    applied(m)
    m.repo.write("specrunner.yaml", (m.repo.root / "specrunner.yaml").read_text().replace("lab", "shop"))
    m.repo.document("Workspace", "shop", {}, file="workspace.yaml", renamedFrom="lab")
    rows(m, workspaces=["shop"])
    m.repo.write("orchestrations/hello/main.py", MAIN.replace("hello", "hello again"))
    yield 0, "plan"


@situation
def _model(m: InMemory) -> Typed:
    applied(m)
    m.repo.write_bytes("models/houses.onnx", samples.model(producer="another"))
    yield 0, "plan"


@situation
def _selected(m: InMemory) -> Typed:
    declared(m)
    yield 0, f"plan --select {PRICES}"


@situation
def _changed_since(m: InMemory) -> Typed:
    applied(m).commit()
    details(m, host="https://b.example/rows")
    m.state.drift(Key.parse(PRICES), deployed=False)  # not ours, so that it is left out
    yield 0, "plan --changed-since HEAD"
    m.commit()
    yield 0, "plan --changed-since HEAD"


@situation
def _cycle(m: InMemory) -> Typed:
    applied(m)
    for name, other in (("clean", "score"), ("load", "clean"), ("score", "load")):
        m.repo.document("Task", name, {"orchestration": "hello"}, dependsOn=[f"Task/{other}"])
    yield 1, "plan"


# Secrets


def secret_rows(m: InMemory, value: str = "swordfish") -> None:
    m.repo.write("secrets/rows.json", f'{{"password": "{value}"}}')
    rows(m, detailsFrom={"file": "secrets/rows.json"})


@situation
def _secret_changed(m: InMemory) -> Typed:
    secret_rows(declared(m))
    m.run("apply", "--yes")
    secret_rows(m, "mackerel")
    yield 0, "plan"


@situation
def _secret_unknown(m: InMemory) -> Typed:
    with patch.dict(os.environ, {"ROWS": '{"password": "swordfish"}'}):
        rows(declared(m), detailsFrom={"env": "ROWS"})
        m.run("apply", "--yes")
        rows(m, details={"host": "https://b.example/rows"}, detailsFrom={"env": "ROWS"})
        yield 0, "plan --offline"
        yield 1, "apply --yes --offline"


@situation
def _secret_missing(m: InMemory) -> Typed:
    rows(declared(m), detailsFrom={"env": "ROWS_OF_NOBODY"})
    yield 0, f"plan --select {ROWS}"
    yield 1, f"apply --yes --select {ROWS}"


# What others do


@situation
def _secret_exchanged(m: InMemory) -> Typed:
    secret_rows(declared(m))
    m.run("apply", "--yes")
    m.state.exchange(Key.parse(ROWS), "detailsFrom", Secret({"password": "of somebody else"}))
    yield 0, "plan"
    yield 2, "plan --drift"
    yield 0, "apply --yes"
    yield 0, "plan --drift"


@situation
def _drift(m: InMemory) -> Typed:
    applied(m)
    m.state.drift(Key.parse(NIGHTLY), schedule={**m.live_of(NIGHTLY).spec["schedule"], "cron": "0 5 * * *"})
    m.state.drift(Key.parse(ROWS), details={"host": "https://z.example/rows", "port": 443})
    yield 0, "plan"
    yield 2, "plan --drift"


@situation
def _drift_and_change(m: InMemory) -> Typed:
    applied(m)
    m.state.drift(Key.parse(ROWS), details={"host": "https://z.example/rows", "port": 443})
    details(m, host="https://b.example/rows")
    yield 0, "plan"
    yield 0, "apply --yes"


@situation
def _missing_on_target(m: InMemory) -> Typed:
    applied(m)
    m.state.lose(Key.parse(PRICES))
    m.state.lose(Key.parse(GREET))
    m.state.lose(Key.parse(NIGHTLY))
    m.repo.remove("task-nightly.yaml")
    yield 0, "plan"


@situation
def _adopt_blocked(m: InMemory) -> Typed:
    m.state.add(Key.parse(ROWS), {"type": "HTTP", "details": {"host": "https://old.example"}, "workspaces": []})
    declared(m)
    yield 0, f"plan --select {ROWS}"
    yield 3, f"apply --yes --select {ROWS}"


@situation
def _adopt_wished(m: InMemory) -> Typed:
    m.state.add(Key.parse(ROWS), {"type": "HTTP", "details": {"host": "https://old.example"}, "workspaces": []})
    declared(m)
    yield 0, f"plan --select {ROWS} --adopt {ROWS}"


ENVIRONMENTS = """\
    apiVersion: specrunner/v1
    kind: Project
    metadata: {name: acceptance}
    spec:
      defaultWorkspace: lab
      status: {directory: status}
      environments: {staging: {}, prod: {}}
    """


@situation
def _name_clash(m: InMemory) -> Typed:
    m.repo.write("specrunner.yaml", ENVIRONMENTS)
    rows(m)
    m.run("apply", "--yes", "-e", "staging")
    yield 1, "plan -e prod"
    yield 1, "apply --yes -e prod"


@situation
def _stale_on_apply(m: InMemory) -> Typed:
    """Somebody changes the connection after the plan was made and before it is written."""
    applied(m)
    details(m, host="https://b.example/rows")
    nightly(m, "30 3 * * *")

    def meanwhile(_resources: Iterable[Resource]) -> list[Any]:
        m.state.drift(Key.parse(ROWS), details={"host": "https://z.example/rows", "port": 443})
        return []

    with_hooks(m, Hooks(unfit=meanwhile))
    yield 5, "apply --yes"


@situation
def _stale_plan_file(m: InMemory) -> Typed:
    applied(m)
    details(m, host="https://b.example/rows")
    m.run("plan", "--out", "plan.json")
    details(m, host="https://c.example/rows")
    yield 4, "apply plan.json --yes"


# What is refused


@situation
def _protected(m: InMemory) -> Typed:
    declared(m)
    m.repo.document("Model", "houses", {"path": "models/houses.onnx", "framework": "onnx"}, protect=True)
    m.run("apply", "--yes")
    for path in ("model-houses.yaml", "pipeline-prices.yaml"):
        m.repo.remove(path)
    yield 0, "plan"
    yield 3, "apply --yes"


@situation
def _protected_replace(m: InMemory) -> Typed:
    declared(m)
    spec = {"type": "HTTP", "details": {"host": "https://a.example/rows"}}
    m.repo.document("Connection", "rows", spec, protect=True)
    m.run("apply", "--yes")
    m.repo.document("Connection", "rows", {**spec, "type": "FTP"}, protect=True)
    yield 0, "plan"


@situation
def _braked(m: InMemory) -> Typed:
    for number in range(10):
        m.repo.document("Workspace", f"w{number}", {})
    m.run("apply", "--yes")
    for number in range(4):
        m.repo.remove(f"workspace-w{number}.yaml")
    yield 0, "plan"
    yield 3, "apply --yes"


@situation
def _no_destroy(m: InMemory) -> Typed:
    applied(m)
    m.repo.remove("task-nightly.yaml")
    rows(m, type="FTP")
    m.repo.task("greet", "hello", args={"rows": 20})
    yield 0, "plan --no-destroy"
    yield 3, "apply --yes --no-destroy"


# Another machine


def another_machine(m: InMemory) -> None:
    m.state = MemoryState()
    m.goes_wrong()


@situation
def _fresh_machine(m: InMemory) -> Typed:
    declared(m).commit()
    m.run("apply", "--yes")
    m.commit()
    another_machine(m)
    details(m, host="https://b.example/rows")
    yield 0, "plan"
    yield 0, "apply --yes"
    yield 0, "plan"


@situation
def _fresh_machine_outside_git(m: InMemory) -> Typed:
    """The bytes of a version that is no longer in the files are not to be had."""
    applied(m)
    m.repo.write("orchestrations/hello/main.py", MAIN.replace("hello", "other"))
    another_machine(m)
    yield 0, f"plan --select {ROWS}"
    yield 5, f"apply --yes --select {ROWS}"
