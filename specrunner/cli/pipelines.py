"""Inference from the command line."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from specrunner.cli.terminal import say, table
from specrunner.cli.wiring import directory_option, find_key, json_option, open_target
from specrunner.core.errors import SpecrunnerError
from specrunner.core.keys import Kind
from specrunner.report.lines import Line, counted

if TYPE_CHECKING:
    import pyarrow as pa


@click.command()
@click.argument("pipeline")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--limit", type=click.IntRange(1), default=10, show_default=True, help="Rows to show as a table.")
@click.option(
    "--out", type=click.Path(dir_okay=False, path_type=Path), help="Write all rows to .arrow, .csv, .parquet or .json."
)
@directory_option
@json_option
def infer(root: Path, pipeline: str, file: Path, limit: int, out: Path | None, as_json: bool) -> None:
    """Infer on the rows of FILE (.arrow, .df.json, .csv, .parquet) through a deployed PIPELINE."""
    with open_target(root, must_exist=True) as target:
        result = target.infer(find_key(target, Kind.PIPELINE, pipeline), file)
        if out is not None:
            _write(result, out)
    if as_json:
        from specrunner.engine import tables

        click.echo(tables.encode(result, tables.Media.PANDAS_RECORDS))
        return
    show(result, limit)
    if out is not None:
        say([Line(f"All rows: {out}")])


def show(result: pa.Table, limit: int) -> None:
    """The first rows as a table."""
    import json

    from specrunner.engine import tables

    first = result.slice(0, limit)
    # As JSON, because that has the shortest digits of 32-bit floats; but times as people read them.
    rows = json.loads(tables.encode(first, tables.Media.PANDAS_RECORDS))
    for row, moment in zip(rows, first.column("time").to_pylist(), strict=True):
        row["time"] = str(moment)[:23]
    table(result.column_names, [[_cell(row[name]) for name in result.column_names] for row in rows])
    shown = min(limit, result.num_rows)
    rest = f", the first {shown} shown" if shown < result.num_rows else ""
    say([Line(f"{counted(result.num_rows, 'row')}{rest}.", "dim")])


def _cell(value: Any) -> str:
    if isinstance(value, list):
        few = [_cell(item) for item in value[:4]]
        return f"[{', '.join(few)}{', …' if len(value) > 4 else ''}]"
    return str(value)


def _write(result: pa.Table, out: Path) -> None:
    from specrunner.engine import tables

    data = tables.encode(result, tables.media_of_path(out))
    try:
        out.write_bytes(data)
    except OSError as problem:
        raise SpecrunnerError(f"{out} can't be written: {problem.strerror}.", remedy="Name another file.") from problem
