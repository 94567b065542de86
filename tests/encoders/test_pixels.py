import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from syntype.encoders import load_encoder
from syntype.encoders.pixels import (
    Descriptors,
    Pixels,
    colour_histogram,
    local_patterns,
    oriented_gradients,
)


def naive_gradients(grey, bins, levels):
    """The descriptor pixel by pixel."""
    side = len(grey)
    cells = np.zeros((levels[-1], levels[-1], bins))
    counts = np.zeros((levels[-1], levels[-1], 1))
    padded = np.pad(grey, 1, mode="edge")
    for row in range(side):
        for column in range(side):
            across = padded[row + 1, column + 2] - padded[row + 1, column]
            down = padded[row + 2, column + 1] - padded[row, column + 1]
            at = (np.arctan2(down, across) / (2 * np.pi) + 0.5) * bins
            low, share = int(np.floor(at)), at - np.floor(at)
            cell = row * levels[-1] // side, column * levels[-1] // side
            counts[cell] += 1
            cells[cell][low % bins] += (1 - share) * np.hypot(across, down)
            cells[cell][(low + 1) % bins] += share * np.hypot(across, down)
    cells /= counts
    blocks = []
    for level in levels:
        step = levels[-1] // level
        pooled = cells.reshape(level, step, level, step, bins).mean(axis=(1, 3))
        block = np.sqrt(pooled).transpose(2, 0, 1).ravel()
        blocks.append(block / np.linalg.norm(block))
    return np.concatenate(blocks) / np.sqrt(len(levels))


def test_gradients_equal_the_naive_computation():
    grey = torch.rand(2, 12, 12, generator=torch.Generator().manual_seed(0))
    found = oriented_gradients(grey, 12, (1, 2, 3, 6))
    for picture, vector in zip(grey, found, strict=True):
        expected = naive_gradients(picture.double().numpy(), 12, (1, 2, 3, 6))
        np.testing.assert_allclose(vector.numpy(), expected, atol=1e-4)


def test_colours_equal_the_naive_computation():
    picture = torch.rand(3, 6, 6, generator=torch.Generator().manual_seed(1))
    counts = np.zeros((4, 4, 4))
    for pixel in picture.flatten(1).T.double().numpy():
        at = pixel * 3
        for corner in np.ndindex(2, 2, 2):
            index = np.minimum(np.floor(at).astype(int) + corner, 3)
            share = np.where(np.array(corner) == 1, at - np.floor(at), 1 - at + np.floor(at))
            counts[tuple(index)] += share.prod()
    expected = np.sqrt(counts.ravel() / counts.sum())
    found = colour_histogram(picture[None], 4)[0].numpy()
    np.testing.assert_allclose(found, expected / np.linalg.norm(expected), atol=1e-4)


def test_patterns_equal_the_naive_computation():
    grey = torch.rand(10, 10, generator=torch.Generator().manual_seed(2))
    ring = [(-1, -1), (-1, 0), (-1, 1), (0, 1), (1, 1), (1, 0), (1, -1), (0, -1)]
    counts = np.zeros(10)
    for row in range(1, 9):
        for column in range(1, 9):
            bits = [bool(grey[row + r, column + c] > grey[row, column] + 0.01) for r, c in ring]
            turns = sum(bits[i] != bits[i - 1] for i in range(8))
            counts[sum(bits) if turns <= 2 else 9] += 1
    expected = np.sqrt(counts / 64)
    found = local_patterns(grey[None], (1,))[0].numpy()
    np.testing.assert_allclose(found, expected / np.linalg.norm(expected), atol=1e-4)


@settings(max_examples=20, deadline=None)
@given(
    st.sampled_from([Pixels, Descriptors]), st.lists(st.integers(0, 255), min_size=3, max_size=3)
)
def test_pictures_of_one_colour_have_vectors(kind, colour):
    flat = torch.tensor(colour).view(1, 3, 1, 1).expand(2, 3, 64, 64) / 255
    vectors = kind()(flat)
    assert bool(torch.isfinite(vectors).all())
    assert float(vectors.norm(dim=1).min()) > 0.5
    assert torch.equal(vectors[0], vectors[1])


def test_brightness_of_a_light_source_hardly_moves_descriptors(pictures):
    images = pictures(3, 64)
    encoder = load_encoder("descriptors", "cpu")
    dimmer = (images.float() * 0.85).round().to(torch.uint8)
    moved = functional.cosine_similarity(encoder.encode(images), encoder.encode(dimmer))
    others = functional.cosine_similarity(encoder.encode(images), encoder.encode(images.roll(1, 0)))
    assert float(moved.min()) > 0.9 > float(others.max())


@pytest.mark.parametrize("spec", ["pixels", "descriptors"])
def test_numbers_are_pinned(spec, pictures):
    """Their architecture holds a version: raise it when this changes."""
    vector = load_encoder(spec, "cpu").encode(pictures(1, 64))[0]
    expected = {"pixels": PIXELS, "descriptors": DESCRIPTORS}[spec]
    np.testing.assert_allclose(vector[:: len(vector) // 6].numpy()[:6], expected, atol=2e-5)


PIXELS = [0.01647, 0.15966, 0.07336, 0.05011, 0.03841, 0.02471]
DESCRIPTORS = [0.13054, 0.02427, 0.03201, 0.02862, 0.00723, 0.0434]


def species_accuracy(vectors, species, units):
    """1-NN accuracy over pictures, the neighbours of the same unit left out."""
    similar = vectors @ vectors.T
    similar[units[:, None] == units[None]] = -1
    return float((species[similar.argmax(1)] == species).mean())


@pytest.mark.real_data
def test_descriptors_beat_the_floor_on_real_pictures(real_data):
    import csv

    from PIL import Image

    folder = real_data("plankton_ndsb")
    with (folder / "labels.csv").open(newline="") as handle:
        rows = [row for row in csv.DictReader(handle) if row["split"] == "val"]
    images = torch.from_numpy(
        np.stack(
            [
                np.asarray(
                    Image.open(folder / row["path"]).convert("RGB").resize((64, 64), Image.BICUBIC)
                )
                for row in rows
            ]
        )
    ).permute(0, 3, 1, 2)
    species = np.array([row["label"] for row in rows])
    units = np.array([row["group"] for row in rows])
    scores = {
        spec: species_accuracy(load_encoder(spec, "cpu").encode(images).numpy(), species, units)
        for spec in ("pixels", "descriptors")
    }
    assert scores["descriptors"] > scores["pixels"] + 0.05 > 0.2, scores
