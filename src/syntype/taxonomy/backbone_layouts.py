"""Which layout a downloaded backbone has, by its files, its header and the look of its cells."""

import csv
import re
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

from syntype.errors import DataError, DataNotFoundError, UsageError
from syntype.taxonomy.backbone_tables import FIELDS, Kind, Source, opened, size_of
from syntype.taxonomy.taxon import family_of, is_binomial

_TABLES = ("nameusage", "taxon", "taxa", "classification")
_SUFFIXES = {".tsv", ".csv", ".txt", ".tab"}
_SIMPLE_COLUMNS = (
    "id parent_key basionym_key is_synonym status rank nom_status constituent_key origin "
    "source_taxon_key kingdom_key phylum_key class_key order_key family_key genus_key species_key "
    "name_id scientific_name canonical_name genus_or_above specific_epithet "
    "infra_specific_epithet notho_type authorship year bracket_authorship bracket_year "
    "name_published_in issues"
)
_SIMPLE = _SIMPLE_COLUMNS.split()
_GUESSED_FROM = 1000


class _Meta(NamedTuple):
    """What a Darwin Core Archive says of its table."""

    separator: str
    quoted: bool
    n_skip: int
    fields: list[str]


def open_source(path: Path, columns: Sequence[str] = ()) -> Source:
    """Find the table in a download and how it is written.

    Args:
        path: A zip, a folder, a .gz or a table.
        columns: FIELD=COLUMN for a plain table: which column (its number from 1, or its name)
            holds which of `FIELDS`.

    Raises:
        DataNotFoundError: There is no file, or no table of names in it.
        DataError: The table is none of the layouts that are known.
        UsageError: `columns` cannot be.
    """
    if not path.exists():
        raise DataNotFoundError(f"{path} is not there. Name the download of a backbone.")
    named = _named_columns(columns)
    members = _members(path)
    member = _table_in(path, members) if members is not None else ""
    meta = _said_by_meta(path, members or [], member)
    with opened(path, member) as stream:
        head = stream.read(4_000_000).decode("utf-8-sig", "replace").split("\n")
    separator = meta.separator if meta else max("\t;,", key=head[0].count)
    quoted = meta.quoted if meta else separator != "\t"
    if quoted:
        lines = list(islice(csv.reader(_whole(head), delimiter=separator), _GUESSED_FROM))
    else:
        lines = [line.rstrip("\r").split(separator) for line in head[:_GUESSED_FROM]]
    if not any(map(any, lines[:1])):
        raise DataError(f"{path} holds an empty table of names. Download it again.")
    kind, n_skip, places = _layout(path, lines, meta, named)
    title, release = _said_by_metadata(path, members or [])
    return Source(
        path=path,
        member=member,
        kind=kind,
        title=title,
        release=release,
        separator=separator,
        quoted=quoted,
        n_skip=n_skip,
        places=places,
        n_columns=len(lines[0]),
        n_bytes=size_of(path, member),
    )


def _whole(head: list[str]) -> Iterator[str]:
    """Lines that were read to their end."""
    return (f"{line}\n" for line in (head[:-1] or head))


def _layout(
    path: Path, lines: list[list[str]], meta: _Meta | None, named: Mapping[str, str]
) -> tuple[Kind, int, dict[str, int]]:
    """Kind, lines before the first row, and the place of each column."""
    header = [re.sub(r"^\w+:", "", cell.strip()) for cell in lines[0]]
    places = {name: place for place, name in reversed(list(enumerate(header))) if name}
    if not named:
        if {"taxonID", "scientificName"} <= places.keys():
            return "Darwin Core", 1, places
        if {"ID", "scientificName", "status"} <= places.keys():
            return "ColDP", 1, places
        if meta and {"taxonID", "scientificName"} <= set(meta.fields):
            fields = {name: place for place, name in enumerate(meta.fields) if name}
            return "Darwin Core", meta.n_skip, fields
        if len(header) == len(_SIMPLE) and header[0].isdigit() and header[3] in {"t", "f"}:
            return "GBIF simple", 0, {name: place for place, name in enumerate(_SIMPLE)}
        if {"ID", "parentID"} <= places.keys():
            raise DataError(
                f"{path} holds taxa and names in tables of their own. Download Catalogue of Life "
                "as ColDP with NameUsage.tsv, or as a Darwin Core Archive."
            )
    known = {field: places[field] for field in FIELDS if field in places}
    if named:
        for field, column in named.items():
            known[field] = _place(path, column, header)
        return "table", int(any(name in places for name in (*named.values(), *FIELDS))), known
    if known.keys() & {"scientificName", "species"}:
        return "table", 1, known
    return "table", 0, _guess(path, lines)


def _place(path: Path, column: str, header: list[str]) -> int:
    if column.isdigit():
        if 1 <= int(column) <= len(header):
            return int(column) - 1
        raise UsageError(f"--column {column}: {path} has the columns 1 to {len(header)}.")
    if column not in header:
        raise UsageError(f"--column {column}: the columns of {path} are {', '.join(header)}.")
    return header.index(column)


def _guess(path: Path, lines: list[list[str]]) -> dict[str, int]:
    """Columns of a table without a header, by what most cells of the first rows look like.

    The name is the column of binomials, the family ends in -idae or -aceae, the order in -formes
    or -ales; the first column that fits counts. Other ranks have no form of their own.
    """
    looks: dict[str, Callable[[str], bool]] = {
        "scientificName": is_binomial,
        "family": lambda cell: bool(family_of(cell)),
        "order": lambda cell: cell.endswith(("formes", "ales")),
    }
    found: dict[str, int] = {}
    for field, fits in looks.items():
        for place in range(len(lines[0])):
            cells = [row[place] for row in lines if place < len(row) and row[place]]
            # Half are enough: not all orders of birds end alike, nor do all families.
            if field not in found and cells and 2 * sum(map(fits, cells)) > len(cells):
                found[field] = place
    if "scientificName" not in found:
        raise DataError(
            f"{path} is no backbone that is known, and no column of it holds mostly names of "
            "species. Say which does: --column scientificName=5 --column family=2."
        )
    return found


def _named_columns(columns: Sequence[str]) -> dict[str, str]:
    named = {}
    for column in columns:
        field, sign, place = column.partition("=")
        if not sign or field not in FIELDS or not place:
            raise UsageError(
                f"--column {column}: write FIELD=COLUMN, where FIELD is one of {', '.join(FIELDS)} "
                "and COLUMN a number from 1 or a name."
            )
        named[field] = place
    if named and not named.keys() & {"scientificName", "species"}:
        raise UsageError("--column must say which column holds the scientificName.")
    return named


def _members(path: Path) -> list[str] | None:
    """Names of the files in a zip or a folder, None for a file that is itself the table."""
    if path.is_dir():
        return sorted(p.relative_to(path).as_posix() for p in path.rglob("*") if p.is_file())
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            return archive.namelist()
    return None


def _table_in(path: Path, members: list[str]) -> str:
    """The table of names among the files of a download: the least deep of the first kind found."""
    for stem in _TABLES:
        found = [name for name in members if _is_table(name) and _stem(name) == stem]
        if found:
            return min(found, key=lambda name: (name.count("/"), name))
    tables = [name for name in members if _is_table(name)]
    if len(tables) == 1:
        return tables[0]
    raise DataNotFoundError(
        f"{path} holds no table of names (NameUsage.tsv, Taxon.tsv, taxa.txt). Name the download "
        "of a backbone, or the table itself."
    )


def _is_table(name: str) -> bool:
    return Path(name).suffix.lower() in _SUFFIXES


def _stem(name: str) -> str:
    return Path(name).stem.lower()


def _said_by_meta(path: Path, members: list[str], member: str) -> _Meta | None:
    """How the core of a Darwin Core Archive is written by its meta.xml, if there is one."""
    beside = f"{member.rpartition('/')[0]}/meta.xml".lstrip("/")
    if beside not in members:
        return None
    with opened(path, beside) as stream:
        try:
            root = ElementTree.fromstring(stream.read(1_000_000))
        except ElementTree.ParseError:
            return None
    core = next((each for each in root if each.tag.endswith("core")), None)
    if core is None or not any(
        (each.text or "").strip().endswith(Path(member).name) for each in core.iter()
    ):
        return None
    separator = core.get("fieldsTerminatedBy", ",").replace("\\t", "\t")
    fields: dict[int, str] = {}
    for each in core:
        if each.tag.endswith("}id") or each.tag == "id":
            fields.setdefault(int(each.get("index", "0")), "taxonID")
        elif each.get("index") and each.get("term"):
            fields[int(each.get("index", ""))] = each.get("term", "").rpartition("/")[2]
    names = [fields.get(place, "") for place in range(max(fields, default=-1) + 1)]
    if "taxonID" not in names and names:
        names[0] = names[0] or "taxonID"
    n_skip = int(core.get("ignoreHeaderLines", "0"))
    return _Meta(separator, bool(core.get("fieldsEnclosedBy", '"')), n_skip, names)


def _said_by_metadata(path: Path, members: list[str]) -> tuple[str, str]:
    """Title and release that the download's eml.xml or metadata.yaml names."""
    for name in sorted(members, key=lambda name: name.count("/")):
        base = Path(name).name.lower()
        if base not in {"eml.xml", "metadata.yaml", "metadata.yml"}:
            continue
        with opened(path, name) as stream:
            text = stream.read(1_000_000).decode("utf-8", "replace")
        if base == "eml.xml":
            title = re.search(r"<title[^>]*>\s*([^<]+?)\s*</title>", text)
            release = re.search(r"<pubDate>\s*([^<]+?)\s*</pubDate>", text)
        else:
            title = re.search(r"^title:\s*['\"]?(.+?)['\"]?\s*$", text, re.MULTILINE)
            release = re.search(r"^version:\s*['\"]?(.+?)['\"]?\s*$", text, re.MULTILINE)
            release = release or re.search(r"^issued:\s*['\"]?(.+?)['\"]?\s*$", text, re.M)
        return title[1] if title else "", release[1] if release else ""
    return "", ""
