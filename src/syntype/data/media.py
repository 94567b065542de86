"""Pictures as an encoder's input: one, a batch, or a stream decoded ahead in threads.

Legend: n pictures, r rows asked for, 3 channels, s x s pixels of the input.

`prepare` is `decode` (bytes to pixels) and then `fit` (pixels to the input's shape). Against
open_clip's evaluation transform it differs by less than 0.01 of the 255 levels in the mean, at
2.6 to 2.8 times the speed: `benchmarks/decode.py`. JPEGs are decoded at full scale; the decoder's
own downscaling is faster still, but differs by 0.5 levels.

Threads, not processes, decode ahead: simplejpeg, Pillow and torch's resize release the
interpreter's lock. On two processors, JPEGs of 1000 x 750: one thread 270 to 320 pictures a second,
two threads 530 to 620, two processes 580 to 600, and processes cost a start and a copy besides.
Torch's 8-bit resize runs on one thread whatever `torch.set_num_threads` says, so there is nothing
to set inside of the workers.
"""

import os
from collections import deque
from collections.abc import Generator, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Int, UInt8
from torch import Tensor

from syntype.configs import OnError
from syntype.data.decode import MAX_PIXELS, decode
from syntype.data.geometry import Prepared, fit
from syntype.data.preprocess import Preprocess
from syntype.errors import DataNotFoundError, MediaError

# Batches decoded ahead of the one in use.
_AHEAD = 2


def prepare(content: bytes, preprocess: Preprocess, *, max_pixels: int = MAX_PIXELS) -> Prepared:
    """Decode a picture and carry out the geometry of `preprocess`.

    EXIF orientation is applied; open_clip does not, so parity holds for pictures without it.
    `syntype.data.decode` says what becomes of alpha, CMYK, 16 bits and animations.

    Args:
        content: The bytes of the file.
        preprocess: Size, fit and filter; mean and std are left to the encoder.
        max_pixels: Refuse pictures of more pixels.

    Returns:
        8-bit RGB, channels first, `preprocess.size` pixels wide and high.

    Raises:
        MediaError: The picture cannot be decoded; the message is the reason in a few words.
    """
    return fit(decode(content, max_pixels=max_pixels), preprocess)


@runtime_checkable
class Source(Protocol):
    """Where pictures come from, by rows: a data set, or a stream."""

    def read(self, row: int) -> bytes:
        """The bytes of a row's picture."""

    def name(self, row: int) -> str:
        """What to call a row in a message."""


class Batch(NamedTuple):
    """Pictures that could be read, and those that could not.

    Attributes:
        images: The former, 8-bit RGB.
        rows: Their rows in the data set, in the order asked.
        failures: Row and reason of each of the latter.
    """

    images: UInt8[Tensor, "n 3 s s"]
    rows: Int[np.ndarray, "n"]
    failures: tuple[tuple[int, str], ...]


def _threads(workers: int) -> int:
    if workers:
        return workers
    if hasattr(os, "sched_getaffinity"):  # what SLURM grants; not on every system
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@dataclass(frozen=True)
class Pictures:
    """Pictures as an encoder's input, read when asked for.

    Attributes:
        source: Where the pictures are.
        preprocess: The encoder's geometry.
        max_pixels: Refuse pictures of more pixels.
    """

    source: Source
    preprocess: Preprocess
    max_pixels: int = MAX_PIXELS

    def picture(self, row: int) -> Prepared:
        """The picture of one row.

        Raises:
            MediaError: It is gone, may not be read, or cannot be decoded.
        """
        try:
            content = self.source.read(row)
        except DataNotFoundError as error:
            raise MediaError("the file is gone") from error
        except OSError as error:
            raise MediaError(f"the file cannot be read ({error.strerror})") from error
        return prepare(content, self.preprocess, max_pixels=self.max_pixels)

    def batch(self, rows: Int[np.ndarray, "r"], *, on_error: OnError = "skip") -> Batch:
        """The pictures of `rows`, decoded one after the other in this thread.

        Raises:
            MediaError: A picture cannot be read and `on_error` is "stop".
        """
        return self._assemble(rows, [self._attempt(int(row)) for row in rows], on_error)

    def stream(
        self,
        rows: Int[np.ndarray, "r"],
        batch_size: int,
        *,
        workers: int = 0,
        on_error: OnError = "skip",
    ) -> Generator[Batch]:
        """The pictures of `rows` in batches of `batch_size` rows, decoded ahead in threads.

        Args:
            rows: Rows of the data set, in the order wanted.
            batch_size: Rows a batch; pictures left out make a batch smaller, never later ones.
            workers: Threads; 0 takes one for each processor.
            on_error: "skip" reports a picture that cannot be read in `Batch.failures`.

        Raises:
            MediaError: A picture cannot be read and `on_error` is "stop".
        """
        cuts = (rows[start : start + batch_size] for start in range(0, len(rows), batch_size))
        return self.stream_batches(cuts, workers=workers, on_error=on_error)

    def stream_batches(
        self,
        batches: Iterable[Int[np.ndarray, "r"]],
        *,
        workers: int = 0,
        on_error: OnError = "skip",
    ) -> Generator[Batch]:
        """As `stream`, for batches that are cut already; they come in the order given.

        At most two batches wait decoded, however slow the consumer. Closing the iterator, or an
        error on either side, stops the threads.

        Raises:
            MediaError: A picture cannot be read and `on_error` is "stop".
        """
        pool = ThreadPoolExecutor(_threads(workers), thread_name_prefix="syntype-decode")
        waiting: deque[tuple[np.ndarray, list[Future[Prepared | MediaError]]]] = deque()
        try:
            for rows in batches:
                waiting.append((rows, [pool.submit(self._attempt, int(row)) for row in rows]))
                if len(waiting) > _AHEAD:
                    yield self._collect(*waiting.popleft(), on_error)
            while waiting:
                yield self._collect(*waiting.popleft(), on_error)
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

    def _attempt(self, row: int) -> Prepared | MediaError:
        """The picture, or why there is none: a value, so that threads can hand it over."""
        try:
            return self.picture(row)
        except MediaError as error:
            return error

    def _collect(
        self, rows: np.ndarray, futures: list[Future[Prepared | MediaError]], on_error: OnError
    ) -> Batch:
        return self._assemble(rows, [future.result() for future in futures], on_error)

    def _assemble(
        self, rows: np.ndarray, outcomes: Sequence[Prepared | MediaError], on_error: OnError
    ) -> Batch:
        kept, pictures, failures = [], [], []
        for row, outcome in zip(rows.tolist(), outcomes, strict=True):
            if not isinstance(outcome, MediaError):
                kept.append(row)
                pictures.append(outcome)
            elif on_error == "skip":
                failures.append((row, str(outcome)))
            else:
                raise self._stopped(row, outcome) from outcome
        size = self.preprocess.size
        images = np.stack(pictures) if pictures else np.empty((0, 3, size, size), np.uint8)
        return Batch(torch.from_numpy(images), np.asarray(kept, np.int64), tuple(failures))

    def _stopped(self, row: int, error: MediaError) -> MediaError:
        return MediaError(
            f"The picture of {self.source.name(row)} cannot be read: {error}. Mend or remove it, "
            "or leave out such pictures with --on-error skip."
        )
