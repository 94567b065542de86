"""Bursts, caps, cosines and the long tail, each beside a naive computation."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from syntype.configs.curate import CurateConfig
from syntype.data.curation import cosine
from syntype.data.curation.bursts import burst_codes, moment
from syntype.data.curation.caps import farthest, over_cap
from syntype.data.curation.cosine import Vectors, near_by_cosine
from syntype.data.curation.tail import long_tail
from syntype.errors import UsageError


@pytest.mark.parametrize(
    ("text", "gap", "seconds"),
    [
        ("1970-01-01T00:00:09Z", 5.0, 9),
        ("1970-01-01 00:01:00", 5.0, 60),
        ("1970-01-01T01:00:00.5+01:00", 5.0, 0.5),
        ("1970-01-01T00:30:00-0030", 5.0, 3600),
        ("1970-01-01T00:01", 60.0, 60),
        ("1970-01-01T00:01", 59.0, None),
        ("1970-01-02T00:00:00Z", 5.0, None),
        ("1970-01-02T00:00", 90.0, None),
        ("1970-01-02", 5.0, None),
        ("1970-01-01T10:00:00/1970-01-01T11:00:00", 5.0, None),
        ("1970-13-01T10:00:00", 5.0, None),
        ("1970-01-01T25:00:00", 5.0, None),
        ("", 5.0, None),
    ],
)
def test_a_moment_is_a_time_of_day_and_nothing_else_is(text, gap, seconds):
    found, _ = moment(text, gap)
    assert math.isnan(found) if seconds is None else found == seconds
    assert moment("2020-01-01T10:00:00Z", 5.0)[1]
    assert not moment("2020-01-01T10:00:00", 5.0)[1]


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 2), st.one_of(st.none(), st.integers(0, 30))), max_size=20)
)
def test_bursts_are_chains_of_one_camera(rows):
    camera = np.array([one for one, _ in rows], dtype=np.uint64)
    seconds = np.array([math.nan if at is None else at for _, at in rows], dtype=np.float64)
    codes = burst_codes(camera, seconds, 3.0)
    counts = [i for i in range(len(rows)) if camera[i] and not math.isnan(seconds[i])]
    assert [i for i in range(len(rows)) if codes[i] >= 0] == counts
    together = {i: {i} for i in counts}
    for i in counts:
        for j in counts:
            if camera[i] == camera[j] and abs(seconds[i] - seconds[j]) <= 3:
                joined = together[i] | together[j]
                together |= dict.fromkeys(joined, joined)
    for i in counts:
        assert {j for j in counts if codes[j] == codes[i]} == together[i]


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 999), st.integers(0, 25), st.integers(1, 6))
def test_a_cap_leaves_so_many_and_those_that_differ_most(seed, n, most):
    rng = np.random.default_rng(seed)
    words = rng.integers(0, 2**20, (n, 4)).astype(np.uint64)
    hashed = rng.random(n) < 0.7
    kind, place = rng.integers(-1, 3, n), rng.permutation(n)
    gone = over_cap(kind, most, place, words, hashed)
    assert not gone[kind == -1].any()
    bits = np.unpackbits(words.view(np.uint8).reshape(-1, 32), axis=1).astype(int)
    for one in range(3):
        rows = np.flatnonzero(kind == one)
        rows = rows[np.argsort(place[rows])]
        stays: list[int] = []
        while len(stays) < min(most, len(rows)):
            left = [row for row in rows.tolist() if row not in stays]
            chosen = [row for row in stays if hashed[row]]
            far = [
                min((int((bits[row] != bits[c]).sum()) for c in chosen), default=999)
                if hashed[row]
                else -1
                for row in left
            ]
            stays.append(left[int(np.argmax(far))])
        assert set(rows[~gone[rows]].tolist()) == set(stays)


def test_the_first_of_a_kind_is_the_first_in_order():
    words = np.zeros((3, 4), np.uint64)
    assert farthest(words, np.array([False, True, True]), 3).tolist() == [1, 2, 0]


def vectors_of(matrix):
    return Vectors([str(row) for row in range(len(matrix))], lambda rows: matrix[rows])


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 999), st.integers(0, 30), st.integers(0, 30))
def test_cosines_are_those_of_all_pairs(seed, n, m):
    rng = np.random.default_rng(seed)
    both = rng.normal(size=(n + m, 3)).astype(np.float32)
    both /= np.linalg.norm(both, axis=1, keepdims=True)
    first, second = both[:n], both[n:]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cosine, "_BLOCK_CELLS", 49)
        among = near_by_cosine(vectors_of(first), 0.8)
        between = near_by_cosine(vectors_of(first), 0.8, vectors_of(second))
    expected = [(i, j) for i, j in np.argwhere(first @ first.T >= 0.8).tolist() if i < j]
    assert list(zip(among.one.tolist(), among.other.tolist(), strict=True)) == expected
    expected = [(i, j) for i, j in np.argwhere(first @ second.T >= 0.8).tolist()]
    assert list(zip(between.one.tolist(), between.other.tolist(), strict=True)) == expected


def test_the_long_tail_before_and_after():
    species = np.array([0, 1, 1, 1, 2, 2, 3])
    kept = np.array([True, True, True, False, False, False, True])
    found = long_tail(species, kept, ["", "A", "B", "C"])
    assert list(found.names) == ["A", "B", "C"]
    assert found.before.tolist() == [3, 2, 1]
    assert found.after.tolist() == [2, 0, 1]
    numbers = found.as_json()
    assert numbers["speciesLost"] == 1
    assert numbers["before"]["singletons"] == numbers["after"]["singletons"] == 1
    assert numbers["after"] | {"species": 2, "pictures": 3, "withoutSpecies": 1} == numbers["after"]
    curve = found.curve()
    assert [column.tolist() for column in curve] == [[1, 2, 3], [3, 2, 1], [2, 1, 0]]
    assert len(found.curve(2).rank) == 2


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"min_side": -1}, "min-side"),
        ({"blank": 300.0}, "blank"),
        ({"near": 64}, "near"),
        ({"against_near": -2}, "against-near"),
        ({"cosine": 0.0}, "cosine"),
        ({"per_unit": -1}, "per-unit"),
        ({"per_burst": 3}, "burst-seconds"),
        ({"burst_seconds": 3.0}, "per-burst"),
    ],
)
def test_options_that_cannot_be_are_refused(options, word):
    with pytest.raises(UsageError, match=word):
        CurateConfig(**options)
