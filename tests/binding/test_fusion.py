"""Fusion of senses: the published rule, any subset, learned weights, experts, and warnings."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from syntype.binding.experts import Experts, entropy, fit_experts, fit_scale
from syntype.binding.fusion import (
    combinations_of,
    fuse,
    hurts,
    learn_weights,
    present_in,
)
from syntype.errors import DataError, UsageError, VectorError

SENSES = ("image", "place", "sound")


def unit(rows):
    rows = np.asarray(rows, dtype=np.float64)
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def drawn(n=9, dim=6, seed=0, senses=SENSES):
    source = np.random.default_rng(seed)
    return {name: unit(source.normal(size=(n, dim))) for name in senses}


def signal(n=240, n_classes=8, dim=16, noise=(0.25, 0.5, 3.0), seed=0):
    """Senses that point to their class with different noise."""
    source = np.random.default_rng(seed)
    classes = unit(source.normal(size=(n_classes, dim)))
    labels = np.arange(n) % n_classes
    vectors = {
        name: unit(classes[labels] + size * source.normal(size=(n, dim)))
        for name, size in zip(SENSES, noise, strict=True)
    }
    return vectors, classes, labels


def right(vectors, classes, labels):
    return float(((vectors @ classes.T).argmax(1) == labels).mean())


def test_two_senses_are_the_published_rule():
    vectors = drawn(senses=("image", "place"))
    for row, found in enumerate(fuse(vectors)):
        image, other = vectors["image"][row].tolist(), vectors["place"][row].tolist()
        length = math.sqrt(sum(x * x for x in other))
        total = [a + b / length for a, b in zip(image, other, strict=True)]
        norm = math.sqrt(sum(x * x for x in total))
        np.testing.assert_allclose(found, [x / norm for x in total], rtol=2e-7, atol=1e-7)


masks = st.lists(st.tuples(*[st.booleans()] * 3).filter(any), min_size=1, max_size=8)


@settings(max_examples=40, deadline=None)
@given(mask=masks, seed=st.integers(0, 20), weights=st.tuples(*[st.floats(0.1, 5)] * 3))
def test_any_subset_is_the_fusion_of_what_is_there(mask, seed, weights):
    there = np.array(mask, dtype=bool)
    vectors = drawn(len(mask), seed=seed)
    given_ = dict(zip(SENSES, weights, strict=True))
    present = {name: there[:, place] for place, name in enumerate(SENSES)}
    found = fuse(vectors, given_, present)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-6)
    for row in range(len(mask)):
        alone = {name: vectors[name][[row]] for name in SENSES if present[name][row]}
        np.testing.assert_array_equal(found[[row]], fuse(alone, given_))
        if len(alone) == 1:
            np.testing.assert_array_equal(found[row], next(iter(alone.values()))[0])
    holes = {name: np.where(present[name][:, None], vectors[name], np.nan) for name in SENSES}
    np.testing.assert_array_equal(found, fuse(holes, given_))


@settings(max_examples=20, deadline=None)
@given(order=st.permutations(SENSES), seed=st.integers(0, 20))
def test_the_order_of_senses_does_not_count(order, seed):
    vectors = drawn(seed=seed)
    turned = {name: vectors[name] for name in order}
    np.testing.assert_array_equal(fuse(vectors), fuse(turned))
    classes = unit(np.random.default_rng(seed).normal(size=(4, 6)))
    experts = Experts({"image": 9.0, "place": 4.0, "sound": 2.0}, 0.5)
    np.testing.assert_array_equal(
        experts.log_probabilities(vectors, classes), experts.log_probabilities(turned, classes)
    )


@settings(max_examples=20, deadline=None)
@given(factor=st.floats(0.01, 100), seed=st.integers(0, 20))
def test_only_ratios_of_weights_count(factor, seed):
    vectors = drawn(seed=seed)
    weights = {"image": 1.0, "place": 0.5, "sound": 2.0}
    scaled = {name: factor * one for name, one in weights.items()}
    np.testing.assert_allclose(fuse(vectors, weights), fuse(vectors, scaled), atol=1e-6)


def test_a_weight_of_0_is_a_sense_that_is_not_there():
    vectors = drawn()
    without = {name: one for name, one in vectors.items() if name != "sound"}
    found = fuse(vectors, {"image": 1.0, "place": 1.0, "sound": 0.0})
    np.testing.assert_array_equal(found, fuse(without))


def test_what_cannot_be_fused_says_so():
    vectors = drawn()
    holes = {name: np.full_like(one, np.nan) for name, one in vectors.items()}
    with pytest.raises(DataError, match="9 of 9 observations have none"):
        fuse(holes)
    with pytest.raises(VectorError, match="row 0 cancel"):
        fuse({"image": vectors["image"], "place": -vectors["image"]})
    with pytest.raises(UsageError, match="sound has none"):
        fuse(vectors, {"image": 1.0, "place": 1.0})
    with pytest.raises(DataError, match="weight 0 alone"):
        fuse(vectors, dict.fromkeys(SENSES, 0.0))
    with pytest.raises(DataError, match="the mask says"):
        fuse({**vectors, "sound": holes["sound"]}, present={"sound": np.ones(9, dtype=bool)})
    with pytest.raises(DataError, match="same observations"):
        present_in({"image": vectors["image"], "place": vectors["place"][:3]})


def test_learned_weights_trust_the_better_sense():
    vectors, classes, labels = signal()
    learned = learn_weights(vectors, classes, labels)
    weights = learned.weights
    assert max(weights.values()) == 1
    assert weights["image"] > weights["place"] > weights["sound"]
    assert learned.likelihood >= learned.plain
    fresh, classes2, labels2 = signal(n=480)
    half = slice(240, 480)
    rest = {name: one[half] for name, one in fresh.items()}
    learned = learn_weights({n: o[:240] for n, o in fresh.items()}, classes2, labels2[:240])
    assert right(fuse(rest, learned.weights), classes2, labels2[half]) > right(
        fuse(rest), classes2, labels2[half]
    )


def test_learned_weights_keep_a_sense_that_someone_has_alone():
    vectors, classes, labels = signal(noise=(0.2, 0.2, 5.0))
    vectors["image"][0] = vectors["place"][0] = np.nan
    learned = learn_weights(vectors, classes, labels)
    assert learned.weights["sound"] > 0
    fuse(vectors, learned.weights)
    with pytest.raises(DataError, match="at least two"):
        learn_weights(vectors, classes[:1], labels * 0)


def test_experts_multiply_what_each_believes():
    vectors, classes, labels = signal(n=40)
    experts = Experts({"image": 7.0, "place": 3.0, "sound": 1.0}, 0.0)
    found = experts.log_probabilities(vectors, classes)
    product = np.ones((40, len(classes)))
    for name in SENSES:
        for row in range(40):
            powers = [
                math.exp(experts.scales[name] * float(vectors[name][row] @ one)) for one in classes
            ]
            product[row] *= np.array(powers) / sum(powers)
    product /= product.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(np.exp(found), product, rtol=1e-5)
    del labels


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 30), dependence=st.floats(0, 1), sense=st.sampled_from(SENSES))
def test_an_expert_alone_is_itself(seed, dependence, sense):
    vectors = drawn(seed=seed)
    classes = unit(np.random.default_rng(seed + 1).normal(size=(5, 6)))
    experts = Experts({"image": 9.0, "place": 4.0, "sound": 2.0}, dependence)
    present = {name: np.full(9, name == sense) for name in SENSES}
    alone = experts.log_probabilities({sense: vectors[sense]}, classes)
    np.testing.assert_allclose(
        experts.log_probabilities(vectors, classes, present), alone, atol=1e-12
    )
    np.testing.assert_allclose(np.exp(alone).sum(axis=1), 1, rtol=1e-9)


def test_experts_that_say_the_same_are_not_believed_twice():
    vectors, classes, labels = signal(noise=(0.5, 0.5, 0.5))
    twins = {"image": vectors["image"], "place": vectors["image"]}
    assert fit_experts(twins, classes, labels).dependence > 0.9
    strangers = fit_experts({n: vectors[n] for n in ("image", "place")}, classes, labels)
    assert strangers.dependence < 0.7
    only = fit_experts({"image": vectors["image"]}, classes, labels)
    assert only.dependence == 0


def test_a_scale_is_fitted_where_the_right_class_is_most_probable():
    vectors, classes, labels = signal()
    cosines = vectors["image"] @ classes.T
    best = fit_scale(cosines, labels)

    def loss(scale):
        logits = scale * cosines.astype(np.float64)
        logits -= logits.max(axis=1, keepdims=True)
        logits -= np.log(np.exp(logits).sum(axis=1, keepdims=True))
        return -logits[np.arange(len(labels)), labels].mean()

    assert loss(best) <= min(loss(best * 0.9), loss(best * 1.1))
    with pytest.raises(DataError, match="none"):
        fit_scale(cosines[:0], labels[:0])


def test_uncertainty_is_0_to_1():
    flat = np.log(np.full((1, 4), 0.25))
    sure = np.log(np.array([[1 - 3e-12, 1e-12, 1e-12, 1e-12]]))
    assert entropy(flat)[0] == pytest.approx(1)
    assert entropy(sure)[0] == pytest.approx(0, abs=1e-9)
    assert entropy(np.zeros((2, 1))).tolist() == [0, 0]
    vectors, classes, labels = signal(n=400)
    experts = fit_experts(vectors, classes, labels)
    found = experts.log_probabilities({"image": vectors["image"]}, classes)
    wrong = found.argmax(1) != labels
    assert entropy(found)[wrong].mean() > entropy(found)[~wrong].mean()


def test_an_uncalibrated_sense_is_named():
    vectors, classes, _ = signal(n=8)
    with pytest.raises(UsageError, match="sound: not calibrated"):
        Experts({"image": 1.0, "place": 1.0}, 0.0).log_probabilities(vectors, classes)


def test_a_sense_that_hurts_is_told_with_its_interval():
    vectors, classes, labels = signal(n=400, noise=(0.35, 0.35, 8.0))
    units = [f"u{row}" for row in range(400)]
    scores = {}
    for names in combinations_of(SENSES):
        fused = fuse({name: vectors[name] for name in names})
        scores[names] = ((fused @ classes.T).argmax(1) == labels).astype(float)
    found = hurts(scores, units)
    assert found
    assert {one.added for one in found if one.surely} == {"sound"}
    first = found[0]
    assert first.change.estimate < 0
    assert first.change.upper < 0
    assert "Adding sound to" in str(first)
    assert "hurts" in str(first)
    assert not any(one.added == "place" and one.to == ("image",) for one in found)
    assert hurts({("image",): scores["image",]}, units) == []


def test_combinations_come_small_first():
    assert combinations_of(("place", "image")) == [("image",), ("place",), ("image", "place")]
