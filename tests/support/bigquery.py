"""A stand-in for BigQuery's REST API, as far as the real client's queries go: DuckDB behind sqlglot, and tokens.

The real client is led here by BIGQUERY_EMULATOR_HOST, and to the token endpoint by the `token_uri` of its key file.
"""

from __future__ import annotations

import datetime
import json
import re
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

import duckdb
import sqlglot
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from sqlglot import exp

Json = dict[str, Any]
_TYPES = {"DOUBLE": "FLOAT", "FLOAT": "FLOAT", "BIGINT": "INTEGER", "INTEGER": "INTEGER", "VARCHAR": "STRING"}
_TYPES |= {"BOOLEAN": "BOOLEAN", "DATE": "DATE"}


@dataclass
class BigQuery:
    """The tables, by `dataset.table` as DuckDB has them, and the results of queries."""

    url: str = ""
    database: Any = field(default_factory=duckdb.connect)
    results: dict[str, tuple[list[Json], list[Json]]] = field(default_factory=dict)
    tokens: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def key(self, project: str, dataset: str, table: str) -> Json:
        """The content of a key file, with the names that the tutorials add to it."""
        private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        kind, none = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        return {
            "type": "service_account",
            "project_id": project,
            "private_key_id": "1",
            "private_key": private.private_bytes(serialization.Encoding.PEM, kind, none).decode(),
            "client_email": f"tests@{project}.example",
            "token_uri": f"{self.url}/token",
            "dataset": dataset,
            "table": table,
        }

    def run(self, sql: str) -> str:
        """Carry out a query in BigQuery's own words; the id of its results."""
        words = _in_duckdb(sql)
        identity = uuid.uuid4().hex
        with self._lock:
            cursor = self.database.execute(words)
            columns = [(name, str(kind)) for name, kind, *_ in cursor.description or ()]
            rows = cursor.fetchall()
        fields = [_field(name, kind) for name, kind in columns]
        self.results[identity] = fields, [{"f": [{"v": _cell(cell)} for cell in row]} for row in rows]
        return identity

    def insert(self, table: str, rows: list[Json]) -> None:
        """Add rows, as the client's `insert_rows_json` sends them."""
        with self._lock:
            for row in rows:
                places = ", ".join("?" for _ in row)
                self.database.execute(f"INSERT INTO {table} ({', '.join(row)}) VALUES ({places})", list(row.values()))

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """What a query of DuckDB's own gives, for tests that look."""
        with self._lock:
            return list(self.database.execute(sql).fetchall())

    def job(self, project: str, identity: str, sql: str = "") -> Json:
        """What the client is told of a query."""
        place = {"projectId": project, "datasetId": "results", "tableId": identity}
        return {
            "kind": "bigquery#job",
            "id": f"{project}:{identity}",
            "jobReference": {"projectId": project, "jobId": identity, "location": "US"},
            "configuration": {"jobType": "QUERY", "query": {"query": sql, "destinationTable": place}},
            "status": {"state": "DONE"},
            "statistics": {"query": {"statementType": "SELECT"}},
        }

    def page(self, project: str, identity: str, wanted: bool) -> Json:
        """The results of a query, all of them or only their schema."""
        fields, rows = self.results[identity]
        return {
            "jobComplete": True,
            "jobReference": {"projectId": project, "jobId": identity, "location": "US"},
            "schema": {"fields": fields},
            "totalRows": str(len(rows)),
            **({"rows": rows} if wanted else {}),
        }


def _in_duckdb(sql: str) -> str:
    """The query in DuckDB's words, which has no order behind a select in brackets."""
    found = sqlglot.parse_one(sql, read="bigquery")
    if isinstance(found, exp.Subquery):
        order = found.args.get("order")
        found.set("order", None)
        found = exp.select("*").from_(exp.alias_(found, "found", table=True))
        found.set("order", order)
    return found.sql(dialect="duckdb")


def _field(name: str, kind: str) -> Json:
    repeated = kind.endswith("[]")
    plain = kind.removesuffix("[]")
    known = "TIMESTAMP" if plain.startswith("TIMESTAMP") else _TYPES.get(plain, "STRING")
    return {"name": name, "type": known, "mode": "REPEATED" if repeated else "NULLABLE"}


def _cell(value: object) -> object:
    if isinstance(value, list):
        return [{"v": _cell(item)} for item in value]
    if isinstance(value, datetime.datetime):
        moment = value if value.tzinfo else value.replace(tzinfo=datetime.UTC)
        return str(round(moment.timestamp() * 1_000_000))
    return None if value is None else str(value).lower() if isinstance(value, bool) else str(value)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    bigquery: BigQuery

    def do_POST(self) -> None:
        try:
            self._post()
        except Exception as problem:  # the client asks again for ten minutes where it gets no answer at all
            self._reply({"error": {"code": 400, "message": repr(problem)}}, 400)

    def _post(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.path == "/token":
            self.bigquery.tokens += 1
            self._reply({"access_token": "opaque", "expires_in": 3600, "token_type": "Bearer"})
            return
        project = self._project()
        path = urlsplit(self.path).path
        if path.endswith("/insertAll"):
            dataset, table = path.split("/")[-4:-1:2]
            self.bigquery.insert(f"{dataset}.{table}", [row["json"] for row in json.loads(body)["rows"]])
            self._reply({"kind": "bigquery#tableDataInsertAllResponse"})
            return
        sql = json.loads(body)["configuration"]["query"]["query"]
        try:
            identity = self.bigquery.run(sql)
        except (duckdb.Error, sqlglot.ParseError) as problem:  # else the client would ask again for minutes
            wrong = {"reason": "invalidQuery", "message": str(problem)}
            self._reply({"error": {"code": 400, "message": str(problem), "errors": [wrong]}}, 400)
            return
        self._reply(self.bigquery.job(project, identity, sql))

    def do_GET(self) -> None:
        path, identity = urlsplit(self.path).path, urlsplit(self.path).path.rstrip("/").rpartition("/")[2]
        if "/queries/" in path:
            self._reply(self.bigquery.page(self._project(), identity, "maxResults=0" not in self.path))
        elif path.endswith("/data"):
            self._reply(self.bigquery.page(self._project(), path.split("/")[-2], True))
        elif "/jobs/" in path:
            self._reply(self.bigquery.job(self._project(), identity))
        else:
            self._reply({"tableReference": self._table(path), "schema": {"fields": []}, "type": "TABLE"})

    def _project(self) -> str:
        found = re.search(r"/projects/([^/]+)/", self.path)
        assert found is not None, self.path
        return found[1]

    def _table(self, path: str) -> Json:
        parts = path.split("/")
        return {"projectId": self._project(), "datasetId": parts[-3], "tableId": parts[-1]}

    def _reply(self, told: Json, status: int = 200) -> None:
        content = json.dumps(told).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def standing_in() -> Iterator[BigQuery]:
    """It, listening."""
    found = BigQuery()
    handler = type("Handler", (_Handler,), {"bigquery": found})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        found.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield found
        finally:
            server.shutdown()
            thread.join()
            found.database.close()
