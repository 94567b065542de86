from pathlib import Path

import numpy as np
import pytest
import torch

from fakes.class_folders import write_class_folders
from fakes.picture_sets import fake_encoder
from fakes.sweeps import tiny_sweep
from syntype.configs import ClusterConfig, Workplace
from syntype.encoders.encoder import Encoder, unit
from syntype.errors import EncoderError
from syntype.sweep import Workshop
from syntype.sweep.make import _text_vectors


class Speaker:
    """A text tower: one fixed random direction for each different text."""

    def __init__(self, dim: int) -> None:
        self.dim, self.heard = dim, []

    def __call__(self, texts):
        self.heard += texts
        rows = [
            torch.randn(self.dim, generator=torch.Generator().manual_seed(sum(text.encode())))
            for text in texts
        ]
        return unit(torch.stack(rows), "speaker")


@pytest.fixture
def spoken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Workshop, Speaker]:
    """A workshop whose only encoder sees next to nothing, but reads captions."""
    speaker = Speaker(8)
    plain = fake_encoder()
    encoder = Encoder(
        **{**vars(plain), "encode_texts": speaker, "text_identity": lambda: {"source": "speaker"}}
    )
    monkeypatch.setattr("syntype.sweep.workshop.load_encoder", lambda spec, device: encoder)
    write_class_folders(tmp_path / "photos", n_species=5, n_images=20)
    config = tiny_sweep(tmp_path / "photos")
    place = Workplace(workspace=tmp_path / "runs", quiet=True)
    return Workshop.open(config.samples, config.embed, place), speaker


def test_joint_features_are_clustered_and_a_leak_is_noted(
    spoken: tuple[Workshop, Speaker],
) -> None:
    workshop, _ = spoken
    base = workshop.model("fake", "base")
    joint = workshop.clusters(base, ClusterConfig(k=5, features="joint")).clusters
    image = workshop.clusters(base, ClusterConfig(k=5)).clusters
    assert image.quality["warning"] == ""
    # Captions are made of the species' names, and say so.
    assert "seem to carry the label" in joint.quality["warning"]
    assert joint.quality["scores"]["ami"] > image.quality["scores"]["ami"] + 0.1
    vectors, samples = workshop.part(base, "train")
    assert list(joint.ids) == samples.ids
    texts = _text_vectors(workshop, workshop.encoder("fake"), samples)
    mean = vectors + texts
    mean /= np.linalg.norm(mean, axis=1, keepdims=True)
    cosines = mean @ joint.centres.T
    np.testing.assert_allclose(cosines.max(axis=1), joint.cosines[:, 0], atol=1e-5)


def test_each_caption_is_read_once_and_goes_to_its_own_rows(
    spoken: tuple[Workshop, Speaker],
) -> None:
    workshop, speaker = spoken
    base = workshop.model("fake", "base")
    _, samples = workshop.part(base, "train")
    texts = _text_vectors(workshop, workshop.encoder("fake"), samples)
    assert len(set(speaker.heard)) == 5
    species = samples.column("species")
    for name in set(species):
        rows = texts[species == name]
        assert (rows == rows[0]).all()
        # The caption of a species without higher ranks is its name, in the prompt.
        np.testing.assert_array_equal(rows[0], Speaker(8)([f"a photo of {name}."])[0].numpy())


def test_a_base_without_a_text_tower_says_what_to_do(workshop: Workshop) -> None:
    base = workshop.model("descriptors", "base")
    with pytest.raises(EncoderError, match=r"no text tower.*--cluster\.features image"):
        workshop.clusters(base, ClusterConfig(k=5, features="joint"))
