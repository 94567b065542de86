"""Spherical k-means: every vector used, no cluster empty, the same bytes each time.

Legend: n vectors, d dimensions, k clusters; c x w the shape of given centres, to be k x d.

Maximises the mean cosine of unit vectors to the unit centre of their cluster (Dhillon and Modha
2001; MLCD, eq. 2), by Lloyd's iterations: assign each vector to the nearest centre, move each
centre to the normalised sum of its vectors. What differs from the k-means of faiss that UNICOM
and MLCD used: no vector is silently left out, seeds come from k-means++, an empty cluster takes
the worst vector of the cluster that loses most, sums are exact, and for large k only the likely
centres are searched (`pruned.py`).

**Exact sums.** Coordinates are rounded to multiples of 2^-s and added as float64; s is such that
every possible sum is an integer below 2^52 of these units (2^-34 for 200,000 vectors). Adding is
then associative: the order of the vectors, the number of threads and the size of a cluster change
no bit of a centre, and moving single vectors between sums, as is done here from the second
iteration on, never drifts.

Memory beside the vectors: 12 k d bytes for centres and sums, about 40 n for labels, and one tile of
cosines (`nearest.py`). The n x k matrix never exists.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from syntype.clustering.nearest import check_width, nearest
from syntype.clustering.pruned import PrunedSearch
from syntype.clustering.rows import BLOCK_ROWS, Rows, Vectors, check_k
from syntype.clustering.seeding import Init, seeds
from syntype.errors import UsageError
from syntype.progress import SILENT, Progress, Task

Search = Literal["auto", "exact", "pruned"]

PRUNED_FROM = 4096
# A member this near to its centre is equal to it but for rounding.
_SAME = 1e-6
_REPAIR_ROUNDS = 32


@dataclass(frozen=True)
class KMeansResult:
    """Clusters of unit vectors.

    Attributes:
        centres: Unit centres, k x d, float32.
        labels: The cluster of each vector, its nearest centre (n, int64).
        objective: Mean cosine of the vectors to their own centres.
        history: That mean for the first centres and after each iteration.
        iterations: Iterations run; fewer than asked for when no label moved any more.
        n_repaired: How many times an empty cluster was given a vector.
        shortfall: Relative loss of the objective that the pruned search caused on a sample of
            1,024 vectors in the last iteration; 0 for the exact search.
    """

    centres: Float[Tensor, "k d"]
    labels: Int[Tensor, "n"]
    objective: float
    history: tuple[float, ...]
    iterations: int
    n_repaired: int
    shortfall: float


def kmeans(
    vectors: Vectors,
    k: int,
    *,
    iterations: int = 20,
    init: Init = "plus-plus",
    seed: int = 0,
    search: Search = "auto",
    first: Int[Tensor, "m"] | None = None,
    centres: Float[Tensor, "c w"] | None = None,
    device: torch.device | str | None = None,
    progress: Progress = SILENT,
) -> KMeansResult:
    """Cluster unit vectors into k clusters, none of them empty.

    Args:
        vectors: Unit vectors, n x d: a tensor, an array or a memory map, of any float type.
        k: Number of clusters, from 1 to the number of different vectors.
        iterations: Lloyd iterations at most; it ends earlier when no label moves.
        init: First centres: `plus-plus` (k-means++) or `subset` (k different vectors).
        seed: Of the first centres.
        search: Look at all centres (`exact`), at the likely ones (`pruned`), or prune from
            k = 4096 (`auto`).
        first: Numbers of the vectors to start from, as `draw_seeds` gives them for this k or a
            larger one, where several k share them; `init` and `seed` are then unused.
        centres: Start from these k centres instead (warm start), likewise.
        device: Where to compute; the vectors' own device by default.
        progress: Where to say how far it is.

    Raises:
        UsageError: `k` is below 1 or above n, `centres` are not k, or `first` are fewer.
        VectorError: The vectors are broken, or fewer than k of them differ.
    """
    rows = Rows(vectors, device)
    check_k(k, rows.n)
    if centres is None:
        if first is None:
            first = seeds(rows, k, init, seed)
        if len(first) < k:
            raise UsageError(f"{len(first)} first vectors were given for k = {k}.")
        start = _unit(rows.take(first[:k]))
    else:
        if len(centres) != k:
            raise UsageError(f"{len(centres)} first centres were given for k = {k}.")
        check_width(rows, centres)
        seeds(rows, k, "subset", 0)  # for its check that k vectors differ
        start = _unit(centres.to(rows.device, torch.float64))
    return _lloyd(rows, start, iterations, search, progress)


def draw_seeds(
    vectors: Vectors,
    k: int,
    *,
    init: Init = "plus-plus",
    seed: int = 0,
    device: torch.device | str | None = None,
) -> Int[Tensor, "k"]:
    """The numbers of the vectors that `kmeans` starts from; those of a smaller k are the first.

    So several k can share one draw, while the result of none depends on which others are asked
    for. (To start one k from the centres of another would be faster still, but its result would
    then depend on the list of k, and a stored one could not be used again.)

    Args:
        vectors: Unit vectors, n x d.
        k: How many.
        init: As for `kmeans`.
        seed: As for `kmeans`.
        device: As for `kmeans`.

    Raises:
        UsageError: `k` is below 1 or above n.
        VectorError: The vectors are broken, or fewer than k of them differ.
    """
    rows = Rows(vectors, device)
    check_k(k, rows.n)
    return seeds(rows, k, init, seed)


def _lloyd(
    rows: Rows,
    centres: Float[Tensor, "k d"],
    iterations: int,
    search: Search,
    progress: Progress,
) -> KMeansResult:
    state = _State(rows, centres, search)
    with progress.task(f"k-means, k = {len(centres)}", iterations) as task:
        history = [state.assign()]
        for _ in range(iterations):
            state.move_centres()
            history.append(state.assign())
            _report(task, history[-1])
            if not state.n_moved:
                break
    return KMeansResult(
        centres=state.centres,
        labels=state.labels,
        objective=history[-1],
        history=tuple(history),
        iterations=len(history) - 1,
        n_repaired=state.n_repaired,
        shortfall=state.pruned.shortfall if state.pruned else 0.0,
    )


def _report(task: Task, objective: float) -> None:
    task.advance()
    task.note(f"mean cosine {objective:.4f}")


class _State:
    """Centres, labels and the exact sums behind the centres."""

    def __init__(self, rows: Rows, centres: Float[Tensor, "k d"], search: Search) -> None:
        pruned = search == "pruned" or (search == "auto" and len(centres) >= PRUNED_FROM)
        self.rows = rows
        self.centres = centres
        self.labels = torch.full((rows.n,), -1, dtype=torch.int64, device=rows.device)
        self.cosines = torch.zeros(rows.n, device=rows.device)
        self.pruned = PrunedSearch(rows) if pruned else None
        self.n_moved = rows.n
        self.n_repaired = 0
        self._summed = self.labels  # the labels that the sums belong to
        self._sums = torch.zeros(centres.shape, dtype=torch.float64, device=rows.device)
        self._units = 2.0 ** min(40, 52 - rows.n.bit_length())

    def assign(self) -> float:
        """Give each vector its nearest centre, leave no cluster empty; the mean cosine."""
        last = self.labels
        if self.pruned is None:
            self.labels, self.cosines = nearest(self.rows, self.centres)
        else:
            known = last if bool((last >= 0).all()) else None
            self.labels, self.cosines = self.pruned(self.centres, known)
        self._fill_empty()
        self.n_moved = int((self.labels != last).sum())
        return float(self.cosines.double().mean())

    def move_centres(self) -> None:
        """Move each centre to the normalised sum of its vectors."""
        moved = (self.labels != self._summed).nonzero()[:, 0]
        for part in moved.split(BLOCK_ROWS):
            block = self.rows.take(part).mul_(self._units).round_().double()
            self._sums.index_add_(0, self.labels[part], block)
            left = self._summed[part]
            if bool((left >= 0).all()):
                self._sums.index_add_(0, left, block, alpha=-1)
        self._summed = self.labels
        # Vectors that cancel out leave their centre where it was: any direction is as good.
        zero = (self._sums == 0).all(dim=1, keepdim=True)
        self.centres = torch.where(zero, self.centres, _unit(self._sums))

    def _fill_empty(self) -> None:
        """Move every empty centre onto a vector that its own cluster serves worst.

        The clusters that lose most (sum of 1 - cosine) give one vector each, their farthest; then
        all vectors that are nearer to a moved centre than to their own go there. That may empty
        another cluster, but raises the objective each time, so it ends.
        """
        for attempt in range(_REPAIR_ROUNDS):
            counts = torch.bincount(self.labels, minlength=len(self.centres))
            empty = (counts == 0).nonzero()[:, 0]
            if not len(empty):
                return
            points = self._worst_members(counts)[: len(empty)]
            empty = empty[: len(points)]
            self.n_repaired += len(points)
            self.centres = self.centres.index_copy(0, empty, _unit(self.rows.take(points)))
            if attempt < _REPAIR_ROUNDS // 2:
                new, cosines = nearest(self.rows, self.centres[empty])
                nearer = cosines > self.cosines
                self.labels = torch.where(nearer, empty[new], self.labels)
                self.cosines = torch.where(nearer, cosines, self.cosines)
            self.labels[points], self.cosines[points] = empty, 1.0
        raise AssertionError("clusters stayed empty although enough vectors differ")

    def _worst_members(self, counts: Int[Tensor, "k"]) -> Int[Tensor, "m"]:
        """The farthest member of each cluster that can spare one, the costliest cluster first."""
        loss = (1 - self.cosines).double()
        by_loss = loss.argsort(descending=True, stable=True)
        by_cluster = by_loss[self.labels[by_loss].argsort(stable=True)]
        filled = counts > 0
        starts = (counts.cumsum(0) - counts)[filled]
        farthest = by_cluster[starts]
        spare = counts[filled] > 1
        uneven = spare & (loss[farthest] > _SAME)
        total = torch.bincount(self.labels, weights=loss, minlength=len(counts))[filled]
        spare = uneven if bool(uneven.any()) else spare
        order = torch.where(spare, total, -torch.inf).argsort(descending=True, stable=True)
        return farthest[order[: int(spare.sum())]]


def _unit(sums: Float[Tensor, "k d"]) -> Float[Tensor, "k d"]:
    norms = torch.linalg.vector_norm(sums, dim=1, keepdim=True).clamp_min(1e-300)
    return (sums / norms).float()
