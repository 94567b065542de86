"""Pictures of every kind that collections hold, and of every kind that breaks, as bytes."""

import io

import numpy as np
from PIL import Image


def photograph(width: int, height: int, seed: int = 0) -> Image.Image:
    """Smooth colours with sensor-like noise."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (height // 20 + 2, width // 20 + 2, 3), dtype=np.uint8)
    smooth = Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)
    noisy = np.asarray(smooth) + rng.normal(0, 5, (height, width, 3))
    return Image.fromarray(noisy.clip(0, 255).astype(np.uint8))


def saved(image: Image.Image, kind: str, **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def jpeg(width: int = 60, height: int = 40, seed: int = 0, **options) -> bytes:
    return saved(photograph(width, height, seed), "JPEG", **{"quality": 90} | options)


def oriented(orientation: int, kind: str = "JPEG") -> bytes:
    """A picture whose EXIF says how the camera was held."""
    image = photograph(60, 40)
    exif = image.getexif()
    exif[0x0112] = orientation
    return saved(image, kind, exif=exif)


def broken_exif() -> bytes:
    """A sound picture behind EXIF that is garbage."""
    exif = b"Exif\0\0II*\0\xff\xff\xff\xff" + bytes(range(200))
    return saved(photograph(60, 40), "JPEG", exif=exif)


def _frames(kind: str) -> bytes:
    first, second = Image.new("RGB", (30, 20), "red"), Image.new("RGB", (30, 20), "blue")
    return saved(first, kind, save_all=True, append_images=[second], duration=100)


def _with_alpha(mode: str) -> Image.Image:
    image = photograph(60, 40).convert(mode)
    image.putalpha(Image.linear_gradient("L").resize((60, 40)))
    return image


def _palette() -> bytes:
    image = photograph(60, 40).quantize(16)
    return saved(image, "PNG", transparency=bytes(range(0, 256, 16)))


def grey16(kind: str) -> bytes:
    """A ramp over the whole range of 16 bits, 64 pixels wide."""
    ramp = np.linspace(0, 65535, 64).astype(np.uint16)
    return saved(Image.fromarray(np.tile(ramp, (48, 1))), kind)


def _ycck() -> bytes:
    content = bytearray(saved(photograph(60, 40).convert("CMYK"), "JPEG"))
    content[content.index(b"Adobe") + 11] = 2  # the marker's "transform": YCCK
    return bytes(content)


def readable() -> dict[str, bytes]:
    """Name and bytes of pictures that must be read."""
    picture = photograph(60, 40)
    return {
        "plain": jpeg(),
        "progressive": jpeg(progressive=True),
        "chroma 4:4:4": jpeg(subsampling=0),
        "grey jpeg": saved(picture.convert("L"), "JPEG"),
        "cmyk": saved(picture.convert("CMYK"), "JPEG"),
        "ycck": _ycck(),
        "broken exif": broken_exif(),
        "bytes after the end": jpeg() + b"\0" * 999,
        "png": saved(picture, "PNG"),
        "one bit": saved(picture.convert("1"), "PNG"),
        "grey alpha": saved(_with_alpha("LA"), "PNG"),
        "alpha": saved(_with_alpha("RGBA"), "PNG"),
        "palette with transparency": _palette(),
        "bmp": saved(picture, "BMP"),
        "tiff": saved(picture, "TIFF"),
        "tiff cmyk": saved(picture.convert("CMYK"), "TIFF"),
        "webp": saved(picture, "WEBP"),
        "gif, animated": _frames("GIF"),
        "webp, animated": _frames("WEBP"),
        "one pixel": saved(Image.new("RGB", (1, 1), "green"), "PNG"),
        "one pixel jpeg": saved(Image.new("RGB", (1, 1), "green"), "JPEG"),
        "one row": saved(photograph(4000, 1), "PNG"),
        "one column": saved(photograph(1, 4000), "PNG"),
    }


def broken() -> dict[str, tuple[bytes, str]]:
    """Name, bytes, and a word of the reason, of pictures that must be refused."""
    whole = jpeg(300, 200)
    png = saved(photograph(300, 200), "PNG")
    return {
        "empty": (b"", "empty"),
        "text": (b"<html>404 not found</html>" * 20, "not a picture"),
        "postscript": (b"%!PS-Adobe-3.0 EPSF-3.0\n", "not a picture"),
        "jpeg cut in half": (whole[: len(whole) // 2], "truncated"),
        "jpeg cut in its header": (whole[:30], "truncated"),
        "jpeg magic only": (whole[:3], "not a picture"),
        "png cut in half": (png[: len(png) // 2], "truncated"),
        "png, wrong bytes": (png[:3000] + b"\0" * 400 + png[3400:], "damaged"),
        "webp cut": (saved(photograph(300, 200), "WEBP")[:2000], "damaged"),
        "32 bits": (saved(Image.new("I", (9, 9)), "TIFF"), "32 bits"),
        "float": (saved(Image.new("F", (9, 9)), "TIFF"), "32 bits"),
    }
