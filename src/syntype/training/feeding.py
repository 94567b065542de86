"""Pictures for a training, read and changed ahead of the device.

Legend: r pictures of a batch, h x w pixels.

Worker processes each prepare whole batches, which arrive in order. They are forked where the system
can fork: they touch no accelerator, compute in one thread each, and start in milliseconds. What
they give does not depend on how many there are.
"""

import multiprocessing
import warnings
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Int, UInt8
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from syntype.configs import AugmentConfig
from syntype.errors import ResourceError, SyntypeError
from syntype.training.augment import changed, changes

# Rows of the training set to their pictures, as the encoder's `preprocess` wants them.
Read = Callable[[Int[np.ndarray, "r"]], UInt8[Tensor, "r 3 h w"]]

_AHEAD = 2  # batches that each worker has ready


@dataclass(frozen=True)
class Feed:
    """Where a training's pictures come from.

    Attributes:
        read: Gives them.
        config: How they are changed at random.
        seed: Of the training.
        workers: Processes that prepare batches; 0 prepares them between the steps.
    """

    read: Read
    config: AugmentConfig
    seed: int = 0
    workers: int = 0

    def batches(
        self, rows: Sequence[Int[np.ndarray, "_"]], epoch: int
    ) -> Iterator[UInt8[Tensor, "_ 3 h w"]]:
        """The pictures of each batch, in order.

        Raises:
            SyntypeError: What `read` raised.
            ResourceError: A worker was killed, as a rule for want of memory.
        """
        source = _Batches(self.read, self.config, self.seed, epoch, tuple(rows))
        with closing(self._by_workers(source) if self.workers else source.here()) as coming:
            for found in coming:
                if isinstance(found, SyntypeError):
                    raise found
                yield found

    def _by_workers(self, source: "_Batches") -> Generator[Tensor | SyntypeError]:
        changes(self.config, 1)  # imports here what each worker of each epoch would import anew
        forks = "fork" in multiprocessing.get_all_start_methods()
        with warnings.catch_warnings():
            # More workers than processors are right where the disk is far away.
            warnings.filterwarnings("ignore", "This DataLoader will create")
            coming = iter(
                DataLoader(
                    source,
                    batch_size=None,
                    num_workers=min(self.workers, len(source)),
                    prefetch_factor=_AHEAD,
                    pin_memory=torch.cuda.is_available(),
                    multiprocessing_context="fork" if forks else None,
                )
            )
        try:
            yield from coming
        except RuntimeError as error:
            if "worker" not in str(error):
                raise
            raise ResourceError(
                "A process that reads pictures was killed, as a rule because memory ran out. Take "
                f"fewer (--workers {max(1, self.workers // 2)}) or smaller batches "
                "(--train.batch-size), and run the same command again."
            ) from error
        finally:
            # Not left to the iterator's end: an error's traceback would keep it alive.
            coming._shutdown_workers()  # type: ignore[attr-defined]


@dataclass(frozen=True)
class _Batches(Dataset[Tensor | SyntypeError]):
    """The batches of an epoch by their number."""

    read: Read
    config: AugmentConfig
    seed: int
    epoch: int
    rows: tuple[Int[np.ndarray, "_"], ...]

    def __len__(self) -> int:
        return len(self.rows)

    def here(self) -> Generator[Tensor | SyntypeError]:
        """All of them, each prepared when it is asked for."""
        for place in range(len(self)):
            yield self[place]

    def __getitem__(self, place: int) -> Tensor | SyntypeError:
        """A batch, or why there is none: an exception would arrive wrapped in its traceback."""
        rows = self.rows[place]
        try:
            images = self.read(rows)
        except SyntypeError as error:
            return error
        change = changes(self.config, images.shape[-1])
        if change is None:
            return images
        return changed(images, change, rows, self.seed, self.epoch)
