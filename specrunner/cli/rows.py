"""Tables on the command line: as a table for people, or in a format for programs, part by part."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final, TypeVar, cast

import click

from specrunner.cli.terminal import say, table
from specrunner.core.errors import SpecrunnerError, UsageError
from specrunner.report.lines import Line, counted

if TYPE_CHECKING:
    import pyarrow as pa

TABLE: Final = "table"
FORMATS: Final = (TABLE, "arrow", "json", "csv", "parquet")

Write = Callable[["pa.Table"], None]
_Command = TypeVar("_Command", bound=Callable[..., Any])


def output_options(command: _Command) -> _Command:
    """`--output FORMAT` and `--json`."""
    command = click.option("--json", "as_json", is_flag=True, help="The same as --output json.")(command)
    return click.option(
        "--output",
        type=click.Choice(FORMATS),
        default=TABLE,
        show_default=True,
        help="What to print: a table of the first rows, or all rows in a format for programs.",
    )(command)


@contextmanager
def printing(output: str) -> Iterator[Write]:
    """What prints rows in a format for programs. Raises UsageError where that would spill bytes over a terminal."""
    from specrunner.engine import tables

    if output in {"arrow", "parquet"} and sys.stdout.isatty():
        raise UsageError(f"{output} is no text for a terminal.", remedy=f"Write it to a file: `... > rows.{output}`.")
    media = tables.media_of_path(Path(f"rows.{output}"))
    with tables.write_chunks(cast("BinaryIO", sys.stdout.buffer), media) as write:
        yield write
    if media in {tables.Media.PANDAS_RECORDS}:
        click.echo()


@contextmanager
def writing(out: Path) -> Iterator[Write]:
    """What writes rows to a file, which is there whole or not at all; its name tells the format."""
    import os

    from specrunner.engine import tables

    media = tables.media_of_path(out)
    part = out.with_name(f".{out.name}.{os.getpid()}.part")
    try:
        with part.open("xb") as file, tables.write_chunks(cast("BinaryIO", file), media) as write:
            yield write
        part.replace(out)
    except OSError as problem:
        raise SpecrunnerError(f"{out} can't be written: {problem.strerror}.", remedy="Name another file.") from problem
    finally:
        part.unlink(missing_ok=True)


class Shown:
    """Keeps the first rows, to be shown at the end; the others are counted."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._kept: list[pa.Table] = []
        self.rows = 0

    def add(self, rows: pa.Table) -> None:
        """Some more rows."""
        left = self._limit - self.rows
        if left > 0 or not self._kept:
            self._kept.append(rows.slice(0, max(left, 0)))
        self.rows += rows.num_rows

    def show(self) -> None:
        """Print them as a table."""
        import pyarrow as pa

        if self._kept:
            show(pa.concat_tables(self._kept), self.rows)


def show(first: pa.Table, total: int) -> None:
    """The first rows as a table, and how many there are in all."""
    import json

    from specrunner.engine import tables

    # As JSON, because that has the shortest digits of 32-bit floats; but times as people read them.
    rows = json.loads(tables.encode(first, tables.Media.PANDAS_RECORDS))
    if "time" in first.column_names:
        for row, moment in zip(rows, first.column("time").to_pylist(), strict=True):
            row["time"] = str(moment)[:23]
    table(first.column_names, [[_cell(row[name]) for name in first.column_names] for row in rows])
    rest = f", the first {first.num_rows} shown" if first.num_rows < total else ""
    say([Line(f"{counted(total, 'row')}{rest}.", "dim")])


def _cell(value: Any) -> str:
    if isinstance(value, list):
        few = [_cell(item) for item in value[:4]]
        return f"[{', '.join(few)}{', …' if len(value) > 4 else ''}]"
    return str(value)


@contextmanager
def counting(what: str) -> Iterator[Callable[[int], None]]:
    """A line on the terminal's standard error that counts rows while there are more to come; elsewhere nothing."""
    if not sys.stderr.isatty():
        yield lambda _rows: None
        return
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    from specrunner.cli.terminal import console

    columns = (SpinnerColumn(), TimeElapsedColumn(), TextColumn("{task.description}", markup=False))
    with Progress(*columns, console=console(stderr=True), transient=True) as progress:
        task, done = progress.add_task(what, total=None), 0

        def count(rows: int) -> None:
            nonlocal done
            done += rows
            progress.update(task, description=f"{what}: {done:,} rows")

        yield count
