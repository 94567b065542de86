"""Tuning a tower: a copy of it, on pictures that come from another thread."""

import json
import time

import numpy as np
import pytest
import torch
from torch import nn

from syntype.configs import TrainConfig
from syntype.data.preprocess import Preprocess
from syntype.encoders.encoder import Encoder
from syntype.encoders.from_checkpoint import load_checkpoint, save_checkpoint
from syntype.encoders.load import load_encoder
from syntype.errors import TrainingError, UsageError
from syntype.progress import SILENT
from syntype.training.finetune import finetune
from syntype.training.loop import Setting
from syntype.training.tracking import FILE, Tracking

CONFIG = TrainConfig(
    mode="finetune", epochs=3, batch_size=16, init="random", lr=5e-3, checkpoint_every=2
)
N, CLASSES = 40, 4


class Tower(nn.Module):
    """Convolution, batch normalisation, dropout: all that makes an exact resume hard."""

    def __init__(self, dim=8):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(3, 8, 3, stride=2), nn.BatchNorm2d(8), nn.ReLU(), nn.Dropout(0.1)
        )
        self.head = nn.Linear(8, dim)

    def forward(self, images):
        return self.head(self.layers(images).mean((2, 3)))


@pytest.fixture
def encoder():
    torch.manual_seed(0)
    module = Tower()
    with torch.no_grad():  # as an encoder that has been used: no gradients, evaluation mode
        module.requires_grad_(False).eval()
    return Encoder("test:tower", {"source": "test"}, "none", Preprocess(size=16), 8, module)


@pytest.fixture
def pictures():
    source = np.random.default_rng(0)
    labels = np.arange(N) % CLASSES
    tints = source.integers(0, 255, (CLASSES, 3, 1, 1))
    noisy = tints[labels] + source.integers(-40, 40, (N, 3, 16, 16))
    return torch.from_numpy(noisy.clip(0, 255).astype(np.uint8)), torch.from_numpy(labels)[:, None]


def run(encoder, pictures, config=CONFIG, folder=None, progress=SILENT, **options):
    images, labels = pictures
    read = lambda rows: images[torch.from_numpy(rows)]  # noqa: E731
    setting = Setting(folder, progress=progress)
    return finetune(encoder, read, labels, CLASSES, config, setting=setting, **options)


def test_it_learns_and_leaves_the_encoder_as_it_was(encoder, pictures):
    before = {name: part.clone() for name, part in encoder.module.state_dict().items()}
    trained = run(encoder, pictures)
    assert trained.history[-1]["loss"] < trained.history[0]["loss"]
    for name, part in encoder.module.state_dict().items():
        assert torch.equal(part, before[name])
    assert not torch.equal(trained.module.head.weight, before["head.weight"])
    assert trained.module.state_dict().keys() == before.keys()


@pytest.mark.parametrize("step", [1, 3, 4, 7])
def test_it_resumes_exactly_with_dropout_norms_and_crops(
    encoder, pictures, tmp_path, interrupted_after, step
):
    with pytest.raises(KeyboardInterrupt):
        run(encoder, pictures, folder=tmp_path, progress=interrupted_after(step))
    resumed, whole = run(encoder, pictures, folder=tmp_path), run(encoder, pictures)
    assert resumed.history == whole.history
    for name, part in whole.module.state_dict().items():
        assert torch.equal(part, resumed.module.state_dict()[name])
    assert torch.equal(resumed.prototypes, whole.prototypes)


def test_metrics_say_how_long_each_step_waited_for_its_pictures(encoder, pictures, tmp_path):
    images, labels = pictures

    def slow(rows):
        time.sleep(0.03)
        return images[torch.from_numpy(rows)]

    with Tracking(tmp_path) as tracking:
        finetune(encoder, slow, labels, CLASSES, CONFIG, setting=Setting(tracking=tracking))
    lines = [json.loads(line) for line in (tmp_path / FILE).read_text().splitlines()]
    assert len(lines) > 2
    assert all(0.03 <= line["waited"] < 1 for line in lines)


def test_augmentation_can_be_turned_off(encoder, pictures):
    seen = []
    encoder.module.layers.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    config = TrainConfig(
        mode="finetune", epochs=1, batch_size=64, init="random", crop=1.0, flip=False
    )
    run(encoder, pictures, config)
    expected = encoder.normalise(pictures[0])
    assert sorted(seen[-1].sum((1, 2, 3)).tolist()) == sorted(expected.sum((1, 2, 3)).tolist())
    seen.clear()
    run(encoder, pictures, TrainConfig(mode="finetune", epochs=1, batch_size=64, init="random"))
    assert seen[-1].shape == expected.shape
    assert sorted(seen[-1].sum((1, 2, 3)).tolist()) != sorted(expected.sum((1, 2, 3)).tolist())


def test_no_batch_has_one_sample_only(encoder, pictures):
    images, labels = pictures
    sizes = []

    def load(rows):
        sizes.append(len(rows))
        return images[torch.from_numpy(rows)]

    config = TrainConfig(mode="finetune", epochs=1, batch_size=16, init="random")
    finetune(encoder, load, labels[:33], CLASSES, config)
    assert sizes == [11, 11, 11]


def test_weights_that_the_author_froze_stay_frozen(encoder, pictures):
    encoder.module.head.requires_grad_(True)
    trained = run(encoder, pictures)
    assert torch.equal(trained.module.layers[0].weight, encoder.module.layers[0].weight)
    assert not torch.equal(trained.module.head.weight, encoder.module.head.weight)


def test_centroids_must_be_given_or_random_asked_for(encoder, pictures):
    config = TrainConfig(mode="finetune", epochs=1, batch_size=16)
    with pytest.raises(UsageError, match=r"centroids.*--train\.init random"):
        run(encoder, pictures, config)
    start = torch.eye(CLASSES, 8)
    trained = run(encoder, pictures, config, centroids=start)
    assert (trained.prototypes * start).sum(1).min() > 0.5


def test_an_encoder_without_weights_cannot_be_tuned(encoder, pictures):
    bare = Encoder("test:bare", {}, "none", Preprocess(size=16), 8, nn.Flatten())
    with pytest.raises(TrainingError, match=r"test:bare has no weights.*--train\.mode adapt"):
        run(bare, pictures)


def test_a_tuned_network_is_saved_and_loaded_as_an_encoder(tmp_path, pictures):
    base = load_encoder("untrained:resnet10t?size=16", device="cpu")
    config = TrainConfig(mode="finetune", epochs=1, batch_size=20, init="random", lr=1e-4)
    trained = run(base, pictures, config)
    save_checkpoint(
        tmp_path,
        kind="tower",
        base=base.name,
        base_identity=base.identity,
        state=trained.module.state_dict(),
        dim=base.dim,
    )
    with torch.inference_mode():
        vectors = trained.module(base.normalise(pictures[0]))
    expected = nn.functional.normalize(vectors, dim=1)
    torch.testing.assert_close(load_checkpoint(tmp_path).encode(pictures[0]), expected)
