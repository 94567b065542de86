"""What the training of a tower needs of a device's memory: counted before, and when it runs out.

Legend: b pictures, h x w pixels, k classes, d dimensions, n samples of a batch.

    weights        4 bytes each, trained or not
    gradients      4 bytes for each trained weight
    moments        8 bytes for each trained weight (AdamW)
    centres        4 (2 k d + k d): weights, two moments, and the gradient of those in a step
    loss           three blocks of cosines (`negatives`)
    activations    what a forward pass keeps for the way back, counted on the architecture alone

Counted, not measured: allocators keep more than they are asked for.
"""

import copy
import gc
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor, nn

from syntype.configs import TrainConfig
from syntype.errors import ResourceError
from syntype.training.negatives import CELLS

_T = TypeVar("_T")


@dataclass(frozen=True)
class Footprint:
    """Bytes on the device, by what needs them; activations for one sample."""

    weights: int
    gradients: int
    moments: int
    centres: int
    loss: int
    activations_each: int

    def total(self, micro_batch: int) -> int:
        """Bytes in all with so many samples in the encoder at a time."""
        fixed = self.weights + self.gradients + self.moments + self.centres + self.loss
        return fixed + self.activations_each * micro_batch

    def in_words(self, micro_batch: int) -> str:
        """One line for a plan."""
        parts = {
            "weights": self.weights,
            "gradients and moments": self.gradients + self.moments,
            "class centres": self.centres,
            f"activations of {micro_batch} pictures": self.activations_each * micro_batch,
        }
        listed = ", ".join(f"{name} {_gigabytes(size)}" for name, size in parts.items())
        return f"{_gigabytes(self.total(micro_batch))}: {listed}"


def _gigabytes(n_bytes: int) -> str:
    return f"{n_bytes / 1e9:,.2f} GB" if n_bytes < 10e9 else f"{n_bytes / 1e9:,.0f} GB"


def footprint(
    module: nn.Module, size: int, config: TrainConfig, n_classes: int, *, half: bool = False
) -> Footprint:
    """Count what training `module` needs.

    Args:
        module: The tower as it will be trained (frozen weights, checkpointed blocks); torch's
            `meta` device will do.
        size: h and w of its input, pixels.
        config: `batch_size`.
        n_classes: k.
        half: Whether it computes in 16 bits.
    """
    weights = list(module.parameters())
    n_trained = sum(weight.numel() for weight in weights if weight.requires_grad)
    each, dim = _kept_bytes(module, size)
    cells = min(CELLS, config.batch_size * n_classes)
    return Footprint(
        weights=4 * sum(weight.numel() for weight in weights),
        gradients=4 * n_trained,
        moments=8 * n_trained,
        centres=4 * (4 * n_classes * dim + n_classes),
        loss=4 * 3 * cells,
        activations_each=each // 2 if half else each,
    )


def _kept_bytes(module: nn.Module, size: int) -> tuple[int, int]:
    """Bytes that a forward pass of one picture keeps, of two asked, and the vectors' length."""
    ghost = copy.deepcopy(module).to("meta").train()
    own = {_storage(tensor) for tensor in [*ghost.parameters(), *ghost.buffers()]}
    kept: dict[int, Tensor] = {}

    def note(tensor: Tensor) -> Tensor:
        if (key := _storage(tensor)) not in own:
            kept[key] = tensor  # held, so that no other tensor takes its place
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        vectors = ghost(torch.empty(2, 3, size, size, device="meta"))
    total = sum(tensor.untyped_storage().nbytes() for tensor in kept.values())
    return total // 2, int(vectors.shape[-1])


def _storage(tensor: Tensor) -> int:
    return int(tensor.untyped_storage()._cdata)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error means that a device's memory ran out."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    text = str(error)
    return isinstance(error, RuntimeError) and (
        "out of memory" in text or "can't allocate memory" in text
    )


class Fitting:
    """How many samples go through the encoder at a time: halved whenever they do not fit.

    Args:
        most: How many to begin with.
    """

    def __init__(self, most: int) -> None:
        self.most = max(1, most)

    def retry(self, work: Callable[[int], _T]) -> _T:
        """What `work` gives for as many samples at a time as fit.

        Args:
            work: Done again from its beginning if memory runs out.

        Raises:
            ResourceError: Not even one sample fits.
        """
        while True:
            try:
                return work(self.most)
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                if self.most == 1:
                    raise ResourceError(
                        "Not even one sample at a time fits into the device's memory. Keep fewer "
                        "activations (--train.gradient-checkpointing), train fewer weights "
                        "(--train.tune lora), or split them over more GPUs (--processes, "
                        f"--train.fully-shard). It said: {str(error).splitlines()[0]}"
                    ) from error
            # Outside the handler: the traceback holds every tensor of the failed attempt.
            self.most = math.ceil(self.most / 2)
            free()

    def once(self, work: Callable[[int], _T]) -> _T:
        """What `work` gives, without a second attempt: for processes that must go in step.

        Raises:
            ResourceError: Memory ran out; the message says with how many samples to try.
        """
        try:
            return work(self.most)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            raise ResourceError(
                f"{self.most} samples at a time do not fit into the device's memory, and several "
                "processes cannot try again by themselves. Run the same command with "
                f"--train.micro-batch {max(1, self.most // 2)}: the steps stay the same. It said: "
                f"{str(error).splitlines()[0]}"
            ) from error


def free() -> None:
    """Give back what is not used any more."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
