"""Vectors for the clustering tests: with structure, without, and the naive computations."""

import torch
from torch import Tensor


def unit(vectors: Tensor) -> Tensor:
    return torch.nn.functional.normalize(vectors, dim=1)


def noise(n: int, d: int, seed: int = 0) -> Tensor:
    return unit(torch.randn(n, d, generator=torch.Generator().manual_seed(seed)))


def mixture(n: int, d: int, n_groups: int, spread: float = 0.7, seed: int = 0) -> Tensor:
    """`n_groups` clouds around random directions, sizes falling as 1 / rank."""
    generator = torch.Generator().manual_seed(seed)
    middles = unit(torch.randn(n_groups, d, generator=generator))
    weights = 1 / torch.arange(1, n_groups + 1)
    group = torch.multinomial(weights, n, replacement=True, generator=generator)
    around = unit(torch.randn(n, d, generator=generator))
    return unit(middles[group] + spread * around)


def naive_lloyd(vectors: Tensor, centres: Tensor) -> tuple[Tensor, Tensor, float]:
    """One step in float64: (new centres, labels for the old ones, mean cosine to the old ones)."""
    cosines = vectors.double() @ centres.double().T
    best, labels = cosines.max(dim=1)
    sums = torch.stack([vectors.double()[labels == j].sum(dim=0) for j in range(len(centres))])
    return unit(sums), labels, float(best.mean())
