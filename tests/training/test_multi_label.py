"""The multi-label loss by itself."""

import math

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from syntype.training.multi_label import mlcd_loss

scores = st.lists(st.floats(-20, 20), min_size=1, max_size=5)


@given(scores, scores)
@settings(max_examples=50, deadline=None)
def test_it_is_the_formula(pulled, pushed):
    loss = mlcd_loss(torch.tensor([pulled]).double(), torch.tensor([pushed]).double())
    p = torch.tensor(pulled).tolist()
    q = torch.tensor(pushed).tolist()
    expected = math.log(1 + sum(math.exp(-s) for s in p)) + math.log(
        1 + sum(math.exp(s) for s in q)
    )
    torch.testing.assert_close(loss.item(), expected)


def test_it_factorises_the_joint_sum():
    """The derivation: (1 + sum_p)(1 + sum_n) = 1 + sum_n sum_p + sum_n + sum_p."""
    p, q = torch.tensor([[0.3, -1.0]]), torch.tensor([[0.7, 0.1, -2.0]])
    down, up = (-p).exp().sum(), q.exp().sum()
    torch.testing.assert_close(mlcd_loss(p, q)[0], torch.log(1 + up * down + up + down))


def test_what_is_missing_counts_nothing_and_nothing_overflows():
    p, q = torch.tensor([[2.0, math.inf]]), torch.tensor([[1.0, -math.inf]])
    torch.testing.assert_close(mlcd_loss(p, q), mlcd_loss(p[:, :1], q[:, :1]))
    extreme = mlcd_loss(torch.tensor([[-300.0]]), torch.tensor([[300.0]]))
    torch.testing.assert_close(extreme, torch.tensor([600.0]))


def test_gradient_is_true_with_missing_entries():
    p = torch.tensor([[0.5, -0.2]], dtype=torch.float64, requires_grad=True)
    q = torch.tensor([[0.1, 0.9, -1.0]], dtype=torch.float64, requires_grad=True)
    gone = torch.tensor([[False, True, False]])
    assert torch.autograd.gradcheck(
        lambda p, q: mlcd_loss(p, q.masked_fill(gone, -math.inf)), (p, q)
    )
