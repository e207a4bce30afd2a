"""Tables as bytes and back, for the adapters around the engine. Importing this loads pyarrow."""

from __future__ import annotations

from specrunner.engine.serving.codecs import Media, decode, encode, media_of_header, media_of_path, read_table
from specrunner.engine.serving.dataplane import ALL_COLUMNS, select_columns
from specrunner.engine.serving.open_inference import BINARY_HEADER
from specrunner.engine.serving.open_inference import metadata as open_metadata
from specrunner.engine.serving.open_inference import read_request as read_open_request
from specrunner.engine.serving.open_inference import write_answer as write_open_answer
from specrunner.engine.serving.streams import is_custom_json, read_chunks, read_custom_json, write_chunks
from specrunner.engine.serving.workers.columns import fields_of_schema

__all__ = [
    "ALL_COLUMNS",
    "BINARY_HEADER",
    "Media",
    "decode",
    "encode",
    "fields_of_schema",
    "is_custom_json",
    "media_of_header",
    "media_of_path",
    "open_metadata",
    "read_chunks",
    "read_custom_json",
    "read_open_request",
    "read_table",
    "select_columns",
    "write_chunks",
    "write_open_answer",
]
