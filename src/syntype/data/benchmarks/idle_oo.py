"""IDLE-OO camera traps: five balanced sets from LILA BC (Campolongo, Gu and Zhang, for BioCLIP 2).

    FOLDER/ENA24-balanced.csv, desert-lion-balanced.csv, island-balanced.csv,
           ohio-small-animals-balanced.csv, orinoquia-balanced.csv
    FOLDER/data/test/<set>/<picture>

Each set is a taxon group, and published scores are of one set alone: `idle-oo:FOLDER#ENA24`. Sets
that are not there are passed over. `filepath` is relative to `data/test`, with or without the name
of the set. The columns of the ranks are taken by the names of BioCLIP's tables: kingdom, phylum,
cls (or class), order, family, genus, species, common_name. A row without genus and species goes by
its common name. Sequence or location are the unit where a table has them. There is no split.
"""

from pathlib import Path

from syntype.data.benchmarks.benchmark import Benchmark, Found, Size
from syntype.data.benchmarks.files import best_prefix, binomial, table_with
from syntype.data.records import Column

_SIZES = {
    "ENA24": Size(1_120, 20),
    "desert-lion": Size(352, 32),
    "island": Size(310, 17),
    "ohio-small-animals": Size(468, 39),
    "orinoquia": Size(336, 28),
}
# Our column to theirs, the first that a table has.
_COLUMNS = {
    "kingdom": ("kingdom",),
    "phylum": ("phylum",),
    "class": ("cls", "class"),
    "order": ("order",),
    "family": ("family",),
    "genus": ("genus",),
    "vernacularName": ("common_name",),
    "unit": ("sequence_id", "location_id"),
    "license": ("license",),
}


def read(home: Path, part: str) -> Found:
    """Read one of the five sets, or all that are there."""
    tables = {code: home / f"{code}-balanced.csv" for code in _SIZES if part in {"", code}}
    there = {code: path for code, path in tables.items() if path.is_file()}
    if not there:
        raise BENCHMARK.absent(home, f"it has no table {next(iter(tables.values())).name}")
    image: list[str] = []
    label: list[str | None] = []
    plain: list[bool] = []
    columns: dict[str, list[str | None]] = {name: [] for name in ("taxonGroup", *_COLUMNS)}
    for code, path in there.items():
        table = table_with(path, ["filepath"])
        paths = [place or "" for place in table["filepath"]]
        prefixes = ("data/test/", f"data/test/{code}/", f"images/{code}/", f"{code}/", "")
        prefix = best_prefix(home, paths, prefixes)
        names = list(map(binomial, _column(table, "genus"), _column(table, "species")))
        common = _column(table, "common_name")
        image += [prefix + place if place else "" for place in paths]
        label += [name or given for name, given in zip(names, common, strict=True)]
        plain += [name is None for name in names]
        columns["taxonGroup"] += [code] * len(paths)
        for name, given in _COLUMNS.items():
            columns[name] += _column(table, *given)
    return Found(root=home, image=image, label=label, columns=columns, plain=plain)


def _column(table: dict[str, Column], *names: str) -> Column:
    """The first of the columns that the table has; None throughout without one."""
    return next((table[name] for name in names if name in table), [None] * len(table["filepath"]))


BENCHMARK = Benchmark(
    name="idle-oo",
    title="IDLE-OO camera traps (five sets)",
    source="https://huggingface.co/datasets/imageomics/IDLE-OO-Camera-Traps",
    license="that of each source at LILA BC; CDLA-Permissive-1.0 for ENA24 and orinoquia",
    citation="Campolongo, Gu and Zhang. IDLE-OO camera traps. doi:10.57967/hf/5764.",
    get="clone with git-lfs",
    layout=(*(f"{code}-balanced.csv" for code in _SIZES), "data/test/<set>/<picture>"),
    parts={"": Size(2_586, None), **_SIZES},
    unit="sequence or location, where the table has it",
    unconfirmed="the names of the columns, and three of the five licences",
    read=read,
)
