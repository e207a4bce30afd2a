"""Plans of every sort, as plain values: what the golden files in `golden/plans` are rendered from."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from specrunner.core.diff import SECRET, FieldChange
from specrunner.core.fields import Action
from specrunner.core.keys import Key
from specrunner.core.plan import Edit, FileChange, Fires, Notice, Plan, Step

NIGHTLY = Key.parse("Task/lab/nightly")
ONCE = Key.parse("Task/lab/backfill 2026")
PRICES = Key.parse("Pipeline/lab/house-price")
MODEL = Key.parse("Model/lab/house-price")
ROWS = Key.parse("Connection/rows")
CODE = Key.parse("Orchestration/lab/remote-inference")
LAB = Key.parse("Workspace/lab")
OLD_SHA, NEW_SHA = "0a" * 32, "f1" * 32
SOMEBODY = "changed on the target by somebody else"
MONDAYS = tuple(f"2026-11-{day}T02:00:00Z" for day in (23, 24, 25))
LATER = tuple(f"2026-11-{day}T03:30:00Z" for day in (23, 24, 25))

PROMPT = """\
You are a careful valuer of houses.
Answer with one number.
Say nothing else.

Round to whole thousands.
Never answer with a range.
If a field is missing, assume the median.
"""
PROMPT_DIFF = (
    "--- main.py\n",
    "+++ main.py\n",
    "@@ -1,3 +1,4 @@\n",
    " import pandas as pd\n",
    "-rows = pd.read_csv('rows.csv')\n",
    "+rows = pd.read_parquet('rows.parquet')\n",
    "+rows = rows.dropna()  \n",
    " print(len(rows))\n",
)


def plan(*steps: Step, unchanged: int = 7, **more: Any) -> Plan:
    return Plan("forecasting", "staging", "local", steps, unchanged=unchanged, **more)


def change(path: str, old: Any, new: Any, action: Action = Action.UPDATE, **more: Any) -> FieldChange:
    return FieldChange(path, action, more.pop("reason", "changed in tasks.yaml:12:3"), old, new, **more)


def step(key: Key, action: Action, *changes: FieldChange, **more: Any) -> Step:
    reason = more.pop("reason", f"{changes[0].path}: {changes[0].reason}" if changes else "")
    return Step(key, action, reason, changes, **more)


def created(key: Key, **more: Any) -> Step:
    return step(key, Action.CREATE, reason=f"declared in {key.kind.lower()}s.yaml:1, not on the target yet", **more)


def removed(key: Key, **more: Any) -> Step:
    return step(key, Action.DELETE, reason="no file declares it any more", **more)


CRON = change("schedule.cron", "0 2 * * *", "30 3 * * *", Action.RESCHEDULE)
DRIFT = change("resources.cpu", 1, 1, Action.REDEPLOY, live=4, drift=True, reason=SOMEBODY)
BOTH = change(
    "validations",
    {"price": "> 0"},
    {"price": "> 100"},
    Action.REDEPLOY,
    live={"price": "> 10"},
    reason=f"changed in pipelines.yaml:8:5, and {SOMEBODY}",
)
UPLOAD = change("sha", OLD_SHA, NEW_SHA, Action.UPLOAD, reason="new content is a new version of the model")
NEW_BUNDLE = replace(UPLOAD, reason="new content is a new version of the orchestration")
SUSPENDED = change("schedule.suspended", False, True, Action.RESCHEDULE)
KILLED = change("deployed", True, False, Action.KILL, reason="changed in pipelines.yaml:9:13")
FILES = (
    FileChange("main.py", Edit.CHANGED, PROMPT_DIFF),
    FileChange("steps/score.py", Edit.ADDED, ("@@ -0,0 +1 @@\n", "+def score(rows): return rows.mean()\n")),
    FileChange("weights.bin", Edit.CHANGED),
    FileChange("old.py", Edit.REMOVED, ("@@ -1 +0,0 @@\n", "-print('never called')\n")),
)
OTHER_PROMPT = PROMPT.replace("whole thousands", "whole hundreds").replace("Say nothing else.\n", "")
SPLIT = [{"split": [{"model": "house-price", "weight": 9}, {"model": "challenger", "weight": 1}]}]
OTHER_SPLIT = [{"split": [{"model": "house-price", "weight": 5}, {"model": "challenger", "weight": 5}]}]
PROTECTED = "it is protected; put it back with `metadata: {protect: false}`, apply, then remove it"
NO_OWNER = "on the target already, without an owner"
ADOPT = "it is on the target and belongs to nobody; take it over with `specrunner apply --adopt Connection/rows`"
FAILED_RUN = Notice(
    ONCE, "its last run ended as failure; apply does not repeat a run", "specrunner run 'backfill 2026'"
)
BRAKED = Notice(
    LAB,
    "apply would refuse this: it would delete 40.00% of the live objects, over 30.00% (8/20)",
    "If it is meant, say --force, or raise safety.maxDeletePercent in specrunner.yaml.",
)
SECRET_CHANGED = change("detailsFrom", SECRET, SECRET, reason="its value changed")
SECRET_UNKNOWN = change("secretEnv.TOKEN", None, SECRET, reason="its source can't be read here: unknown until apply")
REPLACED = change("type", "HTTPFILE", "S3", Action.REPLACE, reason="another type is another connection")
HOST = change(
    "details.host", "https://a.example/rows", "https://b.example/rows", reason="changed in connections.yaml:9:7"
)
RENAMED = change("metadata.name", "houseprice", "house-price", reason="changed in pipelines.yaml:4:9")
FORMER = Key.parse("Pipeline/lab/houseprice")
CONFIG = '{"threshold": 0.5, "features": ["area", "age"], "note": "x"}'
OTHER_CONFIG = '{"features": ["area", "age", "rooms"], "note": "x", "threshold": 0.7}'

PLANS: dict[str, Plan] = {
    "empty": plan(),
    "create": plan(
        created(LAB), created(CODE), created(NIGHTLY, fires=Fires((), MONDAYS)), created(ONCE, intent="i"), unchanged=0
    ),
    "update": plan(
        step(NIGHTLY, Action.UPDATE, change("history.failed", 10, 50), change("history.succeeded", None, 5))
    ),
    "drift": plan(step(PRICES, Action.REDEPLOY, DRIFT)),
    "drift-and-change": plan(
        step(PRICES, Action.REDEPLOY, change("resources.gpu", None, 1, Action.REDEPLOY), DRIFT, BOTH)
    ),
    "drift-removed-field": plan(
        step(ROWS, Action.UPDATE, change("workspaces", ["lab"], ["lab"], drift=True, reason=SOMEBODY))
    ),
    "replace": plan(step(ROWS, Action.REPLACE, REPLACED)),
    "rename": plan(step(PRICES, Action.UPDATE, RENAMED, renamed_from=FORMER)),
    "rename-and-change": plan(
        step(
            PRICES, Action.REDEPLOY, RENAMED, change("steps", SPLIT, OTHER_SPLIT, Action.REDEPLOY), renamed_from=FORMER
        )
    ),
    "protected": plan(removed(MODEL, blocked_by=PROTECTED)),
    "braked": plan(*(removed(Key.parse(f"Task/lab/t{n}")) for n in range(8)), unchanged=12, notices=(BRAKED,)),
    "long-text": plan(step(NIGHTLY, Action.UPDATE, change("args.prompt", PROMPT, OTHER_PROMPT))),
    "long-line": plan(
        step(NIGHTLY, Action.UPDATE, change("args.query", f"select {'a, ' * 60}b", f"select {'a, ' * 60}c"))
    ),
    "json-in-string": plan(step(NIGHTLY, Action.UPDATE, change("args.config", CONFIG, OTHER_CONFIG))),
    "json-written-otherwise": plan(
        step(NIGHTLY, Action.UPDATE, change("args.config", '{"a": 1, "b": 2}', '{"b":2,"a":1}'))
    ),
    "list": plan(step(ROWS, Action.UPDATE, change("workspaces", ["annex", "lab"], ["lab", "studio"]))),
    "secret": plan(step(ROWS, Action.UPDATE, SECRET_CHANGED)),
    "secret-unknown": plan(step(NIGHTLY, Action.UPDATE, SECRET_UNKNOWN)),
    "bundle": plan(step(CODE, Action.UPLOAD, NEW_BUNDLE, files=FILES, used_by=(NIGHTLY, ONCE))),
    "model-version": plan(step(MODEL, Action.UPLOAD, UPLOAD, used_by=(PRICES, Key.parse("Pipeline/lab/shadow")))),
    "connection-used": plan(
        step(ROWS, Action.UPDATE, HOST, used_by=tuple(Key.parse(f"Task/lab/report {n}") for n in range(14)))
    ),
    "schedule": plan(step(NIGHTLY, Action.RESCHEDULE, CRON, fires=Fires(MONDAYS, LATER))),
    "suspended": plan(step(NIGHTLY, Action.RESCHEDULE, SUSPENDED, fires=Fires(MONDAYS, ()))),
    "undeploy": plan(step(PRICES, Action.KILL, KILLED)),
    "run-once-again": plan(step(ONCE, Action.RUN, change("args.year", 2025, 2026, Action.RUN), intent="i")),
    "failed-run": plan(notices=(FAILED_RUN,)),
    "adopt-blocked": plan(step(ROWS, Action.ADOPT, HOST, reason=NO_OWNER, blocked_by=ADOPT)),
    "adopt-wished": plan(step(ROWS, Action.ADOPT, HOST, reason=NO_OWNER)),
    "no-destroy": plan(created(NIGHTLY), removed(MODEL, blocked_by="--no-destroy was given")),
    "delete": plan(removed(PRICES), removed(MODEL, after=(PRICES,))),
    "missing-on-target": plan(
        step(NIGHTLY, Action.CREATE, reason="declared in tasks.yaml:1, and removed on the target by somebody else"),
        step(ONCE, Action.DELETE, reason="it is gone already; only its record is removed"),
    ),
    "restores": plan(step(NIGHTLY, Action.RESCHEDULE, CRON), restores=(LAB, CODE, NIGHTLY)),
    "restores-only": plan(restores=(LAB,)),
    "selected": plan(
        step(NIGHTLY, Action.RESCHEDULE, CRON),
        notices=(Notice(NIGHTLY, "only this was selected: 3 other steps were left out"),),
    ),
}
PLANS["everything"] = plan(
    *(one for name in ("create", "bundle", "model-version", "connection-used") for one in PLANS[name].steps),
    *(one for name in ("drift-and-change", "rename", "replace", "protected", "undeploy") for one in PLANS[name].steps),
    *PLANS["run-once-again"].steps,
    *PLANS["long-text"].steps,
    notices=(FAILED_RUN, BRAKED),
    restores=(LAB, CODE),
)
