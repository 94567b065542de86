"""Rare Species: 400 animals of the IUCN Red List (Stevens et al. 2024, BioCLIP).

    FOLDER/metadata/rarespecies-catalog.csv    rarespecies_id, eol_content_id, eol_page_id,
                                               kingdom ... species, sciName, common
    FOLDER/metadata/licenses.csv               rarespecies_id, license_name ... (optional)
    FOLDER/dataset/<kingdom-...-species>/<eol_content_id>_<eol_page_id>_eol-full-size-copy.jpg

A picture is found by the two ids at the start of its name, wherever it lies: the data card, the
archive and BioCLIP's own table place the files differently. The catalogue has the epithet alone
as `species`. There is no split: the whole set is a test set.
"""

import re
from pathlib import Path

from syntype.data.benchmarks.benchmark import Benchmark, Found, Size
from syntype.data.benchmarks.files import binomial, number, table_with
from syntype.data.folder import pictures_below
from syntype.data.records import Column
from syntype.taxonomy.taxon import RANKS

_CATALOGUES = ("metadata/rarespecies-catalog.csv", "rarespecies-catalog.csv")
_LICENSES = ("metadata/licenses.csv", "licenses.csv")
_NAME = re.compile(r"(\d+)_(\d+)_eol[-_]full[-_]size[-_]copy\.\w+")


def read(home: Path, part: str) -> Found:
    """Read the catalogue, and find its pictures by their ids."""
    path = next(home / place for place in _CATALOGUES if (home / place).is_file())
    table = table_with(path, ["eol_content_id", "eol_page_id", *RANKS])
    ids = zip(map(number, table["eol_content_id"]), map(number, table["eol_page_id"]), strict=True)
    places = _places(home)
    names = zip(table["genus"], table["species"], strict=True)
    return Found(
        root=home,
        image=[places.get(pair, f"{pair[0]}_{pair[1]}_eol-full-size-copy.jpg") for pair in ids],
        label=[binomial(genus, species) for genus, species in names],
        columns={
            **{rank: table[rank] for rank in RANKS[:-1]},
            "vernacularName": table.get("common", [None] * len(table["genus"])),
            "license": _licenses(home, table),
        },
    )


def _places(home: Path) -> dict[tuple[str, str], str]:
    """The two ids of a picture to its path."""
    found = ((_NAME.fullmatch(place.rpartition("/")[2]), place) for place in pictures_below(home))
    return {(match[1], match[2]): place for match, place in found if match}


def _licenses(home: Path, table: dict[str, Column]) -> Column:
    """The licence of each picture, None where no table says."""
    path = next((home / place for place in _LICENSES if (home / place).is_file()), None)
    if path is None or "rarespecies_id" not in table:
        return [None] * len(table["genus"])
    licenses = table_with(path, ["rarespecies_id", "license_name"])
    known = dict(zip(licenses["rarespecies_id"], licenses["license_name"], strict=True))
    return [known.get(id_) for id_ in table["rarespecies_id"]]


BENCHMARK = Benchmark(
    name="rare-species",
    title="Rare Species (400 species of the IUCN Red List)",
    source="https://huggingface.co/datasets/imageomics/rare-species",
    license="CC0-1.0 as a whole; each picture has its own",
    citation=(
        "Stevens et al. (2024). BioCLIP: A vision foundation model for the tree of life. CVPR."
    ),
    get="clone with git-lfs",
    layout=(
        "metadata/rarespecies-catalog.csv",
        "metadata/licenses.csv (optional)",
        "dataset/<kingdom-...-species>/<content id>_<page id>_eol-full-size-copy.jpg",
    ),
    needs=(_CATALOGUES,),
    parts={"": Size(11_983, 400)},
    read=read,
)
