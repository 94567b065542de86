"""Pixels to the shape of an encoder's input: resize and crop, squash, or pad.

Legend: 3 channels, s x s pixels of the input, h x w pixels before.

`fit` reproduces the evaluation transforms of open_clip and torchvision (Pillow's antialiased
resize, then centre crop, squash, or padding): the rounding of the resized size and of the offsets
of crop and padding is theirs to the pixel, and photographs differ by less than 0.01 of the 255
levels in the mean. Torch's 8-bit antialiased resize does Pillow's fixed-point arithmetic with
vector instructions, at several times Pillow's speed.

The crop is folded into the resize only where a picture is so elongated that resizing all of it
would be a waste of time or of memory (a picture of 1 x 4000 pixels becomes 224 x 896,000); Pillow
can do this exactly, torch cannot.
"""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from jaxtyping import UInt8
from PIL import Image
from torch.nn import functional

from syntype.data.decode import Pixels
from syntype.data.preprocess import Preprocess

Prepared = UInt8[np.ndarray, "3 s s"]
Sides = tuple[int, int]
Interpolation = Literal["bicubic", "bilinear"]

# Beyond this ratio of its sides, only the part of a picture that the crop keeps is resized.
_ELONGATED = 4

_PILLOW_FILTER = {
    "bicubic": Image.Resampling.BICUBIC,
    "bilinear": Image.Resampling.BILINEAR,
}


def _vertical_first(lengths: Sides, resized: Sides) -> bool:
    """Pillow's order of the two passes, which shows: between them it rounds and clips to 8 bits.

    Pillow 13 takes the vertical pass first where the height shrinks by many more pixels than the
    width; older ones never do. The rule of 13 holds here whatever Pillow is installed, so that
    vectors do not depend on it. Photographs of 3:4 or 2:3 go horizontally first in both.
    """
    lost_rows, lost_columns = lengths[0] - resized[0], lengths[1] - resized[1]
    return lost_rows > 0 and lost_rows > 2 * lost_columns


def _torch_pass(pixels: Pixels, height: int, width: int) -> Pixels:
    # (1, 3, h, w) with interleaved channels: the memory order for which torch has a fast kernel.
    # What comes out lies plane by plane, as the encoder wants it: only its axes are put back here.
    source = torch.from_numpy(pixels).permute(2, 0, 1)[None]
    resized = functional.interpolate(
        source, (height, width), mode="bicubic", antialias=True, align_corners=False
    )
    return resized[0].permute(1, 2, 0).numpy()


def _resize_by_torch(pixels: Pixels, resized: Sides) -> Pixels:
    """Bicubic; torch itself goes horizontally first."""
    height, width = pixels.shape[:2]
    if _vertical_first((height, width), resized):
        pixels = _torch_pass(pixels, resized[0], width)
    return _torch_pass(pixels, *resized)


@dataclass(frozen=True)
class _Span:
    """What of one side goes into a resize that keeps only a part of what comes out.

    Attributes:
        source: Start and stop in the source, the filter's reach included.
        box: Start and stop of what is resampled, from `source`'s start, in fractions of a pixel.
        n: Pixels that come out.
        kept: Which of them are kept.
    """

    source: Sides
    box: tuple[float, float]
    n: int
    kept: slice

    @classmethod
    def of(cls, length: int, new: int, start: int, stop: int) -> "_Span":
        """Of a side of `length` pixels, resized to `new`, of which `start` to `stop` are kept."""
        # Where a few pixels more make the box begin and end on whole pixels, nothing is rounded.
        step = new // math.gcd(length, new)
        first, last = start - start % step, min(stop + -stop % step, new)
        if last - first > 2 * (stop - start):
            first, last = start, stop
        scale = length / new
        reach = math.ceil(2 * max(scale, 1)) + 1
        low = max(math.floor(first * scale) - reach, 0)
        high = min(math.ceil(last * scale) + reach, length)
        box = first * length / new - low, min(last * length / new, length) - low
        return cls((low, high), box, last - first, slice(start - first, stop - first))


def _resize_by_pillow(
    pixels: Pixels, resized: Sides, interpolation: Interpolation, kept: tuple[Sides, Sides]
) -> Pixels:
    """The rows and columns `kept` (start, stop) of the picture resized to `resized`."""
    lengths = pixels.shape[0], pixels.shape[1]
    rows = _Span.of(lengths[0], resized[0], *kept[0])
    columns = _Span.of(lengths[1], resized[1], *kept[1])
    image = Image.fromarray(pixels[slice(*rows.source), slice(*columns.source)])
    for vertical in (True, False) if _vertical_first(lengths, resized) else (False, True):
        width, height = image.size
        size = (width, rows.n) if vertical else (columns.n, height)
        top, bottom = rows.box if vertical else (0.0, float(height))
        left, right = columns.box if not vertical else (0.0, float(width))
        box = (left, top, right, bottom)
        image = image.resize(size, _PILLOW_FILTER[interpolation], box=box)
    return np.array(image)[rows.kept, columns.kept]


def _resize(pixels: Pixels, resized: Sides, interpolation: Interpolation) -> Pixels:
    """Resize as Pillow does.

    Torch keeps 14 bits of a weight where Pillow keeps 22. In bicubic that moves one pixel of some
    hundreds by one level; in bilinear the sums fall on ties so often, at ratios such as 2:3, that
    up to 8 of 100 pixels move, so that is left to Pillow.
    """
    if pixels.shape[:2] == resized:
        return pixels
    if interpolation == "bilinear":
        return _resize_by_pillow(pixels, resized, interpolation, ((0, resized[0]), (0, resized[1])))
    return _resize_by_torch(pixels, resized)


def _middle(length: int, size: int) -> Sides:
    """Start and stop of the centred `size` pixels of a side, or of all where there are fewer."""
    kept = min(size, length)
    start = round((length - kept) / 2)
    return start, start + kept


def _centre(pixels: Pixels, size: int, fill: int) -> Pixels:
    """The middle `size` x `size` pixels, padded with `fill` where there are fewer.

    The odd pixel goes to the right and bottom when padding, and where Python's `round` (half to
    even) puts it when cropping: torchvision's rule.
    """
    (top, bottom), (left, right) = (_middle(length, size) for length in pixels.shape[:2])
    pixels = pixels[top:bottom, left:right]
    rows, columns = size - pixels.shape[0], size - pixels.shape[1]
    if rows > 0 or columns > 0:
        margins = ((rows // 2, rows - rows // 2), (columns // 2, columns - columns // 2), (0, 0))
        pixels = np.pad(pixels, margins, constant_values=fill)
    return pixels


def _crop(pixels: Pixels, preprocess: Preprocess) -> Pixels:
    """Resize the shorter side and crop the centre: torchvision's `Resize` and `CenterCrop`."""
    height, width = pixels.shape[:2]
    short, side = min(height, width), preprocess.resize_to or preprocess.size
    resized = (
        side if height == short else int(side * height / short),
        side if width == short else int(side * width / short),
    )
    if max(height, width) > _ELONGATED * short:
        kept = _middle(resized[0], preprocess.size), _middle(resized[1], preprocess.size)
        middle = _resize_by_pillow(pixels, resized, preprocess.interpolation, kept)
    else:
        middle = _resize(pixels, resized, preprocess.interpolation)
    return _centre(middle, preprocess.size, 0)


def _pad(pixels: Pixels, preprocess: Preprocess) -> Pixels:
    """Resize the longer side and pad the shorter: open_clip's `longest`.

    A side that open_clip would round to nothing (and fail on) becomes one pixel.
    """
    height, width = pixels.shape[:2]
    ratio = max(height / preprocess.size, width / preprocess.size)
    resized = max(round(height / ratio), 1), max(round(width / ratio), 1)
    fitted = _resize(pixels, resized, preprocess.interpolation)
    return _centre(fitted, preprocess.size, preprocess.fill)


def fit(pixels: Pixels, preprocess: Preprocess) -> Prepared:
    """Bring RGB pixels to the shape of the encoder's input."""
    if preprocess.fit == "crop":
        fitted = _crop(pixels, preprocess)
    elif preprocess.fit == "pad":
        fitted = _pad(pixels, preprocess)
    else:
        fitted = _resize(pixels, (preprocess.size, preprocess.size), preprocess.interpolation)
    return np.ascontiguousarray(fitted.transpose(2, 0, 1))
