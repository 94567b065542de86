import json
import os
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch

from fakes import slow_embed, ugly_pictures
from fakes.picture_sets import Mosaic, fake_encoder, picture_set
from syntype.configs import EmbedConfig
from syntype.data.media import Pictures
from syntype.embeddings import store
from syntype.embeddings.embed import derive, embed, key_of
from syntype.embeddings.store import Embeddings
from syntype.errors import MediaError, ResourceError, VectorError

CONFIG = EmbedConfig(batch_size=4, shard_rows=10)
TESTS = Path(__file__).resolve().parents[1]


@pytest.fixture
def dataset(tmp_path):
    contents = {f"{i:02d}.jpg": ugly_pictures.jpeg(60, 40, seed=i) for i in range(23)}
    contents["07.jpg"] = contents["07.jpg"][:300]
    return picture_set(tmp_path / "set", contents)


def folder_bytes(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


class Recorder:
    """A `Progress` that counts."""

    def __init__(self):
        self.total = self.start = self.advanced = 0

    @contextmanager
    def task(self, title, total, done=0):
        self.total, self.start = total, done
        yield self

    def advance(self, n=1):
        self.advanced += n

    def note(self, text):
        pass

    def say(self, text):
        pass


def test_vectors_are_the_encoders_of_each_picture(dataset, tmp_path):
    encoder = fake_encoder()
    embeddings = embed(dataset, encoder, CONFIG, tmp_path / "store")
    kept = [i for i in range(23) if i != 7]
    batch = Pictures(dataset, encoder.preprocess).batch(np.array(kept))
    assert np.allclose(embeddings.matrix(), encoder.encode(batch.images).numpy(), atol=1e-6)
    assert embeddings.ids == [dataset.ids[i] for i in kept]
    assert embeddings.skipped == [store.Skipped("fake/07.jpg", "truncated")]
    assert embeddings.key == key_of(dataset, encoder.identity, "float32")


def test_a_sealed_store_is_opened_and_nothing_computed(dataset, tmp_path):
    embed(dataset, fake_encoder(), CONFIG, tmp_path / "store")
    before = folder_bytes(tmp_path / "store")

    class Never(Mosaic):
        def forward(self, images):
            raise AssertionError("computed again")

    again = embed(dataset, fake_encoder(module=Never(8)), CONFIG, tmp_path / "store")
    assert len(again) == 22
    assert folder_bytes(tmp_path / "store") == before


def test_the_folder_of_other_vectors_is_refused(dataset, tmp_path):
    embed(dataset, fake_encoder(), CONFIG, tmp_path / "store")
    with pytest.raises(VectorError, match="another encoder"):
        embed(dataset, fake_encoder(size=48), CONFIG, tmp_path / "store")


def test_stop_keeps_the_shards_before(dataset, tmp_path):
    config = EmbedConfig(batch_size=2, shard_rows=3)
    with pytest.raises(MediaError, match=r"fake/07\.jpg"):
        embed(dataset, fake_encoder(), config, tmp_path / "store", on_error="stop")
    assert {path.name for path in (tmp_path / "store").glob("*.npy")} == {"00000.npy", "00001.npy"}


def test_no_readable_picture_is_an_error_with_its_reason(tmp_path):
    dataset = picture_set(tmp_path / "set", {"a.jpg": b"", "b.jpg": b""})
    with pytest.raises(VectorError, match=r"None of the 2 samples .* the file is empty"):
        embed(dataset, fake_encoder(), CONFIG, tmp_path / "store")


def test_a_shard_without_a_readable_picture_is_an_empty_shard(tmp_path):
    contents = {f"{i}.jpg": b"" if i < 2 else ugly_pictures.jpeg(seed=i) for i in range(4)}
    dataset = picture_set(tmp_path / "set", contents)
    config = EmbedConfig(batch_size=2, shard_rows=2)
    embeddings = embed(dataset, fake_encoder(), config, tmp_path / "store")
    assert embeddings.ids == ["fake/2.jpg", "fake/3.jpg"]
    assert embeddings.matrix().shape == (2, 8)


def test_a_broken_vector_stops_with_the_sample_its_batch_begins_with(dataset, tmp_path):
    class Broken(Mosaic):
        def forward(self, images):
            return super().forward(images) * torch.nan

    with pytest.raises(VectorError, match=r"begins with sample fake/00\.jpg"):
        embed(dataset, fake_encoder(module=Broken(8)), CONFIG, tmp_path / "store")


class FullDisk(Mosaic):
    """Points the next shard's temporary file at a device that is always full."""

    def __init__(self, folder: Path, shard: int) -> None:
        super().__init__(8)
        self.trap = folder / f".{shard:05d}.npy.{os.getpid()}.tmp"

    def forward(self, images):
        if len(list(self.trap.parent.glob("*.json"))) == 1 and not self.trap.is_symlink():
            self.trap.symlink_to("/dev/full")
        return super().forward(images)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_keeps_what_is_written_and_the_next_run_goes_on(dataset, tmp_path):
    folder, reference = tmp_path / "store", tmp_path / "reference"
    with pytest.raises(ResourceError, match=r"disk .* is full"):
        embed(dataset, fake_encoder(module=FullDisk(folder, 1)), CONFIG, folder)
    assert sorted(path.name for path in folder.iterdir()) == ["00000.json", "00000.npy"]
    progress = Recorder()
    embed(dataset, fake_encoder(), CONFIG, folder, progress=progress)
    assert (progress.total, progress.start, progress.advanced) == (23, 10, 13)
    embed(dataset, fake_encoder(), CONFIG, reference)
    assert folder_bytes(folder) == folder_bytes(reference)


@pytest.mark.slow
def test_killed_at_random_moments_it_ends_with_the_same_bytes(tmp_path):
    folder, reference = tmp_path / "store", tmp_path / "reference"
    script = TESTS / "fakes" / "slow_embed.py"
    arguments = [folder, tmp_path / "set", "7", "5"]
    done = subprocess.run(
        [sys.executable, script, *map(str, arguments)],
        env=os.environ | {"PYTHONPATH": str(TESTS)},
        capture_output=True,
        text=True,
        check=True,
    )
    outcome = json.loads(done.stdout)
    assert outcome["killed"] >= 2
    # What a kill left finished, the next child did not write again.
    for before, after in zip(outcome["histories"], outcome["histories"][1:], strict=False):
        finished = sorted(before)[:-1]  # the last .npy may lack its sidecar
        assert all(after[name] == before[name] for name in finished)

    dataset = picture_set(tmp_path / "set", slow_embed.contents())
    embed(dataset, fake_encoder(), slow_embed.CONFIG, folder)
    embed(dataset, fake_encoder(), slow_embed.CONFIG, reference)
    assert folder_bytes(folder) == folder_bytes(reference)
    assert len(Embeddings.open(folder, verify=True)) == 59


def rotated(vectors: np.ndarray) -> np.ndarray:
    return np.roll(vectors, 1, axis=1)


def test_derived_vectors_are_the_transform_of_the_stored_ones(dataset, tmp_path):
    base = embed(dataset, fake_encoder(), CONFIG, tmp_path / "base")
    derived = derive(base, rotated, {"roll": 1}, tmp_path / "derived", shard_rows=5)
    assert np.array_equal(derived.matrix(), rotated(base.matrix()))
    assert derived.ids == base.ids
    assert derived.key.encoder == {"base": base.key.encoder, "transform": {"roll": 1}}
    assert derived.key.data == base.key.data
    # Opened, not made again; and another transform does not pass for it.
    before = folder_bytes(tmp_path / "derived")
    derive(base, rotated, {"roll": 1}, tmp_path / "derived", shard_rows=5)
    assert folder_bytes(tmp_path / "derived") == before
    with pytest.raises(VectorError, match="another encoder"):
        derive(base, rotated, {"roll": 2}, tmp_path / "derived", shard_rows=5)


def test_derive_goes_on_and_may_change_the_length(dataset, tmp_path):
    base = embed(dataset, fake_encoder(), CONFIG, tmp_path / "base")

    def shorter(vectors):
        head = vectors[:, :3]
        return head / np.linalg.norm(head, axis=1, keepdims=True)

    calls = []

    def interrupted(vectors):
        calls.append(len(vectors))
        if len(calls) == 4:
            raise KeyboardInterrupt
        return shorter(vectors)

    with pytest.raises(KeyboardInterrupt):
        derive(base, interrupted, {}, tmp_path / "derived", shard_rows=5)
    assert len(list((tmp_path / "derived").glob("*.npy"))) == 2
    progress = Recorder()
    derived = derive(base, shorter, {}, tmp_path / "derived", shard_rows=5, progress=progress)
    assert (progress.total, progress.start, progress.advanced) == (22, 10, 12)
    assert derived.dim == 3
    derive(base, shorter, {}, tmp_path / "reference", shard_rows=5)
    assert folder_bytes(tmp_path / "derived") == folder_bytes(tmp_path / "reference")


def test_a_transform_that_breaks_vectors_is_refused_by_sample(dataset, tmp_path):
    base = embed(dataset, fake_encoder(), CONFIG, tmp_path / "base")
    with pytest.raises(VectorError, match=r"fake/00\.jpg is of length 2"):
        derive(base, lambda vectors: vectors * 2, {}, tmp_path / "derived")
