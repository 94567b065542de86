"""Birds 525: one bird a picture, 224 pixels (Piosenka, Kaggle; withdrawn).

    FOLDER/train/ABBOTTS BABBLER/001.jpg, and likewise valid/ and test/
    FOLDER/birds.csv     (optional) class id, filepaths, labels, data set, scientific name

BioCLIP's scores are on the 2,625 test pictures, five a species: `birds525:FOLDER#test`. Its author
chose the test and valid pictures as the best ones, so scores on them flatter. The classes are
English names in capitals, with stray blanks; `birds.csv` adds the genus.
"""

from pathlib import Path

from syntype.data.benchmarks.benchmark import Benchmark, Found, Size
from syntype.data.benchmarks.files import table_with
from syntype.data.folder import pictures_below
from syntype.taxonomy.taxon import is_binomial

_SPLITS = ("train", "valid", "test")


def read(home: Path, part: str) -> Found:
    """Read the class folders; `part` is test or "" for all."""
    places = [
        f"{split}/{place}"
        for split in _SPLITS
        if part in {"", split} and (home / split).is_dir()
        for place in pictures_below(home / split)
    ]
    words = [place.split("/") for place in places]
    label = [inner[1] if len(inner) > 2 else None for inner in words]
    genera = _genera(home / "birds.csv")
    return Found(
        root=home,
        image=places,
        label=label,
        columns={
            "vernacularName": label,
            "genus": [genera.get(name or "", "") for name in label],
            "split": [inner[0] if part == "" else None for inner in words],
        },
        plain=[True] * len(places),
    )


def _genera(path: Path) -> dict[str, str]:
    """Class to its genus, as far as the table knows it."""
    if not path.is_file():
        return {}
    table = table_with(path, ["labels", "scientific name"])
    names = zip(table["labels"], table["scientific name"], strict=True)
    scientific = {label: " ".join((name or "").split()).capitalize() for label, name in names}
    return {
        label: name.split()[0] for label, name in scientific.items() if label and is_binomial(name)
    }


BENCHMARK = Benchmark(
    name="birds525",
    title="Birds 525 (one bird a picture)",
    source="https://www.kaggle.com/datasets/gpiosenka/100-bird-species",
    license="not stated where it could be checked",
    citation="Piosenka. Birds 525 species: image classification. Kaggle.",
    get="the page is closed: only an older copy will do; NABirds took its place in BioCLIP 2",
    layout=("train/<CLASS>/<picture>.jpg", "valid/...", "test/...", "birds.csv (optional)"),
    needs=(("test",),),
    parts={"": Size(89_885, 525), "test": Size(2_625, 525)},
    unconfirmed="the licence, and the columns of birds.csv",
    read=read,
)
