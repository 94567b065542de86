"""Losses of pictures against words: the published ones, and naive sums, in float64."""

import math

import open_clip
import pytest
import torch
from open_clip.loss import SigLipLoss
from torch.nn.functional import normalize

from syntype.training.contrast import (
    clip_loss,
    first_temperature,
    nearest_is_own,
    scale_of,
    siglip_loss,
)

N, D = 13, 6
SAMES = ("negatives", "ignored", "positives")


def batch(dtype=torch.float64):
    source = torch.Generator().manual_seed(1)
    images, texts = (torch.randn(N, D, generator=source, dtype=dtype) for _ in range(2))
    species = torch.tensor([0, 1, 2, 0, 3, 1, 4, 5, 0, 6, 7, 8, 8])
    scale, bias = torch.tensor(7.0, dtype=dtype), torch.tensor(-3.0, dtype=dtype)
    leaves = [part.requires_grad_() for part in (images, texts, scale, bias)]
    return *leaves, species


def naive_clip(images, texts, scale, species, same):
    cosines = (scale * normalize(images) @ normalize(texts).T).tolist()
    total = 0.0
    for matrix in (cosines, list(map(list, zip(*cosines, strict=True)))):
        for i in range(N):
            alike = [j for j in range(N) if species[j] == species[i]]
            left = [j for j in range(N) if same != "ignored" or j == i or j not in alike]
            log_sum = math.log(sum(math.exp(matrix[i][j]) for j in left))
            targets = alike if same == "positives" else [i]
            total += sum(log_sum - matrix[i][j] for j in targets) / len(targets)
    return total / (2 * N)


def naive_siglip(images, texts, scale, bias, species, same):
    cosines = (scale * normalize(images) @ normalize(texts).T + bias).tolist()
    total = 0.0
    for i in range(N):
        for j in range(N):
            alike = species[i] == species[j]
            if same == "ignored" and alike and i != j:
                continue
            sign = 1 if i == j or (alike and same == "positives") else -1
            total += math.log(1 + math.exp(-sign * cosines[i][j]))
    return total / N


@pytest.mark.parametrize("same", SAMES)
def test_they_are_the_naive_sums(same):
    images, texts, scale, bias, species = batch()
    found = clip_loss(images, texts, scale, species, same).item()
    assert found == pytest.approx(naive_clip(images, texts, scale, species, same), rel=1e-12)
    found = siglip_loss(images, texts, scale, bias, species, same).item()
    expected = naive_siglip(images, texts, scale, bias, species, same)
    assert found == pytest.approx(expected, rel=1e-12)


def test_the_published_ones_are_open_clips():
    images, texts, scale, bias, species = batch(torch.float32)
    unit_images, unit_texts = normalize(images), normalize(texts)
    expected = open_clip.ClipLoss()(unit_images, unit_texts, scale)
    torch.testing.assert_close(clip_loss(images, texts, scale, species), expected)
    expected = SigLipLoss()(unit_images, unit_texts, scale, bias)
    torch.testing.assert_close(siglip_loss(images, texts, scale, bias, species), expected)


@pytest.mark.parametrize("same", SAMES)
@pytest.mark.parametrize("kind", ["clip", "siglip"])
def test_gradients_are_true_and_blocks_and_shares_sum_to_the_whole(kind, same):
    *leaves, species = batch()

    def loss(images, texts, scale, bias, rows=None, cells=1 << 20):
        if kind == "clip":
            return clip_loss(images, texts, scale, species, same, rows, cells) + 0 * bias
        return siglip_loss(images, texts, scale, bias, species, same, rows, cells)

    assert torch.autograd.gradcheck(loss, leaves)
    whole = torch.autograd.grad(loss(*leaves), leaves)
    blocks = torch.autograd.grad(loss(*leaves, cells=3 * N), leaves)
    shares = [slice(0, 5), slice(5, 9), slice(9, 13)]
    parts = [torch.autograd.grad(loss(*leaves, rows=share), leaves) for share in shares]
    for one, other, *pieces in zip(whole, blocks, *parts, strict=True):
        torch.testing.assert_close(other, one, rtol=1e-10, atol=1e-12)
        torch.testing.assert_close(sum(pieces), one, rtol=1e-10, atol=1e-12)


def test_the_temperature_starts_as_published_or_as_the_model_has_it():
    assert scale_of(first_temperature("clip")).item() == pytest.approx(1 / 0.07, rel=1e-6)
    assert scale_of(first_temperature("clip", 55.0)).item() == pytest.approx(55, rel=1e-6)
    found = first_temperature("siglip")
    assert scale_of(found).item() == pytest.approx(10, rel=1e-6)
    assert found[1].item() == -10
    assert first_temperature("siglip", 20.0, -3.5)[1].item() == -3.5
    assert scale_of(first_temperature("clip", 400.0)).item() == 100


def test_a_picture_is_right_if_its_text_is_of_its_species():
    texts = torch.eye(3)
    images = texts[[1, 0, 2]] + 0.1
    found = nearest_is_own(images, texts, torch.arange(3), torch.tensor([5, 5, 6]))
    assert found.tolist() == [True, True, True]
    found = nearest_is_own(images, texts, torch.arange(3), torch.tensor([4, 5, 6]))
    assert found.tolist() == [False, False, True]
