"""Exact copies: pictures whose bytes are the same.

A copy in train of a picture in test is a leak, and a copy beside a picture in test is a neighbour
that proves nothing. Hence two rules:

    across splits   the copy stays where it matters most (test before val before train) and goes
                    from the others, so that test is whole; each is told by name
    within a split  copies stay, but become one unit: no split cuts them, and evaluation leaves a
                    picture's own unit out when it looks for neighbours

Copies under different labels are told, too: at least one of the labels is wrong.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from syntype.data.dataset import Dataset

_MATTERS = {"test": 0, "val": 1, "train": 2}
_LISTED = 1000


def copies(dataset: Dataset) -> list[list[int]]:
    """Row numbers of the pictures that are copies of each other, two or more in each list."""
    rows = defaultdict(list)
    for row, digest in enumerate(dataset.column("imageDigest")):
        if digest:
            rows[digest].append(row)
    return [found for found in rows.values() if len(found) > 1]


def leaks(dataset: Dataset) -> np.ndarray:
    """Row numbers of the copies that must go: the same picture stands in a split that matters more.

    Rows without a split neither leak nor go.
    """
    splits = dataset.column("split")
    gone = []
    for rows in copies(dataset):
        placed = [row for row in rows if splits[row]]
        first = min((_MATTERS[splits[row]] for row in placed), default=0)
        gone += [row for row in placed if _MATTERS[splits[row]] > first]
    return np.array(sorted(gone), dtype=np.int64)


def joined_units(dataset: Dataset) -> list[str]:
    """The unit of each row, where units that share a picture are one.

    It is named after the first of them in the alphabet.
    """
    units: Sequence[str] = dataset.column("unit").tolist()
    parent: dict[str, str] = {}

    def root(unit: str) -> str:
        while (above := parent.get(unit, unit)) != unit:
            parent[unit] = parent.get(above, above)
            unit = above
        return unit

    for rows in copies(dataset):
        for row in rows[1:]:
            first, second = sorted((root(units[rows[0]]), root(units[row])))
            if first != second:
                parent[second] = first
    return [root(unit) for unit in units]


def duplicates_notes(dataset: Dataset, gone: np.ndarray) -> Mapping[str, Any]:
    """Notes on the copies in `dataset`, of which the rows `gone` are taken out.

    Returns:
        Under `pictures` the number of pictures that stand more than once, `copies` the further
        rows of these, `leaks` the rows taken out, each with id, split and the id and split of
        the copy that stays, `labelsDiffer` the ids of copies under several labels.
    """
    groups = copies(dataset)
    ids, splits, species = dataset.ids, dataset.column("split"), dataset.column("species")
    leaving = set(gone.tolist())
    listed = []
    for rows in groups:
        stays = next((row for row in rows if splits[row] and row not in leaving), None)
        listed += [
            {
                "id": ids[row],
                "split": splits[row],
                "copyOf": ids[stays],
                "copySplit": splits[stays],
            }
            for row in rows
            if row in leaving and stays is not None
        ]
    differ = [sorted(ids[row] for row in rows) for rows in groups if len(set(species[rows])) > 1]
    return {
        "pictures": len(groups),
        "copies": sum(len(rows) - 1 for rows in groups),
        "nLeaks": len(leaving),
        "leaks": sorted(listed, key=lambda row: row["id"])[:_LISTED],
        "labelsDiffer": sorted(differ)[:_LISTED],
    }
