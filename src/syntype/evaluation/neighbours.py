"""The nearest gallery items of every query, other units only, block by block.

Neighbours at equal similarity are ordered by id. The result does not depend on the order of the
rows, to the last bit: both sides are in the order of their ids, and equal vectors share one column
of the product. Never n x m in memory.

    n queries, m gallery items, b queries in a block, t neighbours kept of each
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from syntype.evaluation.items import Items, codes
from syntype.evaluation.ordering import first_columns

_BLOCK_CELLS = 2**22  # similarities held at a time


@dataclass(frozen=True)
class Pair:
    """Both sides in codes: equal strings have equal codes on either side, unknown labels -1.

    An id that is on both sides has one unit (checked), so that to leave out the query's own unit
    leaves out the query itself.
    """

    query: Items
    gallery: Items
    units: tuple[Int[np.ndarray, "n"], Int[np.ndarray, "m"]]
    labels: Mapping[str, tuple[Int[np.ndarray, "n"], Int[np.ndarray, "m"]]]
    n_relevant: Mapping[str, Int[np.ndarray, "n"]]

    @classmethod
    def of(cls, query: Items, gallery: Items, ranks: Sequence[str]) -> "Pair":
        """Code units and labels, and count what each query could find."""
        units = codes(query.units, gallery.units)
        labels = {rank: codes(query.labels[rank], gallery.labels[rank]) for rank in ranks}
        n_relevant = {}
        for rank, (own, others) in labels.items():
            in_unit = _count(cell(others, units[1], units), cell(own, units[0], units))
            n_relevant[rank] = np.where(own < 0, 0, _count(others, own) - in_unit)
        return cls(query, gallery, units, labels, n_relevant)


def cell(
    labels: Int[np.ndarray, "n"],
    units: Int[np.ndarray, "n"],
    both: tuple[Int[np.ndarray, "q"], Int[np.ndarray, "g"]],
) -> Int[np.ndarray, "n"]:
    """One code for a label within a unit; negative where the label is unknown."""
    return labels * (1 + max(both[0].max(), both[1].max())) + units


def _count(among: Int[np.ndarray, "m"], wanted: Int[np.ndarray, "n"]) -> Int[np.ndarray, "n"]:
    """How often each of `wanted` occurs in `among`."""
    ordered = np.sort(among)
    return np.searchsorted(ordered, wanted, "right") - np.searchsorted(ordered, wanted, "left")


@dataclass(frozen=True)
class Block:
    """Some queries and their nearest gallery items, nearest first.

    Attributes:
        available: How many items each may have as neighbours; what stands beyond is padding.
    """

    rows: Int[np.ndarray, "b"]
    nearest: Int[np.ndarray, "b t"]
    similarities: Float[np.ndarray, "b t"]
    available: Int[np.ndarray, "b"]


def neighbour_blocks(
    pair: Pair,
    rows: Int[np.ndarray, "r"],
    kept: Int[np.ndarray, "k"],
    depth: Int[np.ndarray, "n"],
) -> Iterator[Block]:
    """The `depth` nearest items among `kept`, own unit left out, of each query of `rows`.

    Queries that need many neighbours come together, so that the others need not sort as many.
    """
    if not len(rows) or not len(kept):
        return
    distinct, column = _merge_equal(pair.gallery.vectors[kept])
    by_unit = np.argsort(pair.units[1][kept], kind="stable")
    units = pair.units[1][kept][by_unit]
    rows = rows[np.argsort(-depth[rows], kind="stable")]
    step = max(1, _BLOCK_CELLS // len(kept))
    for start in range(0, len(rows), step):
        chosen = rows[start : start + step]
        similarities = pair.query.vectors[chosen] @ distinct.T
        if column is not None:
            similarities = similarities[:, column]
        low = np.searchsorted(units, pair.units[0][chosen], "left")
        n_own = np.searchsorted(units, pair.units[0][chosen], "right") - low
        first = np.cumsum(n_own) - n_own
        own = by_unit[np.arange(n_own.sum()) + np.repeat(low - first, n_own)]
        similarities[np.repeat(np.arange(len(chosen)), n_own), own] = -np.inf
        order = first_columns(similarities, min(int(depth[chosen].max()), len(kept)))
        found = np.take_along_axis(similarities, order, axis=1)
        yield Block(chosen, kept[order], found, len(kept) - n_own)


def _merge_equal(
    vectors: Float[np.ndarray, "k d"],
) -> tuple[Float[np.ndarray, "c d"], Int[np.ndarray, "k"] | None]:
    """Distinct vectors and the one of each row; None where all differ.

    A product may round equal columns differently, which would break a tie before the id could.
    """
    vectors = vectors + np.float32(0)  # so that -0 and 0 are the same bytes
    as_bytes = vectors.view(np.dtype((np.void, vectors.strides[0]))).reshape(-1)
    _, first, column = np.unique(as_bytes, return_index=True, return_inverse=True)
    if len(first) == len(vectors):
        return vectors, None
    return vectors[first], column
