"""What stands on the wire of the platform's face, column by column and header by header."""

from __future__ import annotations

import pyarrow as pa
import pytest

from specrunner.server.inference import is_custom_json
from specrunner.server.mlops.wire import as_clients_count, with_metadata


def test_failed_checks_are_sent_by_name() -> None:
    columns = {
        "out.x": [1, 2, 3],
        "check_failures": pa.array([0, 2, 1], pa.int8()),
        "anomaly.count": [0, 2, 1],
        "anomaly.low": [False, True, False],
        "anomaly.high": [False, True, True],
    }
    found = as_clients_count(pa.table(columns))
    assert found.column_names == list(columns)
    assert found["check_failures"].to_pylist() == [[], ["low", "high"], ["high"]]


def test_checks_that_are_only_counted_stay_as_many() -> None:
    table = pa.table({"check_failures": pa.array([3, None, 0], pa.int8())})
    assert [len(row) for row in as_clients_count(table)["check_failures"].to_pylist()] == [3, 0, 0]


def test_a_table_without_checks_stays_as_it_is() -> None:
    table = pa.table({"out.x": [1]})
    assert as_clients_count(table) is table
    assert as_clients_count(pa.table({"check_failures": [["a"]]}))["check_failures"].to_pylist() == [["a"]]


def test_metadata_stand_in_every_row() -> None:
    found = with_metadata(pa.table({"out.x": [1, 2]}), ("houses", "ab"), "v", 0.5).to_pylist()
    assert len(found) == 2 and found[0]["metadata.pipeline_version"] == "v"
    assert found[0]["metadata.last_model"] == '{"model_name": "houses", "model_sha": "ab"}'
    assert found[1]["metadata.elapsed"] == [500_000_000]


@pytest.mark.parametrize(
    ("content_type", "body", "custom"),
    [
        ("application/json; format=wallaroo", b"[1]", True),
        ("application/json", b' {"temp": {"0": 1}}', True),
        ("application/json", b'[{"tensor": [1]}]', False),
        ("application/json; format=pandas-records", b"{}", False),
        ("application/vnd.apache.arrow.file", b"{", False),
    ],
)
def test_an_object_is_for_the_model_itself(content_type: str, body: bytes, custom: bool) -> None:
    assert is_custom_json(content_type, body) is custom
