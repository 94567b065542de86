"""Records and vectors as the rows that a server is sent, and the words that names are suggested by.

What the server cannot hold is refused before anything is sent: NUL in a text, and ids and facets
that are too long for its indexes.
"""

import re
import struct
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Float32
from psycopg import sql

from syntype.data.census_dates import span_of
from syntype.errors import DataError
from syntype.search.postgres_link import Connection, Half, teach_half
from syntype.search.postgres_schema import (
    LONGEST,
    NAMES,
    TALLIED,
    WORD_LETTERS,
    WRITTEN,
    copied_types,
    names,
    replace_rows,
)
from syntype.search.records import RECORD

_WORD = re.compile(r"(?<![^\W_])\S")


def refuse_unfit(records: pa.Table) -> None:
    """Refuse records that cannot be written.

    Raises:
        DataError: An id is empty or appears twice, or the server cannot hold a text.
    """
    ids = records.column("id").to_pylist()
    if len(set(ids)) < len(ids) or "" in ids:
        raise DataError(
            "An id is empty, or appears twice among the records of one write. Give each record an "
            "id of its own."
        )
    for name in RECORD.names:
        if pa.types.is_string(RECORD.field(name).type):
            _refuse_column(records, name)


def _refuse_column(records: pa.Table, name: str) -> None:
    column = records.column(name)
    unfit = pc.match_substring(column, "\0")
    fault = "holds the character NUL, which the server's text cannot"
    if name == "id" or name in TALLIED:
        long = pc.greater(pc.binary_length(column), LONGEST)
        if pc.any(long).as_py():
            unfit, fault = long, f"has more than {LONGEST:,} bytes, which the server cannot index"
    if pc.any(unfit).as_py():
        id_ = records.column("id")[pc.index(unfit, True).as_py()].as_py()
        raise DataError(
            f"`{name}` of the record {id_[:80]!r} {fault}. Correct it, or leave it out."
        )


def _rows(records: pa.Table, vectors: Float32[np.ndarray, "m d"]) -> Iterator[tuple[Any, ...]]:
    """Values of `WRITTEN`, row by row."""
    columns: list[list[Any]] = []
    for column in records.columns:
        if pa.types.is_floating(column.type):
            nan = pc.fill_null(pc.is_nan(column), False)
            column = pc.if_else(nan, pa.scalar(None, column.type), column)
        columns.append(column.to_pylist())
    dates = records.column("eventDate").to_pylist()
    spans = {date: span_of(date) or (None, None) for date in set(dates)}
    head = struct.pack(">HH", vectors.shape[1], 0)
    halves = vectors.astype(">f2")
    for values, date, half in zip(zip(*columns, strict=True), dates, halves, strict=True):
        yield (*values, Half(head + half.tobytes()), *spans[date])


def beginnings(name: str, letters: int | None = WORD_LETTERS) -> list[str]:
    """A name from each place on where a word begins, in small letters, so many of them at most.

    A word begins behind anything that is no letter or digit.
    """
    folded = name.casefold()
    found = (folded[match.start() :][:letters] for match in _WORD.finditer(folded))
    return list(dict.fromkeys(found))


def write_rows(
    connection: Connection, name: str, records: pa.Table, vectors: Float32[np.ndarray, "m d"]
) -> None:
    """Write records, in the transaction that a connection is in.

    Args:
        connection: To the server.
        name: The schema.
        records: Rows of `RECORD`, as `refuse_unfit` lets them pass.
        vectors: Their unit vectors.
    """
    # What is acknowledged must be on the disk, whatever the server is set to.
    connection.execute(
        "SELECT set_config('synchronous_commit', 'on', true) "
        "WHERE current_setting('synchronous_commit') = 'off'"
    )
    _write_words(connection, name, records)
    connection.execute(
        sql.SQL(
            "CREATE TEMPORARY TABLE incoming ON COMMIT DROP AS SELECT {columns} "
            "FROM {schema}.records WITH NO DATA"
        ).format(columns=names(WRITTEN), schema=sql.Identifier(name))
    )
    teach_half(connection)
    with (
        connection.cursor() as cursor,
        cursor.copy("COPY pg_temp.incoming FROM STDIN (FORMAT BINARY)") as copy,
    ):
        copy.set_types(copied_types())
        for row in _rows(records, vectors):
            copy.write_row(row)
    connection.execute(replace_rows(name))


def _write_words(connection: Connection, schema: str, records: pa.Table) -> None:
    """Write the beginnings of the words of names that no record has had before."""
    pairs = [
        (column, name)
        for column in NAMES
        for name in records.column(column).unique().to_pylist()
        if name
    ]
    if not pairs:
        return
    new = connection.execute(
        sql.SQL(
            "SELECT name, value FROM unnest(%s::text[], %s::text[]) AS one (name, value) "
            'WHERE NOT EXISTS (SELECT FROM {}.tally WHERE "column" = name '
            "AND tally.value = one.value)"
        ).format(sql.Identifier(schema)),
        list(map(list, zip(*pairs, strict=True))),
    ).fetchall()
    # In one order, so that writers who bring the same names wait in no circle.
    words = sorted((word, column, name) for column, name in new for word in beginnings(name))
    if words:
        connection.execute(
            sql.SQL(
                "INSERT INTO {}.words SELECT * FROM unnest(%s::text[], %s::text[], %s::text[]) "
                "ON CONFLICT DO NOTHING"
            ).format(sql.Identifier(schema)),
            list(map(list, zip(*words, strict=True))),
        )
