"""What perfect clusters reach at a given k: the yardstick for scores that depend on k by nature.

With more clusters than species, even clusters that never mix species lose completeness, ARI and
AMI, because species are cut; with fewer, even clusters that never cut a species lose homogeneity,
because species are merged. A score is therefore compared with that of the partition made here,
from the real, unbalanced sizes of the species:

    k >= species   Every species has one cluster; each further one goes to the species whose
                   clusters are largest on average at that moment. Each species is then cut into
                   parts of equal size (to within one picture). No cluster mixes species.
    k < species    Species, the largest first, each join the cluster that is smallest at that
                   moment. No species is cut.

So "perfect" means pure and of even size, as k-means tends to make them. It is not the largest
value that any partition could have: cutting single pictures off would keep ARI higher, and no
clustering method does that on purpose.
"""

import heapq

import numpy as np
from jaxtyping import Int

from syntype.errors import UsageError


def perfect_labels(species: Int[np.ndarray, "n"], k: int) -> Int[np.ndarray, "n"]:
    """The labels of k perfect clusters of samples with these species.

    Args:
        species: Number of each sample's species, from 0 without gaps.
        k: Number of clusters, at most n.

    Returns:
        A cluster, 0 to k - 1, for each sample.

    Raises:
        UsageError: There are fewer samples than clusters.
    """
    if not 1 <= k <= len(species):
        raise UsageError(f"{len(species)} samples cannot form {k} clusters: choose a --k between.")
    sizes = np.bincount(species)
    return _merged(species, sizes, k) if k < len(sizes) else _cut(species, sizes, k)


def _merged(
    species: Int[np.ndarray, "n"], sizes: Int[np.ndarray, "s"], k: int
) -> Int[np.ndarray, "n"]:
    clusters = [(0, number) for number in range(k)]
    cluster_of = np.empty(len(sizes), dtype=np.int64)
    for one in np.argsort(-sizes, kind="stable"):
        filled, number = heapq.heappop(clusters)
        cluster_of[one] = number
        heapq.heappush(clusters, (filled + int(sizes[one]), number))
    return cluster_of[species]


def _cut(
    species: Int[np.ndarray, "n"], sizes: Int[np.ndarray, "s"], k: int
) -> Int[np.ndarray, "n"]:
    parts = np.ones(len(sizes), dtype=np.int64)
    by_mean = [(-float(size), number) for number, size in enumerate(sizes)]
    heapq.heapify(by_mean)
    for _ in range(k - len(sizes)):
        _, number = by_mean[0]
        parts[number] += 1
        heapq.heapreplace(by_mean, (-sizes[number] / parts[number], number))
    # The j-th sample of a species goes to its part j * parts / size: runs of equal length.
    order = np.argsort(species, kind="stable")
    owner = species[order]
    place = np.arange(len(species)) - (np.cumsum(sizes) - sizes)[owner]
    labels = np.empty(len(species), dtype=np.int64)
    labels[order] = (np.cumsum(parts) - parts)[owner] + place * parts[owner] // sizes[owner]
    return labels
