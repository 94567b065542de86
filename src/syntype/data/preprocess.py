"""How a picture becomes an encoder's input: part of the encoder's identity.

Squash or crop, bicubic or bilinear, which mean: each changes every vector, so two encoders that
differ here are two encoders. A `Preprocess` is plain data; `syntype.data.media` carries out its
geometry (decode, resize, crop, to 8-bit RGB), and the encoder its normalisation.
"""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class Preprocess:
    """Geometry and normalisation of an encoder's input.

    Attributes:
        size: Height and width of the input, pixels.
        fit: `crop` resizes the shorter side and crops the centre, `squash` resizes both sides,
            `pad` resizes the longer side and pads with `fill`.
        resize_to: Length of the resized side, pixels, before the crop (`crop` only); many timm
            models resize to size / 0.875 and crop `size`. 0 means `size`.
        interpolation: Resampling filter, always antialiased.
        mean: Subtracted from each channel, in [0, 1].
        std: Divides each channel.
        fill: Grey level of the padding, 0 to 255.
    """

    size: int
    fit: Literal["crop", "squash", "pad"] = "crop"
    resize_to: int = 0
    interpolation: Literal["bicubic", "bilinear"] = "bicubic"
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    std: tuple[float, float, float] = (1.0, 1.0, 1.0)
    fill: int = 0
