"""Ground beetles (Carabidae) with scientific names, in tables such as BeetleVerse puts together.

    FOLDER/<table>.csv              one or more, here or one folder below; one row a picture
    FOLDER/<path in the table>      or below images/, individual_images/, group_images/

BeetleVerse (Rayeed et al. 2025) evaluates on four collections that are published apart, among
them pinned beetles of NEON sites; there is no common table. So the columns are guessed as in any
table (`syntype.data.columns`), and each table is a taxon group, named after itself or, one folder
below, after that folder. A table without pictures or labels is left out by name: NEON's
measurements, for example. The specimen is the unit where a column says which it is. The lineage
down to the family is that of Carabidae where a table has none.
"""

from pathlib import Path

from syntype.configs import DataConfig
from syntype.data.benchmarks.benchmark import Benchmark, Found, Size
from syntype.data.benchmarks.files import best_prefix, binomial
from syntype.data.columns import map_columns
from syntype.data.records import Column
from syntype.data.table import read_columns
from syntype.errors import DataError

_CARABIDAE = {
    "kingdom": "Animalia",
    "phylum": "Arthropoda",
    "class": "Insecta",
    "order": "Coleoptera",
    "family": "Carabidae",
}
_KEPT = ("verbatimIdentification", "genus", "vernacularName", "unit", "split", "license")
_PREFIXES = ("", "images/", "individual_images/", "group_images/")


def read(home: Path, part: str) -> Found:
    """Read every table that has pictures and labels."""
    image: list[str] = []
    label: list[str | None] = []
    columns: dict[str, list[str | None]] = {
        name: [] for name in ("taxonGroup", *_CARABIDAE, *_KEPT)
    }
    left_out: list[tuple[str, str]] = []
    for path in sorted([*home.glob("*.csv"), *home.glob("*/*.csv")]):
        inside = path.parent.relative_to(home).as_posix()
        try:
            table = _terms(path)
        except DataError:
            left_out.append((path.relative_to(home).as_posix(), "no table of pictures with labels"))
            continue
        paths = [place or "" for place in table["image"]]
        empty: Column = [None] * len(paths)
        prefix = best_prefix(path.parent, paths, _PREFIXES)
        folder = prefix if inside == "." else f"{inside}/{prefix}"
        image += [folder + place if place else "" for place in paths]
        label += map(binomial, table.get("genus", empty), table["label"])
        columns["taxonGroup"] += [path.stem if inside == "." else inside] * len(paths)
        for name in (*_CARABIDAE, *_KEPT):
            given = table.get(name, empty)
            columns[name] += [text or _CARABIDAE.get(name) for text in given]
    if not image:
        raise BENCHMARK.absent(home, "it has no table of pictures with labels")
    return Found(root=home, image=image, label=label, columns=columns, left_out=left_out)


def _terms(path: Path) -> dict[str, Column]:
    """The columns of a table by our terms, guessed from their names.

    Raises:
        DataError: It is no table, or has no pictures or labels.
    """
    table, _ = read_columns(path)
    mapped = map_columns(table, path.stem, DataConfig(data=(path.name,)))
    return {term: table[column] for term, column in mapped.columns.items()}


BENCHMARK = Benchmark(
    name="beetles",
    title="Ground beetles as in BeetleVerse (tables of pinned and living Carabidae)",
    source="https://arxiv.org/abs/2504.13393",
    license="that of each collection; CC-BY-SA-4.0 for NEON's of 2018, CC-BY-4.0 for Hawaii's",
    citation=(
        "Rayeed et al. (2025). BeetleVerse: A study on taxonomic classification of ground beetles. "
        "arXiv:2504.13393."
    ),
    get="each collection from where its paper says, for example imageomics/2018-NEON-beetles",
    layout=("<table>.csv, or <collection>/<table>.csv", "<path in the table>, or below images/"),
    parts={"": Size(None, 1_769)},
    unit="specimen, where the table has it",
    unconfirmed="the tables that BeetleVerse itself used, and their number of pictures",
    read=read,
)
