"""The same pictures in the same order, whoever reads them; failures as one clean error."""

import os
import signal
import time

import numpy as np
import pytest
import torch
from torch import multiprocessing

from syntype.configs import TrainConfig
from syntype.errors import MediaError, ResourceError
from syntype.training.feeding import Feed

ROWS = [np.array([3, 1, 4]), np.array([0, 2, 5]), np.array([7, 6, 8])]


def read(rows):
    values = torch.from_numpy(rows).to(torch.uint8)
    ramp = torch.arange(64, dtype=torch.uint8).reshape(1, 1, 8, 8)
    return (values.view(-1, 1, 1, 1) + ramp).expand(-1, 3, 8, 8).contiguous()


def batches(workers, config=TrainConfig(), epoch=0, source=read):  # noqa: B008 - frozen
    return list(Feed(source, config, 5, workers).batches(ROWS, epoch))


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_pixels_and_order_do_not_depend_on_the_workers(workers):
    config = TrainConfig(crop=0.5, colour=0.4, rand_augment=9)
    for epoch in (0, 1):
        for one, other in zip(
            batches(0, config, epoch), batches(workers, config, epoch), strict=True
        ):
            assert torch.equal(one, other)


def test_without_changes_the_pictures_are_those_read():
    plain = TrainConfig(crop=1.0, flip=False)
    for rows, images in zip(ROWS, batches(2, plain), strict=True):
        assert torch.equal(images, read(rows))


@pytest.mark.parametrize("workers", [0, 2])
def test_a_picture_that_cannot_be_read_is_one_clean_error(workers):
    def broken(rows):
        if 2 in rows:
            raise MediaError("b.jpg cannot be read: truncated.")
        return read(rows)

    found = []
    with pytest.raises(MediaError, match=r"^b\.jpg cannot be read: truncated\.$"):
        for images in Feed(broken, TrainConfig(), 0, workers).batches(ROWS, 0):
            found.append(images)  # noqa: PERF402 - the error comes in between
    assert len(found) == 1


def test_a_killed_worker_is_named_with_what_to_do():
    owner = os.getpid()

    def deadly(rows):
        if os.getpid() != owner and 0 in rows:
            os.kill(os.getpid(), signal.SIGKILL)
        return read(rows)

    with pytest.raises(ResourceError) as info:
        batches(2, source=deadly)
    assert none_left()  # though the error, and so its traceback, is still held
    info.match(r"was killed.*--workers 1.*--train\.batch-size")


def test_a_training_that_stops_leaves_no_process_behind():
    feed = iter(Feed(read, TrainConfig(), 0, 2).batches(ROWS, 0))
    next(feed)
    feed.close()
    assert none_left()


def none_left():
    end = time.monotonic() + 10
    while multiprocessing.active_children() and time.monotonic() < end:
        time.sleep(0.05)
    return not multiprocessing.active_children()
