"""Cosine-similarity retrieval: is the nearest picture of another unit of the same species?

Every query is compared with every item of the gallery, whatever its taxon group, except the items
of its own unit: near copies of one track or specimen are no evidence. At each rank, items whose
label is unknown ("") can be neither right nor wrong, so they are taken out of the gallery of that
rank (the condensed lists of Sakai, "Alternatives to bpref", SIGIR 2007), and such queries are not
scored. A query with nothing to find (no other unit of its label) is NaN at that rank. Items at
equal similarity are ordered by id. `docs/reference/evaluation.md` states the protocol in full.

The result does not depend on the order of the rows, to the last bit: both sides are first put in
the order of their ids, and equal vectors share one column of the product.

    n queries, m gallery items, d dimensions (e of the gallery's, which are checked to be as many),
    b queries in a block, t neighbours kept of each
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
from jaxtyping import Float, Int
from scipy import sparse

from syntype.configs import EvaluateConfig, Rank
from syntype.errors import DataError, UsageError, VectorError
from syntype.evaluation import metrics
from syntype.evaluation.scores import Scores, schema, summarise

_BLOCK_CELLS = 2**22  # similarities held at a time
_CACHE_CELLS = 2**16  # of which so many are sorted at a time
_MOST_THREADS = 8
_BLOCK_ROWS = 4096  # rows of sums gathered at a time


def retrieve(
    vectors: Float[np.ndarray, "n d"],
    samples: pa.Table,
    config: EvaluateConfig,
    *,
    gallery: tuple[Float[np.ndarray, "m e"], pa.Table] | None = None,
    n_train: Mapping[str, int] | None = None,
) -> Scores:
    """Score an encoder by the neighbours of its vectors.

    Args:
        vectors: A vector per query, brought to unit length here.
        samples: Its row of the dataset's table: id, unit, taxonGroup and the ranks. A unit of ""
            is a unit of its own.
        config: Protocol, ranks and depths.
        gallery: Vectors and rows to search in (protocol `gallery`); None searches the queries
            themselves (protocol `leave-one-out`).
        n_train: Training pictures of each species; a species it lacks has 0, None is "unknown".

    Memory beyond the inputs: about 150 MiB for blocks of the product, never n x m, plus float64
    copies of the vectors and of their sums over species and units.

    Raises:
        VectorError: Vectors are not finite, zero, or not as many as the rows.
        DataError: No query, no gallery, ids twice, columns missing, or an id in both sets with
            two units.
        UsageError: `gallery` and `config.protocol` contradict each other.
    """
    if (config.protocol == "gallery") != (gallery is not None):
        raise UsageError(
            f"Protocol {config.protocol!r} {'takes no' if gallery else 'needs a'} gallery: use "
            f"--evaluate.protocol {'gallery' if gallery else 'leave-one-out'}, or change what is "
            "passed."
        )
    names = tuple(dict.fromkeys((*config.ranks, "species")))
    query = _Items.read(vectors, samples, names, "queries")
    others = query if gallery is None else _Items.read(*gallery, names, "gallery")
    _check_sides(query, others)
    pair = _Pair.of(query, others, names)
    columns = _truth(query, config.ranks, pair.n_relevant)
    columns |= _search(pair, config)
    within, between = _mean_cosines(pair)
    columns |= {"withinSimilarity": within, "betweenSimilarity": between}
    columns["nTrain"] = np.array(
        [
            -1 if n_train is None or name == "" else n_train.get(name, 0)
            for name in query.labels["species"]
        ]
    )
    columns |= _named(others, columns.pop("neighbours"), columns.pop("similarities"))
    form = schema(config.ranks, config.recall_at)
    table = pa.table(
        [pa.array(columns[name], type=form.field(name).type) for name in form.names], form
    )
    table = table.take(pa.array(np.argsort(query.position)))
    return Scores(table, summarise(table, config, len(others.ids)))


@dataclass(frozen=True)
class _Items:
    """One side of the comparison, in the order of its ids.

    Attributes:
        vectors: Unit length, float32.
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
    ) -> "_Items":
        """Check a side and sort it."""
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


def _check_sides(query: _Items, gallery: _Items) -> None:
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


@dataclass(frozen=True)
class _Pair:
    """Both sides in codes: equal strings have equal codes on either side, unknown labels -1.

    An id that is on both sides has one unit (checked), so that to leave out the query's own unit
    leaves out the query itself.
    """

    query: _Items
    gallery: _Items
    units: tuple[Int[np.ndarray, "n"], Int[np.ndarray, "m"]]
    labels: Mapping[str, tuple[Int[np.ndarray, "n"], Int[np.ndarray, "m"]]]
    n_relevant: Mapping[str, Int[np.ndarray, "n"]]

    @classmethod
    def of(cls, query: _Items, gallery: _Items, ranks: Sequence[str]) -> "_Pair":
        """Code units and labels, and count what each query could find."""
        units = _codes(query.units, gallery.units)
        labels = {rank: _codes(query.labels[rank], gallery.labels[rank]) for rank in ranks}
        n_relevant = {}
        for rank, (own, others) in labels.items():
            in_unit = _count(_cell(others, units[1], units), _cell(own, units[0], units))
            n_relevant[rank] = np.where(own < 0, 0, _count(others, own) - in_unit)
        return cls(query, gallery, units, labels, n_relevant)


def _codes(
    own: Sequence[str], others: Sequence[str]
) -> tuple[Int[np.ndarray, "n"], Int[np.ndarray, "m"]]:
    number = {name: code for code, name in enumerate(sorted({*own, *others} - {""}))} | {"": -1}
    return np.array([number[name] for name in own]), np.array([number[name] for name in others])


def _cell(
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


def _truth(
    query: _Items, ranks: Sequence[str], n_relevant: Mapping[str, Int[np.ndarray, "n"]]
) -> dict[str, Any]:
    columns: dict[str, Any] = {"id": query.ids, "unit": query.units, "taxonGroup": query.groups}
    for rank in ranks:
        columns |= {rank: query.labels[rank], f"{rank}Relevant": n_relevant[rank]}
    return columns


def _search(pair: _Pair, config: EvaluateConfig) -> dict[str, Any]:
    """The metric columns of all ranks, and the neighbours.

    Ranks whose unknown labels are the same rows share one pass over the product.
    """
    n, deepest = len(pair.query.ids), max(config.recall_at)
    everything = np.arange(len(pair.gallery.ids))
    passes: dict[bytes, tuple[np.ndarray, list[Rank]]] = {everything.tobytes(): (everything, [])}
    for rank in config.ranks:
        kept = np.flatnonzero(pair.labels[rank][1] >= 0)
        passes.setdefault(kept.tobytes(), (kept, []))[1].append(rank)
    columns: dict[str, Any] = {
        f"{rank}{name}": np.full(n, np.nan, dtype=np.float32)
        for rank in config.ranks
        for name in (*(f"Hit@{k}" for k in config.recall_at), "PrecisionAtR", "AveragePrecisionAtR")
    }
    nearest: list[Any] = [None] * n
    similarities: list[Any] = [None] * n
    for kept, ranks in passes.values():
        whole = kept is everything
        n_relevant = np.array([pair.n_relevant[rank] for rank in ranks], dtype=np.int64)
        depth = n_relevant.max(axis=0, initial=0).reshape(-1) if ranks else np.zeros(n, np.int64)
        rows = np.arange(n) if whole else np.flatnonzero(depth)
        for block in _blocks(pair, rows, kept, np.maximum(depth, deepest)):
            for rank in ranks:
                _score(columns, rank, block, pair, config.recall_at)
            if whole:
                for i, row in enumerate(block.rows):
                    length = min(block.available[i], deepest)
                    nearest[row] = block.nearest[i, :length].copy()  # a view would keep the block
                    similarities[row] = block.similarities[i, :length].copy()
    return columns | {"neighbours": nearest, "similarities": similarities}


@dataclass(frozen=True)
class _Block:
    """Some queries and their nearest gallery items, nearest first.

    Attributes:
        available: How many items each may have as neighbours; what stands beyond is padding.
    """

    rows: Int[np.ndarray, "b"]
    nearest: Int[np.ndarray, "b t"]
    similarities: Float[np.ndarray, "b t"]
    available: Int[np.ndarray, "b"]


def _score(
    columns: dict[str, Any], rank: str, block: _Block, pair: _Pair, recall_at: Sequence[int]
) -> None:
    """Fill the columns of `rank` for the queries of `block`."""
    own, others = pair.labels[rank]
    n_relevant = pair.n_relevant[rank][block.rows]
    depth = max(n_relevant.max(), *recall_at)
    relevant = others[block.nearest[:, :depth]] == own[block.rows, None]
    relevant &= np.arange(relevant.shape[1]) < block.available[:, None]
    for k in recall_at:
        columns[f"{rank}Hit@{k}"][block.rows] = metrics.recall_at_k(relevant, n_relevant, k)
    precision = metrics.precision_at_r(relevant, n_relevant)
    average = metrics.average_precision_at_r(relevant, n_relevant)
    columns[f"{rank}PrecisionAtR"][block.rows] = precision
    columns[f"{rank}AveragePrecisionAtR"][block.rows] = average


def _blocks(
    pair: _Pair,
    rows: Int[np.ndarray, "r"],
    kept: Int[np.ndarray, "k"],
    depth: Int[np.ndarray, "n"],
) -> Iterator[_Block]:
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
        order = _nearest(similarities, min(int(depth[chosen].max()), len(kept)))
        found = np.take_along_axis(similarities, order, axis=1)
        yield _Block(chosen, kept[order], found, len(kept) - n_own)


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


def _nearest(similarities: Float[np.ndarray, "b k"], t: int) -> Int[np.ndarray, "b t"]:
    """Columns of the `t` largest of each row, largest first, ties by column.

    Rows are taken a few at a time, so that they stay in a processor's cache, by several threads.
    """
    order = np.empty((len(similarities), t), dtype=np.int64)
    step = max(1, _CACHE_CELLS // similarities.shape[1])

    def sort(start: int) -> None:
        order[start : start + step] = _sorted_columns(similarities[start : start + step], t)

    with ThreadPoolExecutor(min(_MOST_THREADS, os.cpu_count() or 1)) as pool:
        list(pool.map(sort, range(0, len(similarities), step)))
    return order


def _sorted_columns(similarities: Float[np.ndarray, "c k"], t: int) -> Int[np.ndarray, "c t"]:
    """`_nearest` of a few rows.

    Similarity and column are packed into one integer that sorts that way, so that partition and
    sort need no second key: the bits of a float, its lower 31 flipped where it is negative, rise
    with the float.
    """
    bits = (similarities + np.float32(0)).view(np.int32)
    bits ^= (bits >> 31) & np.int32(0x7FFFFFFF)
    keys = (~bits).astype(np.int64)
    keys <<= 32
    keys |= np.arange(similarities.shape[1])
    if t < keys.shape[1]:
        keys.partition(t - 1, axis=1)
    keys = keys[:, :t]
    keys.sort(axis=1)
    return keys & 0xFFFFFFFF


def _named(
    gallery: _Items, nearest: Sequence[np.ndarray], similarities: Sequence[np.ndarray]
) -> dict[str, Any]:
    """The neighbours' columns: ids, species and similarities."""
    lengths = np.array([len(found) for found in nearest])
    offsets = pa.array(np.concatenate([[0], np.cumsum(lengths)]), type=pa.int32())
    rows = pa.array(np.concatenate(nearest))
    flat = {
        "neighbourIds": pa.array(gallery.ids, type=pa.string()).take(rows),
        "neighbourLabels": pa.array(gallery.labels["species"], type=pa.string()).take(rows),
        "neighbourSimilarities": pa.array(np.clip(np.concatenate(similarities), -1, 1)),
    }
    return {name: pa.ListArray.from_arrays(offsets, values) for name, values in flat.items()}


def _mean_cosines(pair: _Pair) -> tuple[Float[np.ndarray, "n"], Float[np.ndarray, "n"]]:
    """Mean cosine to the items of other units: of the query's species, and of other species.

    A mean of cosines is the cosine with a sum, so no pair is looked at: the sums over species,
    unit, and species within unit give both means exactly (in float64).
    """
    own, others = pair.labels["species"]
    known = others >= 0
    units, cells = pair.units[1][known], _cell(others, pair.units[1], pair.units)[known]
    vectors = pair.gallery.vectors[known].astype(np.float64)
    query = pair.query.vectors
    everything = np.zeros_like(own)
    same, n_same = _sum_of_cosines(vectors, others[known], query, own)
    here, n_here = _sum_of_cosines(vectors, cells, query, _cell(own, pair.units[0], pair.units))
    whole, n_whole = _sum_of_cosines(vectors, np.zeros_like(units), query, everything)
    unit, n_unit = _sum_of_cosines(vectors, units, query, pair.units[0])
    same, n_same = same - here, n_same - n_here
    different, n_different = whole - unit - same, n_whole - n_unit - n_same
    means = []
    for total, count in ((same, n_same), (different, n_different)):
        defined = (own >= 0) & (count > 0)
        mean = np.full(len(own), np.nan, dtype=np.float32)
        mean[defined] = np.clip(total[defined] / count[defined], -1, 1)
        means.append(mean)
    return means[0], means[1]


def _sum_of_cosines(
    vectors: Float[np.ndarray, "k d"],
    keys: Int[np.ndarray, "k"],
    query: Float[np.ndarray, "n d"],
    wanted: Int[np.ndarray, "n"],
) -> tuple[Float[np.ndarray, "n"], Int[np.ndarray, "n"]]:
    """Of each query, the sum of its cosines to the vectors whose key it wants, and their number."""
    total, count = np.zeros(len(wanted)), np.zeros(len(wanted), dtype=np.int64)
    names, code, size = np.unique(keys, return_inverse=True, return_counts=True)
    if not len(names):
        return total, count
    members = sparse.csr_matrix((np.ones(len(keys)), (code, np.arange(len(keys)))))
    sums = members @ vectors
    place = np.minimum(np.searchsorted(names, wanted), len(names) - 1)
    found = np.flatnonzero(names[place] == wanted)
    for start in range(0, len(found), _BLOCK_ROWS):
        rows = found[start : start + _BLOCK_ROWS]
        total[rows] = np.einsum("nd,nd->n", query[rows].astype(np.float64), sums[place[rows]])
    count[found] = size[place[found]]
    return total, count
