"""Votes of the nearest neighbours: a classifier without training.

Each query is answered by the `neighbours` nearest gallery items of other units whose species is
known. A vote weighs exp(cosine / temperature) (Wu et al., "Unsupervised Feature Learning via
Non-Parametric Instance Discrimination", CVPR 2018, equation 7; DINO's evaluation) or, at
temperature 0, all votes weigh the same; the shares of the votes are the probabilities. The protocol
is that of retrieval: a species without a picture of another unit cannot be found and is counted
apart.

n queries, m gallery items, c classes, b queries in a block, t neighbours
"""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float, Int

from syntype.configs import EvaluateConfig, KnnConfig
from syntype.evaluation.classification import Classes, classify
from syntype.evaluation.items import Items, check_sides
from syntype.evaluation.neighbours import Pair, neighbour_blocks
from syntype.evaluation.scores import Scores


def knn(
    query: Items,
    gallery: Items | None,
    config: EvaluateConfig,
    options: KnnConfig,
    *,
    n_train: Mapping[str, int] | None = None,
) -> Scores:
    """Score an encoder by what the neighbours of its vectors vote for.

    Args:
        query: The queries, read with all ranks.
        gallery: What to search in, likewise; None searches the queries themselves.
        config: Ranks, depths, resamples.
        options: Number of neighbours, weight of a vote.
        n_train: Training pictures of each species; a species it lacks has 0, None is "unknown".

    Raises:
        DataError: Fewer than two species are known.
        VectorError: The sides have vectors of different lengths.
    """
    others = query if gallery is None else gallery
    check_sides(query, others)
    classes = Classes.of(others)
    pair = Pair.of(query, others, tuple(query.labels))
    species = classes.codes(others.labels["species"])
    kept = np.flatnonzero(species >= 0)
    depth = np.full(len(query.ids), min(options.neighbours, len(kept)))

    def vote(start: int, stop: int) -> Float[np.ndarray, "b c"]:
        shares = np.zeros((stop - start, len(classes)), dtype=np.float32)
        for block in neighbour_blocks(pair, np.arange(start, stop), kept, depth):
            weights = _weights(block.similarities, block.available, options.temperature)
            rows = np.repeat(block.rows - start, weights.shape[1])
            np.add.at(shares, (rows, species[block.nearest].ravel()), weights.ravel())
        return shares

    return classify(
        query,
        classes,
        vote,
        config,
        kind="probability",
        about={
            "task": "knn",
            "protocol": "leave-one-out" if gallery is None else "gallery",
            "neighbours": options.neighbours,
            "temperature": options.temperature,
            "nGallery": len(kept),
            "nClasses": len(classes),
        },
        n_train=n_train,
        n_relevant=pair.n_relevant,
    )


def _weights(
    similarities: Float[np.ndarray, "b t"], available: Int[np.ndarray, "b"], temperature: float
) -> Float[np.ndarray, "b t"]:
    """What each vote weighs; those of a query sum to 1, or to 0 where it has no neighbour."""
    possible = np.arange(similarities.shape[1]) < available[:, None]
    weights = possible.astype(np.float64)
    if temperature > 0:
        gap = np.where(possible, similarities - similarities[:, :1], 0)
        weights *= np.exp(gap.astype(np.float64) / temperature)
    total = weights.sum(axis=1, keepdims=True)
    return (weights / np.where(total > 0, total, 1)).astype(np.float32)
