"""Files that are small to send and large to read: none of them may cost what they ask for."""

import io
import struct
import zlib

from PIL import Image


def _chunk(kind: bytes, content: bytes) -> bytes:
    checked = kind + content
    return struct.pack(">I", len(content)) + checked + struct.pack(">I", zlib.crc32(checked))


def _packed(megabytes: int) -> bytes:
    """So many megabytes of nothing, compressed, without ever holding them."""
    packer = zlib.compressobj(9)
    return b"".join(packer.compress(bytes(2**20)) for _ in range(megabytes)) + packer.flush()


def png(width: int, height: int, *chunks: bytes, rows: int = 1) -> bytes:
    """A PNG that says it is so large, with a few rows of nothing in it."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = zlib.compress(b"\0" * ((1 + 3 * width) * rows), 9)
    whole = _chunk(b"IHDR", header), *chunks, _chunk(b"IDAT", body), _chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(whole)


def png_of_text(megabytes: int = 128) -> bytes:
    """A small PNG whose compressed comment is as large as told."""
    packed = _packed(megabytes)
    return png(8, 8, _chunk(b"zTXt", b"Comment\0\0" + packed), rows=8)


def png_of_profile(megabytes: int = 128) -> bytes:
    """A small PNG whose compressed colour profile is as large as told."""
    packed = _packed(megabytes)
    return png(8, 8, _chunk(b"iCCP", b"icc\0\0" + packed), rows=8)


def png_of_too_much(megabytes: int = 128) -> bytes:
    """A small PNG whose pixels unpack to far more than its size needs."""
    header = struct.pack(">IIBBBBB", 8, 8, 8, 2, 0, 0, 0)
    body = _packed(megabytes)
    whole = _chunk(b"IHDR", header), _chunk(b"IDAT", body), _chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(whole)


def gif(side: int = 65_535) -> bytes:
    """A GIF that says it is so large, with one pixel in it."""
    held = io.BytesIO()
    Image.new("L", (1, 1)).save(held, "GIF")
    content = bytearray(held.getvalue())
    content[6:10] = struct.pack("<HH", side, side)
    return bytes(content)


def gif_of_frames(n: int = 3000) -> bytes:
    """A GIF of very many frames."""
    held = io.BytesIO()
    Image.new("L", (1, 1)).save(held, "GIF")
    content = held.getvalue()
    begin = content.index(b",", 13)
    return content[:begin] + content[begin:-1] * n + b";"


def jpeg(side: int = 65_000) -> bytes:
    """A JPEG whose header says it is so large."""
    held = io.BytesIO()
    Image.new("RGB", (8, 8)).save(held, "JPEG")
    content = bytearray(held.getvalue())
    at = content.index(b"\xff\xc0") + 5
    content[at : at + 4] = struct.pack(">HH", side, side)
    return bytes(content)


def tiff(side: int = 60_000) -> bytes:
    """A TIFF that says it is so large."""
    held = io.BytesIO()
    Image.new("L", (8, 8)).save(held, "TIFF")
    content = held.getvalue()
    for tag in (256, 257):  # ImageWidth, ImageLength
        for kind, code in ((3, "<HHIHH"), (4, "<HHII")):
            entry = struct.pack("<HHI", tag, kind, 1)
            at = content.find(entry)
            if at >= 0:
                new = struct.pack(code, *(tag, kind, 1, side, *([0] if kind == 3 else [])))
                content = content[:at] + new + content[at + 12 :]
    return content


def webp(side: int = 16_383) -> bytes:
    """A WebP that says it is so large."""
    held = io.BytesIO()
    Image.new("RGB", (8, 8)).save(held, "WEBP", lossless=True)
    content = bytearray(held.getvalue())
    at = content.index(b"\x2f", content.index(b"VP8L") + 8) + 1
    bits = (side - 1) | (side - 1) << 14 | struct.unpack("<I", content[at : at + 4])[0] >> 28 << 28
    content[at : at + 4] = struct.pack("<I", bits)
    return bytes(content)
