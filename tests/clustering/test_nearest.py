"""The exact search against the naive one."""

import sys
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parent))
from clustering_data import noise

from syntype.clustering import nearest as module
from syntype.clustering.nearest import assign
from syntype.errors import UsageError


@settings(max_examples=25, deadline=None)
@given(n=st.integers(1, 60), k=st.integers(1, 40), top=st.integers(1, 8), seed=st.integers(0, 99))
def test_assign_is_the_naive_sort(n, k, top, seed):
    top = min(top, k)
    vectors, centres = noise(n, 7, seed), noise(k, 7, seed + 1000)
    labels, cosines = assign(vectors, centres, top=top)
    expected = (vectors.double() @ centres.double().T).sort(dim=1, descending=True)
    assert torch.allclose(cosines.double(), expected.values[:, :top], atol=1e-6)
    taken = (vectors.double() @ centres.double().T).gather(1, labels)
    assert torch.allclose(taken, cosines.double(), atol=1e-6)
    assert all(len(set(row)) == top for row in labels.tolist()), "no label twice"


@pytest.mark.parametrize("top", [1, 3])
def test_tiles_and_blocks_leave_no_seam(top, monkeypatch):
    vectors, centres = noise(5000, 8), noise(700, 8, 1)
    whole = assign(vectors, centres, top=top)
    monkeypatch.setattr(module, "_TILE_CENTRES", {"cpu": 64, "other": 64})
    tiled = assign(vectors, centres, top=top)
    assert torch.equal(whole[0], tiled[0])
    assert torch.allclose(whole[1], tiled[1])


@pytest.mark.parametrize("top", [1, 2])
def test_equal_centres_are_taken_by_index(top):
    centres = torch.tensor([[1.0, 0], [0, 1], [1, 0], [0, 1]])
    labels, _ = assign(torch.tensor([[1.0, 0], [0, 1]]), centres, top=top)
    assert labels.tolist() == [row[:top] for row in ([0, 2], [1, 3])]


@pytest.mark.parametrize("top", [0, 5])
def test_labels_must_be_there_to_be_taken(top):
    with pytest.raises(UsageError, match=r"--cluster\.top must lie between 1 and 4"):
        assign(noise(3, 4), noise(4, 4), top=top)
