"""Caps: at most so many pictures of a kind, those that differ most.

The first is the one that would be kept of copies; each further one is the picture whose nearest
among the chosen is farthest by perceptual hash (farthest-first, Gonzalez 1985), ties by the order
of keeping. So a burst of a hundred frames gives its most different moments, and the same ones on
every machine. Pictures without a hash, and rows whose medium is not here, come last, by the order
of keeping. Caps count within a split: a cap on species never eats the test set.

The work is the pictures of a kind times the cap.

n rows
"""

import numpy as np
from jaxtyping import Bool, Int, UInt64

from syntype.data.curation.bands import bits_apart


def over_cap(
    kind: Int[np.ndarray, "n"],
    most: int,
    place: Int[np.ndarray, "n"],
    hashes: UInt64[np.ndarray, "n 4"],
    hashed: Bool[np.ndarray, "n"],
) -> Bool[np.ndarray, "n"]:
    """The rows that go so that no kind has more than `most`.

    Args:
        kind: Number of each row's kind; -1 is no kind and stays.
        most: Rows of a kind that stay.
        place: The order of keeping.
        hashes: Perceptual hashes.
        hashed: Which rows have one.
    """
    gone = np.zeros(len(kind), dtype=bool)
    order = np.lexsort((place, kind))
    kinds = kind[order]
    starts = np.flatnonzero(np.r_[True, kinds[1:] != kinds[:-1]]) if len(kinds) else kinds
    stops = np.r_[starts[1:], len(kinds)] if len(kinds) else kinds
    for start, stop in zip(starts.tolist(), stops.tolist(), strict=True):
        if kinds[start] >= 0 and stop - start > most:
            rows = order[start:stop]
            gone[rows] = True
            gone[rows[farthest(hashes[rows], hashed[rows], most)]] = False
    return gone


def farthest(
    hashes: UInt64[np.ndarray, "n 4"], hashed: Bool[np.ndarray, "n"], most: int
) -> Int[np.ndarray, "k"]:
    """The rows that differ most, in the order in which they are chosen.

    Args:
        hashes: Of the rows in the order of keeping.
        hashed: Which rows have one.
        most: How many to choose.
    """
    chosen: list[int] = []
    # More than any distance: the first row with a hash is chosen first.
    nearest = np.where(hashed, 257, -1)
    while len(chosen) < min(most, len(hashes)):
        row = int(nearest.argmax())
        chosen.append(row)
        if hashed[row]:
            apart = bits_apart(hashes, hashes[row : row + 1])
            nearest = np.where(hashed, np.minimum(nearest, apart), nearest)
        nearest[chosen] = -2
    return np.array(chosen, dtype=np.int64)
