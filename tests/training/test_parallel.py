"""Shares, and a loss that does not care how many processes compute it."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from syntype.configs import TrainConfig
from syntype.training.discrimination import Discrimination
from syntype.training.parallel import SOLO, World
from training.gang import together

N, D = 37, 12
# Three labels a sample, so that the multi-label loss has something to do.
OPTIONS = {
    "plain": {},
    "cosface, multi-label": {"form": "mlcd", "margin_type": "cosface"},
    "classes for the batch": {"class_fraction": 0.4},
    "classes for the sample, features": {
        "class_fraction": 0.5, "class_sampling": "sample", "feature_fraction": 0.5,
    },
    "filter": {"filter": 0.2},
    "filter as published": {"filter": 0.1, "filter_action": "zero"},
    "as published": {"margin_type": "arcface-published", "class_fraction": 0.01},
}  # fmt: skip


@given(n=st.integers(0, 1000), size=st.integers(1, 9))
def test_shares_are_even_and_whole(n, size):
    shares = World(0, size).shares(n)
    rows = [row for share in shares for row in range(n)[share]]
    assert rows == list(range(n))
    lengths = [share.stop - share.start for share in shares]
    assert max(lengths) - min(lengths) <= 1
    assert lengths == sorted(lengths, reverse=True)
    assert [World(rank, size).share(n) for rank in range(size)] == shares


def _collectives(world):
    rows = torch.arange(14.0).reshape(7, 2)
    return {
        "gather": world.gather(rows[world.share(7)], 7),
        "total": world.total(torch.tensor([world.rank + 1])),
        "largest": world.largest(torch.tensor([-1.0 - world.rank])),
        "told": world.told({"first": world.rank}),
        "collect": world.collect(world.rank),
    }


@pytest.mark.parametrize("size", [2, 4])
def test_what_processes_tell_each_other(size):
    for found in together(size, _collectives):
        assert torch.equal(found["gather"], torch.arange(14.0).reshape(7, 2))
        assert found["total"].item() == size * (size + 1) / 2
        assert found["largest"].item() == -1
        assert found["told"] == {"first": 0}
        assert found["collect"] == list(range(size))


def _two_steps(world, n_classes, config, n):
    """Loss, gradients and moved centres of two steps, the first of an uneven batch."""
    source = torch.Generator().manual_seed(3)
    start = torch.randn(n_classes, D, generator=source, dtype=torch.float64)
    labels = torch.rand(N, n_classes, generator=source).topk(3).indices
    vectors = torch.randn(N, D, generator=source, dtype=torch.float64)
    objective = Discrimination(start, labels, config, world).double()
    found = []
    for step, rows in enumerate([np.arange(n), np.arange(n, N)]):
        leaf = vectors[torch.from_numpy(rows)][world.share(len(rows))].requires_grad_()
        figures = objective.pull(leaf, rows, step)
        found.append(
            {
                "gradient": world.gather(leaf.grad, len(rows)),
                "loss": figures.loss,
                "negatives": figures.negatives,
                "accuracy": figures.accuracy,
                "norm": figures.gradient,
            }
        )
        objective.move(1.0)
        centres = objective.centres
        # Adam's first moment holds the gradient itself; its step hardly knows how large that was.
        for name, rows in (("centres", centres.weight), ("moment", centres.optimiser.mean)):
            found[-1][name] = world.gather(rows, n_classes) if objective.is_split else rows.clone()
    return found


@pytest.mark.parametrize("centres", ["split", "copied"])
@pytest.mark.parametrize("size", [2, 4])
def test_loss_and_gradients_are_those_of_one_process(size, centres):
    """Uneven batches, 13 classes that nothing divides, all forms of the loss, in float64."""
    every = [
        replace(TrainConfig(centres=centres, clip=0.05), **options) for options in OPTIONS.values()
    ]

    def work(world):
        return [_two_steps(world, 13, config, 22) for config in every]

    alone = work(SOLO)
    for found in together(size, work):
        for name, one, other in zip(OPTIONS, alone, found, strict=True):
            for step, (expected, other_step) in enumerate(zip(one, other, strict=True)):
                for part, value in expected.items():
                    torch.testing.assert_close(
                        other_step[part], value, rtol=1e-6, atol=1e-9,
                        msg=lambda text, name=name, part=part, step=step: (
                            f"{name}, {part}, step {step}: {text}"
                        ),
                    )  # fmt: skip


def test_a_process_may_have_no_class_at_all():
    config = TrainConfig(centres="split", class_fraction=0.01)

    def work(world):
        return _two_steps(world, 3, config, 22)

    alone = work(SOLO)
    for found in together(4, work):
        for expected, other in zip(alone, found, strict=True):
            torch.testing.assert_close(other["gradient"], expected["gradient"], rtol=1e-6, atol=0)
