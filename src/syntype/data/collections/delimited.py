"""Tables of text, comma or tab, streamed: every column as text, a block at a time."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.csv

from syntype.data.collections.collection import Account
from syntype.errors import DataError

_BLOCK = 8 << 20


def stream(
    path: Path, needed: Sequence[str], account: Account, *, tab: bool = False
) -> Iterator[pa.Table]:
    """The rows of a table as they stand in it, about ten thousands at a time.

    Quoted cells may hold quotes, commas and line breaks. A row with another number of cells than
    the header is left out by its place.

    Args:
        path: The file, UTF-8 with a header.
        needed: Columns that it must have.
        account: Where rows are counted, and what was left out is told.
        tab: Whether cells are divided by tabs.

    Raises:
        DataError: It lacks a column, or is no such table.
    """
    bad: list[int] = []

    def skip(row: pyarrow.csv.InvalidRow) -> str:
        bad.append(row.actual_columns)
        return "skip"

    try:
        reader = pyarrow.csv.open_csv(
            path,
            read_options=pyarrow.csv.ReadOptions(block_size=_BLOCK, use_threads=False),
            parse_options=pyarrow.csv.ParseOptions(
                delimiter="\t" if tab else ",", newlines_in_values=True, invalid_row_handler=skip
            ),
            convert_options=_as_text(path, tab=tab),
        )
        if lacking := [name for name in needed if name not in reader.schema.names]:
            raise DataError(
                f"{path} lacks the columns {', '.join(lacking)}; it has "
                f"{', '.join(reader.schema.names)}. Fetch it again, or name the set's folder."
            )
        n_rows = 0
        for batch in reader:
            n_rows += batch.num_rows
            account.read(batch.num_rows)
            yield pa.Table.from_batches([batch])
            n_rows = _tell(path, bad, account, n_rows)
        _tell(path, bad, account, n_rows)
    except pa.ArrowInvalid as error:
        raise DataError(
            f"{path} cannot be read as a table ({str(error).splitlines()[0]}). It must be UTF-8 "
            "with a header; fetch it again if it was cut."
        ) from error


def _tell(path: Path, bad: list[int], account: Account, n_rows: int) -> int:
    """Tell rows that were skipped so far, about where they stand."""
    for n_cells in bad:
        account.read()
        account.leave(
            [f"{path.name}, before row {n_rows + 1:,}"],
            f"{n_cells} cells, unlike the header",
        )
    n_rows += len(bad)
    bad.clear()
    return n_rows


def header(path: Path, *, tab: bool = False) -> list[str]:
    """The names of a table's columns.

    Raises:
        DataError: It is empty or no text.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as handle:
            line = handle.readline()
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is no text in UTF-8. Fetch it again.") from error
    names = [name.strip().strip('"') for name in line.split("\t" if tab else ",")]
    if names == [""]:
        raise DataError(f"{path} is empty. Fetch it again.")
    return names


def _as_text(path: Path, *, tab: bool) -> pyarrow.csv.ConvertOptions:
    """Every column as text as it stands: the ids of a table are no numbers to round."""
    return pyarrow.csv.ConvertOptions(
        column_types=dict.fromkeys(header(path, tab=tab), pa.string()),
        strings_can_be_null=False,
    )
