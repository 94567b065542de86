import io
import struct
import warnings
import zlib

import numpy as np
import pytest
from PIL import Image, ImageOps

from fakes import ugly_pictures
from syntype.data.decode import decode
from syntype.errors import MediaError

READABLE = ugly_pictures.readable()
BROKEN = ugly_pictures.broken()


def by_pillow(content: bytes) -> np.ndarray:
    """What open_clip's loaders see."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))


@pytest.mark.parametrize("name", READABLE)
def test_every_kind_of_picture_has_pillows_colours(name):
    pixels = decode(READABLE[name])
    expected = by_pillow(READABLE[name])
    assert pixels.shape == expected.shape
    assert pixels.flags.c_contiguous
    assert pixels.flags.writeable
    assert np.abs(pixels.astype(int) - expected).mean() < 0.01


@pytest.mark.parametrize("name", BROKEN)
def test_broken_pictures_give_the_reason_in_a_few_words(name):
    content, reason = BROKEN[name]
    with pytest.raises(MediaError, match=reason) as caught:
        decode(content)
    assert len(str(caught.value)) < 100


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_sixteen_bits_are_scaled_not_clipped(kind):
    row = decode(ugly_pictures.grey16(kind))[0, :, 1].astype(int)
    assert row[0] == 0
    assert row[-1] == 255
    assert np.abs(row - np.linspace(0, 255, 64)).max() <= 1


def test_sixteen_bit_colour_keeps_the_high_byte():
    # Pillow cannot write 16-bit colour: a PNG by hand, of one pixel.
    def chunk(name: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        )

    header = struct.pack(">IIBBBBB", 1, 1, 16, 2, 0, 0, 0)
    line = b"\0" + struct.pack(">HHH", 0x1234, 0x80FF, 0xFFFF)
    content = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header)
    content += chunk(b"IDAT", zlib.compress(line)) + chunk(b"IEND", b"")
    assert decode(content).tolist() == [[[0x12, 0x80, 0xFF]]]


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_exif_orientation_is_applied(orientation, kind):
    content = ugly_pictures.oriented(orientation, kind)
    expected = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(content))))
    pixels = decode(content)
    assert pixels.shape == expected.shape
    assert pixels.flags.c_contiguous
    assert np.abs(pixels.astype(int) - expected).mean() < 0.01


@pytest.mark.parametrize("orientation", [0, 9, 77])
def test_an_orientation_that_means_nothing_is_upright(orientation):
    assert decode(ugly_pictures.oriented(orientation)).shape == (40, 60, 3)


def test_animations_give_their_first_frame():
    for name in ("gif, animated", "webp, animated"):
        red, green, blue = decode(READABLE[name])[10, 10]
        assert red > 200
        assert max(green, blue) < 60


def test_alpha_is_dropped_not_composited():
    image = Image.new("RGBA", (5, 5), (200, 100, 50, 0))
    assert decode(ugly_pictures.saved(image, "PNG"))[0, 0].tolist() == [200, 100, 50]


def test_huge_pictures_are_refused_before_decoding():
    content = ugly_pictures.jpeg(60, 40)
    with pytest.raises(MediaError, match="60 x 40 pixels exceed the limit of 2399"):
        decode(content, max_pixels=2399)
    assert decode(content, max_pixels=2400).shape == (40, 60, 3)


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_pillows_own_limit_is_a_media_error(kind, monkeypatch):
    content = ugly_pictures.saved(ugly_pictures.photograph(60, 40), kind)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    with pytest.raises(MediaError, match="MAX_IMAGE_PIXELS"):
        decode(content)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 2000)  # where Pillow warns, but reads
    assert decode(content).shape == (40, 60, 3)


def test_faults_that_pillow_reads_past_are_read():
    content = ugly_pictures.jpeg()
    # Bytes between two markers: libjpeg-turbo reports them, Pillow does not mind.
    scan = content.index(b"\xff\xda")
    patched = content[:scan] + b"\0" * 5 + content[scan:]
    assert np.array_equal(decode(patched), by_pillow(patched))
