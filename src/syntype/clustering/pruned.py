"""Search for the nearest centre among the likely ones only, and measure what that costs.

Legend: n vectors, d dimensions, k centres, g groups of centres, m neighbours a centre, p probed
groups a vector, b vectors of a block, c candidate centres of a block.

Three searches with different blind spots, each made of matrix products of full speed:

    lists    From one Lloyd iteration to the next, a vector that leaves its cluster nearly always
             moves to a neighbour of it ("cluster closures", Wang et al. 2012). Every centre keeps
             its m nearest centres; vectors are visited in the order of their clusters,
             neighbouring clusters one after another, in blocks that share the union of their
             clusters' lists: several times m candidates, no padding for clusters of any size.
    probes   A coarse k-means puts the centres into about sqrt(8 k) groups, and a vector is compared
             with the centres of the p groups nearest to it (an inverted file), however far they
             are from its last cluster.
    worst    Vectors that were left in a wrong corner of the space are found among those with the
             lowest cosines; a share of the vectors, the worst ones, probes more groups, or all.

What differs from the papers: the search plans and checks itself. In each iteration 1,024 vectors,
always the same, are compared with all centres, group by group; so it is known of them what each
number of probes, for all and for the worst, would find. The cheapest plan that leaves their mean
cosine within `TOLERANCE` of the exact one is carried out on all vectors, and checked. Late
iterations need the lists alone, where data has structure; where it has none, more and more of the
vectors are searched exactly.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from syntype.clustering.nearest import first_max, nearest, nearest_in_block, products, tile_for
from syntype.clustering.rows import BLOCK_ROWS, Rows

# Largest relative loss of mean cosine that is let pass; in the first searches, whose centres are
# about to move far anyway, it comes down to that from more.
TOLERANCE = 5e-4
_FIRST_TOLERANCE = 1e-2
_TIGHTER = 0.2  # of the tolerance of the search before
_AIM = 0.8  # plans leave room for what 1,024 vectors do not tell of all
_LIST = 8
_PROBES = (2, 4, 8, 16, 32)
# Small products and scattered writes: a comparison by probing costs this many by exact search.
_PROBE_COST = 3.0
_CHECKED = 1024
_GROUPS_AROUND = 12
_COARSE_ITERATIONS = 2


@dataclass(frozen=True)
class Groups:
    """Centres in groups: a coarse clustering of the centres themselves.

    Attributes:
        centres: Unit centres of the groups, g x d.
        members: Numbers of the centres, those of one group after another (k).
        starts: Where each group begins in `members`, and the end (g + 1).
        around: For each group all groups, the nearest first (g x g).
    """

    centres: Float[Tensor, "g d"]
    members: Int[Tensor, "k"]
    starts: list[int]
    around: list[list[int]]

    @classmethod
    def of(cls, centres: Float[Tensor, "k d"], start: Float[Tensor, "g d"]) -> "Groups":
        """Group `centres`, beginning from the group centres `start`."""
        coarse, rows = start, Rows(centres)
        label, _ = nearest(rows, coarse)
        for _ in range(_COARSE_ITERATIONS):
            sums = torch.zeros_like(coarse).index_add_(0, label, centres)
            norms = torch.linalg.vector_norm(sums, dim=1, keepdim=True)
            coarse = torch.where(norms > 0, sums / norms.clamp_min(1e-30), coarse)
            label, _ = nearest(rows, coarse)
        ends = torch.bincount(label, minlength=len(coarse)).cumsum(0)
        around = (coarse @ coarse.T).sort(dim=1, descending=True, stable=True).indices
        return cls(coarse, label.argsort(stable=True), [0, *ends.tolist()], around.tolist())

    def __len__(self) -> int:
        return len(self.centres)

    def of_group(self, group: int) -> Int[Tensor, "c"]:
        """The centres in one group, ascending."""
        return self.members[self.starts[group] : self.starts[group + 1]]

    def all_members(self) -> list[Int[Tensor, "c"]]:
        """The centres in each group."""
        return [self.of_group(group) for group in range(len(self))]

    def around_group(self, group: int, n_centres: int) -> Int[Tensor, "c"]:
        """The centres in the groups nearest to `group`, itself included: `n_centres` at least."""
        parts: list[Tensor] = []
        for other in self.around[group]:
            parts.append(self.of_group(other))
            if len(parts) >= _GROUPS_AROUND and sum(map(len, parts)) >= n_centres:
                break
        return torch.cat(parts).sort().values


class PrunedSearch:
    """Nearest centres of the same vectors, for centres that move a little each time.

    Attributes:
        shortfall: Relative loss of mean cosine against the exact search, on the checked vectors,
            after the last search.
        exact_share: Share of the vectors that the last search searched exactly.
    """

    def __init__(self, rows: Rows) -> None:
        self.shortfall = 0.0
        self.exact_share = 0.0
        self._tolerance = TOLERANCE
        self._rows = rows
        self._checked = torch.arange(0, rows.n, -(-rows.n // _CHECKED), device=rows.device)
        self._tile = torch.empty(0, device=rows.device)
        self._coarse: Tensor | None = None

    def __call__(
        self, centres: Float[Tensor, "k d"], labels: Int[Tensor, "n"] | None
    ) -> tuple[Int[Tensor, "n"], Float[Tensor, "n"]]:
        """The nearest centre of every vector and the cosine to it.

        Args:
            centres: Unit centres.
            labels: The vectors' last clusters; None if there are none yet.
        """
        groups = Groups.of(centres, self._group_centres(centres))
        self._coarse = groups.centres
        if labels is None:
            self._tolerance = _FIRST_TOLERANCE
            found = torch.zeros(self._rows.n, dtype=torch.int64, device=self._rows.device)
            cosines = torch.full((self._rows.n,), -1.0, device=self._rows.device)
        else:
            self._tolerance = max(TOLERANCE, _TIGHTER * self._tolerance)
            found, cosines = self._from_lists(centres, groups, labels)
        reach = self._reach(centres, groups)
        goal = float(reach[:, -1].double().mean())
        _, probes, worst_probes, share = _plan(
            cosines[self._checked], reach, len(centres), _AIM * self._tolerance
        )
        self._probe(centres, groups, torch.arange(len(found)), probes, found, cosines)
        while True:
            worst = cosines.argsort(stable=True)[: round(share * len(cosines))]
            self._probe(centres, groups, worst, worst_probes, found, cosines)
            self.exact_share = share if worst_probes == len(groups) else 0.0
            self.shortfall = max(0.0, 1 - float(cosines[self._checked].double().mean()) / goal)
            if self.shortfall <= self._tolerance or self.exact_share == 1:
                return found, cosines
            # The checked vectors promised too much: everything for twice as many.
            share, worst_probes = min(1.0, 2 * share + 0.01), len(groups)

    def _reach(self, centres: Float[Tensor, "k d"], groups: Groups) -> Float[Tensor, "m g"]:
        """The best cosine of each checked vector within its 1, 2 ... g nearest groups."""
        vectors = self._rows.take(self._checked)
        tile = self._room(len(vectors) * max(map(len, groups.all_members())))
        peaks = [
            products(vectors, centres[members], tile).amax(dim=1)
            if len(members)
            else torch.full((len(vectors),), -1.0, device=vectors.device)
            for members in groups.all_members()
        ]
        nearest_first = (vectors @ groups.centres.T).argsort(dim=1, descending=True, stable=True)
        return torch.stack(peaks, dim=1).gather(1, nearest_first).cummax(dim=1).values

    def _group_centres(self, centres: Float[Tensor, "k d"]) -> Float[Tensor, "g d"]:
        """The last group centres; at first, centres evenly spaced in their order."""
        if self._coarse is not None:
            return self._coarse
        step = max(1, round((len(centres) / 8) ** 0.5))
        return centres[::step].clone()

    def _from_lists(
        self, centres: Float[Tensor, "k d"], groups: Groups, labels: Int[Tensor, "n"]
    ) -> tuple[Int[Tensor, "n"], Float[Tensor, "n"]]:
        """Search the neighbours of each vector's last cluster."""
        lists = self._neighbours(centres, groups)
        place = torch.empty_like(groups.members)
        place[groups.members] = torch.arange(len(place), device=place.device)
        order = place[labels].argsort(stable=True)
        found = torch.empty_like(labels)
        cosines = torch.empty(len(labels), device=labels.device)
        for points in order.split(BLOCK_ROWS):
            wanted = torch.zeros(len(centres), dtype=torch.bool, device=labels.device)
            wanted[lists[labels[points].unique_consecutive()].flatten()] = True
            candidates = wanted.nonzero()[:, 0]
            tile = self._room(len(points) * len(candidates))
            cosine = products(self._rows.take(points), centres[candidates], tile)
            column, cosines[points] = first_max(cosine)
            found[points] = candidates[column]
        return found, cosines

    def _neighbours(self, centres: Float[Tensor, "k d"], groups: Groups) -> Int[Tensor, "k m"]:
        """For each centre, itself and the m - 1 nearest others in the groups around its own."""
        width = min(_LIST, len(centres))
        lists = torch.empty(len(centres), width, dtype=torch.int64, device=centres.device)
        for group in range(len(groups)):
            near = groups.around_group(group, width)
            chosen = centres[near]
            for part in groups.of_group(group).split(BLOCK_ROWS):
                if not len(part):
                    continue
                cosine = products(centres[part], chosen, self._room(len(part) * len(near)))
                # Equal centres must not crowd a centre out of its own list.
                cosine.scatter_(1, torch.searchsorted(near, part)[:, None], 2.0)
                lists[part] = near[cosine.topk(width, dim=1).indices]
        return lists

    def _probe(
        self,
        centres: Float[Tensor, "k d"],
        groups: Groups,
        points: Int[Tensor, "b"],
        probes: int,
        labels: Int[Tensor, "n"],
        cosines: Float[Tensor, "n"],
    ) -> None:
        """Search the nearest groups of `points`; nearer centres go into labels and cosines."""
        if probes == len(groups):
            tile = tile_for(self._rows, len(centres))
            for part in points.split(BLOCK_ROWS):
                block = self._rows.take(part)
                labels[part], cosines[part] = nearest_in_block(block, centres, tile)
            return
        if not probes or not len(points):
            return
        picked = self._nearest_groups(groups, points, probes)
        by_group = picked.flatten().argsort(stable=True)
        counts = torch.bincount(picked.flatten(), minlength=len(groups)).tolist()
        for cells, candidates in zip(by_group.split(counts), groups.all_members(), strict=True):
            if not len(cells) or not len(candidates):
                continue
            chosen = centres[candidates]
            for part in cells.split(BLOCK_ROWS):
                here = points[part // probes]
                tile = self._room(len(here) * len(candidates))
                column, cosine = first_max(products(self._rows.take(here), chosen, tile))
                nearer = cosine > cosines[here]
                labels[here] = torch.where(nearer, candidates[column], labels[here])
                cosines[here] = torch.where(nearer, cosine, cosines[here])

    def _nearest_groups(
        self, groups: Groups, points: Int[Tensor, "b"], probes: int
    ) -> Int[Tensor, "b p"]:
        tile = self._room(BLOCK_ROWS * len(groups))
        parts = [
            products(self._rows.take(part), groups.centres, tile).topk(probes, dim=1).indices.int()
            for part in points.split(BLOCK_ROWS)
        ]
        return torch.cat(parts)

    def _room(self, cells: int) -> Float[Tensor, "cells"]:
        if len(self._tile) < cells:
            self._tile = torch.empty(cells, device=self._rows.device)
        return self._tile


def _plan(
    found: Float[Tensor, "m"], reach: Float[Tensor, "m g"], k: int, tolerance: float
) -> tuple[float, int, int, float]:
    """The cheapest way to bring the checked vectors within `tolerance` of the exact mean cosine.

    Args:
        found: What the lists found for them.
        reach: What probing 1, 2 ... g groups would find.
        k: Number of centres.
        tolerance: Relative loss of mean cosine to allow.

    Returns:
        Cost in exact searches, groups to probe for all vectors, and groups to probe after that for
        the worst, with their share; g groups are the exact search.
    """
    exact, n_groups = reach[:, -1], reach.shape[1]
    allowed = tolerance * float(exact.double().sum())
    counts = [count for count in _PROBES if count < n_groups]
    cost = {count: _PROBE_COST * (n_groups + count * k / n_groups) / k for count in counts}
    cost |= {0: 0.0, n_groups: 1.0}
    plans = []
    for probes in (0, *counts):
        after = torch.maximum(found, reach[:, probes - 1]) if probes else found
        order = after.argsort(stable=True)
        loss = (exact - after)[order].double()
        for worst_probes in (*counts, n_groups):
            still = (exact - torch.maximum(after, reach[:, worst_probes - 1]))[order].double()
            # The loss after nobody, the worst one, the worst two ... were probed further.
            left = torch.cat([loss.sum()[None], loss.sum() + (still - loss).cumsum(0)])
            enough = (left <= allowed).nonzero()[:, 0]
            if len(enough):
                share = int(enough[0]) / len(found)
                plans.append(
                    (cost[probes] + share * cost[worst_probes], probes, worst_probes, share)
                )
    # All groups for all vectors always suffice, but for rounding.
    return min(plans, default=(1.0, 0, n_groups, 1.0))
