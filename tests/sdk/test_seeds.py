"""The tutorials, as printed, in one session each: what they print is what comes out.

They are read from `../shared/seeds` at test time, changed as `adaptations` says, and run by the public clients and by
ours under their name. Without that folder these tests are skipped.
"""

from __future__ import annotations

import functools
import http.server
import json
import os
import shutil
import subprocess
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.sdk.adaptations import API, BIGQUERY, HTTPFILE, OURS_OTHERWISE, Tutorial
from tests.sdk.environments import NEW, OLD, OURS, path_of, python_of
from tests.sdk.seeds import Block, blocks_of, facts_of, is_told, shared
from tests.sdk.serving import served
from tests.support.bigquery import BigQuery, standing_in

SHARED = shared()
pytestmark = pytest.mark.skipif(SHARED is None, reason="the tutorials in ../shared/seeds are not here")

# The orchestration of tutorial 003 is named there and not printed; this is what its text says it does.
API_MAIN = """\
import wallaroo
import pandas as pd

wl = wallaroo.Client()
for workspace in wl.list_workspaces():
    if workspace.name() == "apiorchestrationworkspace":
        wl.set_current_workspace(workspace)
pipeline = wl.pipelines_by_name("apipipeline")[0]
pipeline.deploy()
print(pipeline.infer(pd.read_json("xtest-1.df.json", orient="records")))
pipeline.undeploy()
"""
TUTORIALS = {"001": BIGQUERY, "002": HTTPFILE, "003": API}
SESSIONS = [
    pytest.param(number, version, id=f"{number} {version}", marks=pytest.mark.xdist_group(f"seed {number} {version}"))
    for number in TUTORIALS
    for version in (OLD, NEW, OURS)
]


@pytest.mark.parametrize(("number", "version"), SESSIONS)
def test_a_tutorial_prints_what_it_says(tmp_path: Path, number: str, version: str) -> None:
    assert SHARED is not None
    tutorial, blocks = TUTORIALS[number], blocks_of(SHARED, number)
    _files(SHARED, blocks, tmp_path)
    with (
        _web(SHARED / "data/houseprice") as files,
        standing_in() as bigquery,
        served(tmp_path / "server") as url,
    ):
        _tables(SHARED, bigquery, tmp_path)
        codes = [_adapted(tutorial, version, place, block, url, files) for place, block in enumerate(blocks)]
        outputs = _session(tmp_path, version, codes, {"URL": url, "BIGQUERY": bigquery.url, "LOGIN": tutorial.login})
    missing = [
        (place, fact)
        for place, (block, output) in enumerate(zip(blocks, outputs, strict=True))
        for fact in sorted(_expected(block, output))
        if not is_told(fact, facts_of(output))
        if not any(_begins(fact, known) for known in tutorial.otherwise)
        if version != OURS or not any(_begins(fact, known) for known in OURS_OTHERWISE)
        if fact[:2] not in tutorial.printed_again.get(place, {})
    ]
    assert not missing, "\n".join(map(str, missing))


def _begins(fact: tuple[str, ...], known: tuple[str, ...]) -> bool:
    return fact[0] == known[0] and fact[1].startswith(known[1])


def _expected(block: Block, output: list[str]) -> set[tuple[str, ...]]:
    """What a block's results say of this session: rows of a list about things that others had made are not."""
    facts, here = facts_of(block.results), facts_of(output)
    named = {cell for fact in here if fact[0] == "row" for cell in fact}
    lists = {fact for fact in facts if fact[0] == "row" and ("UUID" in fact or "*****" in fact)}
    others = {fact for fact in lists if not any(cell in named for cell in _names(fact))}
    if lists and others == lists:  # a list of nothing but those: here it is empty
        others |= {fact for fact in facts if fact[0] == "column"}
    return facts - others


def _names(fact: tuple[str, ...]) -> list[str]:
    words = {"UUID", "INSTANT", "SHA", "*****", "ready", "row", "BIGQUERY", "HTTPFILE", "HTTP"}
    return [cell for cell in fact if cell not in words and not cell.endswith(".zip")]


def _adapted(tutorial: Tutorial, version: str, place: int, block: Block, url: str, files: str) -> str:
    if place in tutorial.left_out:
        return ""
    code = block.code
    for change in tutorial.changes:
        if version in change.versions and change.block in {None, place}:
            code = code.replace(change.old, change.new)
    return code.replace("@URL@", url).replace("@FILES@", files)


@pytest.mark.parametrize("number", TUTORIALS)
def test_every_adaptation_changes_something_and_says_why(number: str) -> None:
    assert SHARED is not None
    blocks = blocks_of(SHARED, number)
    for change in TUTORIALS[number].changes:
        assert change.reason and any(change.old in block.code for block in blocks), change
    assert all(place < len(blocks) and reason for place, reason in TUTORIALS[number].left_out.items())
    results = {fact for block in blocks for fact in facts_of(block.results)}
    for known in TUTORIALS[number].otherwise:
        assert any(_begins(fact, known) for fact in results), known


def _session(folder: Path, version: str, codes: list[str], addresses: dict[str, str]) -> list[list[str]]:
    (folder / "blocks.json").write_text(json.dumps(codes), "utf-8")
    environment = {
        "PATH": os.defpath,
        "HOME": str(folder / "home"),
        "PYTHONPATH": path_of(version),
        "PYTHONDONTWRITEBYTECODE": "1",
        "WALLAROO_URL": addresses["URL"],
        "WALLAROO_AUTH_URL": addresses["URL"],
        "BIGQUERY_EMULATOR_HOST": addresses["BIGQUERY"],
        "WALLAROO_SDK_AUTH_TYPE": addresses["LOGIN"],
        "WALLAROO_USER": "me@localhost",
        "WALLAROO_PASSWORD": "no user was added, so any will do",
    }
    # Ours, too, is run beside what the tutorials import, which is in the environments of the public ones.
    words = [str(python_of(OLD if version == OURS else version)), "-m", "tests.sdk.tutorial"]
    words += [str(folder / "blocks.json"), str(folder / "outputs.json")]
    subprocess.run(words, env=environment, cwd=folder, check=True, timeout=900)
    told = json.loads((folder / "outputs.json").read_text("utf-8"))
    assert not told["wrong"], told["wrong"]
    outputs: list[list[str]] = told["outputs"]
    return outputs


def _files(data: Path, blocks: list[Block], folder: Path) -> None:
    """The files that a tutorial names: its model and data, and the zips of its orchestrations."""
    houses = data / "data/houseprice"
    for name, source in {"models/rf_model.onnx": "rf_model.onnx", "data/xtest-1k.arrow": "xtest-1k.arrow"}.items():
        (folder / name).parent.mkdir(exist_ok=True)
        shutil.copy(houses / source, folder / name)
    (folder / "remote_inference").mkdir()
    mains = [block.code for block in blocks if "inference_source_connection" in block.code]
    with zipfile.ZipFile(folder / "remote_inference/remote_inference.zip", "w") as archive:
        archive.writestr("main.py", mains[0] if mains else "")
        archive.writestr("requirements.txt", "")
    with zipfile.ZipFile(folder / "api_inference_orchestration.zip", "w") as archive:
        archive.writestr("main.py", API_MAIN)
        archive.write(houses / "xtest-1.df.json", "xtest-1.df.json")
        archive.writestr("requirements.txt", "")


def _tables(data: Path, bigquery: BigQuery, folder: Path) -> None:
    """The tables of the tutorials that use BigQuery, and the key files that lead to them."""
    rows = data / "data/houseprice/xtest-1k.df.json"
    bigquery.database.execute("create schema housepricesga")
    bigquery.database.execute(f"create table housepricesga.inputs as select * from read_json('{rows}')")
    for name in ("input", "output"):
        key = bigquery.key("tests", "housepricesga", f"{name}s")
        (folder / f"bigquery_service_account_{name}_key.json.example").write_text(json.dumps(key), "utf-8")


@contextmanager
def _web(folder: Path) -> Iterator[str]:
    """A web server with the files of a folder."""
    handler = functools.partial(_Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Say nothing."""
