"""Cosines taken block by block give what all of them at once give, and never hold more."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils._python_dispatch import TorchDispatchMode

from syntype.training.negatives import Rules, contest
from syntype.training.sampling import generator


def world(n, k, d, width, seed):
    """Vectors, centres and labels; the last label of the first sample is missing."""
    source = generator(seed, "world")
    vectors = torch.randn(n, d, generator=source, dtype=torch.float64, requires_grad=True)
    centres = torch.randn(k, d, generator=source, dtype=torch.float64, requires_grad=True)
    labels = torch.rand(n, k, generator=source).topk(width).indices
    labels[0, 1:] = -1
    return vectors, centres, labels


def everything(vectors, centres, labels, rules, cells):
    """All that comes out, and both gradients of a sum that weighs every number differently."""
    vectors.grad = centres.grad = None
    found = contest(vectors, centres, labels, rules, cells)
    pushed = found.pushed.masked_fill(torch.isinf(found.pushed), 0)
    weights = torch.arange(1.0, len(labels) + 1, dtype=torch.float64)
    ((found.own * weights[:, None]).sum() + (pushed * weights).sum()).backward()
    return [*vars(found).values(), vectors.grad.clone(), centres.grad.clone()]


@given(
    st.integers(1, 7),
    st.integers(3, 20),
    st.integers(1, 3),
    st.integers(1, 60),
    st.sampled_from([0.0, 0.1]),
    st.booleans(),
    st.booleans(),
    st.booleans(),
    st.integers(0, 1000),
)
@settings(max_examples=120, deadline=None)
def test_blocks_change_nothing(n, k, width, cells, threshold, stay, draw, narrow, seed):
    vectors, centres, labels = world(n, k, 5, width, seed)
    source = generator(seed, "kept")
    kept = torch.rand(n, k, generator=source) < 0.5 if draw else None
    features = torch.tensor([0, 2, 3]) if narrow else None
    rules = Rules(9.0, threshold, stay, kept, features)
    whole = everything(vectors, centres, labels, rules, n * k)
    blocks = everything(vectors, centres, labels, rules, cells)
    for one, other in zip(whole, blocks, strict=True):
        torch.testing.assert_close(one.detach(), other.detach())


def test_a_sample_without_negatives_is_pushed_by_nothing():
    vectors, centres, labels = world(2, 3, 5, 1, 0)
    kept = torch.zeros(2, 3, dtype=torch.bool).scatter(1, labels, True)
    found = contest(vectors, centres, labels, Rules(9.0, kept=kept))
    assert found.pushed.tolist() == [-math.inf] * 2
    assert found.live.tolist() == [0, 0]
    (torch.logaddexp(found.own[:, 0], found.pushed)).sum().backward()
    assert torch.isfinite(vectors.grad).all()
    assert torch.isfinite(centres.grad).all()


@pytest.mark.parametrize("scale", [1.0, 64.0, 1000.0])
def test_large_scales_do_not_overflow(scale):
    vectors, centres, labels = world(4, 30, 5, 2, 1)
    centres.data[:4] = vectors.data  # a negative that a sample lies on
    found = contest(vectors, centres, labels, Rules(scale), cells=20)
    dense = torch.nn.functional.normalize(vectors) @ torch.nn.functional.normalize(centres).T
    for row in range(4):
        own = labels[row][labels[row] >= 0]
        others = torch.ones(30, dtype=torch.bool)
        others[own] = False
        torch.testing.assert_close(
            found.pushed[row], torch.logsumexp(scale * dense[row][others], 0)
        )
    found.pushed.sum().backward()
    assert torch.isfinite(vectors.grad).all()


class Largest(TorchDispatchMode):
    """Notes the largest tensor that any operation makes."""

    def __init__(self):
        super().__init__()
        self.numbers = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        for one in result if isinstance(result, tuple | list) else [result]:
            if isinstance(one, torch.Tensor):
                self.numbers = max(self.numbers, one.numel())
        return result


def test_no_tensor_is_larger_than_a_block_or_the_centres():
    vectors, centres, labels = world(64, 5000, 4, 1, 0)
    with Largest() as largest:
        found = contest(vectors, centres, labels, Rules(9.0), cells=1000)
        found.pushed.sum().backward()
    assert largest.numbers <= max(centres.numel(), 1000)
