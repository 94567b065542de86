"""First centres: distinct, nested, spread."""

import sys
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parent))
from clustering_data import mixture, noise

from syntype.clustering import seeding
from syntype.clustering.nearest import nearest
from syntype.clustering.rows import Rows
from syntype.clustering.seeding import seeds


@settings(max_examples=20, deadline=None)
@given(
    n=st.integers(1, 400),
    share=st.floats(0, 1),
    copies=st.integers(1, 2),
    init=st.sampled_from(["plus-plus", "subset"]),
    seed=st.integers(0, 9),
)
def test_seeds_are_distinct_and_the_first_ones_serve_a_smaller_k(n, share, copies, init, seed):
    rows = Rows(noise(n, 5, seed).repeat(copies, 1))
    all_of_them = seeds(rows, n, init, seed)
    assert len({tuple(row) for row in rows.take(all_of_them).tolist()}) == n
    k = 1 + round(share * (n - 1))
    assert torch.equal(seeds(rows, k, init, seed), all_of_them[:k])


def test_they_nest_when_the_sample_grows_too(monkeypatch):
    monkeypatch.setattr(seeding, "_SMALLEST_SAMPLE", 100)
    rows = Rows(mixture(5000, 8, 50))
    largest = seeds(rows, 1500, "plus-plus", 0)
    for k in (5, 64, 65, 700):
        assert torch.equal(seeds(rows, k, "plus-plus", 0), largest[:k])


def test_plus_plus_covers_better_than_an_even_draw():
    rows = Rows(mixture(4000, 16, 60, spread=0.2))
    cover = {
        init: sum(
            float(nearest(rows, rows.take(seeds(rows, 60, init, seed)))[1].mean())
            for seed in range(4)
        )
        for init in ("plus-plus", "subset")
    }
    assert cover["plus-plus"] > cover["subset"] * 1.02


def test_negative_zero_is_zero():
    rows = Rows(torch.tensor([[1.0, 0.0], [1.0, -0.0], [0.0, 1.0]]))
    assert rows.distinct(torch.arange(3), 3).tolist() == [0, 2]


@pytest.mark.parametrize("n_wanted", [1, 3])
def test_reading_ends_when_enough_are_found(n_wanted):
    rows = Rows(noise(10, 4))
    assert rows.distinct(torch.arange(10), n_wanted).tolist() == list(range(n_wanted))
