"""Perceptual hashes: near copies are near, others are not; the search is exact."""

import io
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from fakes.class_folders import write_class_folders
from syntype.configs import DataConfig
from syntype.data import perceptual
from syntype.data.load import load_dataset
from syntype.data.perceptual import NEAR, hash_pictures, near_pairs, picture_hash
from syntype.data.synthetic import WorldConfig, write_world


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> list[Image.Image]:
    """Drawn specimens of a tiny world."""
    root = tmp_path_factory.mktemp("world")
    dataset = write_world(WorldConfig(n_species=20, n_images=60), root)
    contents = [dataset.read(row) for row in range(len(dataset))]
    return [Image.open(io.BytesIO(content)).convert("RGB") for content in contents]


def bits_apart(first: Image.Image, second: Image.Image) -> int:
    one, two = (picture_hash(np.asarray(image)) for image in (first, second))
    return int(np.unpackbits(one ^ two).sum())


def recoded(image: Image.Image, tmp_path: Path) -> Image.Image:
    image.save(tmp_path / "copy.jpg", quality=60)
    return Image.open(tmp_path / "copy.jpg").convert("RGB")


def brightened(image: Image.Image, tmp_path: Path) -> Image.Image:
    return Image.fromarray((np.asarray(image) * 1.1).clip(0, 255).astype(np.uint8))


def halved(image: Image.Image, tmp_path: Path) -> Image.Image:
    return image.resize((image.width // 2, image.height // 2), Image.Resampling.BICUBIC)


def grey(image: Image.Image, tmp_path: Path) -> Image.Image:
    return image.convert("L").convert("RGB")


@pytest.mark.parametrize("change", [recoded, brightened, halved, grey])
def test_near_copies_are_found(drawn, change, tmp_path):
    apart = [bits_apart(image, change(image, tmp_path)) for image in drawn]
    assert np.mean([bits <= NEAR for bits in apart]) >= 0.97, sorted(apart)[-3:]


def test_other_pictures_are_not(drawn):
    hashes = np.stack([picture_hash(np.asarray(image)) for image in drawn])
    one, other, _ = near_pairs(hashes, hashes)
    assert (one == other).mean() > 0.95, "of different specimens, next to none is a copy"


def test_flat_pictures_have_no_hash():
    flat = np.full((90, 90, 3), 130, dtype=np.uint8)
    assert picture_hash(flat) is None
    flat[40:60, 40:60] = 255
    assert picture_hash(flat) is not None


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 30), st.integers(0, 30), st.integers(0, 127), st.integers(0, 99))
def test_the_search_is_the_naive_one(n, m, most, seed):
    rng = np.random.default_rng(seed)
    base = rng.integers(0, 256, (3, 32), dtype=np.uint8)

    def around(count):
        noise = rng.random((count, 256)) < rng.choice([0.02, 0.3], (count, 1))
        return base[rng.integers(0, 3, count)] ^ np.packbits(noise, axis=1)

    first, second = around(n), around(m)
    apart = np.unpackbits(first[:, None] ^ second[None], axis=2).sum(axis=2)
    rows = np.nonzero(apart <= most)
    found = near_pairs(first, second, most)
    np.testing.assert_array_equal(found[0], rows[0])
    np.testing.assert_array_equal(found[1], rows[1])
    np.testing.assert_array_equal(found[2], apart[rows])


def test_blocks_do_not_show(monkeypatch):
    rng = np.random.default_rng(0)
    first = rng.integers(0, 4, (50, 32), dtype=np.uint8)
    whole = near_pairs(first, first[::-1].copy(), 100)
    monkeypatch.setattr(perceptual, "_BLOCK_CELLS", 120)
    for one, other in zip(whole, near_pairs(first, first[::-1].copy(), 100), strict=True):
        np.testing.assert_array_equal(one, other)


def test_pictures_are_hashed_once_and_broken_ones_told(tmp_path, monkeypatch):
    root = write_class_folders(tmp_path / "photos", n_species=3, n_images=4, n_broken=2)
    dataset = load_dataset(DataConfig(data=(str(root),)), workspace=tmp_path / "runs")
    memory = tmp_path / "hashes.parquet"
    first = hash_pictures(dataset, memory)
    assert len(first.bits) == len(dataset)
    broken = {dataset.ids[row] for row, _ in first.failures}
    assert broken
    assert all("broken" in name for name in broken)
    assert not first.usable[[row for row, _ in first.failures]].any()
    assert pq.read_table(memory).num_rows == len(set(dataset.column("imageDigest"))) - len(broken)
    decoded = []
    real = perceptual.decode
    monkeypatch.setattr(perceptual, "decode", lambda content: decoded.append(1) or real(content))
    again = hash_pictures(dataset, memory)
    assert len(decoded) == len(broken), "only what has no hash is looked at again"
    np.testing.assert_array_equal(again.bits, first.bits)
    memory.write_bytes(b"no table")
    np.testing.assert_array_equal(hash_pictures(dataset, memory).bits, first.bits)
