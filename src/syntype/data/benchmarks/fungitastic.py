"""FungiTastic few-shot: fungi with fewer than five training pictures (Picek et al. 2024).

    FOLDER/metadata/FungiTastic-FewShot/FungiTastic-FewShot-Train.csv, ...-Val.csv, ...-Test.csv
    FOLDER/FungiTastic-FewShot/train/500p/<filename>, and likewise val/ and test/; 300p, 720p
                                                      and fullsize as far as fetched

Pictures of one observation are one unit (`observationID`). The split is by year: up to 2021, 2022,
2023. The largest size that all three splits have is read. `species` has the whole name.
"""

from pathlib import Path

from syntype.data.benchmarks.benchmark import Benchmark, Found, Size
from syntype.data.benchmarks.files import binomial, table_with
from syntype.taxonomy.taxon import RANKS

_NAME = "FungiTastic-FewShot"
_SPLITS = {"train": "Train", "val": "Val", "test": "Test"}
_TABLES = {split: f"metadata/{_NAME}/{_NAME}-{word}.csv" for split, word in _SPLITS.items()}
_SIZES = ("fullsize", "720p", "500p", "300p")
_KEPT = {"unit": "observationID", **{rank: rank for rank in RANKS[:-1]}}


def read(home: Path, part: str) -> Found:
    """Read the three tables of the few-shot subset."""
    size = _size(home)
    image: list[str] = []
    label: list[str | None] = []
    columns: dict[str, list[str | None]] = {name: [] for name in ("split", *_KEPT)}
    for split, file in _TABLES.items():
        table = table_with(home / file, ["filename", "genus", "species"])
        names = [name or "" for name in table["filename"]]
        image += [f"{_NAME}/{split}/{size}/{name}" if name else "" for name in names]
        label += map(binomial, table["genus"], table["species"])
        columns["split"] += [split] * len(names)
        for column, given in _KEPT.items():
            columns[column] += table.get(given, [None] * len(names))
    return Found(root=home, image=image, label=label, columns=columns)


def _size(home: Path) -> str:
    """The largest size that all splits have."""
    for size in _SIZES:
        if all((home / _NAME / split / size).is_dir() for split in _SPLITS):
            return size
    raise BENCHMARK.absent(home, f"no size of pictures is in {_NAME}/train, val and test alike")


BENCHMARK = Benchmark(
    name="fungitastic",
    title="FungiTastic few-shot (rare fungi)",
    source="https://github.com/BohemianVRA/FungiTastic",
    license="see its page",
    citation=(
        "Picek et al. (2024). FungiTastic: A multi-modal dataset and benchmark for image "
        "categorization. arXiv:2408.13632."
    ),
    get="by its download script with --metadata --images --subset fs, or from Kaggle",
    layout=(*_TABLES.values(), f"{_NAME}/train/500p/<picture>, {_NAME}/val/..., {_NAME}/test/..."),
    needs=tuple((file,) for file in _TABLES.values()),
    parts={"": Size(12_015, 2_427)},
    unit="observation",
    unconfirmed="the licence of the data",
    read=read,
)
