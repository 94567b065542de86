"""Random crops and flips of a batch of pictures, the same however often it is asked.

Legend: n pictures, h x w pixels.

Each picture's crop and flip are drawn from a generator named by seed, epoch and sample, so they
depend neither on the batch that it falls into nor on what was drawn before. Crop, flip and resize
to the same size are one bilinear resampling on the device; as a crop is never larger than the
picture, nothing is shrunk and no antialiasing is missed.
"""

import math

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional

from syntype.provenance import named_seed

_AREA = (0.4, 1.0)  # share of the picture: fine-grained classes do not survive the usual 0.08
_ASPECT = (3 / 4, 4 / 3)  # width to height, relative to the picture's


def views(rows: Int[np.ndarray, "n"], seed: int, epoch: int) -> Float[Tensor, "n 2 3"]:
    """For each sample the affine map from the corners of its view to its place in the picture.

    Args:
        rows: Samples of the training set.
        seed: Of the training.
        epoch: Counted from 0.

    Returns:
        Maps as `torch.nn.functional.affine_grid` takes them; a negative first entry is a flip.
    """
    maps = np.zeros((len(rows), 2, 3), dtype=np.float32)
    for place, row in enumerate(rows.tolist()):
        source = np.random.default_rng(named_seed(seed, "augment", epoch, row))
        area = source.uniform(*_AREA)
        aspect = math.exp(source.uniform(math.log(_ASPECT[0]), math.log(_ASPECT[1])))
        width = min(1.0, math.sqrt(area * aspect))
        height = min(1.0, math.sqrt(area / aspect))
        right, down = source.uniform(width - 1, 1 - width), source.uniform(height - 1, 1 - height)
        flip = -1.0 if source.random() < 0.5 else 1.0
        maps[place] = [[flip * width, 0, right], [0, height, down]]
    return torch.from_numpy(maps)


def resample(
    images: Float[Tensor, "n 3 h w"], maps: Float[Tensor, "n 2 3"]
) -> Float[Tensor, "n 3 h w"]:
    """The views of the pictures that `maps` describe, at the pictures' own size."""
    size = list(images.shape)
    grid = functional.affine_grid(maps.to(images), size, align_corners=False)
    return functional.grid_sample(
        images, grid, mode="bilinear", padding_mode="border", align_corners=False
    )
