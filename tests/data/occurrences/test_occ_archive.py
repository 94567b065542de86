"""Darwin Core Archives: each medium at its own record, and everything left out is told."""

import random
import subprocess
import sys

import pytest

from fakes.occurrences import (
    AC,
    CORE_TERMS,
    DC,
    DWC,
    GBIF,
    NAMES,
    SIMPLE_TERMS,
    address,
    delimited,
    file_xml,
    meta_xml,
    record_of,
    star,
    write_files,
    write_gbif_download,
    write_idigbio_download,
    write_star,
)
from syntype.data.occurrences.archive import best_identification, read_archive, with_identification
from syntype.data.occurrences.rows import COLUMNS
from syntype.errors import DataError, DataNotFoundError

STILL, JPEG = "StillImage", "image/jpeg"
BY = "http://creativecommons.org/licenses/by/4.0/"


def read(path, work, **options):
    raw = read_archive(path, work=work, **options)
    rows = [row for table in raw.tables for row in table.to_pylist()]
    return rows, raw


@pytest.mark.parametrize("ending", ["", ".zip"])
def test_every_medium_is_at_its_own_record(tmp_path, ending):
    core, media = star(40)
    rows, raw = read(write_star(tmp_path / f"cats{ending}", core, media), tmp_path / "work")
    assert len(rows) == len(media) == raw.notes["rows"]
    assert not raw.left_out
    known = {row[0]: row for row in core}
    for row in rows:
        record = known[record_of(row)]
        assert row["occurrenceID"] == row["unit"] == record[1]
        assert row["verbatimIdentification"] == record[2]
        assert row["decimalLatitude"] == record[3]
        assert row["creator"].startswith(f"creator of {record[0]}/")
    assert raw.notes["recordsWithoutMedia"] == 8
    assert not list((tmp_path / "work").iterdir())


def test_pairing_by_place_or_by_the_first_medium_would_be_wrong(tmp_path):
    core, media = star(40)
    rows, _ = read(write_star(tmp_path / "cats", core, media), tmp_path)
    right = {row["accessURI"]: row["occurrenceID"] for row in rows}
    by_place = {m[1]: c[1] for c, m in zip(core, media, strict=False)}
    assert any(right[where] != occurrence for where, occurrence in by_place.items())
    first = {}
    for medium in media:
        first.setdefault(medium[0], medium[1])
    assert len(first) < len(rows)
    # All media of a record are of one unit, so that no split can part them.
    units = {}
    for row in rows:
        units.setdefault(record_of(row), set()).add(row["unit"])
    assert all(len(found) == 1 for found in units.values())


@pytest.mark.parametrize("seed", range(3))
def test_ids_do_not_depend_on_order_nor_on_what_else_there_is(tmp_path, seed):
    core, media = star(20)
    before, _ = read(write_star(tmp_path / "a", core, media), tmp_path)
    draw = random.Random(seed)
    core, media = draw.sample(core, len(core)), draw.sample(media, len(media))
    media.insert(0, ["r3", address("r3", 99), STILL, JPEG, BY, "new"])
    after, _ = read(write_star(tmp_path / "b", core, media), tmp_path)
    ids = {row["accessURI"]: row["key"] for row in after}
    assert len(set(ids.values())) == len(after) == len(before) + 1
    assert all(ids[row["accessURI"]] == row["key"] for row in before)


def test_the_card_is_that_of_the_eml(tmp_path):
    _, raw = read(write_star(tmp_path / "cats.zip", *star(3)), tmp_path)
    assert (raw.card.name, raw.card.license) == ("cats", "CC-BY-NC-4.0")
    assert raw.card.citation == "Nobody (2026). Cats of nowhere."
    assert raw.card.source == "https://doi.org/10.1234/abcd"


def test_tables_have_the_columns_of_a_catalogue(tmp_path):
    raw = read_archive(write_star(tmp_path / "cats", *star(5)), work=tmp_path)
    tables = list(raw.tables)
    assert all(table.column_names == list(COLUMNS) for table in tables)
    text = [n for n in COLUMNS if not n.startswith(("decimal", "coordinate", "pixel"))]
    assert all(table.column(name).null_count == 0 for table in tables for name in text)


def test_known_dirt_is_told_by_file_and_line(tmp_path):
    core = [
        ["a", "urn:a", NAMES[0], 1.5, 2.5, "2001"],
        ["a", "urn:a2", NAMES[1], 1.5, 2.5, "2001"],
        ["b", "urn:b", NAMES[2], 0, 0, "1999/2001"],
        ["c", "urn:c", NAMES[2], 1, 2],
        ["", "urn:d", NAMES[2], 1, 2, "2001"],
    ]
    http = address("a", 1).replace("https://", "http://")
    media = [
        ["a", address("a", 1), STILL, JPEG, BY, ""],
        ["a", http, STILL, JPEG, BY, ""],
        ["a", "", STILL, JPEG, BY, ""],
        ["a", "IMG_0001.JPG", STILL, JPEG, BY, ""],
        ["a", address("a", 2).replace("jpg", "mp3"), "Sound", "audio/mpeg", BY, ""],
        ["zzz", address("zzz", 1), STILL, JPEG, BY, ""],
        ["b", address("b", 1), "", "", "", "x", "y"],
        ["b", address("b", 2), "", "", "", ""],
    ]
    rows, raw = read(write_star(tmp_path / "dirt", core, media), tmp_path)
    assert [row["accessURI"] for row in rows] == [address("a", 1), address("b", 2)]
    told = dict(raw.left_out)
    assert told == {
        "multimedia.txt:3": f"the record has this address already: {http}",
        "multimedia.txt:4": "the medium has no address",
        "multimedia.txt:5": "the medium's address is none of the web: IMG_0001.JPG",
        "multimedia.txt:7": "the medium's record is not in the core: zzz",
        "multimedia.txt:8": "7 fields where 6 are expected",
        "occurrence.txt:3": "the id stands twice, and its media went to the first: a",
        "occurrence.txt:5": "5 fields where 6 are expected",
        "occurrence.txt:6": "the row has no id",
    }
    assert raw.notes["otherKinds"] == {"Sound": 1}
    assert raw.notes["coordinates"]["unknown"] == {"0, 0": 1}
    assert (rows[1]["decimalLatitude"], rows[1]["eventDate"]) == (None, "1999/2001")
    assert raw.notes["licences"][BY] == {"short": "CC-BY-4.0", "media": 1}
    assert sum(raw.notes["leftOut"].values()) == len(raw.left_out)


def test_text_as_it_is_found_in_the_wild(tmp_path):
    core = b"\xef\xbb\xbf" + delimited([["id", *CORE_TERMS]]).encode()
    core += b'a\turn:a\t"Puma" concolor 5" long\t1.5\t2.5\t2001\r\n'
    core += b"b\turn:b\tM\xfcllers Katze\t1.5\t2.5\t2001\r\n"
    core += b"c\turn:c\tLy\0nx lynx\t1.5\t2.5\t2001"
    media = [[id_, address(id_, 1), STILL, JPEG, BY, ""] for id_ in "abc"]
    path = write_star(tmp_path / "wild", [], media, occurrence_txt=core)
    rows, raw = read(path, tmp_path)
    labels = ['"Puma" concolor 5" long', "Müllers Katze", "Lynx lynx"]
    assert [row["verbatimIdentification"] for row in rows] == labels
    assert raw.notes["linesReadAsWindows1252"] == raw.notes["linesWithNul"] == 1
    assert not raw.left_out


def test_commas_quotes_defaults_several_files_and_a_foreign_encoding(tmp_path):
    terms = [DWC + term for term in CORE_TERMS]
    how = {"fieldsTerminatedBy": ",", "fieldsEnclosedBy": '"', "encoding": "ISO-8859-1"}
    meta = meta_xml(
        file_xml("core", f"{DWC}Occurrence", ["one.csv", "two.csv"], terms,
                 defaults={f"{DWC}kingdom": "Animalia", f"{DWC}basisOfRecord": "HumanObservation"},
                 **how),
        file_xml("extension", f"{AC}Multimedia", ["media.csv"],
                 [f"{DC}identifier", f"{AC}accessURI", f"{DC}type", f"{DC}rights",
                  "http://ns.adobe.com/exif/1.0/PixelXDimension",
                  "http://ns.adobe.com/xap/1.0/rights/Owner"], **how, ignoreHeaderLines="0"),
    )  # fmt: skip
    header = ["id", *CORE_TERMS]
    one = [header, ["a", "urn:a", 'Puma "concolor", L.', 1.5, 2.5, "2001\n2002"]]
    two = [header, ["b", "urn:b", "Félis", 1.5, 2.5, "2001"]]
    media = [
        ["b", "m2", address("b", 1), "http://purl.org/dc/dcmitype/StillImage", "(c) X", "800", "Ö"],
        ["a", "m1", address("a", 1), "Still Image", "All Rights Reserved", "", ""],
        ["a", "m1", address("a", 2), "StillImage", "", "", ""],
    ]
    files = {"meta.xml": meta, "one.csv": one, "two.csv": two, "media.csv": media}
    encoded = {
        name: rows if name == "meta.xml" else delimited(rows, ",", '"').encode("latin-1")
        for name, rows in files.items()
    }
    rows, raw = read(write_files(tmp_path / "q.zip", encoded), tmp_path)
    first, second = rows
    assert first["verbatimIdentification"] == 'Puma "concolor", L.'
    assert first["eventDate"] == "2001\n2002"
    assert (first["key"], first["mediaID"]) == ("m1", "m1")
    assert first["license"] == "All rights reserved"
    assert (second["verbatimIdentification"], second["rightsHolder"]) == ("Félis", "Ö")
    assert (second["pixelXDimension"], second["license"]) == (800, "(c) X")
    assert {row["kingdom"] for row in rows} == {"Animalia"}
    assert raw.left_out == [("media.csv:3", "the medium's id stands at another medium: m1")]


def test_media_that_the_record_names_itself(tmp_path):
    terms = [*CORE_TERMS, "associatedMedia"]
    meta = meta_xml(
        file_xml("core", f"{DWC}Occurrence", ["occurrence.txt"], [DWC + term for term in terms])
    )
    several = f"{address('a', 1)} | {address('a', 2)};{address('a', 3)}"
    core = [
        ["id", *terms],
        ["a", "urn:a", NAMES[0], 1, 2, "2001", several],
        ["b", "urn:b", NAMES[0], 1, 2, "2001", ""],
    ]
    files = {"meta.xml": meta, "occurrence.txt": delimited(core)}
    rows, raw = read(write_files(tmp_path / "x", files), tmp_path)
    assert [row["accessURI"] for row in rows] == [address("a", n) for n in (1, 2, 3)]
    assert len({row["key"] for row in rows}) == 3
    assert raw.notes["recordsWithoutMedia"] == 1


def test_records_without_media_can_be_kept(tmp_path):
    core, media = star(10)
    path = write_star(tmp_path / "cats", core, media)
    rows, raw = read(path, tmp_path, keep_without_media=True)
    bare = [row for row in rows if not row["mediaType"]]
    assert [row["key"] for row in bare] == ["r0", "r5"]
    assert len(rows) == len(media) + 2 == raw.notes["rows"]
    assert len({row["key"] for row in rows}) == len(rows)


def test_other_kinds_of_media_come_if_asked_for(tmp_path):
    core = [["a", "urn:a", NAMES[0], 1, 2, "2001"]]
    media = [
        ["a", "https://x.example.org/1.mp3", "", "", BY, ""],
        ["a", "https://x.example.org/2", "", "", BY, ""],
        ["a", "https://x.example.org/3.JPG", "", "", BY, ""],
    ]
    path = write_star(tmp_path / "cats", core, media)
    kinds = [row["mediaType"] for row in read(path, tmp_path)[0]]
    assert kinds == ["StillImage"]
    kinds = [row["mediaType"] for row in read(path, tmp_path, media_types=("Sound", ""))[0]]
    assert kinds == ["Sound", ""]


IDENTIFICATIONS = [
    {"scientificName": "Felis a", "dateIdentified": "2001-05"},
    {"scientificName": "Felis b", "dateIdentified": "2019", "identifiedBy": "B"},
    {"scientificName": "Felis c", "dateIdentified": "1990", "isAcceptedIdentification": "true"},
    {"scientificName": "Felis d", "dateIdentified": "2024", "isAcceptedIdentification": "false"},
]


def test_the_identification_that_counts():
    assert best_identification(IDENTIFICATIONS)["scientificName"] == "Felis c"
    assert best_identification(IDENTIFICATIONS[:2])["scientificName"] == "Felis b"
    assert best_identification([*IDENTIFICATIONS[:2], IDENTIFICATIONS[3]])["identifiedBy"] == "B"
    record = {"scientificName": "Felis", "family": "Felidae", "kingdom": "Animalia", "sex": "male"}
    accepted = with_identification(record, IDENTIFICATIONS)
    assert accepted["scientificName"] == "Felis c"
    assert (accepted["kingdom"], accepted["sex"]) == ("Animalia", "male")
    assert "family" not in accepted  # the family of another name
    assert with_identification(record, IDENTIFICATIONS[:2]) == record
    assert with_identification({"sex": "male"}, IDENTIFICATIONS[:2])["scientificName"] == "Felis b"


def test_identifications_of_an_archive(tmp_path):
    core, media = star(3)
    core[2][2] = ""
    meta = meta_xml(
        file_xml("core", f"{DWC}Occurrence", ["occurrence.txt"], [DWC + t for t in CORE_TERMS]),
        file_xml("extension", f"{GBIF}Multimedia", ["multimedia.txt"],
                 [DC + t for t in SIMPLE_TERMS]),
        file_xml("extension", f"{DWC}Identification", ["identification.txt"],
                 [f"{DWC}scientificName", f"{DWC}dateIdentified"]),
    )  # fmt: skip
    named = [["id", "n", "d"], ["r2", "Felis old", "1900"], ["r2", "Felis new", "1999"]]
    path = write_star(tmp_path / "x", core, media, identification_txt=delimited(named))
    (path / "meta.xml").write_text(meta)
    rows, _ = read(path, tmp_path)
    labels = {row["occurrenceID"]: row["verbatimIdentification"] for row in rows}
    assert labels == {"urn:occ:1": NAMES[1], "urn:occ:2": "Felis new"}


def test_a_download_of_gbif(tmp_path):
    rows, raw = read(write_gbif_download(tmp_path / "0001-24.zip"), tmp_path)
    assert len(rows) == 6
    assert not raw.left_out
    for row in rows:
        assert row["key"].startswith(f"{record_of(row)}/")
        assert row["rightsHolder"] == f"holder {record_of(row)}"
        assert row["verbatimIdentification"] == NAMES[0]  # not that of verbatim.txt
        # Bare numbers are unique within one set of many, so the set is part of the unit.
        assert row["unit"] == f"50c9509d-22c7-4a22-a47d-8c48425ef4a7/{int(record_of(row)) - 1000}"
    assert {row["license"] for row in rows} == {"CC-BY-NC-4.0"}
    assert raw.card.name == "0001-24"


def test_a_download_of_idigbio(tmp_path):
    rows, raw = read(write_idigbio_download(tmp_path / "idb.zip"), tmp_path)
    assert len(rows) == 6
    for row in rows:
        n, k = divmod(int(row["mediaID"][-4:]), 10)
        assert record_of(row).endswith(f"{n:012d}")
        assert row["accessURI"].endswith(f"/{k}.jpg")
        assert (row["creator"], row["rightsHolder"]) == (f"creator {n}{k}", "UF")
        assert (row["occurrenceID"], row["institutionCode"]) == (f"urn:catalog:UF:{n}", "UF")
        assert row["verbatimIdentification"] == "Felis concolor L."
        assert (row["decimalLatitude"], row["decimalLongitude"]) == (26.17, -81.3)
        assert (row["countryCode"], row["eventDate"]) == ("USA", "1971-05-01")
        assert (row["license"], row["key"]) == ("CC-BY-NC-3.0", row["mediaID"])
    reason = "the medium's address is none of the web: /mnt/staging/1.jpg"
    assert raw.left_out == [("multimedia.csv:8", reason)]


def test_a_checklist_has_media_of_taxa(tmp_path):
    meta = meta_xml(
        file_xml("core", f"{DWC}Taxon", ["taxon.txt"], [f"{DWC}scientificName"]),
        file_xml("extension", f"{GBIF}Multimedia", ["multimedia.txt"], [f"{DC}identifier"]),
    )
    taxon = delimited([["id", "n"], ["t1", "Puma concolor"]])
    media = delimited([["id", "i"], ["t1", address("t1", 1)], ["t1", address("t1", 2)]])
    files = {"meta.xml": meta, "taxon.txt": taxon, "multimedia.txt": media}
    rows, _ = read(write_files(tmp_path / "x", files), tmp_path)
    assert [row["unit"] for row in rows] == ["", ""]


def test_two_files_without_their_description(tmp_path):
    path = write_gbif_download(tmp_path / "x")
    whole, _ = read(path, tmp_path)
    (path / "meta.xml").unlink()
    rows, _ = read(path, tmp_path)
    assert [row["key"] for row in rows] == [row["key"] for row in whole]


def test_a_zip_with_a_folder_of_its_own(tmp_path):
    core, media = star(5)
    plain = write_star(tmp_path / "plain", core, media)
    files = {f"dwca/{one.name}": one.read_bytes() for one in plain.iterdir()}
    rows, raw = read(write_files(tmp_path / "x.zip", files), tmp_path)
    assert len(rows) == len(media)
    assert not raw.left_out


def test_what_cannot_be_read_says_why(tmp_path):
    with pytest.raises(DataNotFoundError, match="nothing at"):
        read_archive(tmp_path / "gone.zip", work=tmp_path)
    (tmp_path / "bad.zip").write_bytes(b"PK\3\4 cut")
    with pytest.raises(DataError, match="cannot be opened as a zip"):
        read_archive(tmp_path / "bad.zip", work=tmp_path)
    event = meta_xml(file_xml("core", f"{DWC}Event", ["e.txt"], [f"{DWC}eventID"]))
    with pytest.raises(DataError, match=r"'event'.*belong to no single record"):
        read_archive(write_files(tmp_path / "e", {"meta.xml": event}), work=tmp_path)
    with pytest.raises(DataError, match="no XML"):
        read_archive(write_files(tmp_path / "f", {"meta.xml": "<archive"}), work=tmp_path)
    evil = '<!DOCTYPE x [<!ENTITY a "aaaa">]><archive><core/></archive>'
    with pytest.raises(DataError, match="document type"):
        read_archive(write_files(tmp_path / "g", {"meta.xml": evil}), work=tmp_path)


def test_a_zip_whose_member_is_broken(tmp_path):
    path = write_star(tmp_path / "x.zip", *star(2000))
    content = bytearray(path.read_bytes())
    place = content.index(b"occurrence.txt") + 3000
    content[place : place + 20] = bytes(20)
    path.write_bytes(content)
    with pytest.raises(DataError, match="is broken"):
        read(path, tmp_path)


def test_a_file_that_is_missing_is_told(tmp_path):
    path = write_star(tmp_path / "x", *star(5))
    (path / "multimedia.txt").unlink()
    rows, raw = read(path, tmp_path)
    assert not rows
    assert raw.left_out == [("multimedia.txt", "the file is named in meta.xml and missing")]


PEAK = """
import resource, sys
from pathlib import Path
from syntype.data.occurrences.archive import read_archive
raw = read_archive(Path(sys.argv[1]), work=Path(sys.argv[2]))
n = 0
for table in raw.tables:
    n += table.num_rows
print(n, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3)
"""


def test_memory_does_not_grow_with_the_archive(tmp_path):
    peaks = []
    for n in (2_000, 12_000):
        path = write_star(tmp_path / f"{n}.zip", *star(n))
        command = [sys.executable, "-c", PEAK, path, tmp_path]
        done = subprocess.run(command, capture_output=True, check=True, text=True)
        n_rows, megabytes = done.stdout.split()
        assert int(n_rows) == 2 * n
        peaks.append(float(megabytes))
    # Held as they are, the other 20,000 rows would be 70 MB.
    assert peaks[1] - peaks[0] < 40
