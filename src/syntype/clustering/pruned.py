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
             lowest cosines: the worst twentieth, tenth, fifth ... at last all are searched exactly.

What differs from the papers: the search checks itself. In each iteration 1,024 vectors, always the
same, are searched exactly as well, and the next search is made only while the mean cosine of these
falls short of the exact one by more than `TOLERANCE`. Late iterations need the lists alone, where
data has structure; where it has none, the search becomes the exact one.
"""

from dataclasses import dataclass
from itertools import pairwise

import torch
from jaxtyping import Float, Int
from torch import Tensor

from syntype.clustering.nearest import first_max, nearest, nearest_in_block, products
from syntype.clustering.rows import BLOCK_ROWS, Rows

# Largest relative loss of mean cosine that is let pass; first centres are about to move anyway.
TOLERANCE = 2e-4
_FIRST_TOLERANCE = 5e-3
_LIST = 8
_PROBES = 4
_FIRST_PROBES = 8
_WORST = (0.0, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0)
_CHECKED = 1024
_BLOCK = 1024
_GROUPS_AROUND = 24
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
        goal = self._mean_of_exact(centres)
        if labels is None:
            tolerance = _FIRST_TOLERANCE
            found = torch.zeros(self._rows.n, dtype=torch.int64, device=self._rows.device)
            cosines = torch.full((self._rows.n,), -2.0, device=self._rows.device)
            self._probe(centres, groups, _FIRST_PROBES, found, cosines)
        else:
            tolerance = TOLERANCE
            found, cosines = self._from_lists(centres, groups, labels)
            if self._falls_short(goal, cosines, tolerance):
                self._probe(centres, groups, _PROBES, found, cosines)
        self.exact_share = 0.0
        order = cosines.argsort(stable=True)
        for begin, end in pairwise(_WORST):
            if not self._falls_short(goal, cosines, tolerance):
                break
            worst = order[int(begin * len(order)) : int(end * len(order))]
            self._search_exactly(centres, worst, found, cosines)
            self.exact_share = end
        else:
            self.shortfall = 0.0
        return found, cosines

    def _falls_short(self, goal: float, cosines: Float[Tensor, "n"], tolerance: float) -> bool:
        """Whether pruning costs the checked vectors too much."""
        self.shortfall = max(0.0, 1 - float(cosines[self._checked].double().mean()) / goal)
        return self.shortfall > tolerance

    def _group_centres(self, centres: Float[Tensor, "k d"]) -> Float[Tensor, "g d"]:
        """The last group centres; at first, centres evenly spaced in their order."""
        if self._coarse is not None:
            return self._coarse
        step = max(1, round((len(centres) / 8) ** 0.5))
        return centres[::step].clone()

    def _mean_of_exact(self, centres: Float[Tensor, "k d"]) -> float:
        """Mean cosine of the checked vectors to their nearest centres."""
        labels = torch.empty(self._rows.n, dtype=torch.int64, device=self._rows.device)
        cosines = torch.empty(self._rows.n, device=self._rows.device)
        self._search_exactly(centres, self._checked, labels, cosines)
        return float(cosines[self._checked].double().mean())

    def _search_exactly(
        self,
        centres: Float[Tensor, "k d"],
        points: Int[Tensor, "b"],
        labels: Int[Tensor, "n"],
        cosines: Float[Tensor, "n"],
    ) -> None:
        """Write the nearest centres of `points` into labels and cosines."""
        tile = self._room(BLOCK_ROWS * 2048)
        for part in points.split(BLOCK_ROWS):
            block = self._rows.take(part)
            labels[part], cosines[part] = nearest_in_block(block, centres, tile)

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
        for points in order.split(_BLOCK):
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
                cosine[near == part[:, None]] = 2.0
                lists[part] = near[cosine.topk(width, dim=1).indices]
        return lists

    def _probe(
        self,
        centres: Float[Tensor, "k d"],
        groups: Groups,
        probes: int,
        labels: Int[Tensor, "n"],
        cosines: Float[Tensor, "n"],
    ) -> None:
        """Search each vector's nearest groups; nearer centres go into labels and cosines."""
        picked = self._nearest_groups(groups, min(probes, len(groups)))
        by_group = picked.flatten().argsort(stable=True)
        counts = torch.bincount(picked.flatten(), minlength=len(groups)).tolist()
        for group, cells in enumerate(by_group.split(counts)):
            candidates = groups.of_group(group)
            if not len(cells) or not len(candidates):
                continue
            chosen = centres[candidates]
            for part in cells.split(BLOCK_ROWS):
                points = part // picked.shape[1]
                tile = self._room(len(points) * len(candidates))
                column, cosine = first_max(products(self._rows.take(points), chosen, tile))
                nearer = cosine > cosines[points]
                labels[points] = torch.where(nearer, candidates[column], labels[points])
                cosines[points] = torch.where(nearer, cosine, cosines[points])

    def _nearest_groups(self, groups: Groups, probes: int) -> Int[Tensor, "n p"]:
        picked = torch.empty(self._rows.n, probes, dtype=torch.int32, device=self._rows.device)
        tile = self._room(BLOCK_ROWS * len(groups))
        for start, block in self._rows.blocks():
            top = products(block, groups.centres, tile).topk(probes, dim=1).indices
            picked[start : start + len(block)] = top
        return picked

    def _room(self, cells: int) -> Float[Tensor, "cells"]:
        if len(self._tile) < cells:
            self._tile = torch.empty(cells, device=self._rows.device)
        return self._tile
