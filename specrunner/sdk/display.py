"""HTML tables for notebooks, laid out as the tutorials print them, and instants as they write them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timezone

MASK = "*****"


def fields_table(fields: Mapping[str, object]) -> str:
    """A table `Field | Value`, one row a field."""
    cells = (f"<td>{_cell(key)}</td><td>{_cell(value)}</td>" for key, value in fields.items())
    rows = "".join(f"\n  <tr>\n    {pair}\n  </tr>" for pair in cells)
    return f"<table>\n  <tr>\n    <th>Field</th>\n    <th>Value</th>\n  </tr>{rows}\n</table>"


def heads_table(fields: Mapping[str, object]) -> str:
    """A table with a head cell at the left of each row."""
    rows = "".join(f"<tr><th>{_cell(key)}</th> <td>{_cell(value)}</td></tr>" for key, value in fields.items())
    return f"<table>{rows}</table>"


def rows_table(columns: Sequence[str], rows: Iterable[Sequence[object]], empty: str) -> str:
    """A table with a head row; the text `empty` where there are no rows."""
    body = "".join("<tr>" + "".join(f"<td>{_cell(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    if not body:
        return empty
    head = "".join(f"<th>{_cell(column)}</th>" for column in columns)
    return f"<table><tr>{head}</tr>{body}</table>"


def parse_time(text: str) -> datetime:
    """An aware instant from ISO 8601, with `Z` or an offset and a fraction of any length; naive means UTC."""
    import re  # only whoever asks for an instant needs it

    # Python before 3.11 reads neither `Z` nor fractions of other than 3 or 6 digits.
    plain = re.sub(r"\.(\d+)", lambda match: "." + match[1][:6].ljust(6, "0"), text.replace("Z", "+00:00"))
    instant = datetime.fromisoformat(plain)
    return instant if instant.tzinfo else instant.replace(tzinfo=timezone.utc)  # noqa: UP017  # Python 3.9


def short_time(text: str) -> str:
    """An instant in the tutorials' short form, such as `2023-17-May 18:15:09`."""
    return parse_time(text).strftime("%Y-%d-%b %H:%M:%S")


def short_sha(text: str) -> str:
    """A hash in the tutorials' short form, such as `805a93...7384bf`."""
    return f"{text[:6]}...{text[-6:]}"


def _cell(value: object) -> str:
    from html import escape  # only a notebook asks for tables

    return escape(str(value), quote=False)
