"""iNaturalist 2021: 10,000 species with their lineage (Van Horn et al. 2021).

    FOLDER/train_mini.json, train.json, val.json     COCO with fields of its own (optional)
    FOLDER/train_mini/00000_Animalia_Annelida_Clitellata_Haplotaxida_Lumbricidae_Lumbricus_
           terrestris/<picture>.jpg, and likewise train/ and val/

`#mini` (the default) trains on 50 pictures a species, `#full` on all; both are tested on `val`,
whose pictures get the split test, since the labels of the test pictures were never published.
`#val` is `val` alone, without a split. Where an annotation file is there it says which pictures
there are, their licence and their rights holder, who is the unit; else the folders' names give the
lineage.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from syntype.data.benchmarks.benchmark import Benchmark, Found, Size
from syntype.data.folder import pictures_below
from syntype.errors import DataError
from syntype.taxonomy.taxon import RANKS

_PARTS = {
    "mini": {"train_mini": "train", "val": "test"},
    "full": {"train": "train", "val": "test"},
    "val": {"val": ""},
}
_RANKS = RANKS[:-1]
_SHARED = (*_RANKS, "vernacularName", "taxonGroup")

Class = Mapping[str, str | None]


class _Picture(NamedTuple):
    """A picture; those of one species share what is said of it, for there are millions."""

    image: str
    of: Class
    split: str
    holder: str | None = None
    license: str | None = None


def read(home: Path, part: str) -> Found:
    """Read the folders of `part`, by their annotations where they have them."""
    folders = _PARTS[part]
    if lacking := [name for name in folders if not (home / name).is_dir()]:
        raise BENCHMARK.absent(home, f"the folder {lacking[0]} is missing, which #{part} needs")
    pictures: list[_Picture] = []
    for name, split in folders.items():
        path = home / f"{name}.json"
        pictures += _annotated(path, split) if path.is_file() else _by_folders(home, name, split)
    return Found(
        root=home,
        image=[picture.image for picture in pictures],
        label=[picture.of.get("label") for picture in pictures],
        columns={
            **{column: [picture.of.get(column) for picture in pictures] for column in _SHARED},
            "unit": [picture.holder for picture in pictures],
            "license": [picture.license for picture in pictures],
            "split": [picture.split for picture in pictures],
        },
    )


def _annotated(path: Path, split: str) -> list[_Picture]:
    """The pictures of an annotation file.

    Raises:
        DataError: The file is no such annotation.
    """
    try:
        text = json.loads(path.read_text(encoding="utf-8"))
        classes = {entry["id"]: _class(entry) for entry in text["categories"]}
        licenses = {entry["id"]: entry.get("name") for entry in text.get("licenses", ())}
        class_of = {entry["image_id"]: entry["category_id"] for entry in text["annotations"]}
        return [
            _Picture(
                image=entry["file_name"],
                of=classes.get(class_of.get(entry["id"]), {}),
                split=split,
                holder=entry.get("rights_holder"),
                license=licenses.get(entry.get("license")),
            )
            for entry in text["images"]
        ]
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"{path} is not an annotation file of iNat21 ({type(error).__name__}: {error}). Unpack "
            "it anew, or remove it: the folders' names tell the species too."
        ) from error


def _class(entry: Mapping[str, Any]) -> Class:
    """What a category of the annotations says of its pictures."""
    return {
        **{rank: entry.get(rank) for rank in _RANKS},
        "label": entry["name"],
        "vernacularName": entry.get("common_name"),
        "taxonGroup": entry.get("supercategory"),
    }


def _by_folders(home: Path, name: str, split: str) -> list[_Picture]:
    """The pictures below the folder `name`, the lineage from the class folder."""
    places = list(pictures_below(home / name))
    classes = {folder: _class_of_folder(folder) for folder in {p.partition("/")[0] for p in places}}
    return [_Picture(f"{name}/{p}", classes[p.partition("/")[0]], split) for p in places]


def _class_of_folder(folder: str) -> Class:
    """What a name such as 00000_Animalia_..._Lumbricus_terrestris says; nothing for others."""
    words = folder.split("_", 7)
    if len(words) < 8 or not words[0].isdecimal():
        return {}
    epithet = words[7].replace("_", " ")
    return {**dict(zip(_RANKS, words[1:7], strict=True)), "label": f"{words[6]} {epithet}"}


BENCHMARK = Benchmark(
    name="inat21",
    title="iNaturalist 2021 (10,000 species of all kingdoms)",
    source="https://github.com/visipedia/inat_comp/tree/master/2021",
    license="non-commercial research and education; the pictures must not be passed on",
    citation=(
        "Van Horn et al. (2021). Benchmarking representation learning for natural world image "
        "collections. CVPR."
    ),
    get="unpack train_mini.tar.gz (42 GB) or train.tar.gz (224 GB), val.tar.gz, their .json.tar.gz",
    layout=(
        "train_mini/<number>_<kingdom>_..._<epithet>/<picture>.jpg, or train/ for #full",
        "val/<number>_<kingdom>_..._<epithet>/<picture>.jpg",
        "train_mini.json, train.json, val.json (optional)",
    ),
    needs=(("val",),),
    parts={
        "mini": Size(600_000, 10_000),
        "full": Size(2_786_843, 10_000),
        "val": Size(100_000, 10_000),
    },
    unit="rights holder",
    checksums={
        "train.tar.gz": "e0526d53c7f7b2e3167b2b43bb2690ed",
        "train.json.tar.gz": "38a7bb733f7a09214d44293460ec0021",
        "train_mini.tar.gz": "db6ed8330e634445efc8fec83ae81442",
        "train_mini.json.tar.gz": "395a35be3651d86dc3b0d365b8ea5f92",
        "val.tar.gz": "f6f6e0e242e3d4c9569ba56400938afc",
        "val.json.tar.gz": "4d761e0f6a86cc63e8f7afc91f6a8f0b",
    },
    read=read,
)
