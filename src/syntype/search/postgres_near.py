"""A search on a server, in one transaction: along a graph where many records fit, else all of them.

The graph (HNSW, Malkov and Yashunin 2018) is walked in pgvector's relaxed order until enough of the
records that fit were met; the conditions are looked at on the way, never after a limit. Those that
were met are then put in order by similarities in single precision. Where few fit, or the walk gave
up before n were found, all that fit are compared. So there are n hits whenever n records fit.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float32
from psycopg import sql

from syntype.search import postgres_schema as schema
from syntype.search.index import Hit
from syntype.search.postgres_link import Connection
from syntype.search.postgres_where import condition
from syntype.search.where import Where

SPARE = 16
"""Rows that a walk takes beyond n, so that rounding and ties at the end decide nothing."""
_RARELY = 8  # times as many as expected may be met before those that fit lie elsewhere
# Similarities are told to six digits, as the embedded engines tell them: equal vectors tie.
_SIMILARITY = "round((vector::vector <#> %s::vector) * -1e6) / 1e6 AS similarity"


@dataclass(frozen=True, kw_only=True)
class Effort:
    """How hard a search tries.

    Where a share s of N records fits, comparing all that fit costs s N, and a walk meets (n +
    spare) / s records until enough that fit are found. So all are compared where no more fit than
    the square root of `cost` (n + spare) N.

    Attributes:
        exact_rows: Where no more records fit than so many, all are compared in any case.
        candidates: `hnsw.ef_search`: candidates that are held while the graph is walked.
        cost: What it takes to meet a record on a walk, where to compare one in a row takes 1. A
            walk gives up when it has cost as much as comparing all that fit.
        near_rows: Where no more records fit than so many, a walk gives up as soon as those that it
            meets fit far more rarely than all do: then they lie elsewhere, where it guides badly.
        most_met: Records that are met on a walk in any case at most.
    """

    exact_rows: int = 5000
    candidates: int = 200
    cost: float = 4.0
    near_rows: int = 100_000
    most_met: int = 2**31 - 1

    def few(self, n: int, n_all: float) -> int:
        """Of how many records that fit all are compared, where n of `n_all` are wanted."""
        return max(self.exact_rows, int(math.sqrt(self.cost * (n + SPARE) * n_all)), 4 * n)

    def scanned(self, n: int, fitting: float, n_all: float) -> int:
        """Records that a walk for n meets before it gives up, where `fitting` of `n_all` fit."""
        met = max(fitting / (self.cost or 1e-9), 1000)
        if fitting <= self.near_rows:
            met = min(met, max(_RARELY * (n + SPARE) * n_all / fitting, 2 * self.candidates))
        return int(min(met, self.most_met))


USUAL = Effort()


@dataclass(frozen=True)
class Seeker:
    """What a search needs.

    Attributes:
        name: The schema.
        effort: How hard it tries.
        n: Hits wanted, at least one.
        where: Conditions.
    """

    name: str
    effort: Effort
    n: int
    where: Where

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
        if all(len(hits) == self.n for hits in found):
            return found
        connection.execute("SELECT set_config('enable_sort', 'on', true)")
        return [
            hits if len(hits) == self.n else self._exact(connection, query)
            for query, hits in zip(texts, found, strict=True)
        ]

    def _prepare(self, connection: Connection) -> bool:
        """Set up the transaction; whether the search goes along the graph."""
        made, values = condition(self.where)
        plan = self._sql(
            "EXPLAIN (FORMAT JSON) SELECT FROM {schema}.records WHERE {where}", where=made
        )
        with connection.cursor() as first, connection.cursor() as second:
            with connection.pipeline():  # both in one message
                first.execute(
                    "SELECT set_config('jit', 'off', true), reltuples, "
                    "(SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass(%s)) "
                    "FROM pg_class WHERE oid = to_regclass(%s)",
                    [f"{self.name}.{schema.GRAPH}", f"{self.name}.records"],
                )
                second.execute(plan, values)
            ((_, n_all, graph),), ((explained,),) = first.fetchall(), second.fetchall()
        fitting = float(explained[0]["Plan"]["Plan Rows"])
        n_all = float(max(n_all, fitting))  # -1 where nobody has counted yet
        if not graph or fitting <= self.effort.few(self.n, n_all):
            return False
        # Of all ways to the records only the graph gives them in order.
        connection.execute(
            "SELECT set_config('enable_sort', 'off', true), "
            "set_config('hnsw.iterative_scan', 'relaxed_order', true), "
            "set_config('hnsw.scan_mem_multiplier', '8', true), "
            "set_config('hnsw.ef_search', %s, true), set_config('hnsw.max_scan_tuples', %s, true)",
            [
                str(min(max(self.effort.candidates, self.n + SPARE), 1000)),
                str(self.effort.scanned(self.n, fitting, n_all)),
            ],
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
        return _hits(connection, statement, [query, *values, self.n])

    def _near(self, connection: Connection, query: str) -> list[Hit]:
        """Walk the graph until enough of those that fit were met."""
        made, values = condition(self.where)
        statement = self._sql(
            "WITH near AS MATERIALIZED (SELECT id, vector FROM {schema}.records WHERE {where} "
            "ORDER BY vector <#> %s::halfvec LIMIT %s) "
            "SELECT id, {similarity} FROM near ORDER BY similarity DESC, id LIMIT %s",
            where=made,
        )
        return _hits(connection, statement, [*values, query, self.n + SPARE, query, self.n])

    def _sql(self, statement: str, where: sql.Composable) -> sql.Composed:
        return sql.SQL(statement).format(
            schema=sql.Identifier(self.name), where=where, similarity=sql.SQL(_SIMILARITY)
        )


def _hits(connection: Connection, statement: sql.Composed, values: Sequence[Any]) -> list[Hit]:
    return [Hit(*row) for row in connection.execute(statement, values)]
