"""Partial classes and features: who is in, how many, and always the same."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from syntype.configs import LossConfig
from syntype.training.sampling import batch_classes, budget, draw, generator, sample_classes

shares = st.floats(0.01, 1)


@st.composite
def label_sets(draw_from):
    n_classes = draw_from(st.integers(3, 60))
    n, width = draw_from(st.integers(1, 12)), draw_from(st.integers(1, 3))
    seed = draw_from(st.integers(0, 99))
    lots = torch.rand(n, n_classes, generator=generator(seed, "labels"))
    return n_classes, lots.topk(width).indices


@given(label_sets(), shares, st.integers(0, 5))
@settings(max_examples=60, deadline=None)
def test_batch_classes_hold_the_positives_and_fill_the_budget(given_labels, share, seed):
    n_classes, labels = given_labels
    classes = batch_classes(labels, n_classes, share, generator(seed, "x"))
    positives = set(labels.flatten().tolist())
    assert positives <= set(classes.tolist())
    assert len(classes) == max(len(positives), budget(share, n_classes))
    assert torch.equal(classes, classes.unique())  # ascending, each once


def test_positives_beyond_the_budget_come_alone():
    classes = batch_classes(torch.tensor([[3], [5], [7]]), 20, 0.1, generator(0, "x"))
    assert classes.tolist() == [3, 5, 7]


@pytest.mark.parametrize(("share", "total", "expected"), [(0.1, 30, 3), (0.1, 31, 4), (0.01, 5, 1)])
def test_budget_rounds_up_but_not_for_floating_point(share, total, expected):
    assert budget(share, total) == expected


def test_other_classes_are_drawn_evenly():
    counts = torch.zeros(50)
    for seed in range(400):
        counts[batch_classes(torch.tensor([[0]]), 50, 0.2, generator(seed, "x"))] += 1
    assert counts[0] == 400
    assert (counts[1:] / 400 - 9 / 49).abs().max() < 0.08


@given(label_sets(), shares)
@settings(max_examples=40, deadline=None)
def test_every_sample_keeps_its_own_classes(given_labels, share):
    n_classes, labels = given_labels
    kept = sample_classes(labels, n_classes, share, generator(0, "x"))
    assert kept.gather(1, labels).all()


@pytest.mark.parametrize("share", [0.05, 0.1, 0.5])
@pytest.mark.parametrize("width", [1, 4])
def test_samples_keep_the_share_in_expectation(share, width):
    labels = torch.rand(400, 200, generator=generator(1, "l")).topk(width).indices
    kept = sample_classes(labels, 200, share, generator(0, "x")).float()
    assert kept.mean().item() == pytest.approx(share, rel=0.05)
    assert kept.sum(1).std() > 0  # each sample draws by itself


def test_lots_are_drawn_for_a_few_samples_at_a_time(monkeypatch):
    labels = torch.rand(40, 300, generator=generator(1, "l")).topk(2).indices
    whole = sample_classes(labels, 300, 0.3, generator(0, "x"))
    monkeypatch.setattr("syntype.training.sampling.CELLS", 1000)
    drawn, rand = [], torch.rand
    monkeypatch.setattr(
        torch, "rand", lambda *sizes, **options: drawn.append(rand(*sizes, **options)) or drawn[-1]
    )
    assert torch.equal(sample_classes(labels, 300, 0.3, generator(0, "x")), whole)
    assert max(part.numel() for part in drawn) <= 1000


def test_a_missing_label_is_no_class():
    labels = torch.tensor([[2, -1]])
    assert batch_classes(labels, 5, 0.2, generator(0, "x")).tolist() == [2]
    kept = sample_classes(labels, 5, 0.2, generator(0, "x"))
    assert kept.nonzero().tolist() == [[0, 2]]


def test_draws_are_named_by_seed_and_step_and_do_not_touch_each_other():
    labels = torch.tensor([[0], [1]])
    config = LossConfig(class_fraction=0.2, feature_fraction=0.25)
    first, again = (draw(labels, 40, 64, config, 3, 7) for _ in range(2))
    assert torch.equal(first.classes, again.classes)
    assert torch.equal(first.features, again.features)
    assert len(first.features) == 16
    assert not torch.equal(first.features, draw(labels, 40, 64, config, 3, 8).features)
    assert not torch.equal(first.features, draw(labels, 40, 64, config, 4, 7).features)
    alone = draw(labels, 40, 64, LossConfig(feature_fraction=0.25), 3, 7)
    assert alone.classes is None
    assert alone.kept is None
    assert torch.equal(first.features, alone.features)


def test_sampling_leaves_the_global_generator_alone():
    before = torch.get_rng_state()
    draw(torch.tensor([[0]]), 9, 9, LossConfig(class_fraction=0.5, feature_fraction=0.5), 0, 0)
    assert torch.equal(before, torch.get_rng_state())
