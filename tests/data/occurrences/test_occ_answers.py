"""Saved answers of GBIF and iDigBio, simple downloads, and how a format is recognised."""

import json

import pytest

from fakes.occurrence_api import UUID, gbif_record, idigbio_medium, idigbio_record
from fakes.occurrences import (
    SIMPLE_COLUMNS,
    record_of,
    star,
    write_data_package,
    write_files,
    write_gbif_download,
    write_gbif_simple,
    write_idigbio_download,
    write_star,
)
from syntype.data.occurrences import load
from syntype.data.occurrences.gbif import read_gbif_answers, read_gbif_simple
from syntype.data.occurrences.idigbio import VIEW
from syntype.data.occurrences.load import format_of, read_occurrences
from syntype.errors import DataError, DataNotFoundError


def read(path, work, **options):
    raw = read_occurrences(path, work=work, **options)
    rows = [row for table in raw.tables for row in table.to_pylist()]
    return rows, raw


def page(*records):
    return json.dumps({"offset": 0, "limit": 300, "count": 9, "results": records, "facets": []})


def items(*entries):
    return json.dumps({"itemCount": len(entries), "items": entries, "attribution": []})


def test_answers_of_gbif_pair_each_medium_with_its_record(tmp_path):
    records = [gbif_record(key, n_media=key % 4) for key in range(1, 9)]
    files = {"page-000000.json": page(*records[:5]), "page-000001.json": page(*records[5:])}
    rows, raw = read(write_files(tmp_path / "x", files), tmp_path)
    assert len(rows) == 12
    assert raw.notes["recordsWithoutMedia"] == 2
    for row in rows:
        key, number = row["accessURI"].removesuffix(".jpeg").split("/")[-2:]
        assert row["key"].startswith(f"{key}/")
        assert row["occurrenceID"] == row["unit"] == f"https://observations.example.org/{key}"
        assert row["creator"] == f"Photographer {key}-{number}"
        assert (row["license"], row["species"]) == ("CC-BY-NC-4.0", "Puma concolor")
    assert {row["coordinateUncertaintyInMeters"] for row in rows} == {27754.0}


def test_the_extension_fills_in_by_address_and_not_by_place(tmp_path):
    record = gbif_record(1, n_media=3)
    for medium in record["media"]:
        del medium["creator"]
    for entry in record["extensions"]["http://rs.gbif.org/terms/1.0/Multimedia"]:
        entry["http://purl.org/dc/terms/creator"] = entry["http://purl.org/dc/terms/identifier"]
    rows, _ = read(write_files(tmp_path / "x", {"a.json": page(record)}), tmp_path)
    assert all(row["creator"] == row["accessURI"] for row in rows)
    record["media"] = []
    alone, _ = read(write_files(tmp_path / "y", {"a.json": page(record)}), tmp_path)
    assert {row["key"] for row in alone} == {row["key"] for row in rows}


def test_a_record_that_came_twice_is_taken_once(tmp_path):
    files = {
        "page-0.json": page(gbif_record(1), gbif_record(2)),
        "page-1.json": page(gbif_record(2), gbif_record(3)),
        "page-2.json": page(gbif_record(4))[:50],
        ".fetch/query.json": "{}",
    }
    rows, raw = read(write_files(tmp_path / "x", files), tmp_path)
    assert len(rows) == 6
    assert raw.left_out == [
        ("page-1.json, result 1", "the record came twice: 2"),
        ("page-2.json", "it is no answer of GBIF, or is cut"),
    ]


def test_the_same_medium_has_one_id_in_answer_and_download(tmp_path):
    path = write_gbif_download(tmp_path / "a")
    whole, _ = read(path, tmp_path)
    record = gbif_record(int(record_of(whole[-1])))
    record["media"] = [{"type": "StillImage", "identifier": whole[-1]["accessURI"]}]
    rows, _ = read(write_files(tmp_path / "b", {"a.json": page(record)}), tmp_path)
    assert [row["key"] for row in rows] == [whole[-1]["key"]]


def test_a_simple_download_has_records_and_says_that_it_has_no_media(tmp_path):
    path = write_gbif_simple(tmp_path / "0001.zip")
    rows, raw = read(path, tmp_path)
    assert len(SIMPLE_COLUMNS) == 50
    assert [row["key"] for row in rows] == ["11", "12"]
    assert (rows[0]["mediaType"], rows[0]["accessURI"]) == ("", "")
    assert rows[0]["locality"] == '5" north of "Nowhere'
    assert "Darwin Core Archive" in raw.notes["noAddresses"]
    assert raw.notes["recordsWithMediaElsewhere"] == 1
    assert [reason for _, reason in raw.left_out] == [
        "the gbifID stands twice: 12",
        "2 fields where 50 are expected",
    ]
    folder = write_gbif_simple(tmp_path / "folder")
    alone = next(folder.iterdir())
    for place in (folder, alone):
        assert [row["key"] for row in read(place, tmp_path)[0]] == ["11", "12"]
    with pytest.raises(DataError, match="no simple download"):
        read_gbif_simple(write_files(tmp_path / "n", {"a.csv": "a,b\n1,2\n"}), work=tmp_path)


def test_answers_of_idigbio_pair_by_identifier(tmp_path):
    records = [
        idigbio_record(1, [12, 11]),
        idigbio_record(2, []),  # its medium names it
        idigbio_record(3, [31]),  # the medium did not come
        idigbio_record(4, []),
    ]
    media = [
        idigbio_medium(21, [2]),
        idigbio_medium(11, [1]),
        idigbio_medium(12, [1]),
        idigbio_medium(13, [1], kind="sounds"),
        idigbio_medium(99, [98]),
    ]
    del media[3]["data"]["dcterms:format"], media[3]["indexTerms"]["format"]
    files = {
        "media/page-000000.json": items(*media, media[0]),
        "records/page-000000.json": items(*records[2:]),
        "records/page-000001.json": items(*records[:2]),
    }
    rows, raw = read(write_files(tmp_path / "x", files), tmp_path)
    found = {row["mediaID"]: row["occurrenceID"] for row in rows}
    assert found == {
        UUID.format(medium): f"urn:catalog:UF:Mammals:{record}"
        for medium, record in ((11, 1), (12, 1), (21, 2), (31, 3))
    }
    served = next(row for row in rows if row["mediaID"] == UUID.format(31))
    assert (served["accessURI"], served["license"]) == (VIEW.format(UUID.format(31)), "")
    one = next(row for row in rows if row["mediaID"] == UUID.format(12))
    assert one["verbatimIdentification"] == "Puma concolor coryi (Bangs, 1899)"
    assert (one["kingdom"], one["recordedBy"]) == ("animalia", "R. Collector")
    assert (one["decimalLatitude"], one["eventDate"]) == (26.17, "1971-05-01")
    assert (one["pixelXDimension"], one["pixelYDimension"]) == (2048, 1024)
    assert (one["license"], one["rightsHolder"]) == ("CC-BY-NC-3.0", "Owner 12")
    assert dict(raw.left_out) == {
        "media/page-000000.json, item 6": f"the medium came twice: {UUID.format(21)}",
        "media/page-000000.json, item 5": f"no record here has the medium: {UUID.format(99)}",
    }
    assert raw.notes["mediaServedByIDigBio"] == 1
    assert raw.notes["otherKinds"] == {"Sound": 1}
    assert raw.notes["recordsWithoutMedia"] == 1


def test_a_medium_of_two_records_of_idigbio_is_one_row(tmp_path):
    files = {
        "a.json": items(idigbio_record(1, [11]), idigbio_record(2, [11])),
        "b.json": items(idigbio_medium(11, [1, 2])),
    }
    rows, raw = read(write_files(tmp_path / "x", files), tmp_path)
    assert len(rows) == raw.notes["rows"] == 1
    assert "belongs to an earlier record" in raw.left_out[0][1]


def test_each_format_is_recognised(tmp_path):
    core, media = star(3)
    taxa = {"media": [{"mediaID": "1"}]}
    found = {
        load.ARCHIVE: [
            write_star(tmp_path / "a", core, media),
            write_star(tmp_path / "a.zip", core, media),
            write_gbif_download(tmp_path / "b.zip"),
            write_idigbio_download(tmp_path / "c.zip"),
        ],
        load.PACKAGE: [
            write_data_package(tmp_path / "d.zip", taxa),
            write_data_package(tmp_path / "d", taxa, "data-package.json"),
        ],
        load.SIMPLE: [write_gbif_simple(tmp_path / "e.zip"), write_gbif_simple(tmp_path / "e")],
        load.GBIF: [
            write_files(tmp_path / "f", {"x.json": page(gbif_record(1))}),
            tmp_path / "f" / "x.json",
        ],
        load.IDIGBIO: [write_files(tmp_path / "g", {"r/x.json": items(idigbio_record(1, []))})],
    }
    for kind, paths in found.items():
        for path in paths:
            assert format_of(path) == kind, path


def test_what_is_none_of_them_is_told_what_was_looked_for(tmp_path):
    with pytest.raises(DataError, match=r"It holds: a\.xls.*Looked for(.|\n)*meta\.xml"):
        format_of(write_files(tmp_path / "x", {"a.xls": "?"}))
    with pytest.raises(DataError, match="holds: nothing"):
        format_of(write_files(tmp_path / "y.zip", {}))
    with pytest.raises(DataError, match="none of the formats"):
        format_of(write_files(tmp_path / "z", {"a.json": "[1]"}))
    with pytest.raises(DataError, match="none of the formats"):
        format_of(write_files(tmp_path / "t", {"a.csv": "a,b\n"}) / "a.csv")
    with pytest.raises(DataNotFoundError):
        format_of(tmp_path / "gone")
    with pytest.raises(DataError, match="no saved answer"):
        read_gbif_answers(write_files(tmp_path / "q", {"a.txt": ""}), work=tmp_path)


@pytest.mark.real_data
def test_answers_of_gbif_as_they_were_saved(real_data, tmp_path):
    path = real_data("dwc_nfhm_samples") / "sample_occurences.json"
    rows, raw = read(path, tmp_path)
    assert (raw.notes["records"], len(rows)) == (10, 29)
    assert not raw.left_out
    content = json.loads(path.read_text())[0]["results"]
    expected = {
        medium["identifier"]: (record["occurrenceID"], medium["creator"])
        for record in content
        for medium in record["media"]
    }
    found = {row["accessURI"]: (row["occurrenceID"], row["creator"]) for row in rows}
    assert found == expected
    assert len({row["key"] for row in rows}) == 29
    assert len({row["unit"] for row in rows}) == 10
    assert {row["license"] for row in rows} == {"CC-BY-4.0", "CC-BY-NC-4.0"}
    # The extension lists the media of the first record in another order: places do not pair.
    extension = content[0]["extensions"]["http://rs.gbif.org/terms/1.0/Multimedia"]
    there = [entry["http://purl.org/dc/terms/identifier"] for entry in extension]
    here = [medium["identifier"] for medium in content[0]["media"]]
    assert sorted(there) == sorted(here)
    assert there != here


@pytest.mark.real_data
def test_taxa_of_gbif_as_they_were_saved(real_data, tmp_path):
    rows, raw = read(real_data("dwc_nfhm_samples") / "sample_gbif_return.json", tmp_path)
    assert (raw.notes["records"], raw.notes["recordsWithoutMedia"], len(rows)) == (20, 19, 2)
    assert {record_of(row) for row in rows}
    assert {(row["verbatimIdentification"], row["taxonRank"], row["unit"]) for row in rows} == {
        ("Puma concolor (Linnaeus, 1771)", "SPECIES", "")
    }
