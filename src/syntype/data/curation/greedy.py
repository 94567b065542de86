"""Which of near rows stay: a maximal set in which no two are near, by a fixed order.

Rows are taken in the order of keeping; a row stays unless one that stays already is near it. So
nearness is not handed on: in a chain A - B - C, where A and C are not near each other, B goes
because of A, and C stays. Whatever went is near something that stayed, and nothing that stayed is
near anything else that did; dropping whole chains would take pictures that are near nothing left.

Two rows that are near may both stay

    of one unit       where units are given: frames of a track are near by nature, caps are for them
    of two species    of one split, unless `mixed` is "drop": one label is wrong, or both are in the
                      picture, and which cannot be seen from here; the pair is told

Rows with the same hash, of which there can be thousands, are one node, and each node remembers the
rows that stayed of it only once for each unit, split and species. So a placeholder that stands ten
thousand times costs ten thousand steps, not their square.

n rows, v nodes, p pairs
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

Key = tuple[int, int, int]


@dataclass(frozen=True)
class Links:
    """Nodes that are near each other.

    Attributes:
        starts: Where each node's neighbours begin, and the number of all.
        nodes: The neighbours.
        apart: How far each is, in whatever measure; less is nearer.
    """

    starts: Int[np.ndarray, "_"]
    nodes: Int[np.ndarray, "_"]
    apart: Float[np.ndarray, "_"]

    @classmethod
    def of(
        cls,
        n_nodes: int,
        one: Int[np.ndarray, "p"],
        other: Int[np.ndarray, "p"],
        apart: Float[np.ndarray, "p"],
    ) -> "Links":
        """The links of pairs of nodes, each of which is given once."""
        ends, nodes = np.concatenate([one, other]), np.concatenate([other, one])
        order = np.lexsort((nodes, ends))
        starts = np.zeros(n_nodes + 1, np.int64)
        np.cumsum(np.bincount(ends, minlength=n_nodes), out=starts[1:])
        return cls(starts, nodes[order], np.concatenate([apart, apart])[order].astype(np.float64))

    def around(self, node: int) -> Iterator[tuple[int, float]]:
        """A node and its neighbours, each with how far it is."""
        yield node, 0.0
        start, stop = int(self.starts[node]), int(self.starts[node + 1])
        if start < stop:
            yield from zip(
                self.nodes[start:stop].tolist(), self.apart[start:stop].tolist(), strict=True
            )


@dataclass(frozen=True)
class Chosen:
    """What becomes of rows.

    Attributes:
        of: Row that stays and because of which this one goes; -1 for one that stays.
        apart: How far that is.
        mixed: A near row of another species, -1 where there is none.
        dropped: Rows that go because they are near one of another species.
    """

    of: Int[np.ndarray, "n"]
    apart: Float[np.ndarray, "n"]
    mixed: Int[np.ndarray, "n"]
    dropped: Bool[np.ndarray, "n"]


def keep_apart(
    node: Int[np.ndarray, "n"],
    links: Links,
    *,
    place: Int[np.ndarray, "n"],
    split: Int[np.ndarray, "n"],
    species: Int[np.ndarray, "n"],
    unit: Int[np.ndarray, "n"] | None,
    drop_mixed: bool,
) -> Chosen:
    """Choose the rows that stay.

    Args:
        node: The node of each row; rows of one node are near.
        links: Which nodes are near.
        place: The order of keeping.
        split: Of each row.
        species: Of each row; 0 is unknown.
        unit: Of each row; None lets no near rows stay for their unit.
        drop_mixed: Whether near rows of two species all go.
    """
    n, n_nodes = len(node), len(links.starts) - 1
    found = Chosen(
        np.full(n, -1, np.int64),
        np.full(n, np.nan),
        np.full(n, -1, np.int64),
        np.zeros(n, dtype=bool),
    )
    busy = (np.diff(links.starts) > 0) | (np.bincount(node, minlength=n_nodes) > 1)
    rows = np.flatnonzero(busy[node])
    rows = rows[np.argsort(place[rows], kind="stable")]
    units = np.zeros(n, np.int64) if unit is None else unit
    columns = (node[rows], units[rows], split[rows], species[rows])
    listed = list(zip(rows.tolist(), *(column.tolist() for column in columns), strict=True))
    if drop_mixed:
        _drop_mixed(listed, links, found, unit is not None)
    held: dict[int, dict[Key, int]] = {}
    for row, at, *rest in listed:
        key = rest[0], rest[1], rest[2]
        if found.dropped[row]:
            continue
        best: tuple[float, int, int] | None = None
        for near, apart in links.around(at):
            for other, kept in held.get(near, {}).items():
                if unit is not None and other[:2] == key[:2]:
                    continue  # of one unit, in one split
                if _differ(key[2], other[2]):
                    _tell(found.mixed, row, kept)
                    if key[1] == other[1]:
                        continue
                best = min(best or (np.inf, 0, 0), (apart, int(place[kept]), kept))
        if best is None:
            held.setdefault(at, {}).setdefault(key, row)
        else:
            found.of[row], found.apart[row] = best[2], best[0]
    return found


def _differ(species: int, other: int) -> bool:
    return species != other and species > 0 and other > 0


def _tell(mixed: Int[np.ndarray, "n"], row: int, other: int) -> None:
    for one, two in ((row, other), (other, row)):
        if mixed[one] < 0:
            mixed[one] = two


def _drop_mixed(
    listed: list[tuple[int, int, int, int, int]], links: Links, found: Chosen, by_unit: bool
) -> None:
    """Let rows go that are near one of another species, and of another unit where they count."""
    # Two rows of each species are enough, of two units: one of them is of another than yours.
    there: dict[int, dict[int, dict[tuple[int, int], int]]] = {}
    for row, at, unit, split, species in listed:
        rows = there.setdefault(at, {}).setdefault(species, {})
        if len(rows) < 2:
            rows.setdefault((unit, split), row)
    for row, at, unit, split, species in listed:
        own = (unit, split) if by_unit else None
        partner = _partner(own, species, (there.get(near, {}) for near, _ in links.around(at)))
        if partner >= 0:
            found.dropped[row], found.mixed[row] = True, partner


def _partner(
    own: tuple[int, int] | None,
    species: int,
    nodes: Iterable[Mapping[int, Mapping[tuple[int, int], int]]],
) -> int:
    """A row of another species, and not of one's own unit and split; -1 if there is none."""
    for of_species in nodes:
        for other, rows in of_species.items():
            if _differ(species, other):
                for place, row in rows.items():
                    if place != own:
                        return row
    return -1
