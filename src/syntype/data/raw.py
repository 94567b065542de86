"""What a reader of a large set hands over: raw rows, batch by batch, and what it left out.

The readers of this silhouette clean no labels and hold no table whole. The writer of the catalogue
(`syntype.data.catalogue`) does the rest: it cleans each distinct label once, makes `id` from the
set's name and `key`, and checks that ids are unique.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from syntype.data.dataset import Card

BATCH_ROWS = 20_000


@dataclass(frozen=True, kw_only=True)
class Raw:
    """What a reader finds.

    Attributes:
        card: Where the set comes from and under which terms.
        root: Folder that the column `image` is relative to.
        tables: Raw rows, batch by batch, about 10,000 to 100,000 rows each, in any subset of the
            catalogue's columns; labels lie in `verbatimIdentification`, ranks are as delivered.
            The column `key` is the part of the id behind the set's name. Can be consumed once.
        left_out: What was left out (a file and line, an id) and why, in a few words. The reader
            fills it while `tables` is consumed.
        notes: Counts that a user wants to see, plain JSON types. Filled likewise.
    """

    card: Card
    root: Path
    tables: Iterator[pa.Table]
    left_out: list[tuple[str, str]] = field(default_factory=list)
    notes: dict[str, Any] = field(default_factory=dict)


# Columns of a catalogue that are not text.
NUMBERS: Mapping[str, pa.DataType] = {
    "imageOffset": pa.int64(),
    "imageLength": pa.int64(),
    "decimalLatitude": pa.float64(),
    "decimalLongitude": pa.float64(),
    "coordinateUncertaintyInMeters": pa.float64(),
    "pixelXDimension": pa.int32(),
    "pixelYDimension": pa.int32(),
}


def tables_of(
    rows: Iterable[Mapping[str, Any]], columns: Iterable[str], *, batch_rows: int = BATCH_ROWS
) -> Iterator[pa.Table]:
    """Rows, given as mappings, as tables of at most `batch_rows` rows; nothing else is held.

    Args:
        rows: One mapping of column to value per row. A column that a row lacks is "" in a column
            of text and null in a column of numbers.
        columns: Columns of the tables, in order; the same for every table.
        batch_rows: Rows of a table.
    """
    names = list(columns)
    schema = pa.schema([(name, NUMBERS.get(name, pa.string())) for name in names])
    held: dict[str, list[Any]] = {name: [] for name in names}
    n_held = 0
    for row in rows:
        for name, column in held.items():
            column.append(row.get(name, None if name in NUMBERS else ""))
        n_held += 1
        if n_held == batch_rows:
            yield pa.table(held, schema=schema)
            held, n_held = {name: [] for name in names}, 0
    if n_held:
        yield pa.table(held, schema=schema)
