"""The cells of an index on a server: how many there should be, which there are, and their making.

They are a pgvector index of the kind IVFFlat over the vectors, called `records_cells_` and how many
there are. pgvector takes the centres by k-means of 50 records a cell (Elkan 2003), each record goes
into the cell of its nearest centre, and so does each later one by itself. When the records have so
grown that cells are too large, others are made beside them, and theirs are dropped afterwards.

How many cells a search must go through depends on the vectors: few where they lie in clusters, many
where they fill few dimensions evenly. So it is measured when cells are made: sampled records ask
for their nearest through more and more cells, and what the most of these give counts as the truth.

Legend: d dimensions.
"""

import time
from collections.abc import Iterable
from typing import Any, NamedTuple

import psycopg
from psycopg import sql

from syntype.search.postgres_link import Connection
from syntype.search.postgres_schema import n_records

CELLS_FROM = 10_000
"""Records from which on there are cells; fewer are all compared."""
MOST_CELLS = 32_768
"""That pgvector makes."""
MOST_DIMENSIONS = 4000
"""That pgvector's cells of `halfvec` take."""
MEMORY = "1GB"
"""For making cells, where the server's own `maintenance_work_mem` is less."""
_NAME = "records_cells_"
_ROUNDING = 1e-6  # similarities that differ by less are equal
_GROWN = 1.5  # times as many cells as there are, that are worth making them anew
_TRIED = (16, 32, 64, 128, 256)  # cells, of which the last are the truth
_ASKED, _NEIGHBOURS, _ENOUGH = 32, 10, 0.98  # records that ask, for how many, and share of these
_SEEN, _LEAST_SEEN = 50, 10_000  # records a cell, and at least, that pgvector's k-means sees


class Cells(NamedTuple):
    """Cells that are there.

    Attributes:
        name: Of their index on the server.
        n: How many.
        ready: Whether they can be searched; those of a build that was killed cannot.
        searched: How many a search must go through, as far as that was measured.
    """

    name: str
    n: int
    ready: bool
    searched: int


def select_cells(connection: Connection, schema: str) -> psycopg.Cursor[Any]:
    """Ask for the cells of an index, the most first; each row is one of `Cells`."""
    return connection.execute(
        sql.SQL(
            "SELECT relname, option_value::integer, indisvalid, coalesce(searched, 0) "
            "FROM pg_index JOIN pg_class AS one ON one.oid = indexrelid "
            "JOIN pg_am ON pg_am.oid = relam "
            "CROSS JOIN LATERAL pg_options_to_table(reloptions) "
            "LEFT JOIN {}.cells ON cells.name = relname "
            "WHERE indrelid = to_regclass(%s) AND amname = 'ivfflat' AND option_name = 'lists' "
            "ORDER BY 2 DESC, 1"
        ).format(sql.Identifier(schema)),
        [f"{schema}.records"],
    )


def ready(there: Iterable[Any]) -> Cells | None:
    """Of rows of `select_cells` the cells that a search goes through; None where there are none."""
    return next((cells for cells in map(Cells._make, there) if cells.ready), None)


def how_many(n_records: int, dim: int, memory: int) -> int:
    """Cells for so many records: 2 sqrt(n), or what so much memory allows.

    Args:
        n_records: Of the index.
        dim: d.
        memory: Bytes that k-means may take.
    """
    wanted = min(max(int(2 * n_records**0.5), 1), MOST_CELLS)
    while wanted > 1 and bytes_of_kmeans(wanted, dim) > memory:
        wanted = int(0.95 * wanted)
    return wanted


def bytes_of_kmeans(n_cells: int, dim: int) -> int:
    """What pgvector's k-means takes: samples, centres, and a bound for each pair of the two."""
    seen, one = max(_SEEN * n_cells, _LEAST_SEEN), 2 * dim + 8
    arrays = seen * one + 2 * n_cells * one + 4 * n_cells * dim
    bounds = 4 * seen * n_cells + 8 * seen + 4 * n_cells**2 + 12 * n_cells
    return int(1.05 * (arrays + bounds))


def make_cells(
    connection: Connection, schema: str, dim: int, cells_from: int, memory: str, workers: int | None
) -> None:
    """Make cells where there are none or too few, with the planner's statistics.

    Of a table in partitions they are made by hand: the server makes none beside reads and writes.

    Args:
        connection: Outside of transactions.
        schema: Of the index.
        dim: d.
        cells_from: Records from which on there are cells.
        memory: See `PostgresIndex.build`.
        workers: Likewise.
    """
    if _is_partitioned(connection, schema):
        return
    # Others that build are waited for without a transaction, which the build waits for.
    lock = "SELECT pg_try_advisory_lock(hashtextextended(%s, 0))"
    while connection.execute(lock, [f"syntype {schema} {_NAME}"]).fetchone() != (True,):
        time.sleep(0.2)
    bytes_free = _set_up(connection, memory, workers)
    there = [Cells(*row) for row in select_cells(connection, schema)]
    for cells in there:
        if not cells.ready:
            _drop(connection, schema, cells)
    old = [cells for cells in there if cells.ready]
    n = n_records(connection, schema)
    n_cells = how_many(n, dim, bytes_free)
    if n >= cells_from and (not old or n_cells >= _GROWN * old[0].n):
        _make(connection, schema, n_cells)
        for cells in old:
            _drop(connection, schema, cells)
    made = ready(select_cells(connection, schema))
    if made is not None and not made.searched:
        _measure(connection, schema, n, made)


def _make(connection: Connection, schema: str, n_cells: int) -> None:
    table = sql.Identifier(schema, "records")
    connection.execute(sql.SQL("VACUUM (ANALYZE) {}").format(table))
    connection.execute(
        sql.SQL(
            "CREATE INDEX CONCURRENTLY {name} ON {table} USING ivfflat (vector halfvec_ip_ops) "
            "WITH (lists = {n_cells})"
        ).format(
            name=sql.Identifier(f"{_NAME}{n_cells}"), table=table, n_cells=sql.Literal(n_cells)
        )
    )


def _measure(connection: Connection, schema: str, n: int, cells: Cells) -> None:
    """Find out how many cells must be searched, and keep it; what is known of others goes."""
    searched = _measured(connection, schema, n, cells.n)
    kept = sql.Identifier(schema, "cells")
    with connection.transaction():
        connection.execute(sql.SQL("DELETE FROM {}").format(kept))
        connection.execute(
            sql.SQL("INSERT INTO {} VALUES (%s, %s)").format(kept), [cells.name, searched]
        )


def _measured(connection: Connection, schema: str, n: int, n_cells: int) -> int:
    """How many cells sampled records must search to find nearly all of their nearest."""
    *tried, most = [one for one in _TRIED if one < n_cells] or [n_cells]
    table = sql.Identifier(schema, "records")
    with connection.transaction():
        asking = connection.execute(
            sql.SQL(
                "SELECT vector::text FROM {} TABLESAMPLE SYSTEM (%s) REPEATABLE (0) "
                "ORDER BY hashtext(id), id LIMIT %s"
            ).format(table),
            [min(100.0, 10_000 * _ASKED / n), _ASKED],
        ).fetchall()
        nearest = sql.SQL(
            "SELECT vector <#> %s::halfvec FROM {} ORDER BY vector <#> %s::halfvec LIMIT %s"
        ).format(table)

        def found(searched: int) -> list[list[float]]:
            connection.execute(
                "SELECT set_config('enable_sort', 'off', true), set_config('jit', 'off', true), "
                "set_config('ivfflat.probes', %s, true)",
                [str(searched)],
            )
            # Without the first, which is the record itself.
            return [
                [far for (far,) in connection.execute(nearest, [at, at, _NEIGHBOURS + 1])][1:]
                for (at,) in asking
            ]

        truth = found(most)
        wanted = _ENOUGH * sum(map(len, truth))
        for one in tried:
            pairs = zip(found(one), truth, strict=True)
            hits = sum(far <= max(true) + _ROUNDING for fars, true in pairs for far in fars)
            if hits >= wanted:
                return one
    return most


def _is_partitioned(connection: Connection, schema: str) -> bool:
    kind = connection.execute(
        "SELECT relkind FROM pg_class WHERE oid = to_regclass(%s)", [f"{schema}.records"]
    ).fetchone()
    return kind is not None and kind[0] == "p"


def _set_up(connection: Connection, memory: str, workers: int | None) -> int:
    """Give a connection what a build may take; its bytes."""
    if workers is not None:
        connection.execute(
            "SELECT set_config('max_parallel_maintenance_workers', %s, false)", [str(workers)]
        )
    ((found,),) = connection.execute(
        "SELECT pg_size_bytes(set_config('maintenance_work_mem', CASE WHEN %s <> '' THEN %s "
        "WHEN pg_size_bytes(current_setting('maintenance_work_mem')) < pg_size_bytes(%s) THEN %s "
        "ELSE current_setting('maintenance_work_mem') END, false))",
        [memory, memory, MEMORY, MEMORY],
    ).fetchall()
    return int(found)


def _drop(connection: Connection, schema: str, cells: Cells) -> None:
    connection.execute(
        sql.SQL("DROP INDEX CONCURRENTLY IF EXISTS {}").format(sql.Identifier(schema, cells.name))
    )
