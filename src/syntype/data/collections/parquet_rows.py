"""Parquet files streamed, about twenty thousand rows at a time."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from syntype.data.raw import BATCH_ROWS
from syntype.errors import DataError


def columns_of(path: Path) -> list[str]:
    """The names of a Parquet file's columns.

    Raises:
        DataError: It cannot be read.
    """
    try:
        return list(pq.read_schema(path).names)
    except (pa.ArrowInvalid, OSError) as error:
        raise _broken(path, error) from error


def stream(path: Path, columns: Sequence[str]) -> Iterator[pa.Table]:
    """The rows of a Parquet file, in order.

    Args:
        path: The file.
        columns: Which columns, all of which it must have.

    Raises:
        DataError: It cannot be read, or lacks a column.
    """
    try:
        with pq.ParquetFile(path) as file:
            names = file.schema_arrow.names
            if lacking := [name for name in columns if name not in names]:
                raise DataError(
                    f"{path} lacks the columns {', '.join(lacking)}; it has {', '.join(names)}. "
                    "Fetch it again, or name the set's folder."
                )
            for batch in file.iter_batches(BATCH_ROWS, columns=list(columns)):
                yield pa.Table.from_batches([batch]).select(list(columns))
    except (pa.ArrowInvalid, OSError) as error:
        raise _broken(path, error) from error


def _broken(path: Path, error: Exception) -> DataError:
    return DataError(
        f"{path} cannot be read as Parquet ({str(error).splitlines()[0]}). Fetch it again."
    )
