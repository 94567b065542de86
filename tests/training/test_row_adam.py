"""Adam by rows: torch's where all rows take part, rest where they do not."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from syntype.training.row_adam import RowAdam
from syntype.training.sampling import generator


def gradients(n_steps, seed=0):
    source = generator(seed, "gradients")
    return torch.randn(n_steps, 5, 3, generator=source, dtype=torch.float64)


def torchs(start, given_gradients, lr):
    weight = torch.nn.Parameter(start.clone())
    adam = torch.optim.Adam([weight], lr=lr)
    for gradient in given_gradients:
        weight.grad = gradient.clone()
        adam.step()
    return weight.detach()


def test_with_all_rows_it_is_adam():
    start, many = gradients(1)[0], gradients(30, seed=1)
    ours, adam = start.clone(), RowAdam(start)
    for gradient in many:
        adam.step(ours, gradient, 0.05)
    torch.testing.assert_close(ours, torchs(start, many, 0.05))


@given(st.lists(st.lists(st.booleans(), min_size=5, max_size=5), min_size=1, max_size=8))
@settings(max_examples=40, deadline=None)
def test_each_row_lives_as_if_the_steps_without_it_had_never_been(parts):
    start, many = gradients(1)[0], gradients(len(parts), seed=2)
    ours, adam = start.clone(), RowAdam(start)
    for gradient, part in zip(many, parts, strict=True):
        rows = torch.tensor(part).nonzero().flatten()
        adam.step(ours, gradient[rows], 0.05, rows)
    for row in range(5):
        own = [gradient[row] for gradient, part in zip(many, parts, strict=True) if part[row]]
        torch.testing.assert_close(ours[row], torchs(start[row], own, 0.05))
