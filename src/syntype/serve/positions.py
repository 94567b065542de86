"""Originals without the place that a camera wrote into them.

A record says where its specimen is from as exactly as the curator wants it said; of a threatened
species often not at all. A camera or telephone writes the position into the file beside it. So
what is handed out has none: of a JPEG it is erased, and not a pixel is touched; pictures that stand
behind it in the same file (MPO) go where they hold Exif. A PNG or WebP that has one is decoded and
made a JPEG. A picture without a position is handed out byte for byte.

    Exif    the directory that tag 0x8825 (GPSInfo) names is emptied; all else stays where it is
    XMP     any packet that speaks of GPS (exif:GPSLatitude and its like), as a whole

Exif 2.32 (CIPA DC-008, 2019), sections 4.5.4 and 4.6.6; XMP part 3 (Adobe, 2020), section 1.1.
"""

import io
import struct
from collections.abc import Iterator

from PIL import Image

from syntype.serve.thumbnails import LARGEST, shrink

_GPS = 0x8825
_EXIF = b"Exif\0\0"
_ORDERS = {b"II*\0": "<", b"MM\0*": ">"}
_SIZES = {3: 2, 4: 4, 5: 8, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8}  # bytes of a value of a type
_APP1, _SCAN, _ALONE = 0xE1, 0xDA, (0x01, *range(0xD0, 0xD9))


def without_position(content: bytes, kind: str) -> tuple[bytes, str]:
    """A picture that says nothing of where it was taken.

    Args:
        content: The bytes of the picture.
        kind: Its media type: JPEG, PNG or WebP.

    Returns:
        Its bytes and media type: the same ones where it says nothing.

    Raises:
        MediaError: It is no JPEG, has a position, and cannot be decoded.
    """
    if kind == "image/jpeg":
        return _jpeg_without_position(content), kind
    if _is_placed(content):
        return shrink(content, LARGEST), "image/jpeg"
    return content, kind


def _is_placed(content: bytes) -> bool:
    """Whether a picture has a position, or may have one that cannot be found."""
    try:
        with Image.open(io.BytesIO(content)) as image:
            exif, packet = image.info.get("exif", b""), image.info.get("xmp", b"")
    except Exception:  # damaged in one of many ways
        return True
    exif = exif if not exif or exif.startswith(_EXIF) else _EXIF + exif
    return bool(exif and _without_gps(exif) != exif) or _speaks_of_gps(packet)


def _speaks_of_gps(packet: bytes | str) -> bool:
    return b"GPS" in (packet.encode() if isinstance(packet, str) else packet)


def _jpeg_without_position(content: bytes) -> bytes:
    """A JPEG whose segments do not say where it was taken."""
    parts, first, last = [], 0, len(content)
    for start, end, marker in _segments(content):
        if marker == _SCAN:
            # In coded pixels FF is followed by 00 or by a restart: this is another picture.
            behind = content.find(b"\xff\xd8\xff", end)
            if behind >= 0 and max(content.find(what, behind) for what in (_EXIF, b"GPS")) >= 0:
                last = behind
        if marker != _APP1:
            continue
        payload = content[start + 4 : end]
        if payload.startswith(_EXIF):
            kept = _without_gps(payload)
        else:
            kept = b"" if _speaks_of_gps(payload) else payload
        if kept != payload:
            parts.append(content[first:start])
            if kept:
                parts.append(struct.pack(">HH", 0xFF00 + _APP1, len(kept) + 2) + kept)
            first = end
    return b"".join([*parts, content[first:last]])


def _segments(content: bytes) -> Iterator[tuple[int, int, int]]:
    """Start, end and marker of each segment up to the one that the pixels follow."""
    at = 2
    while at + 4 <= len(content) and content[at] == 0xFF:
        marker = content[at + 1]
        if marker == 0xFF:  # a byte that fills
            at += 1
            continue
        if marker in _ALONE:
            at += 2
            continue
        (length,) = struct.unpack_from(">H", content, at + 2)
        yield at, min(at + 2 + length, len(content)), marker
        if marker == _SCAN:
            return
        at += 2 + length


def _without_gps(payload: bytes) -> bytes:
    """An Exif segment's payload with an empty directory of positions; nothing if it is damaged."""
    tiff = bytearray(payload[len(_EXIF) :])
    order = _ORDERS.get(bytes(tiff[:4]), "")
    if not order:
        return b""
    try:
        (first,) = struct.unpack_from(f"{order}I", tiff, 4)
        places = [at for at, tag, _, _ in _entries(tiff, order, first) if tag == _GPS]
        for at in places:
            (directory,) = struct.unpack_from(f"{order}I", tiff, at + 8)
            _erase(tiff, order, directory)
    except struct.error:
        return b""
    return payload[: len(_EXIF)] + bytes(tiff) if places else payload


def _entries(tiff: bytearray, order: str, start: int) -> list[tuple[int, int, int, int]]:
    """Offset, tag, type and count of each entry of a directory.

    Raises:
        struct.error: It lies outside.
    """
    (n,) = struct.unpack_from(f"{order}H", tiff, start)
    found = []
    for at in range(start + 2, start + 2 + 12 * n, 12):
        tag, kind, count, _ = struct.unpack_from(f"{order}HHII", tiff, at)
        found.append((at, tag, kind, count))
    return found


def _erase(tiff: bytearray, order: str, start: int) -> None:
    """Fill a directory and the values that it names with zeros, so that it has no entry.

    Raises:
        struct.error: It lies outside.
    """
    entries = _entries(tiff, order, start)
    for at, _, kind, count in entries:
        size = _SIZES.get(kind, 1) * count
        if size > 4:
            (value,) = struct.unpack_from(f"{order}I", tiff, at + 8)
            size = max(0, min(size, len(tiff) - value))
            tiff[value : value + size] = bytes(size)
    size = min(2 + 12 * len(entries) + 4, len(tiff) - start)
    tiff[start : start + size] = bytes(size)
