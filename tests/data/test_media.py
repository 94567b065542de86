import errno
import threading
import time

import numpy as np
import pytest
import torch

from fakes import ugly_pictures
from fakes.picture_sets import picture_set
from syntype.data.dataset import Dataset
from syntype.data.media import Pictures, prepare
from syntype.data.preprocess import Preprocess
from syntype.errors import MediaError

PREPROCESS = Preprocess(size=32)


def decoding_threads() -> list[threading.Thread]:
    return [t for t in threading.enumerate() if t.name.startswith("syntype-decode")]


@pytest.fixture
def pictures(tmp_path):
    contents = {f"{i:02d}.jpg": ugly_pictures.jpeg(60, 40, seed=i) for i in range(23)}
    contents["07.jpg"] = contents["07.jpg"][:300]
    contents["15.jpg"] = b""
    return Pictures(picture_set(tmp_path / "set", contents), PREPROCESS)


def test_prepare_gives_channels_first_at_the_asked_size():
    prepared = prepare(ugly_pictures.jpeg(), PREPROCESS)
    assert prepared.shape == (3, 32, 32)
    assert prepared.dtype == np.uint8


def test_prepare_passes_the_pixel_limit_on():
    with pytest.raises(MediaError, match="limit of 10"):
        prepare(ugly_pictures.jpeg(), PREPROCESS, max_pixels=10)


def test_a_batch_keeps_the_order_asked_and_reports_what_fails(pictures):
    batch = pictures.batch(np.array([9, 7, 3, 15]))
    assert batch.rows.tolist() == [9, 3]
    assert batch.failures == ((7, "truncated"), (15, "the file is empty"))
    expected = [prepare(pictures.source.read(row), PREPROCESS) for row in (9, 3)]
    assert torch.equal(batch.images, torch.from_numpy(np.stack(expected)))


def test_a_batch_of_failures_only_has_the_shape_of_pictures(pictures):
    assert pictures.batch(np.array([7])).images.shape == (0, 3, 32, 32)


@pytest.mark.parametrize("workers", [0, 1, 3])
@pytest.mark.parametrize("batch_size", [1, 5, 100])
def test_a_stream_is_its_batches_in_order_whatever_the_threads(pictures, workers, batch_size):
    rows = np.arange(23)[::-1]
    streamed = list(pictures.stream(rows, batch_size, workers=workers))
    direct = [pictures.batch(rows[i : i + batch_size]) for i in range(0, 23, batch_size)]
    assert len(streamed) == len(direct)
    for ours, expected in zip(streamed, direct, strict=True):
        assert ours.rows.tolist() == expected.rows.tolist()
        assert ours.failures == expected.failures
        assert torch.equal(ours.images, expected.images)
    assert not decoding_threads()


def test_stop_names_the_sample_the_file_and_the_way_on(pictures):
    with pytest.raises(MediaError) as caught:
        list(pictures.stream(np.arange(23), 4, on_error="stop"))
    message = str(caught.value)
    assert "fake/07.jpg" in message
    assert str(pictures.source.roots["fake"] / "07.jpg") in message
    assert "truncated" in message
    assert "--on-error skip" in message
    assert not decoding_threads()


def test_a_file_that_is_gone_is_a_failure_like_another(pictures):
    (pictures.source.roots["fake"] / "03.jpg").unlink()
    assert pictures.batch(np.array([2, 3])).failures == ((3, "the file is gone"),)


def test_a_file_that_may_not_be_read_is_a_failure_like_another(pictures, monkeypatch):
    def refuse(self, row):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Dataset, "read", refuse)
    assert pictures.batch(np.array([2])).failures == (
        (2, "the file cannot be read (Permission denied)"),
    )


def test_the_stream_runs_a_bounded_way_ahead(pictures, monkeypatch):
    read = []
    plain_read = Dataset.read

    def counted(self, row):
        read.append(row)
        return plain_read(self, row)

    monkeypatch.setattr(Dataset, "read", counted)
    stream = pictures.stream(np.arange(23), 3, workers=2)
    next(stream)
    time.sleep(0.3)
    assert len(read) == 9  # the batch in use and two ahead
    stream.close()
    assert len(read) == 9


def test_closing_early_stops_the_threads(pictures):
    stream = pictures.stream(np.arange(23), 4, workers=2)
    next(stream)
    assert decoding_threads()
    stream.close()
    assert not decoding_threads()


def test_an_error_of_the_consumer_stops_the_threads(pictures):
    def consume():
        for _ in pictures.stream(np.arange(23), 4, workers=2):
            raise KeyError("consumer")

    with pytest.raises(KeyError):
        consume()
    assert not decoding_threads()


def test_an_unforeseen_error_in_a_thread_reaches_the_consumer(pictures, monkeypatch):
    def fail(self, row):
        raise RuntimeError("our fault")

    monkeypatch.setattr(Dataset, "read", fail)
    with pytest.raises(RuntimeError, match="our fault"):
        list(pictures.stream(np.arange(23), 4, workers=2))
    assert not decoding_threads()


def test_pillows_warnings_do_not_leak_from_threads(tmp_path):
    contents = dict(ugly_pictures.readable().items())
    dataset = picture_set(
        tmp_path / "set", {f"{i}.bin": c for i, c in enumerate(contents.values())}
    )
    batches = list(Pictures(dataset, PREPROCESS).stream(np.arange(len(dataset)), 4, workers=4))
    assert sum(len(batch.rows) for batch in batches) == len(dataset)
