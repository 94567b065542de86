"""First centres of k-means: a sequence of distinct vectors whose first k serve any k.

Legend: n vectors, d dimensions, s vectors of the sample, m seeds drawn so far.

k-means++ (Arthur and Vassilvitskii 2007) draws each seed with a probability in proportion to its
squared distance from the seeds before it; on the sphere that distance is 2 (1 - cosine). Drawn one
at a time it costs k passes, so from the 65th seed on, the seeds are drawn in rounds that double
their number, as in k-means|| (Bahmani et al. 2012) but without its over-sampling, and from a sample
of four distinct vectors per seed. What differs from both: neither rounds nor sample depend on k,
only on how many seeds there are already. So the seeds of a smaller k are the first ones of a
larger k, and a sweep draws them once for all its k without any k's result depending on another's.
"""

from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from syntype.clustering.nearest import nearest_in_block, tile_for
from syntype.clustering.rows import BLOCK_ROWS, Rows
from syntype.errors import VectorError
from syntype.provenance import named_seed

Init = Literal["plus-plus", "subset"]

_ONE_BY_ONE = 64
_SMALLEST_SAMPLE = 16384
_SAMPLE_PER_SEED = 2


def seeds(rows: Rows, k: int, init: Init, seed: int) -> Int[Tensor, "k"]:
    """The numbers of the k rows to start from; those of a smaller k are the first of them.

    Args:
        rows: The vectors.
        k: How many.
        init: `plus-plus`, or `subset` for k distinct rows drawn evenly.
        seed: Of the draw.

    Raises:
        VectorError: Fewer than k vectors are distinct.
    """
    order = torch.randperm(rows.n, generator=_generator(seed, "kmeans order"))
    if init == "subset":
        sample = rows.distinct(order, k)
    else:
        sample = rows.distinct(order, _sample_size(1 << (k - 1).bit_length()))
    if len(sample) < k:
        raise VectorError(
            f"{k} clusters need {k} different vectors, but only {len(sample)} of the {rows.n} "
            f"differ: lower --k to {len(sample)} at most, or leave duplicates out."
        )
    return sample[:k] if init == "subset" else _plus_plus(rows, sample, k, seed)


def _sample_size(n_seeds: int) -> int:
    return max(_SMALLEST_SAMPLE, _SAMPLE_PER_SEED * n_seeds)


def _generator(seed: int, name: str) -> torch.Generator:
    return torch.Generator().manual_seed(named_seed(seed, name))


def _plus_plus(rows: Rows, sample: Int[Tensor, "s"], k: int, seed: int) -> Int[Tensor, "k"]:
    """k-means++ over the rows named by `sample`, the first drawn evenly (it is in random order)."""
    generator = _generator(seed, "kmeans plus-plus")
    chosen = torch.zeros(1, dtype=torch.int64)
    distance = torch.zeros(0)
    n_known = 0  # seeds whose distances are in `distance`
    while len(chosen) < k:
        wanted = 1 if len(chosen) < _ONE_BY_ONE else len(chosen)
        use = min(len(sample), _sample_size(len(chosen) + wanted))
        # Vectors that join the sample are compared with all seeds, the others with the new ones.
        joined = _distances(rows, sample[len(distance) : use], sample[chosen])
        distance = torch.minimum(
            distance, _distances(rows, sample[: len(distance)], sample[chosen[n_known:]])
        )
        distance = torch.cat([distance, joined])
        n_known = len(chosen)
        drawn = _draw(distance, chosen, min(wanted, use - len(chosen)), generator)
        chosen = torch.cat([chosen, drawn])
    return sample[chosen[:k]]


def _distances(rows: Rows, points: Int[Tensor, "s"], seeds: Int[Tensor, "m"]) -> Float[Tensor, "s"]:
    """1 - cosine of each of the rows `points` to the nearest of the rows `seeds`."""
    centres = rows.take(seeds)
    tile = tile_for(rows, len(centres))
    parts = [
        nearest_in_block(rows.take(part), centres, tile)[1].cpu()
        for part in points.split(BLOCK_ROWS)
        if len(part)
    ]
    return (1 - torch.cat(parts)).clamp_(min=0) if parts else torch.zeros(0)


def _draw(
    weight: Float[Tensor, "s"], chosen: Int[Tensor, "m"], n: int, generator: torch.Generator
) -> Int[Tensor, "n"]:
    """Draw `n` without replacement in proportion to `weight`, in the order of the draw.

    An exponential race: weight / Exp(1) is largest for number i with its probability. A weight of
    zero still wins over what was chosen already, since the sample holds no two equal rows.
    """
    noise = torch.empty(len(weight), dtype=torch.float64).exponential_(generator=generator)
    race = weight.double() / noise
    race[chosen] = -1.0
    return race.topk(n).indices
