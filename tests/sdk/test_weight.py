"""What our client costs beside the public one: time to import, and bytes on disk with all that it needs."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from tests.sdk.environments import ROOT, path_of, python_of
from tests.sdk.versions import NEW, OURS

_IMPORT = "import time; began = time.process_time(); import wallaroo; print(time.process_time() - began)"
# The files of a distribution and of all that it requires, here.
_SIZE = """
import json, re
from importlib import metadata
seen, left, total = set(), ["wallaroo"], 0
while left:
    name = re.match(r"[A-Za-z0-9._-]+", left.pop())[0].lower().replace("_", "-")
    if name in seen:
        continue
    seen.add(name)
    try:
        found = metadata.distribution(name)
    except metadata.PackageNotFoundError:
        continue
    total += sum(path.locate().stat().st_size for path in found.files or () if path.locate().is_file())
    left += [one for one in found.requires or () if "extra ==" not in one]
print(json.dumps(total))
"""


def test_our_client_is_light_beside_the_public_one(capsys: pytest.CaptureFixture[str]) -> None:
    ours, theirs = (min(_asked(version, _IMPORT) for _ in range(rounds)) for version, rounds in ((OURS, 5), (NEW, 2)))
    small = sum(path.stat().st_size for path in (ROOT / "specrunner/sdk").rglob("*.py"))
    large = _asked(NEW, _SIZE)
    with capsys.disabled():
        sys.stdout.write(
            f"\nimport wallaroo, CPU: ours {ours * 1000:.0f} ms, {NEW} {theirs * 1000:.0f} ms"
            f"\non disk: ours {small / 1e6:.1f} MB, needing nothing else to be imported; {NEW} {large / 1e6:.0f} MB\n"
        )
    assert ours * 5 < theirs
    assert small * 100 < large


def _asked(version: str, code: str) -> float:
    environment = {"PATH": os.defpath, "PYTHONPATH": path_of(version)}
    words = [str(python_of(version)), "-c", code]
    done = subprocess.run(words, env=environment, cwd=ROOT, capture_output=True, text=True, check=True)
    return float(json.loads(done.stdout))
