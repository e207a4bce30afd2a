"""infer: rows, or custom JSON, through a deployed pipeline."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast

import click

from specrunner.cli.rows import TABLE, Shown, Write, counting, output_options, printing, writing
from specrunner.cli.terminal import say, say_json
from specrunner.cli.wiring import directory_option, find_key, open_target
from specrunner.core.errors import SpecrunnerError, UsageError
from specrunner.core.keys import Key, Kind
from specrunner.core.values import Json
from specrunner.report.lines import Line

if TYPE_CHECKING:
    import pyarrow as pa

    from specrunner.targets.base import Target


@click.command()
@click.argument("pipeline")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path))
@click.option("--limit", type=click.IntRange(1), default=10, show_default=True, help="Rows to show as a table.")
@click.option(
    "--out", type=click.Path(dir_okay=False, path_type=Path), help="Write all rows to .arrow, .csv, .parquet or .json."
)
@click.option("--custom-json", is_flag=True, help="Give the JSON in FILE to the models as it is, also a list.")
@output_options
@directory_option
def infer(
    root: Path, pipeline: str, file: Path, limit: int, out: Path | None, custom_json: bool, output: str, as_json: bool
) -> None:
    """Infer on the rows of FILE through a deployed PIPELINE.

    FILE is .arrow, .df.json, .csv or .parquet, or `-` for what is piped in. It is inferred on part by part, so that
    it may be larger than memory; JSON is read whole. A JSON object is custom JSON: the models get it as it is, and
    their answer is printed as JSON.
    """
    from specrunner.engine import tables

    output = "json" if as_json else output
    source = _piped() if str(file) == "-" else file
    with open_target(root, must_exist=True) as target:
        key = find_key(target, Kind.PIPELINE, pipeline)
        if custom_json or tables.is_custom_json(source):
            _custom(target, key, source, out, output)
        else:
            _rows(target, key, source, Shown(limit), out, output)


def _piped() -> io.BufferedReader:
    source = sys.stdin.buffer
    return source if isinstance(source, io.BufferedReader) else io.BufferedReader(cast("io.RawIOBase", source))


def _custom(target: Target, key: Key, source: Path | io.BufferedReader, out: Path | None, output: str) -> None:
    from specrunner.engine import tables

    if output not in {TABLE, "json"} or (out is not None and out.suffix != ".json"):
        raise UsageError("Custom JSON is answered in JSON.", remedy="Leave --output out, and let --out end in .json.")
    answer = target.infer_json(key, tables.read_custom_json(source))
    if out is not None:
        _write(out, answer)
    if output == TABLE:
        say_json(answer)
    else:
        click.echo(json.dumps(answer, ensure_ascii=False))


def _write(out: Path, answer: Json) -> None:
    try:
        out.write_text(json.dumps(answer, ensure_ascii=False) + "\n", "utf-8")
    except OSError as problem:
        raise SpecrunnerError(f"{out} can't be written: {problem.strerror}.", remedy="Name another file.") from problem


def _rows(
    target: Target, key: Key, source: Path | io.BufferedReader, shown: Shown, out: Path | None, output: str
) -> None:
    from specrunner.engine import tables

    with ExitStack() as stack:
        chunks = stack.enter_context(tables.read_chunks(cast("Path | BinaryIO", source)))
        takers: list[Write] = [stack.enter_context(writing(out))] if out is not None else []
        takers.append(shown.add if output == TABLE else stack.enter_context(printing(output)))
        count = stack.enter_context(counting("inferring"))
        for result in _answers(chunks, lambda rows: target.infer_table(key, rows)):
            for take in takers:
                take(result)
            count(result.num_rows)
    if output == TABLE:
        shown.show()
    if out is not None:
        say([Line(f"All rows: {out}")], stderr=output != TABLE)


def _answers(chunks: Iterator[pa.Table], ask: Callable[[Callable[[], pa.Table]], pa.Table]) -> Iterator[pa.Table]:
    """The answer to each of the tables; the first is read once it is known that the pipeline serves."""
    yield ask(lambda: next(chunks))
    for chunk in chunks:
        yield ask(lambda chunk=chunk: chunk)  # type: ignore[misc]
