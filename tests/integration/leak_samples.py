"""One sentinel for each source of a secret and each place it goes to, the specs that use them, and how to look."""

from __future__ import annotations

import base64
import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import yaml

from tests.acceptance.spec_repo import SpecRepo

SOURCES = ("env", "json", "yaml", "text", "exec", "value")
PLACES = ("details", "variable")
# With characters that JSON, YAML, URLs, shells and XML write otherwise, and a second line.
_TAIL = " \"q'/+=&<é>\\ $x"


def sentinel(source: str, place: str) -> str:
    return f"zx{source}-{place}-7Q9{_TAIL}"


ALL = {(source, place): sentinel(source, place) for source in SOURCES for place in PLACES}

MAIN = """\
import base64, json, os, pathlib, sys, time, urllib.parse
from specrunner import sdk

def tell(text):
    print("raw", text)
    print("json", json.dumps(text), json.dumps(text, ensure_ascii=False))
    print("url", urllib.parse.quote(text), urllib.parse.quote_plus(text))
    print("base64", base64.b64encode(text.encode()).decode())
    print("repr", repr(text), file=sys.stderr)

wl = sdk.Client()
found = [value for name, value in os.environ.items() if name.startswith("SECRET_")]
for name in wl.task_args()["connections"]:
    found.append(wl.get_connection(name).details()["password"])
for value in found:
    assert "7Q9" in value
    tell(value)
sdk.record_result({"values": found, **{value: 1 for value in found}})
print("told", len(found), flush=True)
deadline = time.monotonic() + 60
while not pathlib.Path(os.environ["GO"]).exists() and time.monotonic() < deadline:
    time.sleep(0.02)
if wl.task_args().get("fail"):
    raise RuntimeError(" and ".join(found))
"""


def source_of(repo: SpecRepo, source: str, place: str) -> dict[str, Any]:
    """Put a sentinel where this source takes it from; the source as the specs say it."""
    text = sentinel(source, place)
    value: Any = {"password": text} if place == "details" else text
    plain = json.dumps(value) if place == "details" else text
    name = f"secrets/{source}-{place}"
    match source:
        case "env":
            return {"env": f"FROM_ENV_{place.upper()}"}
        case "value":
            return {"value": value}
        case "exec":
            repo.write_bytes(name, plain.encode())
            return {"exec": [sys.executable, "-c", f"print(open({name!r}).read())"]}
        case "yaml":
            repo.write_bytes(f"{name}.yaml", yaml.safe_dump(value).encode() if place == "details" else text.encode())
            return {"file": f"{name}.yaml"}
        case "json":
            repo.write_bytes(f"{name}.json", plain.encode())
            return {"file": f"{name}.json"}
    repo.write_bytes(name, plain.encode())
    return {"file": name}


def environ() -> dict[str, str]:
    """The variables that the sources name."""
    details = json.dumps({"password": sentinel("env", "details")})
    return {"FROM_ENV_DETAILS": details, "FROM_ENV_VARIABLE": sentinel("env", "variable")}


def write_specs(repo: SpecRepo, go: Path) -> None:
    """A connection and a variable of a task for each source; one task ends well, one by an error that tells all."""
    names = []
    for source in SOURCES:
        spec = {"type": "S3", "workspaces": ["lab"], "details": {"host": "here"}}
        repo.document("Connection", f"from-{source}", {**spec, "detailsFrom": source_of(repo, source, "details")})
        names.append(f"from-{source}")
    variables = {f"SECRET_{source.upper()}": source_of(repo, source, "variable") for source in SOURCES}
    repo.orchestration("tell", MAIN)
    common: dict[str, Any] = {"secretEnv": variables, "env": {"GO": str(go)}}
    repo.task("good", "tell", args={"connections": names}, **common)
    repo.task("bad", "tell", args={"connections": names, "fail": True}, **common)


def needles() -> dict[str, bytes]:
    """What a sentinel may look like in a file: as it is, escaped, and as part of a base64 text at each alignment."""
    found: dict[str, bytes] = {}
    for (source, place), text in ALL.items():
        head = f"zx{source}-{place}-7Q9"  # has none of the characters that are escaped: so no form is missed
        found[f"{source}/{place} plain"] = head.encode()
        for shift in range(3):
            encoded = base64.b64encode(b"\0" * shift + head.encode())
            found[f"{source}/{place} base64 {shift}"] = encoded[4 if shift else 0 : -4]
        for form in (quote(text, safe=""), quote_plus(text), json.dumps(text)[1:-1]):
            found[f"{source}/{place} {form}"] = form.encode()
    return found


def leaks(where: str, data: bytes, ignored: tuple[str, ...] = ()) -> list[str]:
    """Which sentinels stand in these bytes."""
    return [
        f"{name} in {where}" for name, needle in needles().items() if needle in data and not name.startswith(ignored)
    ]


def files_below(folder: Path) -> Iterator[tuple[str, bytes]]:
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.is_symlink():
            yield str(path.relative_to(folder)), path.read_bytes()


def command_lines() -> Mapping[str, bytes]:
    """The command line of every process that we may look at."""
    found = {}
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found[str(path)] = path.read_bytes()
        except OSError:
            continue  # it has just ended
    return found
