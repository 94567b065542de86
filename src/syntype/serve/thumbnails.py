"""Small pictures: JPEG, upright, without metadata; made once and kept on disk within bounds."""

import io
import logging
import re
import threading
from collections import OrderedDict
from pathlib import Path

from PIL import Image, ImageOps

from syntype.data.decode import MAX_PIXELS, decode
from syntype.errors import MediaError, ResourceError
from syntype.files import write_bytes

log = logging.getLogger("syntype.serve")

QUALITY = 82
LARGEST = 1_000_000
"""Pixels of a side: larger than any picture, so that nothing is shrunk."""
_NAME = re.compile(r"[0-9a-f]{64}-\d{1,4}\.jpg")


def kind_of(content: bytes) -> str:
    """The media type that the first bytes tell; "" where they are none that is handed out.

    HTML, SVG and everything else that a browser may run are none of them.
    """
    for start, kind in _STARTS:
        if content.startswith(start):
            return kind
    if content[:4] == b"RIFF" and content[8:12] in (b"WEBP", b"WAVE"):
        return "image/webp" if content[8:12] == b"WEBP" else "audio/wav"
    if content[4:8] == b"ftyp":
        return _BRANDS.get(content[8:12], "")
    if len(content) > 2 and content[0] == 0xFF and content[1] & 0xE6 == 0xE2:
        return "audio/mpeg"  # a frame of layer III without an ID3 tag
    return ""


_STARTS = (
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"II*\0", "image/tiff"),
    (b"MM\0*", "image/tiff"),
    (b"BM", "image/bmp"),
    (b"\0\0\0\x0cjP  \r\n\x87\n", "image/jp2"),
    (b"fLaC", "audio/flac"),
    (b"OggS", "audio/ogg"),
    (b"ID3", "audio/mpeg"),
)
_BRANDS = {
    b"avif": "image/avif",
    b"M4A ": "audio/mp4",
    b"mp42": "audio/mp4",
    b"isom": "audio/mp4",
}
SHOWN = ("image/jpeg", "image/png", "image/webp")
"""Pictures that every browser shows; the others are made JPEG."""


def shrink(content: bytes, side: int, *, max_pixels: int = MAX_PIXELS) -> bytes:
    """A picture as a JPEG whose longer side has so many pixels at most.

    Args:
        content: The bytes of the picture.
        side: Pixels; a smaller picture stays as it is.
        max_pixels: Refuse pictures of more, before they are decoded.

    Raises:
        MediaError: It cannot be decoded.
    """
    image = _drafted(content, side, max_pixels) or Image.fromarray(
        decode(content, max_pixels=max_pixels)
    )
    image.thumbnail((side, side), Image.Resampling.LANCZOS)
    held = io.BytesIO()
    image.save(held, "JPEG", quality=QUALITY, progressive=True)
    return held.getvalue()


def _drafted(content: bytes, side: int, max_pixels: int) -> Image.Image | None:
    """A plain JPEG decoded at an eighth, a quarter or half of its size; None for all others."""
    if not content.startswith(b"\xff\xd8\xff"):
        return None
    try:
        with Image.open(io.BytesIO(content), formats=("JPEG",)) as image:
            if image.width * image.height > max_pixels or image.mode not in ("RGB", "L"):
                return None
            image.draft("RGB", (side, side))
            upright = ImageOps.exif_transpose(image).convert("RGB")
    except (
        Exception
    ):  # damaged in one of many ways: `decode` reads what can be, or says what is wrong
        return None
    # A picture of its own, which carries none of the file's metadata into the next.
    bare = Image.new("RGB", upright.size)
    bare.paste(upright)
    return bare


class Thumbnails:
    """Small pictures on disk, by the hash of their content and their size.

    Args:
        folder: Where they lie; made when the first is written.
        most_bytes: Of all of them; those not asked for longest go first. 0 keeps none.
    """

    def __init__(self, folder: Path, most_bytes: int) -> None:
        self._folder, self._most = folder, most_bytes
        self._lock = threading.Lock()
        self._sizes: OrderedDict[str, int] = OrderedDict()
        self._failed = False
        for path in sorted(_kept(folder), key=lambda path: path.stat().st_mtime):
            self._sizes[path.name] = path.stat().st_size
        self.n_bytes = sum(self._sizes.values())
        """Bytes of all that are kept."""

    def get(self, content: bytes, digest: str, side: int) -> bytes:
        """The small form of a picture, as it was kept, or made now.

        Args:
            content: The picture.
            digest: Its SHA-256.
            side: Pixels of the longer side.

        Raises:
            MediaError: It cannot be decoded.
        """
        kind = kind_of(content)
        if kind and not kind.startswith("image/"):
            raise MediaError("a sound, which has no small picture")
        kept = self.kept(digest, side)
        if kept is not None:
            return kept
        made = shrink(content, side)
        if len(made) <= self._most:
            self._keep(_name(digest, side), made)
        return made

    def kept(self, digest: str, side: int) -> bytes | None:
        """The small form of a picture, where it was made before and kept."""
        name = _name(digest, side)
        with self._lock:
            if name not in self._sizes:
                return None
            self._sizes.move_to_end(name)
        try:
            return (self._folder / name).read_bytes()
        except OSError:  # somebody cleared the folder, or it went while it was asked for
            with self._lock:
                self.n_bytes -= self._sizes.pop(name, 0)
            return None

    def _keep(self, name: str, content: bytes) -> None:
        with self._lock:
            try:
                write_bytes(self._folder / name, content)
            except (ResourceError, OSError) as error:
                if not self._failed:
                    log.warning("small pictures are not kept: %s", error)
                self._failed = True
                return
            self.n_bytes += len(content) - self._sizes.pop(name, 0)
            self._sizes[name] = len(content)
            while self.n_bytes > self._most:
                oldest, size = self._sizes.popitem(last=False)
                self.n_bytes -= size
                (self._folder / oldest).unlink(missing_ok=True)


def _name(digest: str, side: int) -> str:
    return f"{digest}-{side}.jpg"


def _kept(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return [path for path in folder.iterdir() if _NAME.fullmatch(path.name) and path.is_file()]
