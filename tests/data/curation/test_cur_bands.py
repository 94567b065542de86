"""The search for near hashes is exact, however it is done."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from syntype.data.curation import bands
from syntype.data.curation.bands import Plan, near_among, near_between, plan


def hashes_of(seed: int, n: int, clustered: bool) -> np.ndarray:
    """Random hashes, or such that lie around a few, from nearly alike to unlike."""
    rng = np.random.default_rng(seed)
    if not clustered:
        return rng.integers(0, 256, (n, 32), dtype=np.uint8)
    base = rng.integers(0, 256, (3, 32), dtype=np.uint8)
    noise = rng.random((n, 256)) < rng.choice([0.0, 0.01, 0.05, 0.1, 0.3], (n, 1))
    return base[rng.integers(0, 3, n)] ^ np.packbits(noise, axis=1)


def naive(first: np.ndarray, second: np.ndarray, most: int) -> list[tuple[int, int, int]]:
    apart = np.unpackbits(first[:, None] ^ second[None], axis=2).sum(axis=2, dtype=int)
    return [(i, j, int(apart[i, j])) for i, j in np.argwhere(apart <= most).tolist()]


def plans(most: int) -> list[Plan]:
    """Everything compared; and bands that agree, or nearly, as few and as many as are right."""
    found = [Plan(0, 0, 0)]
    for radius in range(3):
        least = max(4, most // (radius + 1) + 1)
        found += [Plan(least, radius, 0), Plan(least + 3, radius, 0)]
    # Masks of wide bands come by the thousand: as right as the others, and slow.
    return [how for how in found if how.radius < 2 or how.n_bands >= 16]


@settings(max_examples=40, deadline=None)
@given(
    st.integers(0, 9999),
    st.integers(0, 40),
    st.integers(0, 40),
    st.integers(0, 60),
    st.booleans(),
    st.data(),
)
def test_every_way_finds_what_comparing_all_pairs_finds(seed, n, m, most, clustered, data):
    both = hashes_of(seed, n + m, clustered)
    first, second = both[:n], both[n:]
    how = data.draw(st.sampled_from([None, *plans(most)]))
    found = near_among(first, most, how)
    among = [pair for pair in naive(first, first, most) if pair[0] < pair[1]]
    assert list(zip(*map(np.ndarray.tolist, found), strict=True)) == among
    found = near_between(first, second, most, how)
    assert list(zip(*map(np.ndarray.tolist, found), strict=True)) == naive(first, second, most)


@pytest.mark.parametrize("most", [0, 1, 20, 31, 63])
def test_differences_at_the_edge_are_found_wherever_they_lie(most):
    """Hashes that differ in exactly so many bits, dealt out in the worst ways."""
    rng = np.random.default_rng(most)
    n = 60
    first = rng.integers(0, 256, (n, 32), dtype=np.uint8)
    flips = np.zeros((n, 256), np.uint8)
    for row in range(n):
        flips[row, rng.permutation(256)[: most + row % 2]] = 1
        if row % 3 == 0:  # evenly over the bands
            flips[row] = 0
            flips[row, np.arange(most + row % 2) * (256 // (most + 2))] = 1
    second = first ^ np.packbits(flips, axis=1)
    for how in plans(most):
        found = near_between(first, second, most, how)
        assert found.one.tolist() == list(range(0, n, 2))
        assert (found.one == found.other).all()
        assert (found.bits == most).all()


def test_blocks_do_not_show(monkeypatch):
    hashes = hashes_of(5, 90, clustered=True)
    how = Plan(21, 0, 0)
    whole = near_among(hashes, 20, how)
    assert len(whole.one) > 100
    monkeypatch.setattr(bands, "_BLOCK", 7)
    for one, other in zip(whole, near_among(hashes, 20, how), strict=True):
        np.testing.assert_array_equal(one, other)


def test_words_are_counted_without_numpy_2(monkeypatch):
    hashes = hashes_of(6, 50, clustered=True)
    words = bands.words(hashes)
    counted = bands.bits_apart(words, words[:1])
    monkeypatch.delattr(np, "bitwise_count", raising=False)
    np.testing.assert_array_equal(bands.bits_apart(words, words[:1]), counted)
    assert counted.tolist() == [len(set_) for set_ in _differing(hashes)]


def _differing(hashes):
    rows = np.unpackbits(hashes, axis=1)
    return [np.flatnonzero(row != rows[0]) for row in rows]


def test_large_sets_are_not_compared_pair_by_pair():
    assert plan(100, 100, 20, among=True).n_bands == 0
    for n in (10**6, 10**7):
        for most in (9, 20, 31):
            how = plan(n, n, most, among=True)
            assert how.n_bands * (how.radius + 1) > most
            assert how.cost < n * n / 100
