"""Files whose cells are separated by commas or tabs, with a header (CSV, TSV)."""

from __future__ import annotations

import csv
from pathlib import Path

from pareto_prune.inputs.table import Table


def read_csv(path: Path, delimiter: str = ",") -> Table:
    """Read every cell as text: what a label means is for the task to say."""
    import pyarrow as pa
    from pyarrow import csv as arrow_csv

    header = _csv_header(path, delimiter)
    block = min(max(1 << 20, path.stat().st_size + 1), 1 << 30)
    table = arrow_csv.read_csv(
        path,
        read_options=arrow_csv.ReadOptions(block_size=block),
        parse_options=arrow_csv.ParseOptions(delimiter=delimiter, newlines_in_values=True),
        convert_options=arrow_csv.ConvertOptions(column_types=dict.fromkeys(header, pa.string())),
    )
    return Table(path.name, tuple(header), lambda name: table.column(name).to_pylist())


def _csv_header(path: Path, delimiter: str) -> list[str]:
    with path.open(newline="", encoding="utf-8-sig") as file:
        header = next(csv.reader(file, delimiter=delimiter), [])
    if not header or len(set(header)) != len(header):
        raise ValueError("no header, or a name in it twice")
    return header
