"""What every task of an evaluation takes: vectors with their samples, checked and in one order.

In the order of their ids, so that no result depends on the order of the rows.

    n queries or items, m items of a gallery, d dimensions
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pyarrow as pa
from jaxtyping import Float, Int

from syntype.errors import DataError, VectorError


@dataclass(frozen=True)
class Items:
    """Vectors with their samples, checked, and in the order of their ids.

    Attributes:
        vectors: Unit length, float32.
        ids: Ids of the samples, ascending, each once.
        units: Their independent units; an unknown one is `id:` and the id.
        groups: Their taxon groups.
        labels: Their names at each rank, "" where unknown.
        position: The row of the input that each came from.
    """

    vectors: Float[np.ndarray, "n d"]
    ids: list[str]
    units: list[str]
    groups: list[str]
    labels: Mapping[str, list[str]]
    position: Int[np.ndarray, "n"]

    @classmethod
    def read(
        cls,
        vectors: Float[np.ndarray, "n d"],
        samples: pa.Table,
        ranks: Sequence[str],
        side: str,
    ) -> "Items":
        """Check one side of a task and sort it.

        Args:
            vectors: A vector per row, brought to unit length here.
            samples: The rows: id, unit, taxonGroup and the ranks.
            ranks: Ranks to keep the names of.
            side: What the rows are called in messages.

        Raises:
            VectorError: Vectors are not finite, zero, or not as many as the rows.
            DataError: No rows, ids twice, or columns missing.
        """
        wanted = ("id", "unit", "taxonGroup", *ranks)
        missing = [name for name in wanted if name not in samples.column_names]
        if missing:
            raise DataError(f"The table of the {side} lacks the columns {', '.join(missing)}.")
        if len(vectors) != samples.num_rows:
            raise VectorError(
                f"There are {len(vectors)} vectors for {samples.num_rows} rows of the {side}. "
                "Take both from one dataset: embed it again, or select the same rows of both."
            )
        if not len(vectors):
            raise DataError(f"There are no {side}: the split is empty. Check --split-fractions.")
        columns = {name: samples.column(name).fill_null("").to_pylist() for name in wanted}
        position = np.argsort(np.array(columns["id"], dtype=object), kind="stable")
        text = {name: [values[row] for row in position] for name, values in columns.items()}
        ids = text["id"]
        twice = [one for one, after in pairwise(ids) if one == after]
        if twice:
            raise DataError(
                f"{len(twice)} ids occur twice in the {side}, for example {twice[0]!r}."
            )
        units = [unit or f"id:{name}" for unit, name in zip(text["unit"], ids, strict=True)]
        labels = {rank: text[rank] for rank in ranks}
        unit_vectors = _normalised(vectors[position], ids, side)
        return cls(unit_vectors, ids, units, text["taxonGroup"], labels, position)


def _normalised(
    vectors: Float[np.ndarray, "n d"], ids: Sequence[str], side: str
) -> Float[np.ndarray, "n d"]:
    norms = np.linalg.norm(vectors.astype(np.float64), axis=1)
    broken = np.flatnonzero(~np.isfinite(norms) | (norms == 0))
    if len(broken):
        raise VectorError(
            f"{len(broken)} vectors of the {side} are zero, NaN or infinite, the first that of "
            f"{ids[broken[0]]!r}. The encoder or its training broke: embed again, and if that "
            "gives the same, lower the learning rate."
        )
    return (vectors / norms[:, None]).astype(np.float32)


def check_sides(query: Items, gallery: Items) -> None:
    """Check that queries and gallery come from one encoder and one table.

    Raises:
        VectorError: Their vectors differ in length.
        DataError: An id is of two units.
    """
    if query.vectors.shape[1] != gallery.vectors.shape[1]:
        raise VectorError(
            f"The queries have {query.vectors.shape[1]} dimensions and the gallery has "
            f"{gallery.vectors.shape[1]}: they come from two encoders. Embed both with one."
        )
    unit_of = dict(zip(gallery.ids, gallery.units, strict=True))
    for name, unit in zip(query.ids, query.units, strict=True):
        if unit_of.get(name, unit) != unit:
            raise DataError(
                f"{name!r} is of unit {unit!r} among the queries and of {unit_of[name]!r} in the "
                "gallery. Give it the same unit in both tables."
            )


def codes(
    own: Sequence[str], others: Sequence[str]
) -> tuple[Int[np.ndarray, "n"], Int[np.ndarray, "m"]]:
    """Both sides' names as numbers: equal names have equal ones, and "" has -1."""
    number = {name: code for code, name in enumerate(sorted({*own, *others} - {""}))} | {"": -1}
    return np.array([number[name] for name in own]), np.array([number[name] for name in others])
