"""Miniature backbones in the published layouts of GBIF and Catalogue of Life, dirt included.

The same 60 or so names in every layout: homonyms across kingdoms (Oenanthe), one name of two
authors (Carex nigra), synonyms of synonyms, synonyms that lead in a circle or nowhere, orphans,
parents in a circle, doubtful and misapplied names, hybrids, two accepted names that are spelled
alike, names without authors, a subgenus, a variety, a virus; and rows that cannot be read.
"""

import gzip
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

RANKS = ("kingdom", "phylum", "class", "order", "family", "genus")


@dataclass(frozen=True)
class Name:
    """A row: `name` is written without authors and with the marks that the source uses."""

    id: str
    parent: str
    name: str
    authorship: str = ""
    rank: str = "species"
    status: str = "accepted"
    accepted: str = ""


def tree(*path: tuple[str, str, str]) -> list[Name]:
    """Taxa one below the other: id, rank, name."""
    ids = ["", *(each[0] for each in path)]
    return [
        Name(id, above, name, rank=rank) for above, (id, rank, name) in zip(ids, path, strict=False)
    ]


BIRDS = tree(
    ("1", "kingdom", "Animalia"),
    ("44", "phylum", "Chordata"),
    ("212", "class", "Aves"),
    ("729", "order", "Passeriformes"),
    ("9327", "family", "Paridae"),
)
PLANTS = tree(
    ("6", "kingdom", "Plantae"),
    ("7707728", "phylum", "Tracheophyta"),
    ("220", "class", "Magnoliopsida"),
    ("1351", "order", "Apiales"),
    ("6720", "family", "Apiaceae"),
)
NAMES = [
    *BIRDS,
    *PLANTS,
    Name("100", "9327", "Parus", "Linnaeus, 1758", "genus"),
    Name("101", "100", "Parus major", "Linnaeus, 1758"),
    Name("102", "101", "Parus major major", "", "subspecies"),
    Name("110", "9327", "Periparus", "Selys-Longchamps, 1884", "genus"),
    Name("111", "110", "Periparus ater", "(Linnaeus, 1758)"),
    Name("112", "9327", "Parus ater", "Linnaeus, 1758", "species", "homotypic synonym", "111"),
    # A synonym of a synonym, a circle of two, and one that leads nowhere.
    Name("120", "", "Parus vetus", "Brisson, 1760", "species", "synonym", "121"),
    Name("121", "", "Parus medius", "Bechstein, 1800", "species", "heterotypic synonym", "101"),
    Name("122", "", "Parus gyrans", "Smith, 1900", "species", "synonym", "123"),
    Name("123", "", "Parus rotans", "Smith, 1900", "species", "synonym", "122"),
    Name("124", "", "Parus perditus", "Smith, 1901", "species", "synonym", "999999"),
    Name("125", "888888", "Orphanus solus", "Dickens, 1838"),
    Name("126", "100", "Parus dubius", "Swainson, 1838", "species", "doubtful"),
    Name("127", "100", "Parus duplex", "Smith, 1900"),
    Name("128", "100", "Parus duplex", "Jones, 1910"),
    Name("129", "100", "Parus ignotus"),
    Name("130", "", "Parus falsus", "", "species", "misapplied", "101"),
    # Parents in a circle.
    Name("131", "132", "Circulus", "", "genus"),
    Name("132", "131", "Circulina", "", "genus"),
    Name("133", "131", "Circulus volvens", "Ring, 1999"),
    Name("140", "729", "Muscicapidae", "", "family"),
    Name("141", "140", "Oenanthe", "Vieillot, 1816", "genus"),
    Name("142", "141", "Oenanthe oenanthe", "(Linnaeus, 1758)"),
    Name("143", "141", "Oenanthe deserti", "(Temminck, 1825)"),
    Name("150", "1", "Arthropoda", "", "phylum"),
    Name("151", "150", "Insecta", "", "class"),
    Name("152", "151", "Hymenoptera", "", "order"),
    Name("153", "152", "Apidae", "", "family"),
    Name("154", "153", "Bombus", "Latreille, 1802", "genus"),
    Name("155", "154", "Bombus (Pyrobombus) hypnorum", "(Linnaeus, 1758)"),
    Name("200", "6720", "Oenanthe", "L.", "genus"),
    Name("201", "200", "Oenanthe crocata", "L."),
    Name("210", "220", "Malpighiales", "", "order"),
    Name("211", "210", "Salicaceae", "", "family"),
    Name("213", "211", "Salix", "L.", "genus"),
    Name("214", "213", "Salix viminalis", "L."),
    Name("215", "213", "Salix ×rubra", "Huds."),
    Name("216", "213", "Salix alba", "L."),
    Name("217", "216", "Salix alba var. vitellina", "(L.) Stokes", "variety"),
    Name("230", "7707728", "Liliopsida", "", "class"),
    Name("231", "230", "Poales", "", "order"),
    Name("232", "231", "Cyperaceae", "", "family"),
    Name("233", "232", "Carex", "L.", "genus"),
    Name("234", "233", "Carex nigra", "(L.) Reichard"),
    Name("235", "233", "Carex parviflora", "Host"),
    Name("236", "", "Carex nigra", "All.", "species", "heterotypic synonym", "235"),
    Name("237", "232", "×Cariceleocharis", "", "genus"),
    Name("240", "", "Viruses", "", "kingdom"),
    Name("241", "240", "Tobacco mosaic virus", "", "species"),
]
GBIF_COLUMNS = (
    "taxonID datasetID parentNameUsageID acceptedNameUsageID originalNameUsageID scientificName "
    "scientificNameAuthorship canonicalName genericName specificEpithet infraspecificEpithet "
    "taxonRank nameAccordingTo namePublishedIn taxonomicStatus nomenclaturalStatus taxonRemarks "
    "kingdom phylum class order family genus"
)
COLDP_COLUMNS = (
    "ID alternativeID nameAlternativeID sourceID parentID basionymID status scientificName "
    "authorship rank notho originalSpelling uninomial genericName infragenericEpithet "
    "specificEpithet infraspecificEpithet cultivarEpithet code species genus family order class "
    "phylum kingdom remarks"
)
COL_DWC_COLUMNS = (
    "taxonID parentNameUsageID acceptedNameUsageID originalNameUsageID scientificNameID datasetID "
    "taxonomicStatus taxonRank scientificName scientificNameAuthorship notho genericName "
    "infragenericEpithet specificEpithet infraspecificEpithet cultivarEpithet nameAccordingTo "
    "namePublishedIn nomenclaturalCode nomenclaturalStatus taxonRemarks"
)
_COL_STATUS = {
    "homotypic synonym": "synonym",
    "heterotypic synonym": "synonym",
    "doubtful": "provisionally accepted",
}


def lineage(name: Name, names: Iterable[Name]) -> dict[str, str]:
    """Kingdom to genus of a name as GBIF repeats them; an orphan keeps what it was told."""
    if name.id == "125":
        return {"kingdom": "Animalia", "class": "Aves", "family": "Paridae"}
    by_id = {each.id: each for each in names}
    found: dict[str, str] = {}
    at, seen = name, set[str]()
    while at.id not in seen:
        seen.add(at.id)
        if at.rank in RANKS:
            found.setdefault(at.rank, at.name)
        following = by_id.get(at.accepted or at.parent)
        if following is None:
            break
        at = following
    return found


def full(name: Name) -> str:
    """The name with its authors."""
    return f"{name.name} {name.authorship}".strip()


def _table(columns: Iterable[str], rows: Iterable[dict[str, str]], prefix: str = "") -> str:
    columns = list(columns)
    lines = ["\t".join(f"{prefix}{column}" for column in columns)]
    lines += ["\t".join(row.get(column, "") for column in columns) for row in rows]
    return "\n".join(lines) + "\n"


def write_gbif(path: Path, names: list[Name] = NAMES, dirty: bool = True) -> Path:
    """backbone.zip: a Darwin Core Archive with the names in backbone/Taxon.tsv."""
    rows = []
    for each in names:
        words = each.name.replace("×", "").split(" ")
        rows.append(
            {
                "taxonID": each.id,
                "datasetID": "7ddf754f-d193-4cc9-b351-99906754a03b",
                "parentNameUsageID": each.parent,
                "acceptedNameUsageID": each.accepted,
                "scientificName": full(each),
                "scientificNameAuthorship": each.authorship,
                "canonicalName": " ".join(word for word in words if not word.endswith(".")),
                "genericName": words[0],
                "taxonRank": each.rank,
                "taxonomicStatus": each.status,
                **lineage(each, names),
            }
        )
    text = _table(GBIF_COLUMNS.split(), rows)
    if dirty:
        text += f"900\t{'x' * 5}" + "\t" * 30 + "\n"  # tabs in a cell
        text += "\t" * 5 + "Sine numero" + "\t" * 17 + "\n"  # no id
        text += "101" + "\t" * 5 + "Parus bis Again, 1999" + "\t" * 17 + "\n"  # an id twice
    terms = GBIF_COLUMNS.split()
    fields = "".join(
        f'<field index="{i}" term="http://rs.tdwg.org/dwc/terms/{term}"/>'
        for i, term in enumerate(terms)
        if i
    )
    meta = (
        '<archive xmlns="http://rs.tdwg.org/dwc/text/" metadata="eml.xml"><core encoding="UTF-8" '
        'fieldsTerminatedBy="\\t" linesTerminatedBy="\\n" fieldsEnclosedBy="" '
        'ignoreHeaderLines="1" rowType="http://rs.tdwg.org/dwc/terms/Taxon"><files>'
        f'<location>Taxon.tsv</location></files><id index="0"/>{fields}</core></archive>'
    )
    eml = (
        "<eml><dataset><title>GBIF Backbone Taxonomy</title>"
        "<pubDate>\n2023-08-28\n</pubDate></dataset></eml>"
    )
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("backbone/dataset/7ddf754f.xml", "<eml><title>Another</title></eml>")
        archive.writestr("backbone/Taxon.tsv", text)
        archive.writestr("backbone/VernacularName.tsv", "taxonID\tvernacularName\n101\tGreat Tit\n")
        archive.writestr("backbone/meta.xml", meta)
        archive.writestr("backbone/eml.xml", eml)
    return path


def write_gbif_simple(path: Path, names: list[Name] = NAMES) -> Path:
    """simple.txt.gz: 30 columns of GBIF's table, no header, \\N for nothing."""
    lines = []
    for each in names:
        synonym = bool(each.accepted)
        cells = [
            *(each.id, each.accepted or each.parent or "\\N", "\\N", "ft"[synonym]),
            *(each.status.upper().replace(" ", "_"), each.rank.upper(), "{}", "\\N", "SOURCE"),
            *["\\N"] * 8,
            *("1", full(each), each.name.replace("×", ""), each.name.split(" ")[0]),
            *["\\N"] * 8,
            "{}",
        ]
        assert len(cells) == 30
        lines.append("\t".join(cells))
    path.write_bytes(gzip.compress(("\n".join(lines) + "\n").encode()))
    return path


def _col(name: Name) -> Name:
    return replace(name, status=_COL_STATUS.get(name.status, name.status))


def write_coldp(path: Path, names: list[Name] = NAMES, prefix: str = "col:") -> Path:
    """A ColDP of Catalogue of Life: a zip, or a folder where `path` has no ending."""
    rows = [
        {
            "ID": each.id,
            "parentID": each.accepted or each.parent,
            "status": each.status,
            "scientificName": each.name.replace("×", "× ") if each.id == "215" else each.name,
            "authorship": each.authorship,
            "rank": each.rank,
            "code": "zoological",
        }
        for each in map(_col, names)
    ]
    files = {
        "NameUsage.tsv": _table(COLDP_COLUMNS.split(), rows, prefix),
        "VernacularName.tsv": f"{prefix}taxonID\t{prefix}name\n101\tGreat Tit\n",
        "metadata.yaml": "---\nkey: 1\ntitle: Catalogue of Life\nissued: 2024-07-03\n"
        "version: Annual Checklist 2024\n",
    }
    return _write(path, files)


def write_col_dwca(path: Path, names: list[Name] = NAMES) -> Path:
    """The Darwin Core Archive of Catalogue of Life: dwc: before the columns, no lineage in rows."""
    rows = [
        {
            "taxonID": each.id,
            "parentNameUsageID": "" if each.accepted else each.parent,
            "acceptedNameUsageID": each.accepted,
            "taxonomicStatus": each.status,
            "taxonRank": each.rank,
            "scientificName": full(each),
            "scientificNameAuthorship": each.authorship,
        }
        for each in map(_col, names)
    ]
    return _write(path, {"Taxon.tsv": _table(COL_DWC_COLUMNS.split(), rows, "dwc:")})


def _write(path: Path, files: dict[str, str]) -> Path:
    if path.suffix:
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, text in files.items():
                archive.writestr(name, text)
    else:
        path.mkdir()
        for name, text in files.items():
            (path / name).write_text(text)
    return path


def write_archive_without_header(path: Path) -> Path:
    """A checklist whose meta.xml alone says what its columns are: commas, quotes, no header."""
    base = "http://rs.tdwg.org/dwc/terms/"
    terms = ("scientificName", "taxonRank", "acceptedNameUsageID", "family")
    fields = "".join(f'<field index="{i}" term="{base}{t}"/>' for i, t in enumerate(terms, 1))
    meta = (
        f'<archive xmlns="http://rs.tdwg.org/dwc/text/"><core fieldsTerminatedBy="," '
        f'fieldsEnclosedBy=\'"\' rowType="{base}Taxon"><files><location>list.txt</location>'
        f'</files><id index="0"/>{fields}</core></archive>'
    )
    rows = 'a1,"Parus major Linnaeus, 1758",species,,Paridae\na2,"Parus\nbrevis",species,a1,\n'
    return _write(path, {"meta.xml": meta, "list.txt": rows})


def species_list(n_genera: int, n_species: int) -> list[Name]:
    """Made names of one family, spelled so differently that no two are a typing error apart."""
    parts = ("bra", "cho", "dre", "fli", "gno", "klu", "mni", "psy", "ske", "tro", "vli", "zwa")
    names = tree(("f", "family", "Fictidae"))
    for genus in range(n_genera):
        word = "".join(parts[(genus // 12**place + place * 5) % 12] for place in range(3))
        generic = f"{word}us".capitalize()
        names.append(Name(f"g{genus}", "f", generic, "Maker, 1900", "genus"))
        for species in range(n_species):
            epithet = "".join(
                parts[(species // 12**place + genus + place * 7) % 12] for place in range(4)
            )
            names.append(
                Name(f"s{genus}.{species}", f"g{genus}", f"{generic} {epithet}ensis", "Maker, 1901")
            )
    return names
