"""Bytes of a picture to upright 8-bit RGB pixels, or a `MediaError` with the reason.

Legend: h x w pixels.

JPEG in RGB or grey goes through simplejpeg (libjpeg-turbo, full scale, accurate DCT), which gives
Pillow's pixels in less time; everything else, and every JPEG that libjpeg-turbo finds fault with,
goes through Pillow. What becomes of the pictures that are not plain RGB:

    grey, 1 bit, palette    RGB of the same colours
    alpha                   dropped, as `convert("RGB")` does in open_clip's loaders: a transparent
                            pixel keeps the colour that lies below it, nothing is composited
    CMYK, YCCK              Pillow's conversion, which knows Adobe's inverted files
    16 bits a channel       the high byte, in grey as in colour (Pillow's own conversion of grey
                            clips at 255, which turns most of such a picture white)
    32 bits a channel       refused: there is no agreed range
    animation, many pages   the first frame
    EXIF orientation        applied; open_clip does not, so it sees those pictures lying on a side
    colour profiles         ignored, as open_clip does

Both decoders release the interpreter's lock, so threads decode in parallel.
"""

import io
import re
import warnings
from functools import cache

import numpy as np
import simplejpeg
from jaxtyping import UInt8
from PIL import Image, UnidentifiedImageError

from syntype.errors import MediaError

# h x w x 3; the sides are unnamed because a resize or a turn changes them.
Pixels = UInt8[np.ndarray, "_ _ 3"]

# The number at which Pillow itself refuses: twice its warning threshold, about 13,400 x 13,400.
MAX_PIXELS = 178_956_970

# Formats that are pictures and nothing else: EPS, for one, would start an interpreter.
_FORMATS = ("JPEG", "PNG", "GIF", "WEBP", "TIFF", "BMP", "JPEG2000", "PPM", "AVIF")
_ORIENTATION = 0x0112
_PILLOW = r"PIL\."


@cache
def _readable() -> tuple[str, ...]:
    """The formats above that this build of Pillow knows: it fails on the name of another."""
    Image.init()
    return tuple(name for name in _FORMATS if name in Image.OPEN)


def _quiet_pillow() -> None:
    """Keep Pillow from warning of what is either mended or reported here.

    `warnings.catch_warnings` is no choice: it swaps a global and breaks under threads. This
    filter is added once and touches warnings raised within Pillow only.
    """
    if ("ignore", None, Warning, re.compile(_PILLOW), 0) not in warnings.filters:
        warnings.filterwarnings("ignore", module=_PILLOW)


def _reason(error: Exception) -> str:
    text = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    if isinstance(error, UnidentifiedImageError):
        return "not a picture, or of a format that is not read"
    if "truncated" in text.lower() or isinstance(error, EOFError):
        return "truncated"
    return f"damaged ({text[:80].rstrip('.')})"


def _orientation(image: Image.Image) -> int:
    """EXIF's orientation, 1 to 8; a picture whose EXIF is damaged counts as upright (1)."""
    try:
        value = image.getexif().get(_ORIENTATION, 1)
    except Exception:  # Pillow's parser fails on damaged EXIF in many ways; the pixels are fine
        return 1
    return value if value in range(1, 9) else 1


def _upright(pixels: Pixels, orientation: int) -> Pixels:
    """`pixels` as the camera was held: EXIF's eight cases are two flips and a transposition."""
    if orientation in (3, 4, 6, 7):
        pixels = pixels[::-1]
    if orientation in (2, 3, 7, 8):
        pixels = pixels[:, ::-1]
    if orientation >= 5:
        pixels = pixels.transpose(1, 0, 2)
    return np.ascontiguousarray(pixels)


def _to_rgb(image: Image.Image) -> Pixels:
    if image.mode.startswith("I;16"):
        grey = (np.array(image) >> 8).astype(np.uint8)
        return np.repeat(grey[:, :, None], 3, axis=2)
    if image.mode in ("I", "F"):
        raise MediaError("32 bits a channel, of no agreed range; export it with 8 or 16")
    return np.array(image if image.mode == "RGB" else image.convert("RGB"))


def _pixels(content: bytes, image: Image.Image) -> Pixels:
    if image.format in ("JPEG", "MPO") and image.mode in ("RGB", "L"):
        try:
            return simplejpeg.decode_jpeg(content, colorspace="RGB")
        except ValueError:
            pass  # Pillow reads past many faults that libjpeg-turbo reports, and names the others
    return _to_rgb(image)


def decode(content: bytes, *, max_pixels: int = MAX_PIXELS) -> Pixels:
    """Decode a picture to RGB, upright.

    Args:
        content: The bytes of the file.
        max_pixels: Refuse pictures of more pixels, before they are decoded. Above the default,
            formats other than JPEG are also subject to `PIL.Image.MAX_IMAGE_PIXELS`.

    Returns:
        Contiguous, writable 8-bit RGB.

    Raises:
        MediaError: The picture cannot be decoded; the message is the reason in a few words.
    """
    if not content:
        raise MediaError("the file is empty")
    _quiet_pillow()
    try:
        with Image.open(io.BytesIO(content), formats=_readable()) as image:
            if image.width * image.height > max_pixels:
                raise MediaError(
                    f"{image.width} x {image.height} pixels exceed the limit of {max_pixels}"
                )
            pixels = _pixels(content, image)
            orientation = _orientation(image)
    except (MediaError, MemoryError):
        raise
    except Image.DecompressionBombError as error:
        raise MediaError("more pixels than Pillow's limit (PIL.Image.MAX_IMAGE_PIXELS)") from error
    except Exception as error:  # Pillow's plugins fail on damaged files with a dozen error classes
        raise MediaError(_reason(error)) from error
    return pixels if orientation == 1 else _upright(pixels, orientation)
