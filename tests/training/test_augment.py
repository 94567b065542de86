"""Crops and flips: named draws, plain geometry."""

import numpy as np
import torch

from syntype.training.augment import resample, views


def test_a_view_depends_on_seed_epoch_and_sample_only():
    rows = np.array([4, 9, 2])
    maps = views(rows, 0, 3)
    assert torch.equal(maps[1], views(np.array([9]), 0, 3)[0])
    assert not torch.equal(maps[1], views(np.array([9]), 0, 4)[0])
    assert not torch.equal(maps[1], views(np.array([9]), 1, 3)[0])


def test_views_lie_within_the_picture_and_cover_the_stated_area():
    maps = views(np.arange(500), 0, 0)
    width, height = maps[:, 0, 0].abs(), maps[:, 1, 1]
    assert (width + maps[:, 0, 2].abs() <= 1 + 1e-6).all()
    assert (height + maps[:, 1, 2].abs() <= 1 + 1e-6).all()
    assert (width * height).min() > 0.35
    assert (width * height).max() <= 1
    assert 0.4 < (maps[:, 0, 0] < 0).float().mean() < 0.6


def test_the_whole_view_is_the_picture_and_its_flip_the_mirror():
    picture = torch.rand(1, 3, 6, 8)
    whole = torch.tensor([[[1.0, 0, 0], [0, 1, 0]]])
    mirrored = torch.tensor([[[-1.0, 0, 0], [0, 1, 0]]])
    torch.testing.assert_close(resample(picture, whole), picture)
    torch.testing.assert_close(resample(picture, mirrored), picture.flip(-1))


def test_a_crop_is_that_part_of_the_picture():
    ramp = torch.arange(8.0).expand(1, 3, 8, 8)
    right_half = resample(ramp, torch.tensor([[[0.5, 0, 0.5], [0, 1, 0]]]))
    torch.testing.assert_close(right_half[0, 0, 0, 1:-1], torch.linspace(4.25, 6.75, 6))
