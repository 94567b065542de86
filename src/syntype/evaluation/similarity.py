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

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from jaxtyping import Float, Int
from scipy import sparse

from syntype.configs import EvaluateConfig, Rank
from syntype.errors import UsageError
from syntype.evaluation import metrics
from syntype.evaluation.items import Items, check_sides
from syntype.evaluation.neighbours import Block, Pair, cell, neighbour_blocks
from syntype.evaluation.scores import Scores, schema, summarise

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
    query = Items.read(vectors, samples, names, "queries")
    others = query if gallery is None else Items.read(*gallery, names, "gallery")
    check_sides(query, others)
    pair = Pair.of(query, others, names)
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
    about = {
        "task": "retrieval",
        "protocol": config.protocol,
        "recallAt": list(config.recall_at),
        "nGallery": len(others.ids),
    }
    return Scores(table, summarise(table, config, about))


def _truth(
    query: Items, ranks: Sequence[str], n_relevant: Mapping[str, Int[np.ndarray, "n"]]
) -> dict[str, Any]:
    columns: dict[str, Any] = {"id": query.ids, "unit": query.units, "taxonGroup": query.groups}
    for rank in ranks:
        columns |= {rank: query.labels[rank], f"{rank}Relevant": n_relevant[rank]}
    return columns


def _search(pair: Pair, config: EvaluateConfig) -> dict[str, Any]:
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
        for block in neighbour_blocks(pair, rows, kept, np.maximum(depth, deepest)):
            for rank in ranks:
                _score(columns, rank, block, pair, config.recall_at)
            if whole:
                for i, row in enumerate(block.rows):
                    length = min(block.available[i], deepest)
                    nearest[row] = block.nearest[i, :length].copy()  # a view would keep the block
                    similarities[row] = block.similarities[i, :length].copy()
    return columns | {"neighbours": nearest, "similarities": similarities}


def _score(
    columns: dict[str, Any], rank: str, block: Block, pair: Pair, recall_at: Sequence[int]
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


def _named(
    gallery: Items, nearest: Sequence[np.ndarray], similarities: Sequence[np.ndarray]
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


def _mean_cosines(pair: Pair) -> tuple[Float[np.ndarray, "n"], Float[np.ndarray, "n"]]:
    """Mean cosine to the items of other units: of the query's species, and of other species.

    A mean of cosines is the cosine with a sum, so no pair is looked at: the sums over species,
    unit, and species within unit give both means exactly (in float64).
    """
    own, others = pair.labels["species"]
    known = others >= 0
    units, cells = pair.units[1][known], cell(others, pair.units[1], pair.units)[known]
    vectors = pair.gallery.vectors[known].astype(np.float64)
    query = pair.query.vectors
    everything = np.zeros_like(own)
    same, n_same = _sum_of_cosines(vectors, others[known], query, own)
    here, n_here = _sum_of_cosines(vectors, cells, query, cell(own, pair.units[0], pair.units))
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
