"""The index on a PostgreSQL server with pgvector: for what outgrows a machine, or many write to.

    with closing(create_postgres("postgresql://curator@db/museum?index=birds", card)) as index: ...

Records and vectors are rows of one table (`syntype.search.postgres_schema`); a write is one
transaction, and a search reads what is committed (`syntype.search.postgres_near`). Nothing is kept
in this process but connections, and counts until the next write.

Legend: n records that are alive, q queries, d dimensions.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import pyarrow as pa
from jaxtyping import Float32
from psycopg import sql
from typing_extensions import override

from syntype.embeddings.store import check_vectors
from syntype.errors import DataError, DataNotFoundError, UsageError, VectorError
from syntype.search import postgres_schema as schema
from syntype.search.index import (
    MOST_FACETS,
    Card,
    Cell,
    Hit,
    Index,
    check_facets,
    described,
)
from syntype.search.postgres_card import make_or_compare, read_card, write_card
from syntype.search.postgres_cells import MOST_DIMENSIONS, make_cells, ready, select_cells
from syntype.search.postgres_link import (
    Address,
    Connection,
    address_of,
    clear_server_errors,
    connect,
    pool,
    require_pgvector,
)
from syntype.search.postgres_near import USUAL, Effort, Seeker
from syntype.search.postgres_rows import beginnings, refuse_unfit, write_rows
from syntype.search.postgres_where import condition, storable
from syntype.search.records import RECORD, conform_records
from syntype.search.remembered import Remembered
from syntype.search.where import EVERYTHING, Where


class PostgresIndex(Index):
    """A schema on a server. `open_postgres` and `create_postgres` make one.

    It may be used by many threads: each call takes a connection of a pool. A search sees what any
    process has written before it began.

    Args:
        address: Where the index lies.
        effort: How hard a search tries.
        connections: How many there are at most.

    Raises:
        DataNotFoundError: There is no index of that name.
        DataError: It is of another format.
        ResourceError: The server cannot be reached, or lacks pgvector.
    """

    def __init__(self, address: Address, effort: Effort = USUAL, *, connections: int = 16) -> None:
        self._address, self._effort = address, effort
        with connect(address) as connection:
            require_pgvector(connection, address, make=False)
            card = read_card(connection, address)
        if card is None:
            raise DataNotFoundError(
                f"There is no index at {address}. Make one with `syntype index`, or name another "
                "by ?index=NAME."
            )
        self._dim = card.dim
        self._pool = pool(address, connections)
        self._remembered = Remembered()

    @contextmanager
    def _connection(self) -> Iterator[Connection]:
        """A connection on which each statement is a transaction of its own."""
        with clear_server_errors(self._address), self._pool.connection() as connection:
            yield connection

    @contextmanager
    def _transaction(self) -> Iterator[Connection]:
        """A connection; what is done on it is done when it ends well, and not at all else."""
        with self._connection() as connection, connection.transaction():
            yield connection

    def _all(
        self, statement: str, values: Sequence[Any] = (), **parts: sql.Composable
    ) -> list[Any]:
        """The rows of one statement; {schema} in it is this index's."""
        return self._fetched(self._sql(statement, **parts), values)

    def _fetched(self, statement: sql.Composed, values: Sequence[Any]) -> list[Any]:
        with self._connection() as connection:
            return connection.execute(statement, values).fetchall()

    def _counted(
        self, statement: str, values: Sequence[Any] = (), **parts: sql.Composable
    ) -> tuple[Any, ...]:
        """Rows likewise, which are remembered until somebody writes."""
        made = self._sql(statement, **parts)
        return self._remembered.get(
            self.state, (made.as_string(), repr(values)), lambda: tuple(self._fetched(made, values))
        )

    def _sql(self, statement: str, **parts: sql.Composable) -> sql.Composed:
        name = sql.Identifier(self._address.name)
        return sql.SQL(statement).format(schema=name, **parts)

    @property
    @override
    def card(self) -> Card:
        with self._transaction() as connection:
            card = read_card(connection, self._address)
        if card is None:
            raise DataNotFoundError(f"The index at {self._address} is gone.")
        return card

    @property
    @override
    def state(self) -> str:
        ((table, writes),) = self._all("SELECT tableoid, writes FROM {schema}.card")
        return f"{table}.{writes}"

    @property
    def n_cells(self) -> int:
        """How many cells there are; without any, all records that fit are compared."""
        with self._connection() as connection:
            cells = ready(select_cells(connection, self._address.name))
        return 0 if cells is None else cells.n

    @override
    def __len__(self) -> int:
        return self.count()

    @override
    def describe(self, *, spec: str | None = None, **changes: Any) -> None:
        with self._transaction() as connection:
            card = read_card(connection, self._address, lock=True)
            assert card is not None, "it was there when it was opened"
            write_card(connection, self._address, described(card, spec, changes))

    @override
    def upsert(self, records: pa.Table, vectors: Float32[np.ndarray, "m d"]) -> None:
        records = conform_records(records)
        if vectors.shape != (records.num_rows, self._dim):
            raise VectorError(
                f"Vectors of shape {vectors.shape} do not fit {records.num_rows} records of an "
                f"index of {self._dim} dimensions: embed with the index's own encoder."
            )
        ids = records.column("id").to_pylist()
        check_vectors(vectors, ids)
        refuse_unfit(records)
        if ids:
            with self._transaction() as connection:
                write_rows(connection, self._address.name, records, vectors)

    @override
    def delete(self, ids: Sequence[str]) -> int:
        with self._transaction() as connection:
            return connection.execute(
                self._sql(
                    "DELETE FROM {schema}.records WHERE id IN (SELECT id FROM {schema}.records "
                    "WHERE id = ANY(%s::text[]) ORDER BY id FOR UPDATE)"
                ),
                [[id_ for id_ in ids if storable(id_)]],
            ).rowcount

    @override
    def search(
        self,
        queries: Float32[np.ndarray, "q d"],
        n: int,
        where: Where = EVERYTHING,
        *,
        far: bool = False,
    ) -> list[list[Hit]]:
        if queries.ndim != 2 or queries.shape[1] != self._dim:
            raise VectorError(
                f"A query of shape {queries.shape} cannot search vectors of {self._dim} dimensions."
            )
        if n < 1:
            return [[] for _ in queries]
        with self._transaction() as connection:
            seeker = Seeker(self._address.name, self._effort, n, where, far)
            return seeker.search(connection, queries)

    @override
    def browse(self, n: int, where: Where = EVERYTHING, after: str = "") -> list[str]:
        made, values = condition(where)
        # No id holds a NUL, so none lies between what stands before it and the whole.
        after = after.partition("\0")[0]
        if not storable(after):
            raise UsageError(f"{after!r} is no text: it holds half of a surrogate pair.")
        rows = self._all(
            "SELECT id FROM {schema}.records WHERE {where} AND id > %s ORDER BY id LIMIT %s",
            [*values, after, max(n, 0)],
            where=made,
        )
        return [id_ for (id_,) in rows]

    @override
    def records(self, ids: Sequence[str]) -> list[dict[str, Any] | None]:
        rows = self._all(
            "SELECT {columns} FROM {schema}.records WHERE id = ANY(%s::text[])",
            [[id_ for id_ in ids if storable(id_)]],
            columns=schema.names(RECORD.names),
        )
        found = {row["id"]: row for row in (dict(zip(RECORD.names, r, strict=True)) for r in rows)}
        return [dict(found[id_]) if id_ in found else None for id_ in ids]

    @override
    def vectors(self, ids: Sequence[str]) -> Float32[np.ndarray, "m d"]:
        rows = self._all(
            "SELECT id, halfvec_send(vector) FROM {schema}.records WHERE id = ANY(%s::text[])",
            [[id_ for id_ in ids if storable(id_)]],
        )
        found = {id_: np.frombuffer(sent, ">f2", offset=4) for id_, sent in rows}
        missing = [id_ for id_ in ids if id_ not in found]
        if missing:
            raise DataError(f"There is no record {missing[0]!r}. Look its id up with a search.")
        taken = [found[id_] for id_ in ids]
        return np.array(taken, np.float32).reshape(len(taken), self._dim)

    @override
    def count(self, where: Where = EVERYTHING) -> int:
        if where.empty:
            with self._connection() as connection:
                return schema.n_records(connection, self._address.name)
        made, values = condition(where)
        statement = "SELECT count(*) FROM {schema}.records WHERE {where}"
        return int(self._counted(statement, values, where=made)[0][0])

    @override
    def facets(
        self, columns: Sequence[str], where: Where = EVERYTHING, most: int = MOST_FACETS
    ) -> dict[str, list[tuple[str, int]]]:
        check_facets(columns)
        found: dict[str, list[tuple[str, int]]] = {column: [] for column in columns}
        if not columns or most < 1:
            return found
        if where.empty:
            values: list[Any] = [list(columns)]
            counted = self._sql(
                'SELECT "column", value, n FROM {schema}.tally '
                'WHERE n > 0 AND "column" = ANY(%s::text[])'
            )
        else:
            made, values = condition(where)
            counted = schema.counted_together(self._address.name, columns, made)
        rows = self._counted(
            'SELECT "column", value, n FROM (SELECT *, row_number() OVER '
            '(PARTITION BY "column" ORDER BY n DESC, value) AS place FROM ({counted}) AS one'
            ") AS counted WHERE place <= %s ORDER BY place",
            [*values, most],
            counted=counted,
        )
        for column, value, n in rows:
            found[column].append((value, n))
        return found

    @override
    def years(self, where: Where = EVERYTHING) -> list[tuple[int, int]]:
        made, values = condition(where)
        rows = self._counted(
            "SELECT extract(year FROM date '0001-01-01' + (\"firstDay\" - 1))::integer AS year, "
            'count(*) FROM {schema}.records WHERE {where} AND "firstDay" IS NOT NULL '
            "GROUP BY year ORDER BY year",
            values,
            where=made,
        )
        return list(rows)

    @override
    def places(self, degrees: float, where: Where = EVERYTHING) -> list[Cell]:
        made, values = condition(where)
        rows = self._counted(
            "SELECT avg(latitude), avg(longitude), count(*) FROM (SELECT "
            '"decimalLatitude" AS latitude, "decimalLongitude" AS longitude, '
            'floor(("decimalLatitude" + 90) / %s::float8) AS north, '
            'floor(("decimalLongitude" + 180) / %s::float8) AS east FROM {schema}.records '
            'WHERE {where} AND "decimalLatitude" IS NOT NULL AND "decimalLongitude" IS NOT NULL'
            ") AS place GROUP BY north, east ORDER BY north, east",
            [degrees, degrees, *values],
            where=made,
        )
        return [Cell(*row) for row in rows]

    @override
    def suggest(self, text: str, n: int) -> list[tuple[str, str, int]]:
        wanted = text.strip().casefold()
        if not wanted or not storable(wanted) or n < 1:
            return []
        start = wanted[: schema.WORD_LETTERS]
        for special in "\\%_":
            start = start.replace(special, "\\" + special)
        rows = self._all(
            'SELECT "column", value, tally.n FROM (SELECT DISTINCT "column", value '
            "FROM {schema}.words WHERE word LIKE %s) AS named "
            'JOIN {schema}.tally USING ("column", value) WHERE tally.n > 0 '
            'ORDER BY tally.n DESC, value, array_position(%s::text[], "column")',
            [start + "%", list(schema.NAMES)],
        )
        if len(wanted) > schema.WORD_LETTERS:  # words are kept up to so many letters
            rows = [
                row for row in rows if any(w.startswith(wanted) for w in beginnings(row[1], None))
            ]
        return rows[:n]

    @override
    def refresh(self) -> bool:
        """Nothing to take in: every call asks the server, which is always current."""
        return False

    @override
    def build(self, *, memory: str = "", workers: int | None = None) -> None:
        """Make the cells that searches go through, where there are none or the records doubled.

        Records are read and written meanwhile, and cells take in later ones by themselves. It ends
        at once where there is nothing to do.

        Args:
            memory: `maintenance_work_mem` of the server, as in "8GB": the more, the more cells
                there may be. "" takes the server's own, and 1 GB where that is less.
            workers: `max_parallel_maintenance_workers`; None takes the server's.
        """
        name, cells_from = self._address.name, self._effort.cells_from
        with clear_server_errors(self._address), connect(self._address) as connection:
            make_cells(connection, name, self._dim, cells_from, memory, workers)

    @override
    def close(self) -> None:
        self._pool.close()


def open_postgres(url: str, effort: Effort = USUAL, *, connections: int = 16) -> PostgresIndex:
    """The index at a URL, as `syntype.search.postgres_link` describes it.

    Raises:
        UsageError: The URL cannot be read.
        DataNotFoundError: There is no index.
        ResourceError: The server cannot be reached, or lacks pgvector.
    """
    return PostgresIndex(address_of(url), effort, connections=connections)


def create_postgres(
    url: str, card: Card, effort: Effort = USUAL, *, connections: int = 16
) -> PostgresIndex:
    """An empty index at a URL, or the one that is there if its vectors are of the same encoder.

    Raises:
        UsageError: The URL cannot be read, or there are more dimensions than cells take.
        VectorError: There is an index of another encoder or length.
        ResourceError: The server cannot be reached, or lacks pgvector.
    """
    address = address_of(url)
    if not 1 <= card.dim <= MOST_DIMENSIONS:
        raise UsageError(
            f"A server's index takes vectors of 1 to {MOST_DIMENSIONS} dimensions, not {card.dim}."
        )
    with clear_server_errors(address), connect(address) as connection:
        require_pgvector(connection, address, make=True)
        make_or_compare(connection, address, card)
    return PostgresIndex(address, effort, connections=connections)


def exists_postgres(url: str) -> bool:
    """Whether there is an index at a URL.

    Raises:
        UsageError: The URL cannot be read.
        ResourceError: The server cannot be reached.
    """
    address = address_of(url)
    with clear_server_errors(address), connect(address) as connection:
        return read_card(connection, address) is not None
