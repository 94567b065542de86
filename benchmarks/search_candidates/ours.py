"""This project's engines: the embedded default and the reference."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from typing_extensions import override

from search_candidates.candidate import Candidate, Vectors
from search_candidates.world import Condition, id_of, name_of, records, row_of


class Ours(Candidate):
    """This project's embedded default; its records are whole ones, with 51 columns."""

    engine = "cells"
    about = "as `syntype index` makes it"
    _index: Any

    @property
    def _location(self) -> str:
        return str(self.folder / "index")

    @override
    def build(self, vectors: Vectors) -> None:
        from syntype.search.index import Card
        from syntype.search.opening import create_index

        encoder = {"name": "benchmarks/search_engines.py"}
        card = Card(engine=self.engine, dim=self.world.dim, encoder=encoder)
        index = create_index(self._location, card)
        for start, block in vectors.blocks():
            columns = vectors.columns(start, start + len(block))
            index.upsert(records(columns, start), unit(block))
        if hasattr(index, "build"):
            index.build()
        index.close()

    @override
    def open(self) -> None:
        from syntype.search.opening import open_index

        self._index = open_index(self._location)

    @override
    def search(self, query: np.ndarray, k: int, condition: Condition, effort: Any) -> Sequence[int]:
        hits = self._index.search(query[None], k, where_of(condition))[0]
        return [row_of(hit.id) for hit in hits]

    @override
    def upsert(self, rows: Sequence[int], vectors: np.ndarray, columns: dict[str, Any]) -> None:
        table = records(columns, rows[0])
        ids = [id_of(row) for row in rows]
        self._index.upsert(table.set_column(0, "id", [ids]), unit(vectors))

    @override
    def delete(self, rows: Sequence[int]) -> None:
        self._index.delete([id_of(row) for row in rows])

    @override
    def present(self, rows: Sequence[int]) -> int:
        found = self._index.records([id_of(row) for row in rows])
        return sum(record is not None for record in found)

    @override
    def close(self) -> None:
        self._index.close()


class OursExact(Ours):
    """This project's reference."""

    engine = "exact"
    about = "the reference: every vector is compared"


def where_of(condition: Condition) -> Any:
    """A condition as ours has it."""
    from syntype.search.where import EVERYTHING, Where

    if not condition.column:
        return EVERYTHING
    column = "institutionCode" if condition.column == "institution" else condition.column
    return Where(equal={column: (name_of(condition.column, condition.value),)})


def unit(vectors: np.ndarray) -> np.ndarray:
    """At length 1 again, after half precision."""
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
