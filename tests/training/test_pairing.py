"""Contrastive training: it learns names, resumes, splits, and what comes out reads words."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn.functional import normalize

from fakes import models
from syntype.configs import TrainConfig
from syntype.encoders.from_checkpoint import load_checkpoint, save_checkpoint
from syntype.encoders.load import load_encoder
from syntype.encoders.untrained_text import tokenize, untrained_text
from syntype.errors import EncoderError, TrainingError, WeightsError
from syntype.taxonomy.taxon import Taxon
from syntype.training.contrast import first_temperature
from syntype.training.loop import Setting
from syntype.training.pairing import Contrast, captions, contrast
from syntype.training.parallel import SOLO
from training.gang import together

NAMES = ("Anas crecca", "Parus major", "Salmo salar", "Danaus plexippus")
SPEC = "untrained:test_vit?size=32"
N = 32
CONFIG = TrainConfig(
    mode="finetune",
    epochs=2,
    batch_size=12,
    lr=1e-3,
    checkpoint_every=2,
    crop=1.0,
    flip=False,
    precision="float32",  # a processor with AMX would compute in bfloat16
)


def pictures():
    source = np.random.default_rng(0)
    tints = source.integers(0, 255, (4, 3, 1, 1))[np.arange(N) % 4]
    images = (tints + source.integers(-20, 20, (N, 3, 32, 32))).clip(0, 255).astype(np.uint8)
    return torch.from_numpy(images), [
        Taxon.from_name(NAMES[row % 4], NAMES[row % 4]) for row in range(N)
    ]


def run(world=SOLO, config=CONFIG, folder=None, progress=None, spec=SPEC):
    images, taxa = pictures()
    setting = Setting(folder, world) if progress is None else Setting(folder, world, progress)
    read = lambda rows: images[torch.from_numpy(rows)]  # noqa: E731
    return contrast(load_encoder(spec, "cpu"), read, taxa, config, setting=setting)


def states(trained, text):
    return {"image": trained.module.state_dict(), "text": text.module.state_dict(),
            "scale": torch.tensor(text.logit_scale), "history": trained.history}  # fmt: skip


@pytest.mark.parametrize(
    ("form", "epochs"), [("clip", 8), pytest.param("siglip", 20, marks=pytest.mark.slow)]
)
def test_it_learns_the_names_and_the_result_reads_them(tmp_path, form, epochs):
    config = replace(CONFIG, epochs=epochs, contrast=form)
    base = load_encoder(SPEC, "cpu")
    trained, text = run(config=config)
    history = trained.history
    assert history[-1]["loss"] < history[0]["loss"]
    assert history[-1]["accuracy"] > 0.9
    assert trained.prototypes is None
    save_checkpoint(
        tmp_path, kind="tower", base=base.name, base_identity=base.identity,
        state=trained.module.state_dict(), dim=base.dim, text=text,
    )  # fmt: skip
    encoder = load_checkpoint(tmp_path)
    assert encoder.logit_scale == text.logit_scale
    images, _ = pictures()
    words = encoder.encode_texts([f"a photo of {name}." for name in NAMES])
    found = (encoder.encode(images) @ words.T).argmax(1)
    assert (found == torch.arange(N) % 4).float().mean() > 0.9
    path = tmp_path / "text.safetensors"
    path.write_bytes(path.read_bytes()[:-4] + b"\0\0\0\1")
    with pytest.raises(WeightsError, match=r"text\.safetensors is not the file that was saved"):
        load_checkpoint(tmp_path).encode_texts(["x"])


def test_a_stopped_training_ends_the_same(tmp_path, interrupted_after):
    with pytest.raises(KeyboardInterrupt):
        run(folder=tmp_path, progress=interrupted_after(5))
    found, expected = states(*run(folder=tmp_path)), states(*run())
    assert found["history"] == expected["history"]
    for part in ("image", "text"):
        for name, value in expected[part].items():
            assert torch.equal(found[part][name], value)


def _shared(world, config):
    return states(*run(world, config))


@pytest.mark.parametrize("options", [{}, {"contrast": "siglip", "micro_batch": 2}])
def test_several_processes_see_the_whole_batch(options):
    config = replace(CONFIG, **options)
    expected = states(*run(config=config))
    for found in together(2, _shared, config):
        torch.testing.assert_close(found["scale"], expected["scale"])
        for one, other in zip(found["history"], expected["history"], strict=True):
            assert one == pytest.approx(other, rel=2e-3)
        for name, value in expected["text"].items():
            torch.testing.assert_close(found["text"][name], value, rtol=1e-2, atol=2e-4)


def _two_pulls(world, config):
    """Loss, gradients and temperature of two steps in float64, the first of an uneven batch."""
    source = torch.Generator().manual_seed(2)
    vectors = torch.randn(37, 12, generator=source, dtype=torch.float64)
    species = torch.randint(9, (37,), generator=source)
    start = first_temperature(config.contrast, 6.0, -2.0).double()
    objective, found = Contrast(species, config, start, world).double(), []
    for step, rows in enumerate([np.arange(22), np.arange(22, 37)]):
        leaf = vectors[torch.from_numpy(rows)][world.share(len(rows))].requires_grad_()
        figures = objective.pull(leaf, rows, step)
        objective.move(1.0)
        found.append(
            {
                **vars(figures),
                "vectors": world.gather(leaf.grad, len(rows)),
                "temperature": objective.temperature.clone(),
                "moment": objective.optimiser.mean.clone(),
            }
        )
    return found


@pytest.mark.parametrize("size", [2, 4])
def test_loss_and_gradients_are_those_of_one_process(size):
    every = [
        replace(CONFIG, contrast=form, same_species=same)
        for form in ("clip", "siglip")
        for same in ("positives", "ignored", "negatives")
    ]

    def work(world):
        return [_two_pulls(world, config) for config in every]

    alone = work(SOLO)
    for found in together(size, work):
        for one, other in zip(alone, found, strict=True):
            for expected, step in zip(one, other, strict=True):
                for part, value in expected.items():
                    torch.testing.assert_close(step[part], value, rtol=1e-6, atol=1e-12)


def test_pieces_of_a_batch_give_the_same_step():
    whole, pieces = (states(*run(config=replace(CONFIG, micro_batch=n))) for n in (0, 5))
    for one, other in zip(pieces["history"], whole["history"], strict=True):
        assert one == pytest.approx(other, rel=2e-3)


def test_towers_of_open_clip_are_trained_from_their_weights(tmp_path):
    models.write_open_clip(tmp_path / "open_clip")
    spec = f"open_clip:{tmp_path}/open_clip"
    trained, text = run(config=replace(CONFIG, epochs=1), spec=spec)
    assert trained.history[0]["loss"] > 0
    assert text.architecture["source"] == "open_clip"
    base = load_encoder(spec, "cpu")
    folder = tmp_path / "tuned"
    save_checkpoint(
        folder, kind="tower", base=base.name, base_identity=base.identity,
        state=trained.module.state_dict(), dim=base.dim, text=text,
    )  # fmt: skip
    words = ["a photo of Anas crecca."]
    found = load_checkpoint(folder).encode_texts(words)
    with torch.inference_mode():
        expected = normalize(text.module(text.tokenize(words)))
    torch.testing.assert_close(found, expected)
    assert not torch.allclose(found, base.encode_texts(words))


def test_words_are_told_apart_by_letters_alone():
    tokens = tokenize(["Anas crecca", "anas  CRECCA.", "Anas crecca L.", ""])
    assert torch.equal(tokens[0], tokens[1])
    assert not torch.equal(tokens[0], tokens[2])
    assert not tokens[3].any()
    tower = untrained_text(8, 0).module.eval()
    vectors = tower(tokens)
    assert torch.isfinite(vectors).all()
    torch.testing.assert_close(vectors[0], vectors[1])
    assert torch.equal(untrained_text(8, 0).module(tokens), untrained_text(8, 0).module(tokens))
    assert not torch.equal(untrained_text(8, 1).module(tokens), untrained_text(8, 0).module(tokens))


def test_captions_are_each_samples_own_and_mixed_ones_vary():
    _, taxa = pictures()
    rows = np.arange(N)
    plain = captions(taxa, rows, replace(CONFIG, names="scientific"), 0)
    assert plain[:2] == ["a photo of Anas crecca.", "a photo of Parus major."]
    mixed = captions(taxa, rows, CONFIG, 0)
    assert mixed == captions(taxa, rows, CONFIG, 0)
    assert captions(taxa, rows[[3, 9]], CONFIG, 0) == [mixed[3], mixed[9]]


def test_what_cannot_be_is_refused():
    images, taxa = pictures()
    read = lambda rows: images[torch.from_numpy(rows)]  # noqa: E731
    with pytest.raises(EncoderError, match=r"no text tower.*--objective clusters"):
        contrast(load_encoder("pixels", "cpu"), read, taxa, CONFIG)
    with pytest.raises(TrainingError, match="one species"):
        contrast(load_encoder(SPEC, "cpu"), read, [taxa[0]] * N, CONFIG)
