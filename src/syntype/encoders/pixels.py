"""Two encoders without weights: the floor that learned ones must beat, and a stronger one.

Legend: n pictures, h x w pixels, d dimensions, b bins, c x c cells.

`pixels` is a colour histogram beside a thumbnail. `descriptors` puts together what pictures were
compared with before networks learned to:

    gradients   histograms of oriented gradients (Dalal and Triggs 2005) over a spatial pyramid
                (Bosch et al. 2007), signed orientations in 12 bins, square-rooted as RootSIFT
                (Arandjelovic and Zisserman 2012); no overlapping blocks
    colours     joint RGB histogram, soft in all three channels
    texture     uniform rotation-invariant local binary patterns (Ojala et al. 2002), 8 neighbours
    thumbnail   6 x 6 opponent colours without their mean

Every block has length 1 before its weight. Bins and weights were chosen by nearest neighbours on
the training and validation splits of fish and plankton pictures. On fish and plankton the better
fit is squash: the outline's place matters more than its proportions.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from syntype.data.preprocess import Preprocess
from syntype.encoders.encoder import Encoder
from syntype.encoders.spec import EncoderPlan, Spec, check_options
from syntype.encoders.weights import sealed_encoder

SIZE = 64
_FLOOR_BINS, _FLOOR_GRID = 4, 8
_BINS, _LEVELS = 12, (1, 2, 3, 6)
_COLOURS, _GRID = 4, 6
_AT_ONCE = 32
_WEIGHTS = {"gradients": 1.0, "colours": 0.7, "texture": 0.5, "thumbnail": 0.3}
_DIMS = {
    "pixels": _FLOOR_BINS**3 + 3 * _FLOOR_GRID**2,
    "descriptors": _BINS * sum(n * n for n in _LEVELS) + _COLOURS**3 + 5 * 10 + 3 * _GRID**2,
}
# Neighbours of a pixel, clockwise: (row, column) in the 3 x 3 window.
_RING = ((0, 0), (0, 1), (0, 2), (1, 2), (2, 2), (2, 1), (2, 0), (1, 0))


def _unit(blocks: Float[Tensor, "n d"]) -> Float[Tensor, "n d"]:
    # The offset gives flat blocks (a thumbnail of one colour) a length; it is below 8-bit noise.
    return functional.normalize(blocks + 1e-6, dim=1)


def _soft_bins(values: Float[Tensor, "n h w"], bins: int) -> Float[Tensor, "n b h w"]:
    """Each value in [0, 1] shared between its two nearest bins."""
    centres = torch.arange(bins, device=values.device, dtype=values.dtype).view(1, -1, 1, 1)
    return (1 - (values[:, None] * (bins - 1) - centres).abs()).clamp(min=0)


def colour_histogram(images: Float[Tensor, "n 3 h w"], bins: int) -> Float[Tensor, "n d"]:
    """Joint RGB histogram of `bins` per channel, square-rooted, length 1; d = bins ** 3."""
    red, green, blue = (_soft_bins(images[:, channel], bins).flatten(2) for channel in range(3))
    pairs = (red[:, :, None] * green[:, None]).flatten(1, 2)
    joint = pairs @ blue.transpose(1, 2) / pairs.shape[2]
    return _unit(joint.flatten(1).clamp(min=0).sqrt())


def _cell_means(maps: Float[Tensor, "n b h w"], cells: int) -> Float[Tensor, "n b c c"]:
    """Means of the maps in c x c cells; two products, many times faster than pooling."""
    rows = functional.adaptive_avg_pool1d(torch.eye(maps.shape[2], device=maps.device), cells)
    columns = functional.adaptive_avg_pool1d(torch.eye(maps.shape[3], device=maps.device), cells)
    return rows.T @ (maps @ columns)


def _pyramid(cells: Float[Tensor, "n b c c"], levels: tuple[int, ...]) -> Float[Tensor, "n d"]:
    """The square-rooted histograms of each level, each of length 1, together of length 1."""
    side = cells.shape[2]
    blocks = []
    for level in levels:
        pooled = functional.avg_pool2d(cells, side // level)
        blocks.append(_unit(pooled.clamp(min=0).sqrt().flatten(1)))
    return torch.cat(blocks, dim=1) / len(levels) ** 0.5


def oriented_gradients(
    grey: Float[Tensor, "n h w"], bins: int, levels: tuple[int, ...]
) -> Float[Tensor, "n d"]:
    """Histograms of signed gradient orientation in the cells of a pyramid, length 1.

    Args:
        grey: Luminance.
        bins: b orientations; a gradient is shared between its two nearest.
        levels: Cells per side at each level of the pyramid; all divide the last.
    """
    wide = functional.pad(grey[:, None], (1, 1, 1, 1), mode="replicate")
    across = wide[..., 1:-1, 2:] - wide[..., 1:-1, :-2]
    down = wide[..., 2:, 1:-1] - wide[..., :-2, 1:-1]
    size = torch.hypot(across, down)
    angle = (torch.atan2(down, across) / (2 * torch.pi) + 0.5) * bins
    # Bin 0 comes again as bin b, which spares the wrap-around; in place, as memory is the limit.
    centres = torch.arange(bins + 1, device=grey.device, dtype=grey.dtype).view(1, -1, 1, 1)
    maps = (angle - centres).abs_().neg_().add_(1).clamp_(min=0).mul_(size)
    cells = _cell_means(maps, levels[-1])
    cells = torch.cat([cells[:, :1] + cells[:, bins:], cells[:, 1:bins]], dim=1)
    return _pyramid(cells, levels)


def local_patterns(grey: Float[Tensor, "n h w"], levels: tuple[int, ...]) -> Float[Tensor, "n d"]:
    """Histograms of uniform rotation-invariant local binary patterns, length 1; d = 10 a cell."""
    n_rows, n_columns = grey.shape[1] - 2, grey.shape[2] - 2
    centre = grey[:, 1:-1, 1:-1] + 0.01
    ring = torch.stack(
        [grey[:, row : row + n_rows, col : col + n_columns] > centre for row, col in _RING]
    ).to(torch.uint8)
    turns = (ring ^ ring.roll(1, dims=0)).sum(dim=0, dtype=torch.uint8)
    label = ring.sum(dim=0, dtype=torch.uint8).masked_fill_(turns > 2, 9)
    kinds = torch.arange(10, device=grey.device, dtype=torch.uint8).view(1, -1, 1, 1)
    maps = (label[:, None] == kinds).to(grey.dtype)
    return _pyramid(_cell_means(maps, levels[-1]), levels)


class Pixels(nn.Module):
    """Pictures with values in [0, 1] to a colour histogram and a thumbnail, 256 dimensions."""

    def forward(self, images: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n d"]:
        """Vectors of the pictures."""
        thumbnail = functional.adaptive_avg_pool2d(images, _FLOOR_GRID).flatten(1)
        return torch.cat([colour_histogram(images, _FLOOR_BINS), _unit(thumbnail)], dim=1)


class Descriptors(nn.Module):
    """Pictures with values in [0, 1] to gradients, colours, texture and a thumbnail."""

    luminance: Tensor
    opponent: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer(
            "luminance", torch.tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1), persistent=False
        )
        opponent = torch.tensor([[1 / 3, 1 / 3, 1 / 3], [0.5, -0.5, 0.0], [1.0, 1.0, -2.0]])
        opponent[1:] /= torch.tensor([[0.5**0.5], [6**0.5]])
        self.register_buffer("opponent", opponent, persistent=False)

    def forward(self, images: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n d"]:
        """Vectors of the pictures."""
        # Few at a time, so that the maps of all orientations stay in the processor's cache.
        return torch.cat([self._described(part) for part in torch.split(images, _AT_ONCE)])

    def _described(self, images: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n d"]:
        grey = (images * self.luminance).sum(dim=1)
        small = functional.adaptive_avg_pool2d(images, _GRID)
        small = torch.einsum("oc,nchw->nohw", self.opponent, small)
        small = small - small.mean(dim=(2, 3), keepdim=True)
        # Halved pictures: a quarter of the work, and colours change slowly.
        blocks = {
            "gradients": oriented_gradients(grey, _BINS, _LEVELS),
            "colours": colour_histogram(functional.avg_pool2d(images, 2), _COLOURS),
            "texture": local_patterns(grey, (1, 2)),
            "thumbnail": _unit(small.flatten(1)),
        }
        return torch.cat([_WEIGHTS[name] * block for name, block in blocks.items()], dim=1)


def empty(source: str) -> nn.Module:
    """The module of `pixels` or `descriptors`."""
    return Pixels() if source == "pixels" else Descriptors()


def load(spec: Spec, device: torch.device) -> Encoder:
    """The encoder `pixels` or `descriptors`."""
    check_options(spec, ())
    preprocess = Preprocess(size=SIZE, fit="squash", interpolation="bicubic")
    # The version is part of the identity: raise it with any change of the numbers.
    architecture = {"source": spec.source, "version": 1}
    module = empty(spec.source)
    return sealed_encoder(str(spec), architecture, module, preprocess, device, weights="none")


def plan(spec: Spec) -> EncoderPlan:
    """What `load` would do."""
    check_options(spec, ())
    return EncoderPlan(
        name=str(spec), source=spec.source, weights="none", size=SIZE, dim=_DIMS[spec.source]
    )
