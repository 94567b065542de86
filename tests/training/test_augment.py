"""Random changes are each picture's own, and the same whoever asks."""

import numpy as np
import pytest
import torch

from syntype.configs import TrainConfig
from syntype.errors import UsageError
from syntype.training.augment import changed, changes

NOTHING = {"crop": 1.0, "flip": False}
EVERYTHING = TrainConfig(crop=0.3, colour=0.4, rand_augment=9, erasing=0.5)


def pictures(n=6, size=24):
    source = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (n, 3, size, size), generator=source, dtype=torch.uint8)


def run(config, images, rows, seed=0, epoch=0):
    return changed(images, changes(config, images.shape[-1]), np.asarray(rows), seed, epoch)


def test_nothing_asked_is_nothing_done():
    assert changes(TrainConfig(**NOTHING), 24) is None


@pytest.mark.parametrize(
    "options",
    [
        {"crop": 0.3, "flip": False},
        {"crop": 1.0, "flip": True},
        {**NOTHING, "colour": 0.5},
        {**NOTHING, "rand_augment": 15},
        {**NOTHING, "erasing": 1.0},
    ],
)
def test_each_option_changes_pictures_and_keeps_their_form(options):
    images = pictures(12)
    found = run(TrainConfig(**options), images, range(12))
    assert found.dtype == torch.uint8
    assert found.shape == images.shape
    assert not torch.equal(found, images)


def test_a_flip_is_a_flip_of_about_half():
    images = pictures(200, 8)
    found = run(TrainConfig(crop=1.0), images, range(200))
    flipped = (found == images.flip(-1)).all((1, 2, 3))
    assert (flipped | (found == images).all((1, 2, 3))).all()
    assert 70 < int(flipped.sum()) < 130


def test_a_picture_is_changed_alike_in_any_batch_and_anew_in_each_epoch():
    images = pictures()
    whole = run(EVERYTHING, images, range(6))
    part = run(EVERYTHING, images[[4, 1]], [4, 1])
    assert torch.equal(part, whole[[4, 1]])
    assert not torch.equal(run(EVERYTHING, images, range(6), epoch=1), whole)
    assert not torch.equal(run(EVERYTHING, images, range(6), seed=1), whole)


def test_the_global_generator_is_left_alone():
    before = torch.get_rng_state()
    run(EVERYTHING, pictures(), range(6))
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("option", [{"crop": 0.0}, {"colour": 2.0}, {"erasing": -1.0}])
def test_what_cannot_be_is_refused(option):
    with pytest.raises(UsageError, match=f"--train.{next(iter(option))}"):
        TrainConfig(**option)
