"""Archives, packages and downloads of records in miniature, in the exact published layouts.

A medium's address names the record that it shows, `https://media.example.org/<record>/<n>.jpg`, so
that a test can tell whether a row was paired right. Names of species are real, all else is made up.
"""

import csv
import io
import json
import random
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from xml.sax.saxutils import quoteattr

DWC = "http://rs.tdwg.org/dwc/terms/"
DC = "http://purl.org/dc/terms/"
AC = "http://rs.tdwg.org/ac/terms/"
GBIF = "http://rs.gbif.org/terms/1.0/"
NAMES = ("Puma concolor (Linnaeus, 1771)", "Felis silvestris", "Lynx lynx", "Panthera onca")

EML = """<?xml version="1.0" encoding="utf-8"?>
<eml:eml xmlns:eml="eml://ecoinformatics.org/eml-2.1.1" packageId="pack/v1.2">
<dataset><alternateIdentifier>https://doi.org/10.1234/abcd</alternateIdentifier>
<title xml:lang="eng">Cats of nowhere</title>
<intellectualRights><para>This work is licensed under a
<ulink url="http://creativecommons.org/licenses/by-nc/4.0/legalcode"><citetitle>CC</citetitle>
</ulink>.</para></intellectualRights></dataset>
<additionalMetadata><metadata><gbif><citation>Nobody (2026). Cats of nowhere.</citation></gbif>
</metadata></additionalMetadata></eml:eml>
"""

SIMPLE_COLUMNS = tuple(
    """gbifID datasetKey occurrenceID kingdom phylum class order family genus species
    infraspecificEpithet taxonRank scientificName verbatimScientificName
    verbatimScientificNameAuthorship countryCode locality stateProvince occurrenceStatus
    individualCount publishingOrgKey decimalLatitude decimalLongitude coordinateUncertaintyInMeters
    coordinatePrecision elevation elevationAccuracy depth depthAccuracy eventDate day month year
    taxonKey speciesKey basisOfRecord institutionCode collectionCode catalogNumber recordNumber
    identifiedBy dateIdentified license rightsHolder recordedBy typeStatus establishmentMeans
    lastInterpreted mediaType issue""".replace("\n", " ").split()
)


def address(record: object, number: int) -> str:
    return f"https://media.example.org/{record}/{number}.jpg"


def record_of(row: Mapping[str, str]) -> str:
    """The record that a row's medium shows, by its address."""
    return row["accessURI"].split("/")[-2]


def field_xml(index: int | None, term: str, default: str = "") -> str:
    place = "" if index is None else f' index="{index}"'
    value = f" default={quoteattr(default)}" if default else ""
    return f'<field{place} term="{term}"{value}/>'


def file_xml(
    tag: str,
    row_type: str,
    files: Sequence[str],
    terms: Sequence[str],
    *,
    defaults: Mapping[str, str] | None = None,
    **attributes: str,
) -> str:
    """A core or an extension of a meta.xml; column 0 is the id, terms are columns from 1 on."""
    given = {
        "encoding": "UTF-8", "fieldsTerminatedBy": r"\t", "linesTerminatedBy": r"\n",
        "fieldsEnclosedBy": "", "ignoreHeaderLines": "1", "rowType": row_type, **attributes,
    }  # fmt: skip
    head = " ".join(f"{name}={quoteattr(value)}" for name, value in given.items())
    places = "".join(f"<location>{name}</location>" for name in files)
    fields = "".join(field_xml(n, term) for n, term in enumerate(terms, 1))
    fields += "".join(field_xml(None, term, text) for term, text in (defaults or {}).items())
    id_tag = "id" if tag == "core" else "coreid"
    return f'<{tag} {head}><files>{places}</files><{id_tag} index="0"/>{fields}</{tag}>'


def meta_xml(*parts: str, metadata: str = "eml.xml") -> str:
    return (
        '<?xml version="1.0" encoding="utf-8"?>\n'
        f'<archive xmlns="http://rs.tdwg.org/dwc/text/" metadata="{metadata}">'
        f"{''.join(parts)}</archive>\n"
    )


def delimited(rows: Sequence[Sequence[object]], delimiter: str = "\t", quote: str = "") -> str:
    if not quote:
        return "".join(delimiter.join(map(str, row)) + "\n" for row in rows)
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=delimiter, quotechar=quote, lineterminator="\n").writerows(rows)
    return text.getvalue()


def write_files(target: Path, files: Mapping[str, str | bytes]) -> Path:
    """Files as a zip, if the target's name says so, else as a folder."""
    contents = {
        name: content.encode() if isinstance(content, str) else content
        for name, content in files.items()
    }
    if target.suffix == ".zip":
        with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in contents.items():
                archive.writestr(name, content)
        return target
    for name, content in contents.items():
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        (target / name).write_bytes(content)
    return target


CORE_TERMS = ("occurrenceID", "scientificName", "decimalLatitude", "decimalLongitude", "eventDate")
SIMPLE_TERMS = ("identifier", "type", "format", "license", "creator")


def star(n_records: int, seed: int = 0) -> tuple[list[list[object]], list[list[object]]]:
    """Core and media rows: none to four media a record, the media in an order of their own."""
    draw = random.Random(seed)
    core = [
        [f"r{n}", f"urn:occ:{n}", NAMES[n % 4], 10 + n / 100, -20.5, f"2020-01-{1 + n % 28:02d}"]
        for n in range(n_records)
    ]
    media = [
        [f"r{n}", address(f"r{n}", k), "StillImage", "image/jpeg",
         "http://creativecommons.org/licenses/by/4.0/", f"creator of r{n}/{k}"]
        for n in range(n_records)
        for k in range(n % 5)
    ]  # fmt: skip
    draw.shuffle(media)
    return core, media


def star_meta(**attributes: str) -> str:
    return meta_xml(
        file_xml("core", f"{DWC}Occurrence", ["occurrence.txt"], [DWC + t for t in CORE_TERMS],
                 **attributes),
        file_xml("extension", f"{GBIF}Multimedia", ["multimedia.txt"],
                 [DC + t for t in SIMPLE_TERMS], **attributes),
    )  # fmt: skip


def write_star(
    target: Path,
    core: Sequence[Sequence[object]],
    media: Sequence[Sequence[object]],
    **files: str | bytes,
) -> Path:
    """A Darwin Core Archive as the publishing toolkit of GBIF writes it."""
    return write_files(
        target,
        {
            "meta.xml": star_meta(),
            "eml.xml": EML,
            "occurrence.txt": delimited([["id", *CORE_TERMS], *core]),
            "multimedia.txt": delimited([["id", *SIMPLE_TERMS], *media]),
            **{name.replace("_txt", ".txt"): content for name, content in files.items()},
        },
    )


def write_gbif_download(target: Path, n_records: int = 7) -> Path:
    """A download as Darwin Core Archive: files by gbifID, rights, citations, the sets' EML."""
    core_terms = (
        *("occurrenceID", "scientificName", "species", "genus", "kingdom", "taxonRank"),
        *("decimalLatitude", "decimalLongitude", "countryCode", "basisOfRecord"),
    )
    core, verbatim, media = [], [], []
    for n in range(n_records):
        key = 1000 + n
        core.append(
            [key, f"{n}", NAMES[0], "Puma concolor", "Puma", "Animalia", "SPECIES", 1.5, 2.5,
             "US", "PRESERVED_SPECIMEN", "50c9509d-22c7-4a22-a47d-8c48425ef4a7",
             "CC_BY_NC_4_0"]
        )  # fmt: skip
        verbatim.append([key, "FELIS CONCOLOR"])
        media += [
            [key, "StillImage", "image/jpeg", address(key, k), "https://page.example.org",
             "https://creativecommons.org/licenses/by-nc/4.0/legalcode", f"holder {key}"]
            for k in range(n % 3)
        ]  # fmt: skip
    media.reverse()
    terms = [*(DWC + t for t in core_terms), f"{GBIF}datasetKey", f"{DC}license"]
    names = ("type", "format", "identifier", "references", "license", "rightsHolder")
    meta = meta_xml(
        file_xml("core", f"{DWC}Occurrence", ["occurrence.txt"], terms),
        file_xml("extension", f"{DWC}Occurrence", ["verbatim.txt"], [f"{DWC}scientificName"]),
        file_xml("extension", f"{GBIF}Multimedia", ["multimedia.txt"], [DC + t for t in names]),
        metadata="metadata.xml",
    )
    return write_files(
        target,
        {
            "meta.xml": meta,
            "metadata.xml": EML,
            "occurrence.txt": delimited([["gbifID", *core_terms, "datasetKey", "license"], *core]),
            "verbatim.txt": delimited([["gbifID", "scientificName"], *verbatim]),
            "multimedia.txt": delimited([["gbifID", *names], *media]),
            "rights.txt": "Dataset: 50c9509d\nRights as supplied: ...\n",
            "citations.txt": "When using this dataset please use the following citation: ...\n",
            "dataset/50c9509d-22c7-4a22-a47d-8c48425ef4a7.xml": EML,
        },
    )


def write_gbif_simple(target: Path) -> Path:
    """A simple download: tabs, whatever its ending says, and quotes that mean nothing."""
    base = dict.fromkeys(SIMPLE_COLUMNS, "")
    rows = [
        base | {"gbifID": "11", "datasetKey": "d", "scientificName": NAMES[0],
                "species": "Puma concolor", "mediaType": "StillImage;StillImage",
                "locality": '5" north of "Nowhere', "decimalLatitude": "1.5",
                "decimalLongitude": "2.5", "license": "CC_BY_4_0"},
        base | {"gbifID": "12", "datasetKey": "d", "scientificName": NAMES[1]},
        base | {"gbifID": "12", "datasetKey": "d", "scientificName": NAMES[1]},
    ]  # fmt: skip
    text = delimited([SIMPLE_COLUMNS, *([row[c] for c in SIMPLE_COLUMNS] for row in rows)])
    return write_files(target, {"0001234-240101010101010.csv": text + "13\tcut\n"})


def write_idigbio_download(target: Path) -> Path:
    """A download of iDigBio: no core, small letters, the publisher's words in other files."""
    uuids = [f"aaaaaaaa-0000-4000-8000-{n:012d}" for n in range(3)]
    records = ("idigbio:uuid", "dwc:scientificName", "dwc:genus", "idigbio:geoPoint",
               "idigbio:isoCountryCode", "idigbio:eventDate", "dwc:institutionCode")  # fmt: skip
    raw = ("dwc:occurrenceID", "dwc:scientificName", "dwc:institutionCode", "dwc:catalogNumber")
    media = ("ac:accessURI", "dcterms:format", "dcterms:rights", "dcterms:type",
             "idigbio:mediaType", "idigbio:uuid")  # fmt: skip
    media_raw = ("ac:accessURI", "dcterms:creator", "xmpRights:Owner")
    place = '{"lat": 26.17, "lon": -81.3}'
    rows = {
        "occurrence": [[u, u, "felis concolor", "felis", place, "usa", "1971-05-01", "uf"]
                       for u in uuids],
        "occurrence_raw": [[u, f"urn:catalog:UF:{n}", "Felis concolor L.", "UF", f"UF {n}"]
                           for n, u in enumerate(uuids)],
        "multimedia": [
            [u, address(u, k), "image/jpeg", "CC BY-NC 3.0", "StillImage", "images",
             f"bbbbbbbb-0000-4000-8000-{10 * n + k:012d}"]
            for n, u in reversed(list(enumerate(uuids))) for k in range(2)],
        "multimedia_raw": [[u, address(u, k), f"creator {n}{k}", "UF"]
                           for n, u in enumerate(uuids) for k in range(2)],
    }  # fmt: skip
    rows["multimedia"].append(
        [uuids[0], "/mnt/staging/1.jpg", "image/jpeg", "", "StillImage", "images", "cccccccc"]
    )
    columns = {"occurrence": records, "occurrence_raw": raw, "multimedia": media,
               "multimedia_raw": media_raw}  # fmt: skip
    prefixes = {"dwc": DWC, "dcterms": DC, "ac": AC, "idigbio": "http://portal.idigbio.org/terms/",
                "xmpRights": "http://ns.adobe.com/xap/1.0/rights/"}  # fmt: skip
    parts, files = [], {}
    for name, terms in columns.items():
        kind = f"{DWC}Occurrence" if name.startswith("occ") else f"{AC}multimedia"
        full = [prefixes[t.split(":")[0]] + t.split(":")[1] for t in terms]
        how = {"fieldsTerminatedBy": ",", "fieldsEnclosedBy": '"'}
        parts.append(file_xml("extension", kind, [f"{name}.csv"], full, **how))
        files[f"{name}.csv"] = delimited([["coreid", *terms], *rows[name]], ",", '"')
    files["records.citation.txt"] = "http://www.idigbio.org/portal (2026)\n"
    return write_files(target, {"meta.xml": meta_xml(*parts, metadata=""), **files})


def write_data_package(
    target: Path, tables: Mapping[str, Sequence[Mapping[str, str]]], name: str = "datapackage.json"
) -> Path:
    """A Darwin Core Data Package of these tables."""
    files, resources = {}, []
    for resource, rows in tables.items():
        columns = list(dict.fromkeys(column for row in rows for column in row))
        files[f"{resource}.csv"] = delimited(
            [columns, *([row.get(c, "") for c in columns] for row in rows)], ",", '"'
        )
        resources.append(
            {"name": resource, "profile": "tabular-data-resource", "format": "csv",
             "encoding": "UTF-8", "path": f"{resource}.csv",
             "schema": f"https://rs.gbif.org/dwc-dp/0.1/table-schemas/{resource}.json"}
        )  # fmt: skip
    about = {"profile": "data-package", "title": "Made up", "resources": resources}
    return write_files(target, {name: json.dumps(about), **files})
