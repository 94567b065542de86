"""All pairs of hashes that differ in few bits, exactly, without comparing all pairs.

Multi-index hashing (Norouzi, Punjani and Fleet 2012), as a join of sorted tables. The 256 bits are
dealt out to m bands. Two hashes that differ in at most `most` bits differ in at most r bits in some
band if m (r + 1) > most, for otherwise each of the m bands would hold r + 1 or more of the
differences. So the hashes are sorted by each band in turn, and those are compared whose bands agree
but for r bits: for every mask of at most r bits the band with the mask turned over is looked up.
A pair that several bands show is told by the first. Band k takes the bits k, k + m, k + 2m ..., so
that neighbouring frequencies, which often agree, do not share one.

m and r are chosen by a count of the work, from the number of hashes. Below that of all products,
`near_pairs` does it. LOG.md has the speed. Memory beyond the hashes: 30 bytes a hash, the pairs
found, and blocks of about 2^20 comparisons.

n hashes, m others, p pairs
"""

from collections.abc import Iterator
from itertools import combinations
from math import comb
from typing import NamedTuple

import numpy as np
from jaxtyping import Int, Int64, UInt8, UInt64

from syntype.data.perceptual import BITS, near_pairs

_BLOCK = 2**20  # comparisons held at a time
_MOST_RADIUS = 2
# What a step of each kind costs, in units of one comparison; measured on one processor.
_COST_LOOKUP, _COST_SORT, _COST_PRODUCT = 0.8, 2.5, 0.4


class Pairs(NamedTuple):
    """Pairs of near hashes.

    Attributes:
        one: Rows of the first.
        other: Rows of the second.
        bits: In which they differ.
    """

    one: Int64[np.ndarray, "p"]
    other: Int64[np.ndarray, "p"]
    bits: Int64[np.ndarray, "p"]


class Plan(NamedTuple):
    """How the 256 bits are searched.

    Attributes:
        n_bands: m; 0 compares all pairs.
        radius: r, bits by which a band may differ.
        cost: Of the search, in comparisons.
    """

    n_bands: int
    radius: int
    cost: float


def plan(n: int, m: int, most: int, *, among: bool = False) -> Plan:
    """The cheapest way to compare n hashes with m others.

    Args:
        n: Hashes.
        m: Others.
        most: Bits by which near ones may differ.
        among: Whether both are the same, so that each pair is met once.
    """
    plans = [Plan(0, 0, _COST_PRODUCT * n * m)]
    share = 0.5 if among else 1.0
    for radius in range(_MOST_RADIUS + 1):
        n_bands = max(4, most // (radius + 1) + 1)  # 64 bits a band at most, a word
        width = -(-BITS // n_bands)
        n_masks = sum(comb(width, k) for k in range(radius + 1))
        lookups = share * n_bands * n_masks * n
        compared = lookups * m / 2.0 ** (BITS // n_bands)
        sorting = _COST_SORT * n_bands * (n + (0 if among else m))
        plans.append(Plan(n_bands, radius, compared + _COST_LOOKUP * lookups + sorting))
    return min(plans, key=lambda one: one.cost)


def near_among(hashes: UInt8[np.ndarray, "n 32"], most: int, how: Plan | None = None) -> Pairs:
    """All pairs of `hashes` that differ in `most` bits or fewer; `one` is less than `other`.

    Args:
        hashes: 256 bits each.
        most: Bits by which near ones may differ.
        how: How to search; None takes the cheapest.

    Returns:
        Ordered by `one`, then `other`.
    """
    return _search(hashes, None, most, how)


def near_between(
    first: UInt8[np.ndarray, "n 32"],
    second: UInt8[np.ndarray, "m 32"],
    most: int,
    how: Plan | None = None,
) -> Pairs:
    """All pairs of a hash of `first` and one of `second` that differ in `most` bits or fewer.

    Args:
        first: 256 bits each.
        second: Likewise.
        most: Bits by which near ones may differ.
        how: How to search; None takes the cheapest.

    Returns:
        Ordered by `one`, then `other`.
    """
    return _search(first, second, most, how)


def bits_apart(
    first: UInt64[np.ndarray, "n 4"], second: UInt64[np.ndarray, "_ 4"]
) -> Int64[np.ndarray, "n"]:
    """The bits in which each row of `first` differs from that of `second`, or from its only row."""
    differ = first ^ second
    if hasattr(np, "bitwise_count"):  # numpy 2
        counts = np.bitwise_count(differ).astype(np.int64)
        # Twelve times as fast as a sum over so short an axis.
        return counts[:, 0] + counts[:, 1] + counts[:, 2] + counts[:, 3]
    return np.unpackbits(differ.view(np.uint8), axis=1).sum(axis=1, dtype=np.int64)


def words(hashes: UInt8[np.ndarray, "n 32"]) -> UInt64[np.ndarray, "n 4"]:
    """Hashes as four words each."""
    return np.ascontiguousarray(hashes).view(np.uint64)


def _search(
    first: UInt8[np.ndarray, "n 32"],
    second: UInt8[np.ndarray, "m 32"] | None,
    most: int,
    how: Plan | None,
) -> Pairs:
    assert 0 <= most < BITS
    others = first if second is None else second
    if len(first) == 0 or len(others) == 0:
        return Pairs(*(np.empty(0, np.int64) for _ in range(3)))
    how = how or plan(len(first), len(others), most, among=second is None)
    if how.n_bands == 0:
        one, other, bits = near_pairs(first, others, most)
        kept = one < other if second is None else np.ones(len(one), dtype=bool)
        return Pairs(one[kept], other[kept], bits[kept])
    assert how.n_bands * (how.radius + 1) > most, "some pairs would not be found"
    one_words, other_words = words(first), words(others)
    bands = _bands(how.n_bands)
    found = []
    for band in range(how.n_bands):
        for one, other in _agreeing(first, second, bands, band, how.radius):
            # `take` is six times as fast as brackets here.
            bits = bits_apart(one_words.take(one, axis=0), other_words.take(other, axis=0))
            near = bits <= most
            if near.any():
                found.append(np.stack([one[near], other[near], bits[near]]))
                earlier = _shown_before(one_words, other_words, found[-1], bands[:band], how.radius)
                found[-1] = found[-1][:, ~earlier]
    pairs = np.concatenate(found, axis=1) if found else np.empty((3, 0), np.int64)
    order = np.lexsort((pairs[1], pairs[0]))
    return Pairs(*pairs[:, order])


def _bands(n_bands: int) -> list[Int[np.ndarray, "_"]]:
    """The bits of each band."""
    return [np.arange(band, BITS, n_bands) for band in range(n_bands)]


def _keys(hashes: UInt8[np.ndarray, "n 32"], bits: Int[np.ndarray, "_"]) -> np.ndarray:
    """The bits of a band as one number a hash."""
    kind = np.dtype(np.uint32 if len(bits) <= 32 else np.uint64)
    keys: np.ndarray = np.zeros(len(hashes), kind)
    for place, bit in enumerate(bits.tolist()):
        column = (hashes[:, bit // 8] >> np.uint8(7 - bit % 8)) & np.uint8(1)
        keys |= np.left_shift(column.astype(kind), kind.type(place))
    return keys


def _agreeing(
    first: UInt8[np.ndarray, "n 32"],
    second: UInt8[np.ndarray, "m 32"] | None,
    bands: list[Int[np.ndarray, "_"]],
    band: int,
    radius: int,
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Pairs whose band agrees but for `radius` bits, in blocks, each pair once."""
    keys = _keys(first, bands[band])
    order = np.argsort(keys, kind="stable").astype(np.int32)
    keys = keys[order]
    other_keys, other_order = keys, order
    if second is not None:
        other_keys = _keys(second, bands[band])
        other_order = np.argsort(other_keys, kind="stable").astype(np.int32)
        other_keys = other_keys[other_order]
    width = len(bands[band])
    for size in range(radius + 1):
        for places in combinations(range(width), size):
            mask = keys.dtype.type(sum(1 << place for place in places))
            # Of the two hashes of a pair, the one without the mask's first bit looks for both.
            skip = keys.dtype.type(1 << places[0] if second is None and size else 0)
            for one, other in _joined(keys, skip, other_keys, mask, second is None and not size):
                pair = order[one], other_order[other]
                if second is None:
                    yield np.minimum(*pair), np.maximum(*pair)
                else:
                    yield pair


def _joined(
    keys: np.ndarray, skip: np.generic, other_keys: np.ndarray, mask: np.generic, within: bool
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Rows of a sorted table and those of another whose key is the same but for the mask.

    Rows whose key has the bit `skip` are left out.
    """
    for start in range(0, len(keys), _BLOCK):
        block = np.flatnonzero((keys[start : start + _BLOCK] & skip) == 0) + start
        wanted = keys[block] ^ mask
        low = np.searchsorted(other_keys, wanted, side="left")
        # Most have none: the far end is looked up only where there is a near one.
        there = low < len(other_keys)
        there[there] = other_keys[low[there]] == wanted[there]
        block, wanted, low = block[there], wanted[there], low[there]
        high = np.searchsorted(other_keys, wanted, side="right")
        if within:
            low = block + 1
        yield from _spread(block, low, high)


def _spread(
    rows: np.ndarray, low: np.ndarray, high: np.ndarray
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Each row with all numbers from its `low` up to its `high`, about a block at a time."""
    counts = high - low
    rows, low, counts = rows[counts > 0], low[counts > 0], counts[counts > 0]
    ends = np.cumsum(counts)
    start = 0
    while start < len(rows):
        done = int(ends[start - 1]) if start else 0
        stop = max(start + 1, int(np.searchsorted(ends, done + _BLOCK, side="right")))
        n = counts[start:stop]
        begins = low[start:stop] - (np.cumsum(n) - n)
        yield np.repeat(rows[start:stop], n), np.arange(int(n.sum())) + np.repeat(begins, n)
        start = stop


def _shown_before(
    first: UInt64[np.ndarray, "n 4"],
    second: UInt64[np.ndarray, "m 4"],
    pairs: Int[np.ndarray, "3 p"],
    bands: list[Int[np.ndarray, "_"]],
    radius: int,
) -> np.ndarray:
    """Which pairs an earlier band has shown already."""
    differ = first[pairs[0]] ^ second[pairs[1]]
    before = np.zeros(pairs.shape[1], dtype=bool)
    for bits in bands:
        mask = np.zeros(BITS, np.uint8)
        mask[bits] = 1
        inside = differ & np.packbits(mask).view(np.uint64)
        before |= bits_apart(inside, np.zeros((1, 4), np.uint64)) <= radius
    return before
