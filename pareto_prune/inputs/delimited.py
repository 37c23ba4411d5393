"""Files whose cells are separated by commas or tabs, with a header (CSV, TSV).

In CSV a quote that begins a cell must end it. In TSV quotes are text, as in GLUE's files, unless
they close before the next tab wherever one begins a cell, or the lines make no table otherwise.
"""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path
from typing import Any

from pareto_prune.inputs.table import Table, listed, refused

_NAMED = {",": "comma", "\t": "tab"}
_FEWEST_LINES = 3
"""Lines within a cell, each as wide as a row, that are rows rather than a text."""


def read_csv(path: Path) -> Table:
    """Read every cell as text: what a label means is for the task to say."""
    header = _header(path, ",", csv.QUOTE_MINIMAL)
    return _table(path, header, _quoted(path, header, ","))


def read_tsv(path: Path) -> Table:
    """Read every cell as text; quotes are text too, unless they quote."""
    header = _header(path, "\t", csv.QUOTE_NONE)
    try:
        plain = _parsed(path, header, "\t", quote=False)
    except ValueError as error:
        if not _has_quotes(path):
            raise _ragged(path, header, "\t", csv.QUOTE_NONE, error) from error
    else:
        if not _all_quoted(header, plain):
            return _table(path, header, plain)
    header = _header(path, "\t", csv.QUOTE_MINIMAL)
    return _table(path, header, _quoted(path, header, "\t"))


def _table(path: Path, header: list[str], cells: Any) -> Table:
    return Table(path.name, tuple(header), lambda name: cells.column(name).to_pylist())


def _header(path: Path, delimiter: str, quoting: Any) -> list[str]:
    with path.open(newline="", encoding="utf-8-sig") as file:
        header = next(csv.reader(file, delimiter=delimiter, quoting=quoting), [])
    _check_names(path, header)
    other = next((found for found in ",;\t|" if found in header[0]), None)
    if len(header) == 1 and other is not None:
        wrong = f"{path}: {other!r} stands between the names of its header"
        raise refused("data.path", wrong, "commas between cells (.csv), or tabs (.tsv)")
    return header


def _check_names(path: Path, header: list[str]) -> None:
    """Refuse a name that stands twice, unless it is empty: nobody can ask for such a column."""
    if not header:
        raise refused("data.path", f"{path}: has no header", "the names of the columns first")
    twice = [name for name, count in Counter(header).items() if count > 1 and name]
    if twice:
        wrong = f"{path}: its header has {listed(twice)} more than once"
        raise refused("data.path", wrong, "a name for each column")


def _quoted(path: Path, header: list[str], delimiter: str) -> Any:
    """Return the cells of a file where quotes quote, whole lines of it in none of them."""
    if _has_quotes(path):
        _check_quotes(path, delimiter)
    try:
        cells = _parsed(path, header, delimiter, quote='"')
    except ValueError as error:
        raise _ragged(path, header, delimiter, csv.QUOTE_MINIMAL, error) from error
    _check_lines(path, cells, delimiter)
    return cells


def _parsed(path: Path, header: list[str], delimiter: str, quote: str | bool) -> Any:
    import pyarrow as pa
    from pyarrow import csv as arrow_csv

    block = min(max(1 << 20, path.stat().st_size + 1), 1 << 30)
    return arrow_csv.read_csv(
        path,
        read_options=arrow_csv.ReadOptions(block_size=block),
        parse_options=arrow_csv.ParseOptions(
            delimiter=delimiter, quote_char=quote, newlines_in_values=bool(quote)
        ),
        convert_options=arrow_csv.ConvertOptions(column_types=dict.fromkeys(header, pa.string())),
    )


def _ragged(
    path: Path, header: list[str], delimiter: str, quoting: Any, error: Exception
) -> Exception:
    """Return what to say of the first line with more or fewer cells, else the error as it is."""
    _allow_long_cells(path)
    with path.open(newline="", encoding="utf-8-sig", errors="replace") as file:
        rows, begins = csv.reader(file, delimiter=delimiter, quoting=quoting), 1
        for row in rows:
            if row and len(row) != len(header):
                name = _NAMED[delimiter]
                wrong = f"{path}: line {begins} has {len(row)} cells, the header {len(header)}"
                return refused("data.path", wrong, f"as many; a text with a {name} in it in quotes")
            begins = rows.line_num + 1
    return error


def _allow_long_cells(path: Path) -> None:
    csv.field_size_limit(max(csv.field_size_limit(), path.stat().st_size))


def _has_quotes(path: Path) -> bool:
    with path.open("rb") as file:
        return any(b'"' in part for part in iter(lambda: file.read(1 << 20), b""))


def _all_quoted(header: list[str], cells: Any) -> bool:
    """Return whether cells begin with a quote, and all that do end with theirs."""
    import pyarrow as pa
    from pyarrow import compute

    columns = [pa.chunked_array([header]), *cells.columns]
    opened = [column.filter(compute.starts_with(column, '"')) for column in columns]
    return any(map(len, opened)) and all(map(_well_quoted, opened))


def _well_quoted(cells: Any) -> bool:
    from pyarrow import compute

    closed = compute.match_substring_regex(cells, r'^"(?:[^"]|"")*"$')
    return bool(compute.all(closed, min_count=0).as_py())


def _check_quotes(path: Path, delimiter: str) -> None:
    """Refuse a quote that begins a cell and does not end it: Arrow would read on to the next."""
    _allow_long_cells(path)
    with path.open(newline="", encoding="utf-8-sig") as file:
        rows = csv.reader(file, delimiter=delimiter, strict=True)
        begins = 1
        try:
            for _ in rows:
                begins = rows.line_num + 1
        except csv.Error:
            wrong = f"{path}: line {begins} has a cell that begins with a quote and ends without"
            allowed = 'such cells in quotes as a whole, those inside doubled: """awful"" film"'
            raise refused("data.path", wrong, f"{allowed}; or a .tsv") from None


def _check_lines(path: Path, cells: Any, delimiter: str) -> None:
    """Refuse cells that hold lines of the file: two quotes far apart can pair by chance."""
    from pyarrow import compute

    width = len(cells.columns)
    for column in cells.columns if width > 1 else ():
        for cell in column.filter(compute.match_substring(column, "\n")).to_pylist():
            inner = cell.split("\n")[1:-1]
            as_wide = all(line.count(delimiter) == width - 1 for line in inner)
            if len(inner) >= _FEWEST_LINES and as_wide:
                wrong = f"{path}: between two quotes are {len(inner)} lines that look like rows"
                raise refused("data.path", f"{wrong} ({cell[:40]!r} …)", "no quotes left open")
