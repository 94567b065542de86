"""A search on a server, in one transaction: in cells where many records fit, else in all that do.

Vectors lie in cells around centres (pgvector's IVFFlat; Jegou, Douze and Schmid 2011); the cells
whose centres are nearest to the query are searched first. As in the embedded engine, a filter
decides how many cells are searched, never what is dropped from the answer: the fewer records fit,
the more are looked at, until enough that fit were among them. The best of these are put in order
again by similarities in single precision. Where so few fit that reading them is cheaper, or where
the cells gave too few for what they cost, all that fit are compared. So there are n hits whenever n
records fit.
"""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32
from psycopg import sql

from syntype.search.index import Hit
from syntype.search.postgres_cells import CELLS_FROM, Cells, ready, select_cells
from syntype.search.postgres_link import Connection
from syntype.search.postgres_where import condition
from syntype.search.where import Where

SPARE = 16
"""Rows that are taken beyond n, so that rounding and ties at the end decide nothing."""
# Similarities are told to six digits, as the embedded engines tell them: equal vectors tie.
_SIMILARITY = "round((vector::vector <#> %s::vector) * -1e6) / 1e6 AS similarity"


@dataclass(frozen=True, kw_only=True)
class Effort:
    """How hard a search tries, where F of N records fit, by the server's estimate.

    Without conditions b cells are searched: as many as were found to be needed when they were made
    (`Cells.searched`), and `cells` at least. With conditions more are, until as many records that
    fit were looked at as `held` b cells have records: that are `held` b N / F cells. To read a
    record of the table costs `cost` times as much as one of a cell, so all that fit are compared
    instead where no more fit than N sqrt(`held` b / (`cost` k)), of k cells.

    Attributes:
        exact_rows: Where no more records fit than so many, all are compared in any case.
        cells: That are searched at least.
        held: See above; 4 n records where that is more.
        taken: Of a search with conditions, records that fit which must be found before it ends: it
            goes on to further cells where those that fit lie elsewhere than the query.
        cost: Of a record of the table in records of a cell: less than the 4 that it is where all
            lies in memory, since what is compared is certain. The cells are left when they have
            cost as much as comparing all that fit.
        far: Times b, for a query that lies far from all records.
        cells_from: Records from which on `PostgresIndex.build` makes cells.
    """

    exact_rows: int = 5000
    cells: int = 16
    held: float = 0.1
    taken: int = 100
    cost: float = 2.0
    far: int = 4
    cells_from: int = CELLS_FROM

    def base(self, cells: Cells, *, far: bool) -> int:
        """Cells that are searched without conditions."""
        return max(self.cells, cells.searched, 1) * (self.far if far else 1)

    def few(self, n: int, n_all: float, base: int, cells: Cells) -> int:
        """Of how many records that fit all are compared, where n of `n_all` are wanted."""
        wanted = max(self.held * base / cells.n * n_all, 4 * n)
        return max(self.exact_rows, int(math.sqrt(wanted * n_all / self.cost)), 4 * n)

    def probes(
        self, n: int, fitting: float, n_all: float, base: int, cells: Cells
    ) -> tuple[int, int]:
        """Cells that are searched at once, and at most, where `fitting` of `n_all` fit."""
        n_all = max(n_all, 1.0)
        wanted = max(self.held * base, 4 * n * cells.n / n_all) * n_all / max(fitting, 1.0)
        first = min(max(math.ceil(wanted), base), cells.n)
        most = math.ceil(self.cost * fitting * cells.n / n_all)
        return first, min(max(first, most), cells.n)


USUAL = Effort()


@dataclass(frozen=True)
class Seeker:
    """What a search needs.

    Attributes:
        name: The schema.
        effort: How hard it tries.
        n: Hits wanted, at least one.
        where: Conditions.
        far: Whether queries lie far from all records.
    """

    name: str
    effort: Effort
    n: int
    where: Where
    far: bool = False

    def search(
        self, connection: Connection, queries: Float32[np.ndarray, "q d"]
    ) -> list[list[Hit]]:
        """The hits of each query, the best first."""
        texts = [
            "[" + ",".join(f"{number:.9g}" for number in query) + "]" for query in queries.tolist()
        ]
        if not self._prepare(connection):
            return [self._exact(connection, query) for query in texts]
        found = [self._near(connection, query) for query in texts]
        if None in found:
            connection.execute("SELECT set_config('enable_sort', 'on', true)")
        return [
            self._exact(connection, query) if hits is None else hits
            for query, hits in zip(texts, found, strict=True)
        ]

    @property
    def _taken(self) -> int:
        """Rows that cells are searched for."""
        least = self.n + SPARE
        return least if self.where.empty else max(least, self.effort.taken)

    def _prepare(self, connection: Connection) -> bool:
        """Set up the transaction; whether the search goes through cells."""
        made, values = condition(self.where)
        plan = self._sql(
            "EXPLAIN (FORMAT JSON) SELECT FROM {schema}.records WHERE {where}", where=made
        )
        with connection.pipeline():  # all in one message
            known = connection.execute(
                "SELECT set_config('jit', 'off', true), reltuples "
                "FROM pg_class WHERE oid = to_regclass(%s)",
                [f"{self.name}.records"],
            )
            explained = connection.execute(plan, values)
            there = select_cells(connection, self.name)
        (_, n_all), (planned,) = known.fetchall()[0], explained.fetchall()[0]
        cells = ready(there)
        fitting = float(planned[0]["Plan"]["Plan Rows"])
        n_all = float(max(n_all, fitting))  # -1 where nobody has counted yet
        if cells is None:
            return False
        base = self.effort.base(cells, far=self.far)
        if fitting <= self.effort.few(self.n, n_all, base, cells):
            return False
        probes, most = self.effort.probes(self.n, fitting, n_all, base, cells)
        # Of all ways to the records only the cells give them in order.
        connection.execute(
            "SELECT set_config('enable_sort', 'off', true), "
            "set_config('ivfflat.iterative_scan', 'relaxed_order', true), "
            "set_config('ivfflat.probes', %s, true), set_config('ivfflat.max_probes', %s, true)",
            [str(probes), str(most)],
        )
        return True

    def _exact(self, connection: Connection, query: str) -> list[Hit]:
        """Compare all that fit."""
        made, values = condition(self.where)
        statement = self._sql(
            "SELECT id, {similarity} FROM {schema}.records WHERE {where} "
            "ORDER BY similarity DESC, id LIMIT %s",
            where=made,
        )
        return [Hit(*row) for row in connection.execute(statement, [query, *values, self.n])]

    def _near(self, connection: Connection, query: str) -> list[Hit] | None:
        """Search cells until enough of those that fit were found; None where they were not."""
        made, values = condition(self.where)
        statement = self._sql(
            "WITH near AS MATERIALIZED (SELECT id, vector FROM {schema}.records WHERE {where} "
            "ORDER BY vector <#> %s::halfvec LIMIT %s) "
            "SELECT (SELECT count(*) FROM near), id, {similarity} FROM near "
            "ORDER BY similarity DESC, id LIMIT %s",
            where=made,
        )
        asked = [*values, query, self._taken, query, self.n]
        rows = connection.execute(statement, asked).fetchall()
        if not rows or rows[0][0] < self._taken:
            return None
        return [Hit(id_, similarity) for _, id_, similarity in rows]

    def _sql(self, statement: str, where: sql.Composable) -> sql.Composed:
        return sql.SQL(statement).format(
            schema=sql.Identifier(self.name), where=where, similarity=sql.SQL(_SIMILARITY)
        )
