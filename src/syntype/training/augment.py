"""Random changes of a training picture, the same however often it is asked for.

Legend: n pictures, h x w pixels.

The transforms are torchvision's (v2). They draw from torch's global generator, so each picture is
changed under a seed of its own, named by the training's seed, the epoch and the sample: what comes
out depends neither on the batch that it falls into, nor on the process that reads it. torchvision
changes the picture as the encoder will see it; a crop is never larger than that.
"""

from collections.abc import Callable

import numpy as np
import torch
from jaxtyping import Int, UInt8
from torch import Tensor

from syntype.configs import AugmentConfig
from syntype.provenance import named_seed

# One picture to another of the same size.
Change = Callable[[UInt8[Tensor, "3 h w"]], UInt8[Tensor, "3 h w"]]


def changes(config: AugmentConfig, size: int) -> Change | None:
    """What `config` asks for; None if that is nothing.

    Crops keep at least `config.crop` of the picture's area (0.4: fine-grained classes do not
    survive the usual 0.08) and between 3/4 and 4/3 of its aspect.

    Args:
        config: Which changes.
        size: h and w, pixels.
    """
    from torchvision.transforms import v2  # more than a second to import

    steps: list[Change] = []
    if config.crop < 1:
        steps.append(v2.RandomResizedCrop(size, scale=(config.crop, 1.0), antialias=True))
    if config.flip:
        steps.append(v2.RandomHorizontalFlip())
    if config.colour > 0:
        amount = config.colour
        steps.append(v2.ColorJitter(brightness=amount, contrast=amount, saturation=amount))
    if config.rand_augment > 0:
        steps.append(v2.RandAugment(num_ops=2, magnitude=config.rand_augment))
    if config.erasing > 0:
        steps.append(v2.RandomErasing(p=config.erasing))
    return v2.Compose(steps) if steps else None


def changed(
    images: UInt8[Tensor, "n 3 h w"],
    change: Change,
    rows: Int[np.ndarray, "n"],
    seed: int,
    epoch: int,
) -> UInt8[Tensor, "n 3 h w"]:
    """The pictures, each changed in its own way; the global generator is left as it was.

    Args:
        images: As they were read.
        change: What `changes` gave.
        rows: Which samples of the training set they are.
        seed: Of the training.
        epoch: Counted from 0.
    """
    found = torch.empty_like(images)
    with torch.random.fork_rng(devices=[]):
        for place, (image, row) in enumerate(zip(images, rows.tolist(), strict=True)):
            # torch.manual_seed would seed accelerators too, which takes longer than the changes.
            torch.default_generator.manual_seed(named_seed(seed, "augment", epoch, row))
            found[place] = change(image)
    return found
