"""Documents that are large in one direction: within what the reader takes, and past what a careless one bears."""

from __future__ import annotations

from collections.abc import Mapping

TASK = "apiVersion: specrunner/v1\nkind: Task\nmetadata: {name: large}\nspec:\n  orchestration: remote-inference\n"
PROJECT_DOCUMENT = "apiVersion: specrunner/v1\nkind: Project\nmetadata: {name: large}\nspec: {}\n---\n"
ORCHESTRATION = """\
apiVersion: specrunner/v1
kind: Orchestration
metadata: {name: large}
spec: {source: orchestrations/remote}
---
"""
MANY = 40_000
LONG = 1_000_000


def _lines(prefix: str, count: int = MANY) -> str:
    return "".join(f"{prefix}{number}: x\n" for number in range(count))


def _task(spec: str) -> str:
    return f"{TASK}  {spec}\n"


def _many_tasks(count: int, body: str = "") -> str:
    return "---\n".join(TASK.replace("large", f"t{number}") + body for number in range(count))


DOCUMENTS: Mapping[str, str] = {
    "unknown keys": TASK + _lines("  unknown", 20_000),
    "keys without a place": _lines("k"),
    "arguments": f"{TASK}  args:\n{_lines('    a')}",
    "variables of the run": f"{TASK}  env:\n{_lines('    A')}",
    "wrong variables": f"{TASK}  env:\n{_lines('    1-', 10_000)}",
    "secrets": f"{TASK}  secretEnv:\n" + "".join(f"    K{number}: {{env: K{number}}}\n" for number in range(20_000)),
    "files of secrets that are not there": f"{TASK}  secretEnv:\n"
    + "".join(f"    K{number}: {{file: f{number}}}\n" for number in range(5_000)),
    "undefined variables": f"{TASK}  args:\n"
    + "".join(f"    a{number}: ${{vars.v{number}}}\n" for number in range(5_000)),
    "references to nothing": f"{TASK}  args:\n"
    + "".join(f"    a{number}: {{ref: Pipeline/p{number}}}\n" for number in range(5_000)),
    "dependencies": TASK.replace("name: large", "name: large, dependsOn: [" + "Task/a, " * 5_000 + "]"),
    "a long name": TASK.replace("large", "n" * LONG),
    "a long key": f"{TASK}  {'k' * 1000}: x\n",
    "a long text": _task(f"args: {{a: '{'x' * LONG}'}}"),
    "a long duration": _task(f"timeout: {'9' * LONG}"),
    "a duration of many parts": _task("timeout: " + "1h" * 500_000),
    "a long size": _task("resources: {memory: " + "1" * LONG + "Gi}"),
    "a long schedule": _task("schedule: '" + "1," * 200_000 + "1 * * * *'"),
    "a schedule of many fields": _task("schedule: '" + "* " * 400_000 + "'"),
    "a schedule of ranges": _task("schedule: '" + ",".join(["0-59/1"] * 100_000) + " * * * *'"),
    "a long time zone": _task("schedule: {cron: '* * * * *', timezone: " + "Europe/" * 100_000 + "Berlin}"),
    "dollars": _task("args: {a: '" + "${" * 400_000 + "'}"),
    "braces in a variable": _task("args: {a: '${env." + "X:-" * 300_000 + "}'}"),
    "a deep path": _task("secretEnv: {K: {file: '" + "a/" * 100_000 + "b'}}"),
    "dots in a path": TASK.replace("remote-inference", "../" * 100_000),
    "duplicate keys": f"{TASK}" + "  timeout: 1m\n" * 20_000,
    "the same task again": "---\n".join([TASK] * 2_000),
    "the same orchestration again": ORCHESTRATION * 2_000,
    "tasks": _many_tasks(3_000),
    "tasks of wrong timeouts": _many_tasks(2_500, "  timeout: soon\n"),
    "tasks of unknown orchestrations": _many_tasks(2_500).replace("remote-inference", "remote-interference"),
    "a chain of dependencies": "---\n".join(
        TASK.replace("name: large", f"name: t{number}, dependsOn: [Task/t{number + 1}]") for number in range(2_000)
    )
    + "---\n"
    + TASK.replace("large", "t2000"),
    "a cycle": "---\n".join(
        TASK.replace("name: large", f"name: t{number}, dependsOn: [Task/t{(number + 1) % 2_000}]")
        for number in range(2_000)
    ),
    "merges": f"{TASK}  args: &a {{x: 1}}\n" + "".join(f"  e{n}: {{<<: *a, y{n}: 1}}\n" for n in range(5_000)),
    "aliases": f"x: &a [{'x,' * 400}]\ny: [{'*a,' * 400}]\n" + TASK,
    "a bomb": "a0: &a0 [x,x,x,x,x,x,x,x,x]\n"
    + "".join(f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 12))
    + TASK,
    "flow depth": TASK + "  args: " + "[" * 900 + "]" * 900 + "\n",
    "block depth": TASK + "  args:\n" + "".join(" " * (4 + n) + "a:\n" for n in range(900)),
    "one long line": "{apiVersion: specrunner/v1, kind: Task, spec: [" + "a," * 90_000 + "]}",
    "blank lines": "\n" * 3_000_000 + TASK,
    "comments": "# x\n" * 900_000 + TASK,
    "documents": "a: b\n---\n" * 40_000 + TASK,
    "too large a file": TASK + "# " + "x" * 5_000_000,
    "tabs": TASK + "\t" * LONG,
    "conflicts": "<<<<<<< a\n=======\n>>>>>>> b\n" * 50_000,
    "quotes": f"{TASK}  args: {{a: '{chr(39) * 1_000_000}'}}\n",
    "projects": PROJECT_DOCUMENT * 2_000,
}
# The others stand in a file of their own beside the sample's.
FILES: Mapping[str, str] = {"projects": "specrunner.yaml"}
