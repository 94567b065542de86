"""What an archive says of itself: meta.xml, the files and their columns, and eml.xml, the terms.

Follows the Darwin Core text guide (TDWG, http://rs.tdwg.org/dwc/terms/guides/text/) and EML as
GBIF profiles it. XML with a document type of its own is refused: neither format has one, and
entities are how an XML file attacks its reader.
"""

import re
import xml.etree.ElementTree as ET
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from syntype.data.dataset import Card
from syntype.data.occurrences.delimited import Dialect
from syntype.data.occurrences.licences import short_licence
from syntype.data.occurrences.terms import row_type, short_term
from syntype.errors import DataError


@dataclass(frozen=True, kw_only=True)
class FileSet:
    """Files of one kind of an archive: its core or an extension.

    Attributes:
        kind: What its rows are, small letters: occurrence, taxon, multimedia, identification ...
        files: Their names.
        dialect: How they are written.
        id_index: Column of the identifier: of the row in a core, of the core's row elsewhere.
        names: Column to short term.
        defaults: Short term to the value of all rows that have none.
        is_core: Whether it is the core.
    """

    kind: str
    files: Sequence[str]
    dialect: Dialect
    id_index: int | None
    names: Mapping[int, str]
    defaults: Mapping[str, str]
    is_core: bool


def parse_meta(content: bytes, where: str) -> tuple[list[FileSet], str]:
    """The files that a meta.xml describes, the core first; and the name of the metadata's file.

    Raises:
        DataError: It is no XML, or describes no file.
    """
    root = _xml(content, where)
    sets = [_file_set(node, where) for node in root if _name(node) in ("core", "extension")]
    if not sets:
        raise DataError(
            f"{where} describes neither a core nor an extension: it is no Darwin Core Archive. "
            "Give the zip as it was published, or its folder."
        )
    return sorted(sets, key=lambda one: not one.is_core), root.get("metadata", "")


def _file_set(node: ET.Element, where: str) -> FileSet:
    names: dict[int, str] = {}
    defaults: dict[str, str] = {}
    id_index: int | None = None
    files: list[str] = []
    for child in node.iter():
        name = _name(child)
        if name == "location" and child.text:
            files.append(child.text.strip())
        elif name in ("id", "coreid"):
            id_index = _index(child, where)
        elif name == "field":
            term = short_term(child.get("term", ""))
            index = _index(child, where)
            if index is not None:
                names[index] = term
            if child.get("default"):
                defaults[term] = child.get("default", "")
    return FileSet(
        kind=row_type(node.get("rowType", "")),
        files=files,
        dialect=_dialect(node),
        id_index=id_index,
        names=names,
        defaults=defaults,
        is_core=_name(node) == "core",
    )


def _dialect(node: ET.Element) -> Dialect:
    """The attributes of a file; those that are missing have the guide's own values."""
    lines = node.get("ignoreHeaderLines", "0").strip()
    return Dialect(
        delimiter=unescaped(node.get("fieldsTerminatedBy", ",")) or ",",
        quote=unescaped(node.get("fieldsEnclosedBy", '"'))[:1],
        line_end=unescaped(node.get("linesTerminatedBy", "\n")) or "\n",
        encoding=node.get("encoding", "").strip() or "utf-8",
        header_lines=int(lines) if lines.isdigit() else 0,
    )


_ESCAPES = {r"\t": "\t", r"\n": "\n", r"\r": "\r", r"\f": "\f", r"\\": "\\", r"\"": '"', r"\'": "'"}


def unescaped(text: str) -> str:
    r"""A delimiter as it is meant: `\t` is written for a tab."""
    return re.sub(r"\\.", lambda match: _ESCAPES.get(match[0], match[0]), text)


def _index(node: ET.Element, where: str) -> int | None:
    text = node.get("index", "").strip()
    if not text:
        return None
    if not text.isdigit():
        raise DataError(f"{where} names a column {text!r}. Mend it: columns are numbered from 0.")
    return int(text)


def _xml(content: bytes, where: str) -> ET.Element:
    if b"<!DOCTYPE" in content or b"<!ENTITY" in content:
        raise DataError(f"{where} has a document type of its own; remove it to read the file.")
    try:
        return ET.fromstring(content.strip().removeprefix(b"\xef\xbb\xbf").strip())
    except ET.ParseError as error:
        raise DataError(f"{where} is no XML ({error}). Fetch the archive again.") from error


def _name(node: ET.Element) -> str:
    return str(node.tag).rpartition("}")[2]


def _text(node: ET.Element | None) -> str:
    return " ".join("".join(node.itertext()).split()) if node is not None else ""


def card_of(content: bytes | None, where: str, *, name: str) -> Card:
    """The card of a set by its EML: title and licence, citation, where it was published.

    Args:
        content: The file; None if there is none.
        where: Its name, for an error.
        name: The set's name.

    Raises:
        DataError: It is no XML.
    """
    if content is None:
        return Card(name=name)
    root = _xml(content, where)
    nodes: dict[str, list[ET.Element]] = {}
    for node in root.iter():
        nodes.setdefault(_name(node), []).append(node)
    title = _text(next(iter(nodes.get("title", [])), None))
    citation = _text(next(iter(nodes.get("citation", [])), None))
    page = next((t for n in nodes.get("alternateIdentifier", []) if "10." in (t := _text(n))), "")
    page = page or (root.get("packageId") or "")
    return Card(name=name, source=page, license=_eml_licence(nodes), citation=citation or title)


def _eml_licence(nodes: Mapping[str, list[ET.Element]]) -> str:
    """The identifier or address that EML 2.2 gives, else the link or the words of the rights."""
    for licensed in nodes.get("licensed", []):
        parts = {_name(child): _text(child) for child in licensed}
        if found := parts.get("identifier") or parts.get("url") or parts.get("licenseName"):
            return short_licence(found)
    for rights in nodes.get("intellectualRights", []):
        links = [node.get("url", "") for node in rights.iter() if _name(node) == "ulink"]
        return short_licence(next((link for link in links if link), "") or _text(rights))
    return ""
