"""The loss of a batch against naive formulas, in float64, over all options and masks."""

import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from syntype.configs import LossConfig
from syntype.training.centres import (
    ClassCentres,
    class_means,
    discriminate,
    positives,
    random_centres,
)
from syntype.training.sampling import Draw, draw, generator

N, K, D = 6, 11, 8


def cosines(vectors, centres):
    """All of them, dense."""
    unit = torch.nn.functional.normalize
    return unit(vectors) @ unit(centres).T


def taking_part(centres, drawn):
    """The centres of the drawn classes."""
    return centres if drawn.classes is None else centres[drawn.classes]


def batch(width=1, dtype=torch.float64):
    source = generator(5, "batch")
    vectors = torch.randn(N, D, generator=source, dtype=dtype, requires_grad=True)
    centres = torch.randn(K, D, generator=source, dtype=dtype, requires_grad=True)
    labels = torch.rand(N, K, generator=source).topk(width).indices
    return vectors, centres, labels


def with_margin(cosine, config):
    theta = math.acos(cosine)
    if config.margin_type == "cosface":
        return cosine - config.margin
    return math.cos(theta + config.margin)


def naive(vectors, centres, labels, config, drawn):
    """Loss and mean number of negatives, one number at a time."""
    losses, counts = [], []
    chosen = range(D) if drawn.features is None else drawn.features.tolist()
    for row, vector in enumerate(vectors.tolist()):
        own = [label for label in labels[row].tolist() if label >= 0]
        pull, push, n_live = [], [], 0
        for klass, centre in enumerate(centres.tolist()):
            x, w = [vector[f] for f in chosen], [centre[f] for f in chosen]
            cosine = sum(a * b for a, b in zip(x, w, strict=True))
            cosine /= math.hypot(*x) * math.hypot(*w)
            if klass in own:
                pull.append(config.scale * with_margin(cosine, config))
                continue
            if drawn.classes is not None and klass not in drawn.classes.tolist():
                continue
            if drawn.kept is not None and not drawn.kept[row, klass]:
                continue
            if config.filter > 0 and cosine > config.filter:
                if config.filter_action == "zero":
                    push.append(0.0)
                continue
            push.append(config.scale * cosine)
            n_live += 1
        counts.append(n_live)
        if config.form == "mlcd":
            losses.append(
                math.log(1 + sum(math.exp(-s) for s in pull))
                + math.log(1 + sum(math.exp(s) for s in push))
            )
        else:
            losses.append(-pull[0] + math.log(sum(math.exp(s) for s in [*pull, *push])))
    return sum(losses) / N, sum(counts) / N


@pytest.mark.parametrize(
    ("form", "margin_type", "share", "sampling", "features", "threshold", "action"),
    [
        *itertools.product(
            ["softmax", "mlcd"],
            ["cosface", "arcface", "arcface-published"],
            [1.0, 0.6],
            ["batch", "sample"],
            [1.0, 0.5],
            [0.0, 0.2],
            ["drop", "zero"],
        )
    ],
)
def test_loss_equals_the_naive_formula(
    form, margin_type, share, sampling, features, threshold, action
):
    config = LossConfig(
        form=form,
        margin_type=margin_type,
        scale=8.0,
        margin=0.3,
        class_fraction=share,
        class_sampling=sampling,
        feature_fraction=features,
        filter=threshold,
        filter_action=action,
    )
    vectors, centres, labels = batch(width=3)
    labels[0, 2] = -1  # fewer labels than the others
    labels = positives(labels, config)
    drawn = draw(labels, K, D, config, seed=1, step=2)
    outcome = discriminate(vectors, taking_part(centres, drawn), labels, config, drawn)
    expected, n_negatives = naive(vectors, centres, labels, config, drawn)
    assert outcome.loss.item() == pytest.approx(expected, rel=1e-9)
    assert outcome.negatives.item() == pytest.approx(n_negatives, rel=1e-6)


@pytest.mark.parametrize("form", ["softmax", "mlcd"])
@pytest.mark.parametrize("margin_type", ["cosface", "arcface"])
@pytest.mark.parametrize("sampling", ["batch", "sample"])
def test_gradients_of_the_whole_loss_are_true(form, margin_type, sampling):
    config = LossConfig(
        form=form,
        margin_type=margin_type,
        scale=8.0,
        class_fraction=0.7,
        class_sampling=sampling,
        feature_fraction=0.75,
    )
    vectors, centres, labels = batch(width=2)
    labels = positives(labels, config)
    drawn = draw(labels, K, D, config, seed=0, step=0)
    assert torch.autograd.gradcheck(
        lambda x, w: discriminate(x, taking_part(w, drawn), labels, config, drawn).loss,
        (vectors, centres),
    )


def released(vectors, centres, labels, config, drawn):
    """The loss that the code released with UNICOM computes, dense, with the gradient it gives."""
    features = slice(None) if drawn.features is None else drawn.features
    classes = torch.arange(K) if drawn.classes is None else drawn.classes
    unit, rows = torch.nn.functional.normalize, torch.arange(N)
    own = torch.searchsorted(classes, labels[:, 0])
    logits = unit(vectors[:, features]) @ unit(centres[classes][:, features]).T
    logits = logits.clamp(-1, 1)
    if config.filter > 0:
        stay = (logits <= config.filter).double()
        stay[rows, own] = 1
        logits = logits * stay
    if config.margin_type == "cosface":
        logits = logits - config.margin * torch.nn.functional.one_hot(own, len(classes)).double()
    else:
        with torch.no_grad():  # in place, as released: the graph never sees it
            logits.arccos_()
            logits[rows, own] += config.margin
            logits.cos_()
    return torch.nn.functional.cross_entropy(logits * config.scale, own)


@pytest.mark.parametrize("margin_type", ["arcface-published", "cosface"])
@pytest.mark.parametrize("share", [1.0, 0.7, 0.01])
@pytest.mark.parametrize("features", [1.0, 0.5])
@pytest.mark.parametrize("threshold", [0.0, 0.2])
def test_published_loss_and_gradients_are_those_of_the_released_code(
    margin_type, share, features, threshold
):
    config = LossConfig(
        margin_type=margin_type,
        scale=64.0,
        margin=0.3,
        class_fraction=share,
        feature_fraction=features,
        filter=threshold,
        filter_action="zero",
    )
    vectors, centres, labels = batch()
    drawn = draw(labels, K, D, config, seed=1, step=2)
    expected = released(vectors, centres, labels, config, drawn)
    gradients = torch.autograd.grad(expected, (vectors, centres))
    ours = discriminate(vectors, taking_part(centres, drawn), labels, config, drawn).loss
    torch.testing.assert_close(ours, expected, rtol=1e-10, atol=0)
    for found, right in zip(torch.autograd.grad(ours, (vectors, centres)), gradients, strict=True):
        torch.testing.assert_close(found, right, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("margin_type", ["cosface", "arcface", "arcface-published"])
def test_without_scale_and_margin_it_is_cross_entropy(margin_type):
    vectors, centres, labels = batch()
    config = LossConfig(margin_type=margin_type, scale=1.0, margin=0.0)
    expected = torch.nn.functional.cross_entropy(cosines(vectors, centres), labels[:, 0])
    torch.testing.assert_close(discriminate(vectors, centres, labels, config).loss, expected)


def test_mlcd_with_one_label_is_two_softplus_like_terms():
    vectors, centres, labels = batch()
    config = LossConfig(form="mlcd", scale=16.0, margin=0.25, margin_type="cosface")
    s = 16 * cosines(vectors, centres)
    target = s.gather(1, labels) - 16 * 0.25
    others = s.exp().sum(1) - s.gather(1, labels).exp().flatten()
    expected = torch.log1p((-target).exp()).flatten() + torch.log1p(others)
    torch.testing.assert_close(discriminate(vectors, centres, labels, config).loss, expected.mean())


def test_the_softmax_looks_at_the_first_label_only():
    _, _, labels = batch(width=3)
    assert torch.equal(positives(labels, LossConfig()), labels[:, :1])
    assert torch.equal(positives(labels, LossConfig(form="mlcd")), labels)


@given(
    st.sampled_from(["cosface", "arcface", "arcface-published"]),
    st.sampled_from(["softmax", "mlcd"]),
    st.floats(1, 100),
    st.floats(0, 1.5),
    st.integers(0, 1000),
)
@settings(max_examples=60, deadline=None)
def test_loss_and_gradient_are_finite_at_any_angle(margin_type, form, scale, margin, seed):
    centres = torch.nn.functional.normalize(torch.randn(5, 4, generator=generator(seed, "c")))
    vectors = torch.cat([centres, -centres]).requires_grad_()  # theta = 0 and theta = pi
    labels = torch.arange(5).repeat(2)[:, None]
    config = LossConfig(margin_type=margin_type, form=form, scale=scale, margin=margin)
    loss = discriminate(vectors, centres, labels, config).loss
    loss.backward()
    assert torch.isfinite(loss)
    assert torch.isfinite(vectors.grad).all()


def test_features_are_selected_before_normalising():
    vectors, centres, labels = batch()
    outside = vectors.detach().clone()
    outside[:, 4:] *= 100
    config, drawn = LossConfig(feature_fraction=0.5), Draw(features=torch.arange(4))
    torch.testing.assert_close(
        discriminate(vectors, centres, labels, config, drawn).loss,
        discriminate(outside, centres, labels, config, drawn).loss,
    )


def test_logits_are_float32_under_half_precision():
    vectors, centres, labels = batch(dtype=torch.float32)
    exact = discriminate(vectors, centres, labels, LossConfig(scale=64.0)).loss
    with torch.autocast("cpu", torch.bfloat16):
        inside = discriminate(vectors, centres, labels, LossConfig(scale=64.0)).loss
    assert inside.dtype == torch.float32
    assert torch.equal(inside, exact)
    halved = discriminate(vectors.bfloat16(), centres, labels, LossConfig(scale=64.0)).loss
    assert halved.dtype == torch.float32


def test_accuracy_is_the_share_whose_nearest_centre_is_their_own():
    centres = torch.eye(4)
    vectors = torch.tensor([[1.0, 0, 0, 0], [0, 1, 0, 0], [0, 1, 0.2, 0], [0, 0, 0.9, 0.8]])
    labels = torch.tensor([[0], [1], [2], [3]])
    assert discriminate(vectors, centres, labels, LossConfig()).accuracy.item() == 0.5
    # The third sample's rival is filtered, and so is the fourth's.
    filtered = discriminate(vectors, centres, labels, LossConfig(filter=0.7))
    assert filtered.accuracy.item() == 1
    assert filtered.negatives.item() == 2.5


def test_moved_names_the_classes_with_a_gradient():
    vectors, centres, labels = batch()
    assert discriminate(vectors, centres, labels, LossConfig()).moved is None
    kept = torch.zeros(N, K, dtype=torch.bool).scatter(1, labels, True)
    kept[2, 4] = True
    moved = discriminate(vectors, centres, labels, LossConfig(), Draw(kept=kept)).moved
    assert set(moved.nonzero().flatten().tolist()) == {4, *labels.flatten().tolist()}


def test_only_classes_that_take_part_move():
    start = batch(dtype=torch.float32)[1].detach()
    for classes, moved, rows in (
        (None, None, list(range(K))),
        (torch.tensor([2, 5, 7]), None, [2, 5, 7]),
        (torch.tensor([2, 5, 7]), torch.tensor([True, False, True]), [2, 7]),
        (None, torch.arange(K) == 4, [4]),
    ):
        centres = ClassCentres(start)
        for _ in range(2):  # momentum would show in the second step
            part = centres.taking_part(classes)
            centres.move(torch.ones_like(part), 0.1, classes, moved)
        changed = (centres.weight != start).any(1).nonzero().flatten().tolist()
        assert changed == rows
        assert centres.optimiser.steps.flatten().nonzero().flatten().tolist() == rows


def test_class_means_are_unit_means_and_random_for_the_empty():
    vectors = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
    means = class_means(vectors, torch.tensor([[0], [0], [2]]), 4, seed=0)
    torch.testing.assert_close(means[0], torch.tensor([1.0, 1.0]) / math.sqrt(2))
    torch.testing.assert_close(means[2], vectors[2])
    torch.testing.assert_close(means.norm(dim=1), torch.ones(4))
    assert not torch.equal(means[1], means[3])


def test_random_centres_are_normal_with_the_published_spread():
    centres = random_centres(300, 50, seed=0)
    assert centres.std().item() == pytest.approx(0.01, rel=0.03)
    assert torch.equal(centres, random_centres(300, 50, seed=0))
    assert not torch.equal(centres, random_centres(300, 50, seed=1))


def test_the_module_holds_its_own_copy():
    start = torch.full((2, 3), 2.0)
    centres = ClassCentres(start)
    start.zero_()
    torch.testing.assert_close(centres.unit().norm(dim=1), torch.ones(2))
