"""The tree that lineages form: lowest common ancestors, and how far apart two species are.

The distance of two species is the number of rank steps from species up to their lowest common
ancestor: 0 the same species, 1 the same genus, 2 the same family ... 6 the same kingdom, 7 nothing
in common. It is the "height of the LCA" by which Bertinetto et al. (2020), "Making better
mistakes", measure how bad a mistake is, on the seven ranks.

Unknown ranks are not guessed. Two species share a rank when both name it, with the same name, and
no higher rank that both name differs: so the moth genus and the plant genus of one name are two
(hemihomonyms), and a species whose family is unknown still shares an order.

Shapes: `s` species, `n` pairs.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Int

from syntype.errors import DataError
from syntype.taxonomy.taxon import RANKS, Lineage

_SPECIES = len(RANKS) - 1
NOTHING_SHARED = len(RANKS)
"""The distance of species that share no rank."""


@dataclass(frozen=True)
class TaxonTree:
    """The species of a set and their lineages.

    Attributes:
        species: Names of the species, sorted; a species' code is its place here.
        lineages: The lineage of each.
    """

    species: tuple[str, ...]
    lineages: tuple[Lineage, ...]

    @classmethod
    def from_lineages(cls, lineages: Iterable[Lineage]) -> "TaxonTree":
        """The tree of `lineages`, one per sample, in any order, repeated as they come.

        Where samples of one species disagree, each rank takes its most frequent known name.
        """
        votes: dict[str, tuple[Counter[str], ...]] = defaultdict(lambda: tuple(map(_none, RANKS)))
        for lineage, n in Counter(lineages).items():
            for counter, name in zip(votes[lineage[_SPECIES]], lineage, strict=True):
                counter[name] += n if name else 0
        species = tuple(sorted(votes))
        return cls(species, tuple(_elected(votes[name]) for name in species))

    @cached_property
    def _names(self) -> Int[np.ndarray, "s 7"]:
        """A number for each name at each rank, -1 where unknown."""
        codes = np.full((len(self.species), len(RANKS)), -1, dtype=np.int32)
        for rank in range(len(RANKS)):
            numbers: dict[str, int] = {}
            for row, lineage in enumerate(self.lineages):
                if name := lineage[rank]:
                    codes[row, rank] = numbers.setdefault(name, len(numbers))
        return codes

    @cached_property
    def _code_of(self) -> dict[str, int]:
        return {name: code for code, name in enumerate(self.species)}

    def codes(self, names: Iterable[str]) -> Int[np.ndarray, " n"]:
        """The codes of species `names`.

        Raises:
            DataError: A name is not in the tree.
        """
        try:
            return np.array([self._code_of[name] for name in names], dtype=np.int64)
        except KeyError as error:
            raise DataError(
                f"The species {error.args[0]!r} is not in the tree of this data set; score it "
                "against the data that it came from."
            ) from None

    def distances(
        self, first: Int[np.ndarray, "*n"], second: Int[np.ndarray, "*m"]
    ) -> Int[np.ndarray, "..."]:
        """The distance of each pair of species codes; the two arrays broadcast.

        Returns:
            Rank steps up to the lowest common ancestor, 0 to 7, int8.
        """
        height = np.full(np.broadcast_shapes(first.shape, second.shape), NOTHING_SHARED, np.int8)
        agree = np.ones(height.shape, dtype=bool)
        for rank in range(len(RANKS)):
            names = self._names[:, rank]
            one, other = names[first], names[second]
            agree &= (one == other) | (one < 0) | (other < 0)
            height[agree & (one == other) & (one >= 0)] = _SPECIES - rank
        height[np.broadcast_to(first == second, height.shape)] = 0
        return height

    def distance_matrix(self) -> Int[np.ndarray, "s s"]:
        """The distances of all pairs of species, int8."""
        codes = np.arange(len(self.species))
        return self.distances(codes[:, None], codes[None, :])

    def distance(self, first: str, second: str) -> int:
        """The distance of two species by name.

        Raises:
            DataError: A name is not in the tree.
        """
        return int(self.distances(self.codes([first]), self.codes([second]))[0])

    def lowest_common_ancestor(self, first: str, second: str) -> tuple[str, str] | None:
        """Rank and name of the lowest taxon that holds both species; None if none does.

        Raises:
            DataError: A name is not in the tree.
        """
        height = self.distance(first, second)
        if height == NOTHING_SHARED:
            return None
        rank = _SPECIES - height
        return RANKS[rank], self.lineages[self._code_of[first]][rank]


def _none(rank: str) -> Counter[str]:
    del rank
    return Counter()


def _elected(votes: Sequence[Counter[str]]) -> Lineage:
    kingdom, phylum, class_, order, family, genus, species = map(_most_frequent, votes)
    return (kingdom, phylum, class_, order, family, genus, species)


def _most_frequent(names: Counter[str]) -> str:
    """The most frequent name that is known; the first in the alphabet among equals."""
    return min(names, key=lambda name: (not name, -names[name], name))
