"""What the fuzzer starts from: the specs of the tests, the examples, and the examples in the schemas."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from textwrap import dedent
from typing import Any

import yaml

from specrunner.spec.schema import schema_files
from tests.unit.spec_samples import SAMPLE

EXAMPLES = Path(__file__).parents[2] / "examples" / "specs"
_LARGEST = 20_000  # bytes of a file that is copied as it is: a model's bytes are only summed

RICH = """\
apiVersion: specrunner/v1
kind: Task
metadata: {name: rich, labels: {a: b}, dependsOn: [Task/nightly forecast], protect: true, description: "${env.HOME:-x}"}
spec: &spec
  orchestration: remote-inference
  schedule: {cron: "*/5 0 1,15 * 1-5", timezone: Europe/Berlin, overlap: skip, catchUp: latest, startingDeadline: 1h,
    jitter: 30s, suspend: false, from: 2026-01-01T00:00:00Z, until: "2027-01-01"}
  args: {n: 1.10, on: no, list: [012, 1e3, 12:30:45, 2026-01-01, ~], pipe: {ref: Pipeline/house-price}}
  timeout: 10m
  retries: {limit: 2, backoff: 30s}
  env: {LOG_LEVEL: info}
  secretEnv: {KEY: {env: KEY}, OTHER: {exec: [sops, -d, x]}}
  history: {succeeded: 10, failed: 10}
  resources: {cpus: 1, memory: 1Gi}
---
apiVersion: specrunner/v1
kind: Task
metadata: {name: other}
spec: {<<: *spec, schedule: "0 0 12 1-15 2 2024"}
"""


def repositories() -> list[dict[str, bytes]]:
    """Spec repositories, as names of files with their bytes."""
    sample = {name: dedent(text).encode() for name, text in SAMPLE.items()}
    patched = {
        **sample,
        "specrunner.yaml": sample["specrunner.yaml"]
        + b"  environments:\n    a: {vars: {x: 1}, protect: true}\n  defaultEnvironment: a\n",
        "environments/a/patch.yaml": b"apiVersion: specrunner/v1\nkind: Task\nmetadata: {name: nightly forecast}\n"
        b"spec: {timeout: null, args: {x: '${vars.x}'}}\n",
        "rich.yaml": RICH.replace("&spec", "").partition("---")[0].encode(),
    }
    return [sample, {**sample, "rich.yaml": RICH.encode()}, patched, *_examples()]


def _examples() -> Iterator[dict[str, bytes]]:
    for root in sorted(path.parent for path in EXAMPLES.glob("*/specrunner.yaml")):
        files = [path for path in sorted(root.rglob("*")) if path.is_file() and ".specrunner" not in path.parts]
        yield {path.relative_to(root).as_posix(): path.read_bytes()[:_LARGEST] for path in files}


def fragments() -> list[bytes]:
    """The examples in the schemas, each as YAML in one line."""
    found = {json.dumps(value) for data in schema_files().values() for value in _values(json.loads(data))}
    return [text.encode() for text in sorted(found)]


def _values(schema: Any) -> Iterator[Any]:
    if isinstance(schema, Mapping):
        examples = schema.get("examples")
        if isinstance(examples, list):
            yield from examples
        for value in schema.values():
            yield from _values(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from _values(value)


def documents(text: bytes) -> list[Any]:
    """The documents of a text as plain values; none where it is no YAML."""
    try:
        return list(yaml.load_all(text, yaml.CBaseLoader))
    except (yaml.YAMLError, UnicodeDecodeError):
        return []
