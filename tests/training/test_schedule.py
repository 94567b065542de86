"""Order of samples, learning rates, groups of the optimiser."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from syntype.configs import TrainConfig
from syntype.training.schedule import (
    batches_per_epoch,
    epoch_batches,
    epoch_rows,
    lr_factor,
    set_lr,
)
from syntype.training.tower import Tower
from syntype.training.tuning import weight_groups


@given(st.integers(2, 500), st.integers(2, 300))
@settings(max_examples=60, deadline=None)
def test_batches_are_even_and_hold_every_row(n, batch_size):
    batches = epoch_batches(np.arange(n), batch_size)
    assert np.concatenate(batches).tolist() == list(range(n))
    sizes = [len(batch) for batch in batches]
    assert min(sizes) >= 2
    assert max(sizes) <= max(batch_size, 3)
    assert max(sizes) - min(sizes) <= 1
    assert len(batches) == batches_per_epoch(n, batch_size)


CLASSES = st.lists(st.integers(0, 6), min_size=2, max_size=200).map(np.array)


@given(CLASSES, st.integers(0, 3))
@settings(max_examples=40, deadline=None)
def test_without_balance_each_sample_comes_once(classes, epoch):
    rows = epoch_rows(classes, "instance", 0, epoch)
    assert sorted(rows.tolist()) == list(range(len(classes)))


@given(CLASSES, st.sampled_from([("square-root", 0.5), ("class", 0.0)]), st.integers(0, 9))
@settings(max_examples=150, deadline=None)
def test_balanced_classes_and_their_samples_come_as_often_as_they_are_due(classes, how, epoch):
    balance, power = how
    n, (names, sizes) = len(classes), np.unique(classes, return_counts=True)
    rows = epoch_rows(classes, balance, 0, epoch)
    assert len(rows) == n
    due = n * sizes**power / (sizes**power).sum()
    times = np.bincount(rows, minlength=n)
    for name, size, wanted in zip(names, sizes, due, strict=True):
        of_class = times[classes == name]
        assert abs(of_class.sum() - wanted) <= 1
        assert of_class.min() >= np.floor(wanted / size - 1e-6)
        assert of_class.max() <= np.ceil(wanted / size + 1e-6)


@pytest.mark.parametrize("balance", ["instance", "square-root", "class"])
def test_order_is_named_by_seed_and_epoch(balance):
    classes = np.arange(50) % 7
    first = epoch_rows(classes, balance, 0, 0)
    assert np.array_equal(first, epoch_rows(classes, balance, 0, 0))
    assert not np.array_equal(first, epoch_rows(classes, balance, 0, 1))
    assert not np.array_equal(first, epoch_rows(classes, balance, 1, 0))


def test_rate_rises_to_its_peak_and_falls_as_a_cosine():
    rates = [lr_factor(step, 100, 0.1) for step in range(100)]
    assert rates[0] == pytest.approx(0.1)
    assert rates[9] == rates[10] == 1
    assert rates[55] == pytest.approx(0.5)
    assert 0 < rates[99] < 0.001
    assert rates[10:] == sorted(rates[10:], reverse=True)


@given(st.integers(1, 50), st.floats(0, 0.999))
@settings(max_examples=50, deadline=None)
def test_every_step_moves(n_steps, warmup):
    assert all(0 < lr_factor(step, n_steps, warmup) <= 1 for step in range(n_steps))


def test_only_matrices_decay():
    module = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    module[0].bias.requires_grad_(False)
    config = TrainConfig(lr=0.002, weight_decay=0.1)
    groups = Tower(module, weight_groups(module, None, config)).optimiser().param_groups
    assert [group["weight_decay"] for group in groups] == [0.1, 0]
    assert [len(group["params"]) for group in groups] == [1, 2]
    set_lr(groups, 0.5)
    assert [group["lr"] for group in groups] == [0.001, 0.001]
