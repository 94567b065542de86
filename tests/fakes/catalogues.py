"""Catalogues for tests: pictures in tars, in a zip, in Parquet cells and in files of their own."""

import io
import tarfile
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from syntype.data.catalogue import Catalogue
from syntype.data.dataset import Card
from syntype.data.importing import import_raw
from syntype.data.raw import Raw, tables_of

SPECIES = (
    ("Parus major", "Passeriformes", "Great Tit"),
    ("Parus minor", "Passeriformes", ""),
    ("Danaus plexippus", "Lepidoptera", "Monarch"),
    ("Vanessa atalanta", "Lepidoptera", ""),
)
COLUMNS = (
    "key", "image", "imageStore", "imageOffset", "imageLength", "verbatimIdentification",
    "order", "vernacularName", "unit", "split", "license",
)  # fmt: skip


def jpeg(number: int, size: int = 24) -> bytes:
    """A picture of its own for each number."""
    source = np.random.default_rng(number)
    pixels = source.integers(0, 255, (size, size + 4, 3), dtype=np.uint8)
    held = io.BytesIO()
    Image.fromarray(pixels).save(held, "JPEG")
    return held.getvalue()


def row(number: int, place: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    """A raw row of the picture of a number, which lies at a place."""
    name, order, common = SPECIES[number % len(SPECIES)]
    return {
        "key": f"p{number:05d}",
        "verbatimIdentification": name,
        "order": order,
        "vernacularName": common,
        "unit": f"u{number // 8}",
        "split": "",
        "license": "CC0",
        **place,
        **more,
    }


def write_tar(path: Path, contents: Mapping[str, bytes]) -> list[dict[str, Any]]:
    """A tar of members, and where each lies."""
    with tarfile.open(path, "w") as tar:
        for name, content in contents.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    with tarfile.open(path) as tar:
        return [
            {
                "image": path.name,
                "imageStore": "span",
                "imageOffset": member.offset_data,
                "imageLength": member.size,
            }
            for member in tar
        ]


def everywhere(root: Path, n: int = 40) -> list[dict[str, Any]]:
    """Rows whose pictures lie in each of the ways there are; picture i is `jpeg(i)`."""
    root.mkdir(parents=True, exist_ok=True)
    places: list[dict[str, Any]] = []
    quarter = n // 4
    first = {f"{i}.jpg": jpeg(i) for i in range(quarter)}
    places += write_tar(root / "a.tar", first)
    with zipfile.ZipFile(root / "b.zip", "w", zipfile.ZIP_DEFLATED) as zipped:
        for i in range(quarter, 2 * quarter):
            zipped.writestr(f"{i}.jpg", jpeg(i))
    with zipfile.ZipFile(root / "b.zip") as zipped, (root / "b.zip").open("rb") as raw:
        for entry in zipped.infolist():
            raw.seek(entry.header_offset + 26)
            name, extra = (int.from_bytes(raw.read(2), "little") for _ in range(2))
            places.append(
                {
                    "image": "b.zip",
                    "imageStore": "deflate",
                    "imageOffset": entry.header_offset + 30 + name + extra,
                    "imageLength": entry.compress_size,
                }
            )
    cells = [{"bytes": jpeg(i), "path": f"{i}.jpg"} for i in range(2 * quarter, 3 * quarter)]
    pq.write_table(pa.table({"image": cells}), root / "c.parquet", row_group_size=4)
    places += [
        {"image": "c.parquet", "imageStore": "cell image.bytes", "imageOffset": i}
        for i in range(quarter)
    ]
    (root / "own").mkdir(exist_ok=True)
    for i in range(3 * quarter, n):
        (root / "own" / f"{i}.jpg").write_bytes(jpeg(i))
        places.append({"image": f"own/{i}.jpg", "imageStore": ""})
    return [row(i, place) for i, place in enumerate(places)]


def catalogue_of(
    rows: Sequence[Mapping[str, Any]],
    folder: Path,
    root: Path,
    *,
    name: str = "mini",
    columns: Sequence[str] = COLUMNS,
) -> Catalogue:
    """The catalogue of raw rows."""
    card = Card(name=name, source="made here", license="CC BY 4.0")
    return import_raw(Raw(card=card, root=root, tables=tables_of(rows, columns)), folder)
