"""Small pictures whose bytes differ, for fakes of any layout."""

import hashlib
from pathlib import Path

from PIL import Image


def write_picture(path: Path, content: str | None = None, side: int = 16) -> Path:
    """Write a picture that depends on `content` alone; on the path's parts if None."""
    seed = hashlib.sha256((content or "/".join(path.parts[-3:])).encode()).digest()
    pixels = bytes(seed[i % 32] ^ (i // 32 % 256) for i in range(side * side * 3))
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.frombytes("RGB", (side, side), pixels).save(path)
    return path
