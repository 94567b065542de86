"""FishNet: fishes with families, orders and traits (Khan et al. 2023, ICCV).

    FOLDER/anns/train.csv, test.csv     species, image, Genus, Family, Order, Class, Folder ...;
                                        directly in FOLDER will do too
    FOLDER/Image_Library/<Folder>/<last part of image>

`image` is a name or the address that the picture came from; its last part is the file's name. The
authors classify families and orders, so a row's class is its family; `fishnet:FOLDER#species` takes
the species instead. The rows that come from iNaturalist, more than half of the test table, have
none and are left out then. The traits, which BioCLIP 2 and BioBench predict, are not read.
"""

from pathlib import Path

from syntype.data.benchmarks.benchmark import Benchmark, Found, Size
from syntype.data.benchmarks.files import table_with

_SPLITS = ("train", "test")
_RANKS = {"class": "Class", "order": "Order", "family": "Family", "genus": "Genus"}
_IMAGES = "Image_Library"


def read(home: Path, part: str) -> Found:
    """Read both tables; `part` is family or species."""
    image: list[str] = []
    label: list[str | None] = []
    columns: dict[str, list[str | None]] = {rank: [] for rank in ("split", *_RANKS)}
    for split in _SPLITS:
        path = home / "anns" / f"{split}.csv"
        path = path if path.is_file() else home / f"{split}.csv"
        table = table_with(path, ["species", "image", "Folder", *_RANKS.values()])
        places = zip(table["Folder"], table["image"], strict=True)
        image += [_place(folder or "", address or "") for folder, address in places]
        label += table["species" if part == "species" else "Family"]
        columns["split"] += [split] * len(table["image"])
        for rank, column in _RANKS.items():
            columns[rank] += table[column]
    n_rows = len(image)
    return Found(
        root=home,
        image=image,
        label=label,
        columns={**columns, "kingdom": ["Animalia"] * n_rows, "phylum": ["Chordata"] * n_rows},
    )


def _place(folder: str, address: str) -> str:
    file = address.rpartition("/")[2]
    return f"{_IMAGES}/{folder}/{file}" if file else ""


BENCHMARK = Benchmark(
    name="fishnet",
    title="FishNet (fishes: families, species)",
    source="https://fishnet-2023.github.io/",
    license="not stated on its page",
    citation=(
        "Khan et al. (2023). FishNet: A large-scale dataset and benchmark for fish recognition, "
        "detection, and functional trait prediction. ICCV."
    ),
    get="the pictures from its page, the tables from the folder anns of its repository",
    layout=("anns/train.csv", "anns/test.csv", f"{_IMAGES}/<family>/<picture>.jpg"),
    needs=(
        *((f"anns/{split}.csv", f"{split}.csv") for split in _SPLITS),
        (_IMAGES,),
    ),
    parts={"family": Size(94_532, 463), "species": Size(94_532, 17_357)},
    unconfirmed="the licence",
    read=read,
)
