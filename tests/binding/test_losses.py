"""Every loss against its published formula, written out anew in loops of plain floats."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from syntype.binding.losses import (
    NOBODY,
    PUBLISHED,
    binding_loss,
    hard_negative_loss,
    start_of,
    supcon_loss,
    wants_background,
)
from syntype.configs.bind import Loss
from syntype.errors import UsageError
from syntype.training.contrast import clip_loss

LOSSES = ("hard-negative", "supcon", "supcon-mean", "symmetric", "siglip")


def batch(n=7, dim=5, n_species=3, seed=0):
    source = torch.Generator().manual_seed(seed)
    draw = lambda *shape: torch.randn(*shape, generator=source, dtype=torch.float64)  # noqa: E731
    species = torch.randint(n_species, (n,), generator=source)
    return draw(n, dim), draw(n, dim), draw(n, dim), species


def unit_lists(vectors):
    return [[x / math.sqrt(sum(y * y for y in row)) for x in row] for row in vectors.tolist()]


def cosines(one, other, scale):
    return [[scale * sum(a * b for a, b in zip(x, y, strict=True)) for y in other] for x in one]


def softmax(row):
    top = max(row)
    powers = [math.exp(x - top) for x in row]
    return [x / sum(powers) for x in powers]


def naive_hard_negative(images, others, background, scale, species, behind=None):
    images, others, background = map(unit_lists, (images, others, background))
    species, n = species.tolist(), len(species)
    behind = [NOBODY] * len(background) if behind is None else behind.tolist()
    matrix = cosines(images, others + background, scale)
    for i in range(n):
        for j, whose in enumerate(species + behind):
            if i != j and whose == species[i]:
                matrix[i][j] = -math.inf
    there = [-math.log(softmax(matrix[i])[i] + 1e-6) for i in range(n)]
    back = [-math.log(softmax([matrix[i][j] for i in range(n)])[j] + 1e-6) for j in range(n)]
    return 0.4 * sum(there) / n + 0.6 * sum(back) / n


def naive_supcon(images, others, scale, species, average):
    matrix, species, n = cosines(unit_lists(images), unit_lists(others), scale), species.tolist(), 0
    n, total = len(species), 0.0
    for turned in (False, True):
        for i in range(n):
            row = [matrix[j][i] if turned else matrix[i][j] for j in range(n)]
            mates = [j for j in range(n) if species[j] == species[i]]
            mine = sum(-math.log(softmax(row)[j]) for j in mates)
            total += 0.5 * (mine / len(mates) if average else mine) / n
    return total


def naive_symmetric(images, others, scale):
    matrix = cosines(unit_lists(images), unit_lists(others), scale)
    n, columns = len(matrix), list(zip(*matrix, strict=True))
    losses = [-math.log(softmax(matrix[i])[i]) - math.log(softmax(columns[i])[i]) for i in range(n)]
    return 0.5 * sum(losses) / n


def naive_siglip(images, others, scale, bias, species):
    matrix, species = cosines(unit_lists(images), unit_lists(others), scale), species.tolist()
    n = len(species)
    total = 0.0
    for i in range(n):
        for j in range(n):
            sign = 1 if species[i] == species[j] else -1
            total += math.log1p(math.exp(-sign * (matrix[i][j] + bias)))
    return total / n


def naive(loss, images, others, background, temperature, species):
    scale = math.exp(float(temperature[0, 0]))
    if loss == "hard-negative":
        return naive_hard_negative(images, others, background, scale, species)
    if loss == "symmetric":
        return naive_symmetric(images, others, scale)
    if loss == "siglip":
        return naive_siglip(images, others, scale, float(temperature[1, 0]), species)
    return naive_supcon(images, others, scale, species, loss == "supcon-mean")


def computed(loss, images, others, background, temperature, species, **options):
    return binding_loss(
        loss, images, others, temperature, species,
        background=background if wants_background(loss) else None, **options,
    )  # fmt: skip


@pytest.mark.parametrize("loss", LOSSES)
@settings(max_examples=15, deadline=None)
@given(n=st.integers(2, 9), n_species=st.integers(1, 5), seed=st.integers(0, 99))
def test_it_is_the_published_formula(loss, n, n_species, seed):
    images, others, background, species = batch(n, 4, n_species, seed)
    temperature = start_of(loss, 6.0).double()
    given_ = (images, others, background, temperature, species)
    assert float(computed(loss, *given_)) == pytest.approx(naive(loss, *given_), rel=1e-12)


def test_background_of_a_known_species_leaves_its_rows():
    images, others, background, species = batch()
    behind = torch.tensor([0, 1, 2, NOBODY, 0, 1, 2])
    scale = torch.tensor(5.0, dtype=torch.float64)
    found = hard_negative_loss(
        images, others, background, scale, species, background_species=behind
    )
    expected = naive_hard_negative(images, others, background, 5.0, species, behind)
    assert float(found) == pytest.approx(expected, rel=1e-12)
    free = hard_negative_loss(images, others, background, scale, species)
    assert float(free) > float(found)


def test_random_background_acts_on_pictures_alone():
    images, others, background, species = batch()
    scale = torch.tensor(5.0, dtype=torch.float64)
    near = hard_negative_loss(images, others, images + 0.01, scale, species)
    far = hard_negative_loss(images, others, -images, scale, species)
    assert float(near) > float(far)
    only_background = naive_hard_negative(images, others, background[:0], 5.0, species)
    none = hard_negative_loss(images, others, background[:0], scale, species)
    assert float(none) == pytest.approx(only_background, rel=1e-12)


@pytest.mark.parametrize("loss", LOSSES)
def test_gradients_are_right(loss):
    images, others, background, species = batch(5, 3, 2)
    temperature = start_of(loss, 3.0).double()
    leaves = [t.requires_grad_() for t in (images, others, background, temperature)]
    torch.autograd.gradcheck(lambda *given: computed(loss, *given, species), leaves)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("cells", [1, 20, 10**6])
def test_shares_and_blocks_sum_to_the_whole(loss, cells):
    images, others, background, species = batch(9, 4, 3)
    temperature = start_of(loss).double()
    whole, parts = [], []
    for rows in ([None], [slice(0, 4), slice(4, 9)]):
        leaves = [t.clone().requires_grad_() for t in (images, others, background, temperature)]
        total = sum(computed(loss, *leaves, species, rows=one, cells=cells) for one in rows)
        gradients = torch.autograd.grad(total, leaves, allow_unused=True)
        (whole if rows == [None] else parts).extend([total, *gradients])
    for one, other in zip(whole, parts, strict=True):
        if one is None:
            assert other is None
        else:
            torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("loss", LOSSES)
def test_the_order_of_the_batch_does_not_count(loss):
    images, others, background, species = batch(8, 4, 3)
    temperature = start_of(loss, 4.0).double()
    order = torch.randperm(8, generator=torch.Generator().manual_seed(1))
    found = computed(loss, images, others, background, temperature, species)
    mixed = computed(loss, images[order], others[order], background[order], temperature,
                     species[order])  # fmt: skip
    torch.testing.assert_close(found, mixed)


def test_a_batch_of_one_species_is_finite():
    images, others, background, _ = batch()
    one = torch.zeros(7, dtype=torch.int64)
    for loss in LOSSES:
        temperature = start_of(loss).double()
        assert torch.isfinite(computed(loss, images, others, background, temperature, one))


def test_scale_is_clamped_at_100_and_starts_as_published():
    images, others, background, species = batch()
    high, most = start_of("symmetric", 400.0).double(), start_of("symmetric", 100.0).double()
    found = [computed("symmetric", images, others, None, t, species) for t in (high, most)]
    torch.testing.assert_close(*found)
    assert float(start_of("supcon").exp()) == pytest.approx(1 / 0.07)
    assert start_of("siglip").flatten().tolist() == pytest.approx([math.log(10), -10])
    assert set(PUBLISHED.values()) < set(Loss.__args__)
    del background


def test_hard_negative_without_background_says_what_to_do():
    images, others, _, species = batch()
    with pytest.raises(UsageError, match="choose symmetric"):
        binding_loss("hard-negative", images, others, start_of("supcon").double(), species)


def test_supcon_is_not_divided_as_published():
    images, others, _, _ = batch(4)
    one = torch.zeros(4, dtype=torch.int64)
    scale = torch.tensor(5.0, dtype=torch.float64)
    summed = supcon_loss(images, others, scale, one)
    np.testing.assert_allclose(summed, 4 * clip_loss(images, others, scale, one, "positives"))
