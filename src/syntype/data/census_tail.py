"""The long tail: how rows are spread over species, in all and by group and split.

Gini's coefficient of the rows of species is 0 where all species have equally many and near 1 where
one has nearly all: with counts x_1 <= ... <= x_n it is 2 sum(i x_i) / (n sum(x_i)) - (n + 1) / n.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

CLASSES = (1, 2, 5, 10, 20, 50, 100, 1_000, 10_000)
"""Where a class of species by their rows begins."""


@dataclass(frozen=True)
class Group:
    """The species of a group.

    Attributes:
        name: Of the group.
        counts: int64, rows of each species, the largest first. Rows without a species are not here.
        unnamed: Rows without a species.
        splits: Of each split, its rows and its species; "" is no split.
        unseen: Species of test that training does not have.
    """

    name: str
    counts: np.ndarray
    unnamed: int
    splits: Mapping[str, tuple[int, int]]
    unseen: int

    @property
    def rows(self) -> int:
        """All rows."""
        return int(self.counts.sum()) + self.unnamed

    @property
    def species(self) -> int:
        """Species."""
        return len(self.counts)

    @property
    def singletons(self) -> int:
        """Species of a single row."""
        return int((self.counts == 1).sum())

    @property
    def median(self) -> int:
        """Rows of the species in the middle, rounded down; 0 if there are no species."""
        return int(np.median(self.counts)) if len(self.counts) else 0


@dataclass(frozen=True)
class Tail:
    """How unequal species are.

    Attributes:
        gini: 0 to 1; None without species.
        top_share: Share of the rows that the most frequent 1 % of species have.
        half: The fewest species that have half of the rows.
        classes: First size of each class, its species, and its rows.
    """

    gini: float | None
    top_share: float | None
    half: int
    classes: tuple[tuple[int, int, int], ...]


def tail_of(counts: np.ndarray) -> Tail:
    """The tail of species with `counts` rows, the largest first."""
    n, total = len(counts), int(counts.sum())
    places = np.searchsorted(CLASSES, counts, side="right") - 1
    species = np.bincount(places, minlength=len(CLASSES))
    rows = [int(counts[places == place].sum()) for place in range(len(CLASSES))]
    classes = tuple(zip(CLASSES, species.tolist(), rows, strict=True))
    if not n:
        return Tail(None, None, 0, classes)
    weighted = int((np.arange(n, 0, -1, dtype=np.int64) * counts).sum())
    running = np.cumsum(counts)
    top = int(running[max(1, round(n / 100)) - 1])
    half = int(np.searchsorted(running, total / 2)) + 1
    return Tail(2 * weighted / (n * total) - (n + 1) / n, top / total, half, classes)


def class_names() -> tuple[str, ...]:
    """The classes in words: 1, 2–4, 10 000 and more."""
    ends = [*CLASSES[1:], 0]
    return tuple(
        f"{first}" if last == first + 1 else f"{first:,}–{last - 1:,}" if last else f"{first:,}+"
        for first, last in zip(CLASSES, ends, strict=True)
    )


def groups_of(table: pa.Table) -> tuple[Group, ...]:
    """Groups, the largest first, of a table with rows `n` of each group, split and species."""
    if not table.num_rows:
        return ()
    encoded = table.column("group").combine_chunks().dictionary_encode()
    codes = encoded.indices.to_numpy(zero_copy_only=False)
    order = np.argsort(codes, kind="stable")
    edges = np.searchsorted(codes[order], np.arange(len(encoded.dictionary) + 1))
    found = []
    for number, name in enumerate(encoded.dictionary.to_pylist()):
        rows = table.take(pa.array(order[edges[number] : edges[number + 1]]))
        found.append(_group(name, rows))
    return tuple(sorted(found, key=lambda group: (-group.rows, group.name)))


def all_groups(table: pa.Table, name: str = "") -> Group:
    """All rows of such a table as one group."""
    return _group(name, table)


def _group(name: str, table: pa.Table) -> Group:
    named = table.filter(pc.not_equal(table.column("species"), ""))
    species = named.column("species").combine_chunks()
    encoded = pa.array([], pa.string()).dictionary_encode()
    if len(species):
        encoded = species.dictionary_encode()
    codes = encoded.indices.to_numpy(zero_copy_only=False)
    n = named.column("n").to_numpy()
    counts = np.zeros(len(encoded.dictionary), dtype=np.int64)
    np.add.at(counts, codes, n)
    all_n, split_of = table.column("n").to_numpy(), table.column("split")
    splits, seen = {}, {}
    for split in sorted(split_of.unique().to_pylist()):
        rows = pc.equal(split_of, split).to_numpy()
        here = pc.equal(named.column("split"), split).to_numpy()
        seen[split] = set(np.unique(codes[here]).tolist())
        splits[split] = (int(all_n[rows].sum()), len(seen[split]))
    unseen = len(seen.get("test", set()) - seen.get("train", set()))
    return Group(name, np.sort(counts)[::-1], int(all_n.sum() - n.sum()), splits, unseen)


def lorenz(counts: np.ndarray, n_points: int = 101) -> Sequence[tuple[float, float]]:
    """Lorenz's curve: the share of the rows that the rarest share of species has."""
    if not len(counts):
        return []
    running = np.r_[0, np.cumsum(counts[::-1])]
    at = np.unique(np.linspace(0, len(counts), n_points).round().astype(np.int64))
    return [(place / len(counts), running[place] / running[-1]) for place in at.tolist()]
