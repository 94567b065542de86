"""Meta-Album mini: the eight small sets of plants, insects, fungi and plankton that BioCLIP uses.

    FOLDER/[set0/]INS_Mini/labels.csv                FILE_NAME, CATEGORY, SUPER_CATEGORY
    FOLDER/[set0/]INS_Mini/images/<FILE_NAME>        as Meta-Album's format page describes
    FOLDER/[set0/]INS_Mini/val/metadata.csv          filepath, class
    FOLDER/[set0/]INS_Mini/val/<class>/<picture>     as BioCLIP's evaluation expects

`INS` may stand for `INS_Mini`. Each set is a taxon group, and published scores are of one set
alone: `meta-album:FOLDER#INS`. Sets that are not there are passed over. There is no split.

Labels differ by set. FNG and PLT_NET have species, FNG with authors. MED_LF writes `Piper Betle
(Betel)`: the species with a capital, and the common name. INS has families and French groups,
INS_2 scientific and English names side by side, PLK genera and shapes of particles, PLT_VIL and
PLT_DOC diseases; these stay as delivered, and get a genus or family where the form leaves no doubt.
"""

import re
from pathlib import Path

from syntype.data.benchmarks.benchmark import Benchmark, Found, Size
from syntype.data.benchmarks.files import best_prefix, table_with
from syntype.data.records import Column
from syntype.taxonomy.taxon import family_of, is_binomial

_SIZES = {
    "FNG": Size(1000, 25),
    "INS": Size(4160, 104),
    "INS_2": Size(4080, 102),
    "MED_LF": Size(1000, 25),
    "PLK": Size(3440, 86),
    "PLT_DOC": Size(1080, 27),
    "PLT_NET": Size(1000, 25),
    "PLT_VIL": Size(1520, 38),
}
_SPECIES = ("FNG", "MED_LF", "PLT_NET")
_NAMED_TAXA = ("INS", "INS_2")
# Table in a set's folder, its columns of pictures and labels, and where the pictures may lie.
_TABLES = (
    ("labels.csv", "FILE_NAME", "CATEGORY", ("images/", "")),
    ("metadata.csv", "filepath", "class", ("", "val/", "images/")),
    ("val/metadata.csv", "filepath", "class", ("val/", "")),
)
_IN_BRACKETS = re.compile(r"(?P<name>[^()]+) \((?P<common>[^()]+)\)")


def read(home: Path, part: str) -> Found:
    """Read one set, or all that are there."""
    folders = {code: _folder(home, code) for code in _SIZES if part in {"", code}}
    there = {code: folder for code, folder in folders.items() if folder}
    if not there:
        raise BENCHMARK.absent(home, f"it has no folder {part or 'INS'}_Mini with a table")
    image: list[str] = []
    label: list[str | None] = []
    columns: dict[str, list[str | None]] = {
        name: []
        for name in ("verbatimIdentification", "vernacularName", "taxonGroup", "genus", "family")
    }
    plain: list[bool] = []
    for code, folder in there.items():
        places, labels = _rows(home, folder)
        names = [_name(code, text or "") for text in labels]
        image += places
        label += [name for name, _ in names]
        columns["verbatimIdentification"] += labels
        columns["vernacularName"] += [common for _, common in names]
        columns["taxonGroup"] += [code] * len(places)
        columns["genus"] += [_genus(code, name) for name, _ in names]
        columns["family"] += [family_of(name) for name, _ in names]
        plain += [code not in _SPECIES] * len(places)
    return Found(root=home, image=image, label=label, columns=columns, plain=plain)


def _folder(home: Path, code: str) -> Path | None:
    """The folder of the set `code`, if it is there and has a table."""
    folders = [home, *sorted(inner for inner in home.iterdir() if inner.is_dir())]
    places = [folder / name for folder in folders for name in (f"{code}_Mini", code)]
    tables = [name for name, *_ in _TABLES]
    return next((p for p in places if any((p / table).is_file() for table in tables)), None)


def _rows(home: Path, folder: Path) -> tuple[list[str], Column]:
    """Pictures relative to `home`, and their labels."""
    file, of_image, of_label, prefixes = next(row for row in _TABLES if (folder / row[0]).is_file())
    table = table_with(folder / file, [of_image, of_label])
    image = [path or "" for path in table[of_image]]
    prefix = best_prefix(folder, image, prefixes)
    inside = folder.relative_to(home).as_posix()
    return [f"{inside}/{prefix}{path}" if path else "" for path in image], table[of_label]


def _name(code: str, label: str) -> tuple[str, str]:
    """The name to score by, and the common name where the label has it in brackets."""
    if code == "FNG":
        return " ".join(label.split()[:2]), ""
    if code != "MED_LF":
        return label, ""
    brackets = _IN_BRACKETS.fullmatch(label.strip())
    name, common = brackets.group("name", "common") if brackets else (label.strip(), "")
    return name.capitalize(), common


def _genus(code: str, name: str) -> str:
    """The genus where it is certain; "" leaves it to cleaning, which knows binomials."""
    words = name.split()
    if code == "MED_LF":
        return words[0] if words else ""  # also of `Mentha`, which stands alone
    with_authors = is_binomial(" ".join(words[:2])) and all(w[:1].isupper() for w in words[2:])
    return words[0] if code in _NAMED_TAXA and with_authors else ""


BENCHMARK = Benchmark(
    name="meta-album",
    title="Meta-Album mini (insects, plankton, plants, fungi: eight sets)",
    source="https://meta-album.github.io/",
    license="each set has its own, see its page",
    citation=(
        "Ullah et al. (2022). Meta-Album: Multi-domain meta-dataset for few-shot image "
        "classification. NeurIPS Datasets and Benchmarks."
    ),
    get="fetch the mini version of each set, by way of OpenML",
    layout=(
        "INS_Mini/labels.csv and INS_Mini/images/<picture>, or",
        "INS_Mini/val/metadata.csv and INS_Mini/val/<class>/<picture>",
        "... likewise FNG, INS_2, MED_LF, PLK, PLT_DOC, PLT_NET, PLT_VIL; [set0/] may stand before",
    ),
    parts={"": Size(17_280, 432), **_SIZES},
    unconfirmed="the licence of each set",
    read=read,
)
