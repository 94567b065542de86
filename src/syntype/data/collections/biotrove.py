"""BioTrove, once called Arboretum: 161.9 million pictures of iNaturalist (Yang et al. 2024).

The set is tables of addresses; pictures are fetched by them (`syntype data download`).

    BioTrove/chunk_<n>.parquet                    all, a million rows a file or so
    BioTrove-Train/...parquet                     40 million, 33,000 species, seven groups
    BioTrove-benchmark/BioTrove-Balanced.parquet, -Unseen, -LifeStages      test sets

A chunk may stand there as CSV too; it is read once, the Parquet first. `species` is the epithet,
`photo_id` the picture's number at iNaturalist, and the picture is of the size `medium`, 500 pixels
at most. Some addresses end in capitals. No table says the licence of a picture: see iNaturalist's
open data. The set has no split, and no unit: pictures of one observation are not told.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from syntype.data.collections import delimited, parquet_rows
from syntype.data.collections.collection import Account, Collection, Request, known, with_name
from syntype.data.raw import Raw
from syntype.taxonomy.taxon import RANKS

_GIVEN = ("photo_id", "scientificName", *RANKS, "common_name", "taxonRank", "photo_url")
_FOLDERS: Mapping[str, tuple[str, str]] = {
    "": ("BioTrove", "*"),
    "train": ("BioTrove-Train", "*"),
    "balanced": ("BioTrove-benchmark", "*Balanced*"),
    "unseen": ("BioTrove-benchmark", "*Unseen*"),
    "life-stages": ("BioTrove-benchmark", "*Life*"),
}
_NUMBER = re.compile(r"(\d+)")


def read(request: Request) -> Raw:
    """Read the tables of a part.

    Raises:
        DataNotFoundError: None is here.
        DataError: A table lacks columns or cannot be read.
    """
    folder, pattern = _FOLDERS[request.part]
    paths = _tables(request.home / folder, pattern)
    if not paths and request.home.name == folder:
        paths = _tables(request.home, pattern)
    if not paths:
        raise COLLECTION.absent(request.home, f"there is no table {folder}/{pattern}.parquet in it")
    account = Account()
    account.notes["tables"] = len(paths)
    return account.raw(COLLECTION, request, _rows(paths, account))


def _tables(folder: Path, pattern: str) -> list[Path]:
    """The tables of a folder in the order of their numbers; of two with one name the Parquet."""
    if not folder.is_dir():
        return []
    found: dict[str, Path] = {}
    for ending in (".csv", ".parquet"):
        found |= {path.stem: path for path in folder.glob(pattern + ending)}
    # Digits stand between other text, so that numbers are compared with numbers.
    return sorted(found.values(), key=lambda path: _in_order(path.stem))


def _in_order(stem: str) -> list[tuple[int, str]]:
    return [(int(x), "") if x.isdecimal() else (0, x) for x in _NUMBER.split(stem)]


def _rows(paths: list[Path], account: Account) -> Iterator[pa.Table]:
    for path in paths:
        if path.suffix == ".csv":
            tables = delimited.stream(path, _GIVEN, account)
        else:
            tables = _counted(parquet_rows.stream(path, _GIVEN), account)
        for table in tables:
            yield _made({name: known(table.column(name)) for name in _GIVEN}, path, account)


def _counted(tables: Iterator[pa.Table], account: Account) -> Iterator[pa.Table]:
    for table in tables:
        account.read(table.num_rows)
        yield table


def _made(given: dict[str, pa.Array], path: Path, account: Account) -> pa.Table:
    url = given["photo_url"]
    useless = pc.or_(pc.equal(given["photo_id"], ""), pc.equal(url, ""))
    account.leave([path.name] * pc.sum(useless).as_py(), "no number or no address")
    keep = pc.invert(useless)
    given = {name: column.filter(keep) for name, column in given.items()}
    named = with_name(given)
    label = given["scientificName"]
    name = pc.if_else(pc.equal(label, ""), named["verbatimIdentification"], label)
    common, rank = given["common_name"], given["taxonRank"]
    same = pc.equal(pc.utf8_lower(common), pc.utf8_lower(name))
    return pa.table(
        {
            "key": given["photo_id"],
            **named,
            "verbatimIdentification": name,
            "taxonRank": pc.if_else(pc.equal(rank, ""), named["taxonRank"], rank),
            "vernacularName": pc.if_else(same, "", common),
            "accessURI": given["photo_url"],
            "mediaID": given["photo_id"],
            "mediaType": pa.array(["StillImage"] * len(name), pa.string()),
        }
    )


COLLECTION = Collection(
    name="biotrove",
    title="BioTrove (161.9 million pictures of iNaturalist, as tables of addresses)",
    source="https://huggingface.co/datasets/BGLab/BioTrove",
    license="of the tables: MIT or CC0-1.0, as its pages say; each picture has its own",
    citation=(
        "Yang et al. (2024). BioTrove: A large curated image dataset enabling AI for biodiversity. "
        "NeurIPS."
    ),
    get="syntype data get biotrove, or biotrove-train",
    layout=(
        "BioTrove/chunk_<n>.parquet",
        "BioTrove-Train/<table>.parquet, for #train",
        "BioTrove-benchmark/BioTrove-Balanced.parquet, and likewise Unseen and LifeStages",
    ),
    parts={
        "": "all",
        "train": "BioTrove-Train, 40 million pictures",
        "balanced": "BioTrove-Balanced, a test set",
        "unseen": "BioTrove-Unseen, a test set of species that are not in BioTrove-Train",
        "life-stages": "BioTrove-LifeStages, a test set of life stages",
    },
    unconfirmed=(
        "columns are those that the hub shows of BioTrove and BioTrove-Train; the names of the "
        "tables of BioTrove-Train, Unseen and LifeStages, and a column of life stages, could not "
        "be seen; the licence of the tables differs between pages"
    ),
    read=read,
)
