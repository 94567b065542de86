"""The long tail: how pictures are spread over species, before curation and after.

s species, p points of a plot
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Int, Int64

from syntype.data.census_tail import tail_of

_HEAD = 0.1


class Curve(NamedTuple):
    """Pictures of the species, the commonest first: what a plot draws, on two logarithmic axes.

    Attributes:
        rank: 1 for the commonest species.
        before: Pictures of the species of that rank before.
        after: Pictures of the species of that rank after; 0 behind the last that is left.
    """

    rank: Int64[np.ndarray, "p"]
    before: Int64[np.ndarray, "p"]
    after: Int64[np.ndarray, "p"]


@dataclass(frozen=True)
class LongTail:
    """Pictures of each species, before and after.

    Attributes:
        names: Of the species that had a picture.
        before: Pictures of each.
        after: Likewise; 0 where none was left.
        unnamed: Pictures without a species, before and after.
    """

    names: Sequence[str]
    before: Int64[np.ndarray, "s"]
    after: Int64[np.ndarray, "s"]
    unnamed: tuple[int, int]

    def curve(self, n_points: int = 200) -> Curve:
        """The arrays of a plot, at ranks that are spread evenly on a logarithmic axis.

        Args:
            n_points: Points at most.
        """
        n = len(self.before)
        if n == 0:
            return Curve(*(np.empty(0, np.int64) for _ in range(3)))
        ranks = np.unique(np.geomspace(1, n, min(n, n_points)).round().astype(np.int64))
        sides = (np.sort(side)[::-1][ranks - 1] for side in (self.before, self.after))
        return Curve(ranks, *sides)

    def as_json(self) -> dict[str, Any]:
        """The numbers of both sides, plain JSON types."""
        return {
            "before": spread(self.before) | {"withoutSpecies": self.unnamed[0]},
            "after": spread(self.after) | {"withoutSpecies": self.unnamed[1]},
            "speciesLost": int(((self.before > 0) & (self.after == 0)).sum()),
        }


def long_tail(species: Int[np.ndarray, "n"], kept: np.ndarray, names: Sequence[str]) -> LongTail:
    """Count the pictures of each species.

    Args:
        species: Number of each row's species; 0 is unknown.
        kept: Which rows stay.
        names: Of the species, by number.
    """
    before = np.bincount(species, minlength=len(names))
    after = np.bincount(species[kept], minlength=len(names))
    there = np.flatnonzero(before[1:]) + 1
    there = there[np.lexsort((np.array([names[code] for code in there.tolist()]), -before[there]))]
    return LongTail(
        [names[code] for code in there.tolist()],
        before[there],
        after[there],
        (int(before[0]), int(after[0])),
    )


def spread(counts: Int64[np.ndarray, "s"]) -> dict[str, Any]:
    """How pictures are spread over the species that have any.

    Returns:
        Species, pictures, singletons (species of one picture), least, median and most pictures of a
        species, the Gini coefficient (0: all species have as many, towards 1: one has all), and the
        share of the pictures that the commonest tenth of the species has.
    """
    counts = np.sort(counts[counts > 0])
    if len(counts) == 0:
        return {"species": 0, "pictures": 0, "singletons": 0}
    head = max(1, round(_HEAD * len(counts)))
    return {
        "species": len(counts),
        "pictures": int(counts.sum()),
        "singletons": int((counts == 1).sum()),
        "least": int(counts[0]),
        "median": float(np.median(counts)),
        "most": int(counts[-1]),
        "gini": round(tail_of(counts[::-1]).gini or 0.0, 4),
        "shareOfHead": round(float(counts[-head:].sum() / counts.sum()), 4),
    }
