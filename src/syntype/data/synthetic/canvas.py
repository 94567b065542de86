"""The painter's tools: grids, signed distances with analytic antialiasing, layers, soft noise.

Legend: `h w` the picture's rows and columns. Coordinates are in units of the picture's side with
the origin in its centre, x to the right and y downwards; a `Frame` has them in an animal's own
units. A shape is a signed distance (negative inside), and `cover` turns it into the share of
each pixel that it covers, with the distance formulas of Quilez (iquilezles.org, 2D distance
functions), so no supersampling is needed. Arrays are float32, colours sRGB in [0, 1].
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from jaxtyping import Float
from PIL import Image
from scipy.ndimage import gaussian_filter

Field = Float[np.ndarray, "h w"]
Numbers = Float[np.ndarray, "*any"]
Colour = Float[np.ndarray, "3"]
Planes = Float[np.ndarray, "3 h w"]
Paint = Float[np.ndarray, "3 ..."]


@dataclass(frozen=True, eq=False)
class Frame:
    """Coordinates of every pixel in someone's units, and the size of a pixel in them."""

    x: Field
    y: Field
    px: float

    @classmethod
    def of_picture(cls, size: int) -> "Frame":
        """The picture's own frame: side 1, origin in the centre."""
        steps = ((np.arange(size, dtype=np.float32) + 0.5) / size - 0.5).astype(np.float32)
        x, y = np.meshgrid(steps, steps)
        return cls(x, y, 1 / size)

    def placed(
        self,
        *,
        x: float = 0.0,
        y: float = 0.0,
        angle: float = 0.0,
        scale: float = 1.0,
        flip: bool = False,
    ) -> "Frame":
        """The frame of a body at (x, y), turned by `angle` radians, `scale` times as large."""
        dx, dy = self.x - np.float32(x), self.y - np.float32(y)
        cos, sin = np.float32(np.cos(angle) / scale), np.float32(np.sin(angle) / scale)
        along = dx * cos + dy * sin
        return Frame(-along if flip else along, dy * cos - dx * sin, self.px / scale)


@lru_cache(maxsize=2)
def picture_frame(size: int) -> Frame:
    """The frame of a square picture of `size` pixels."""
    return Frame.of_picture(size)


def cover(distance: Field, px: float) -> Field:
    """Share of each pixel inside a shape."""
    return np.clip(0.5 - distance / np.float32(px), 0, 1)


def ramp(t: Field, low: float, high: float) -> Field:
    """0 below `low`, 1 above `high`, smooth between; falls where low > high."""
    s = np.clip((t - np.float32(low)) / np.float32(high - low), 0, 1)
    return s * s * (3 - 2 * s)


def bump(t: Field, centre: float, width: float) -> Field:
    """A bell of height 1."""
    s = (t - np.float32(centre)) / np.float32(width)
    return np.exp(-s * s)


def ellipse(x: Field, y: Field, rx: float, ry: float) -> Field:
    """Distance to an ellipse around the origin, good near its outline."""
    near = np.hypot(x / np.float32(rx), y / np.float32(ry))
    slope = np.hypot(x / np.float32(rx * rx), y / np.float32(ry * ry))
    return near * (near - 1) / np.maximum(slope, np.float32(1e-4))


def rod(
    x: Field,
    y: Field,
    start: tuple[float, float],
    end: tuple[float, float],
    r_start: float,
    r_end: float,
) -> Field:
    """Distance to a line with round ends whose half-width goes from `r_start` to `r_end`."""
    ax, ay = start
    bx, by = end[0] - ax, end[1] - ay
    dx, dy = x - np.float32(ax), y - np.float32(ay)
    length = max(bx * bx + by * by, 1e-9)
    t = np.clip((dx * np.float32(bx) + dy * np.float32(by)) / np.float32(length), 0, 1)
    off = np.hypot(dx - t * np.float32(bx), dy - t * np.float32(by))
    return off - (np.float32(r_start) + t * np.float32(r_end - r_start))


def join(a: Field, b: Field, softness: float) -> Field:
    """Union of two shapes with a fillet of size `softness` where they meet."""
    h = np.maximum(np.float32(softness) - np.abs(a - b), 0) / np.float32(softness)
    return np.minimum(a, b) - h * h * np.float32(softness / 4)


@dataclass(frozen=True, eq=False)
class Curve:
    """A smooth function of one variable, tabulated; constant outside [low, high]."""

    low: float
    high: float
    table: Float[np.ndarray, "points"]

    @classmethod
    def through(cls, xs: list[float], ys: list[float], smooth: int = 24) -> "Curve":
        """The curve near the points (xs rising, ys), rounded over `smooth` 256ths of its length."""
        grid = np.linspace(xs[0], xs[-1], 257)
        table = np.interp(grid, xs, ys)
        if smooth:
            bell = np.hanning(2 * smooth + 3)[1:-1]
            padded = np.concatenate(
                [
                    2 * table[0] - table[smooth:0:-1],
                    table,
                    2 * table[-1] - table[-2 : -smooth - 2 : -1],
                ]
            )
            table = np.convolve(padded, bell / bell.sum(), mode="valid")
        return cls(xs[0], xs[-1], table.astype(np.float32))

    def __call__(self, t: Numbers) -> Numbers:
        """The curve's values."""
        last = len(self.table) - 1
        place = (t - np.float32(self.low)) * np.float32(last / (self.high - self.low))
        place = np.clip(place, 0, last - 1e-3)
        step = place.astype(np.int32)
        rest = place - step.astype(np.float32)
        lower = self.table[step]
        return lower + rest * (self.table[step + 1] - lower)

    def slope(self, t: Numbers) -> Numbers:
        """The curve's derivative, by its table."""
        last = len(self.table) - 1
        unit = last / (self.high - self.low)
        step = np.clip((t - np.float32(self.low)) * np.float32(unit), 0, last - 1).astype(np.int32)
        rises = (np.diff(self.table) * np.float32(unit)).astype(np.float32)
        return rises[step]


def planes(colour: Paint) -> Planes:
    """A colour as something that broadcasts over a picture."""
    return colour[:, None, None] if colour.ndim == 1 else colour


def mix(a: Paint, b: Paint, share: Field | float) -> Paint:
    """`a` where `share` is 0, `b` where it is 1."""
    if isinstance(share, float):
        return (a + (b - a) * np.float32(share)).astype(np.float32)
    start = planes(a)
    mixed = planes(b) - start
    if mixed.shape[1:] == share.shape:
        mixed *= share
    else:
        mixed = mixed * share
    mixed += start
    return mixed


@dataclass(eq=False)
class Layer:
    """A transparent picture: premultiplied colour and alpha."""

    colour: Planes
    alpha: Field

    @classmethod
    def empty(cls, size: int) -> "Layer":
        """Nothing painted yet."""
        return cls(
            np.zeros((3, size, size), dtype=np.float32), np.zeros((size, size), dtype=np.float32)
        )

    def paint(self, colour: Paint, share: Field) -> None:
        """Lay `colour` over what is there where `share` says so."""
        keep = 1 - share
        self.colour *= keep
        self.colour += planes(colour) * share
        self.alpha *= keep
        self.alpha += share

    def shade(self, factor: Field) -> None:
        """Make what is painted lighter or darker."""
        self.colour *= factor

    def over(self, ground: Planes) -> Planes:
        """This layer on an opaque ground."""
        return ground * (1 - self.alpha) + self.colour


def soft_noise(rng: np.random.Generator, size: int, cells: int) -> Field:
    """Smooth noise of mean about 0 and deviation about 1 with `cells` humps along a side."""
    grid = rng.standard_normal((cells + 3, cells + 3)).astype(np.float32)
    shown = Image.fromarray(grid).resize(
        (size, size), Image.Resampling.BICUBIC, box=(1, 1, cells + 2, cells + 2)
    )
    return np.asarray(shown) * np.float32(1.3)


def blur(field: Field, radius: float) -> Field:
    """Gaussian blur; `radius` is its deviation as a share of the picture's side."""
    return gaussian_filter(field, radius * field.shape[-1], mode="nearest", truncate=2.5)
