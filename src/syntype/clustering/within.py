"""k-means inside each species (or taxon group) by itself: clusters that never mix species.

Legend: n vectors, d dimensions, k clusters of all groups together.

This asks the project's question without any help from the clustering: given the species, is it
described better by one centre or by several?
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from syntype.clustering.kmeans import Search, kmeans
from syntype.clustering.rows import Rows, Vectors
from syntype.clustering.seeding import Init
from syntype.errors import UsageError
from syntype.progress import SILENT, Progress
from syntype.provenance import named_seed

_MEAN_SIZE = 2


@dataclass(frozen=True)
class WithinResult:
    """Clusters that each belong to one group.

    Attributes:
        centres: Unit centres, k x d, float32, those of one group after another.
        labels: The cluster of each vector (n, int64), always one of its own group.
        owners: The group of each cluster (k), in alphabetical order.
        objective: Mean cosine of the vectors to their own centres.
        n_repaired: How many times an empty cluster was given a vector.
    """

    centres: Float[Tensor, "k d"]
    labels: Int[Tensor, "n"]
    owners: tuple[str, ...]
    objective: float
    n_repaired: int


def cluster_within(
    vectors: Vectors,
    groups: Sequence[str],
    k: int,
    *,
    iterations: int = 20,
    init: Init = "plus-plus",
    seed: int = 0,
    search: Search = "auto",
    device: torch.device | str | None = None,
    progress: Progress = SILENT,
) -> WithinResult:
    """Cluster the vectors of each group by themselves.

    A group of g vectors is cut into min(k, g // 2) clusters, so that they hold two vectors on
    average, but into one at least and never into more than it has different vectors. The clusters
    of a group do not depend on what other groups there are.

    Args:
        vectors: Unit vectors, n x d.
        groups: The group of each vector.
        k: Clusters per group at most.
        iterations: As for `kmeans`, like the options below.
        init: As for `kmeans`.
        seed: As for `kmeans`; each group draws from a stream of its own name.
        search: As for `kmeans`.
        device: As for `kmeans`.
        progress: As for `kmeans`.

    Raises:
        UsageError: There are not as many groups as vectors, or `k` is below 1.
        VectorError: The vectors are broken.
    """
    rows = Rows(vectors, device)
    if len(groups) != rows.n:
        raise UsageError(f"{len(groups)} groups were given for {rows.n} vectors.")
    if k < 1:
        raise UsageError(f"Each group needs at least 1 cluster, not {k}: raise --k.")
    names, group = np.unique(np.asarray(groups, dtype=object).astype(str), return_inverse=True)
    labels = torch.empty(rows.n, dtype=torch.int64, device=rows.device)
    centres: list[Tensor] = []
    owners: list[str] = []
    total, n_repaired = 0.0, 0
    by_group = np.split(np.argsort(group, kind="stable"), np.cumsum(np.bincount(group))[:-1])
    with progress.task("Clusters within groups", len(names)) as task:
        for name, members in zip(names.tolist(), by_group, strict=True):
            points = torch.from_numpy(members)
            different = len(rows.distinct(points, k))
            result = kmeans(
                rows.take(points),
                max(1, min(different, len(points) // _MEAN_SIZE)),
                iterations=iterations,
                init=init,
                seed=named_seed(seed, "within", name),
                search=search,
            )
            labels[points.to(rows.device)] = result.labels + len(owners)
            centres.append(result.centres)
            owners += [name] * len(result.centres)
            total += result.objective * len(points)
            n_repaired += result.n_repaired
            task.advance()
    return WithinResult(torch.cat(centres), labels, tuple(owners), total / rows.n, n_repaired)
