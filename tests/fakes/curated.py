"""Catalogues of generated pictures for curation: copies, near copies, blanks, broken ones."""

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from PIL import Image

from fakes.ugly_pictures import photograph, saved
from syntype.data.catalogue import Catalogue, conform, writing
from syntype.data.dataset import Card


def picture(seed: int, width: int = 60, height: int = 40) -> bytes:
    """A picture unlike those of other seeds."""
    return saved(photograph(width, height, seed), "PNG")


def recoded(content: bytes, quality: int = 80) -> bytes:
    """A near copy: the same picture as a JPEG."""
    return saved(Image.open(io.BytesIO(content)).convert("RGB"), "JPEG", quality=quality)


def frame(level: int = 90, noise: float = 0.0, side: int = 64) -> bytes:
    """A frame of one grey with noise."""
    rng = np.random.default_rng(level)
    pixels = level + rng.normal(0, noise, (side, side, 3))
    return saved(Image.fromarray(pixels.clip(0, 255).astype(np.uint8)), "PNG")


def write_catalogue(
    folder: Path, rows: Sequence[Mapping[str, Any]], contents: Mapping[str, bytes]
) -> Catalogue:
    """A catalogue of rows whose media lie beside it.

    Args:
        folder: Where it goes; the media go to `<folder>-media`.
        rows: Columns of each; `id` and `datasetName` are made where they are missing.
        contents: Path below the media's folder to the bytes.
    """
    media = folder.with_name(folder.name + "-media")
    media.mkdir(parents=True, exist_ok=True)
    for path, content in contents.items():
        (media / path).parent.mkdir(parents=True, exist_ok=True)
        (media / path).write_bytes(content)
    full = [
        {"id": f"set/{row.get('image') or number}", "datasetName": "set", **row}
        for number, row in enumerate(rows)
    ]
    names = list(dict.fromkeys(name for row in full for name in row))
    table = pa.table({name: [row.get(name) for row in full] for name in names})
    with writing(
        folder, cards=[Card(name="set")], roots={"set": media}, notes={}, history=[]
    ) as writer:
        writer.add(conform(table))
    return Catalogue.open(folder)
