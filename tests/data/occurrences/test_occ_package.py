"""Data packages: a medium belongs to what the links say, and nothing is guessed."""

import json
import subprocess
import sys

import pytest

from fakes.occurrences import NAMES, address, record_of, write_data_package, write_files
from syntype.data.occurrences.data_package import lineage_of, read_data_package
from syntype.errors import DataError


def read(path, work, **options):
    raw = read_data_package(path, work=work, **options)
    rows = [row for table in raw.tables for row in table.to_pylist()]
    return rows, raw


def medium(record, number, **more):
    return {
        "mediaID": f"m{record}{number}", "mediaType": "StillImage", "format": "jpeg",
        "accessURI": address(record, number),
        "rights": "https://creativecommons.org/licenses/by/4.0/", **more,
    }  # fmt: skip


def tables():
    """Two occurrences with material, a specimen without, an event of two of everything."""
    return {
        "event": [
            {"eventID": "trip", "countryCode": "CL", "locality": "Park"},
            {"eventID": "e1", "parentEventID": "trip", "decimalLatitude": "-54.1",
             "decimalLongitude": "-68.7", "eventDate": "2011-01-10/2011-01-14"},
            {"eventID": "e2", "eventDate": "1891"},
            {"eventID": "e3"},
        ],
        "occurrence": [
            {"occurrenceID": "o1", "eventID": "e1", "scientificName": NAMES[1], "sex": "male"},
            {"occurrenceID": "o2", "eventID": "e1", "scientificName": NAMES[2]},
            {"occurrenceID": "o3", "eventID": "e2", "lifeStage": "egg"},
            {"occurrenceID": "o4", "eventID": "e3", "lifeStage": "egg"},
            {"occurrenceID": "o5", "eventID": "e3", "lifeStage": "adult"},
        ],
        "material": [
            {"materialEntityID": "s1", "eventID": "e1", "evidenceForOccurrenceID": "o1",
             "institutionCode": "UCH", "catalogNumber": "1"},
            {"materialEntityID": "s3", "eventID": "e2", "catalogNumber": "3"},
            {"materialEntityID": "s4", "eventID": "e3", "catalogNumber": "4"},
            {"materialEntityID": "s5", "eventID": "e3", "catalogNumber": "5"},
        ],
        "media": [medium(r, n) for r in ("s4", "s3", "o2", "o1") for n in (1, 2)],
        "occurrence-media": [
            {"mediaID": f"m{r}{n}", "occurrenceID": r} for r in ("o1", "o2") for n in (2, 1)
        ],
        "material-media": [
            {"materialEntityID": r, "mediaID": f"m{r}{n}"} for r in ("s3", "s4") for n in (1, 2)
        ],
        "identification": [
            {"identificationID": "i1", "basedOnMaterialEntityID": "s3", "verbatimIdentification":
             "Felis wrong", "isAcceptedIdentification": "false", "dateIdentified": "2020"},
            {"identificationID": "i2", "basedOnMaterialEntityID": "s3", "typeStatus": "holotype",
             "verbatimIdentification": "Lynx lynx L., 1758", "isAcceptedIdentification": "true"},
            {"identificationID": "i4", "basedOnMaterialEntityID": "s4"},
        ],
        "identification-taxon": [
            {"identificationID": "i2", "scientificName": "Lynx lynx (Linnaeus, 1758)",
             "taxonRank": "SPECIES", "taxonID": "col:1", "higherClassificationName": "Animalia",
             "higherClassificationRank": "dwc:kingdom"},
            {"identificationID": "i4", "scientificName": "Panthera onca", "taxonRank": "SPECIES"},
        ],
    }  # fmt: skip


@pytest.mark.parametrize("name", ["x", "x.zip"])
@pytest.mark.parametrize("about", ["datapackage.json", "data-package.json"])
def test_every_medium_is_at_what_it_shows(tmp_path, name, about):
    rows, raw = read(write_data_package(tmp_path / name, tables(), about), tmp_path / "work")
    assert len(rows) == 8
    assert not raw.left_out
    by_id = {row["mediaID"]: row for row in rows}
    assert all(row["key"] == id_ and record_of(row) in id_ for id_, row in by_id.items())
    one = by_id["mo12"]
    assert (one["verbatimIdentification"], one["sex"]) == (NAMES[1], "male")
    assert (one["unit"], one["occurrenceID"], one["institutionCode"]) == ("s1", "o1", "UCH")
    # The event, and what the event that it is a part of says.
    assert (one["decimalLatitude"], one["eventDate"]) == (-54.1, "2011-01-10/2011-01-14")
    assert (one["countryCode"], one["locality"]) == ("CL", "Park")
    assert by_id["mo21"]["unit"] == "o2"
    assert raw.card.citation == "Made up"


def test_the_accepted_identification_names_and_the_ladder_gives_the_lineage(tmp_path):
    rows, _ = read(write_data_package(tmp_path / "x", tables()), tmp_path)
    one = next(row for row in rows if row["mediaID"] == "ms31")
    assert one["verbatimIdentification"] == "Lynx lynx L., 1758"
    assert (one["kingdom"], one["genus"], one["species"]) == ("Animalia", "Lynx", "Lynx lynx")
    assert (one["taxonID"], one["typeStatus"]) == ("col:1", "holotype")
    four = next(row for row in rows if row["mediaID"] == "ms41")
    assert four["verbatimIdentification"] == "Panthera onca"


def test_an_event_joins_only_what_it_has_one_of(tmp_path):
    rows, _ = read(write_data_package(tmp_path / "x", tables()), tmp_path)
    by_id = {row["mediaID"]: row for row in rows}
    assert (by_id["ms31"]["occurrenceID"], by_id["ms31"]["lifeStage"]) == ("o3", "egg")
    assert (by_id["ms41"]["occurrenceID"], by_id["ms41"]["lifeStage"]) == ("", "")


def test_known_dirt_is_told_by_file_and_line(tmp_path):
    given = tables()
    given["media"] += [medium("o1", 3), medium("o1", 1), medium("o9", 1), medium("o1", 4)]
    given["media"][-1]["accessURI"] = ""
    given["occurrence-media"] += [
        {"mediaID": "mo14", "occurrenceID": "o1"},
        {"mediaID": "mo91", "occurrenceID": "o9"},
        {"mediaID": "gone", "occurrenceID": "o1"},
        {"mediaID": "", "occurrenceID": "o1"},
    ]
    rows, raw = read(write_data_package(tmp_path / "x", given), tmp_path)
    assert len(rows) == 8
    unlinked = "no occurrence or material is linked to the medium"
    assert dict(raw.left_out) == {
        "media.csv:10": f"{unlinked}: mo13",
        "media.csv:11": "the mediaID stands twice: mo11",
        "media.csv:12": f"{unlinked}: mo91",
        "media.csv:13": "the medium has no address",
        "occurrence-media.csv:7": "the link's occurrenceID is in no row: o9",
        "occurrence-media.csv:8": "the link's mediaID is in no row: gone",
        "occurrence-media.csv:9": "the row has no mediaID",
    }


def test_a_medium_of_several_subjects(tmp_path):
    given = tables()
    given["media"] += [medium("o2", 5), medium("o2", 6)]
    given["occurrence"].append({"occurrenceID": "o0", "eventID": "e1", "scientificName": NAMES[2]})
    given["occurrence-media"] += [
        {"mediaID": "mo25", "occurrenceID": id_} for id_ in ("o2", "o0")
    ] + [{"mediaID": "mo26", "occurrenceID": id_} for id_ in ("o2", "o1")]
    rows, raw = read(write_data_package(tmp_path / "x", given), tmp_path)
    assert next(row for row in rows if row["mediaID"] == "mo25")["occurrenceID"] == "o0"
    assert raw.notes["mediaOfSeveralSubjects"] == 1
    reason = f"the medium shows several things of different names: {NAMES[1]}, {NAMES[2]}"
    assert raw.left_out == [("media.csv:11", reason)]


def test_occurrences_without_media_can_be_kept(tmp_path):
    rows, raw = read(write_data_package(tmp_path / "x", tables()), tmp_path)
    assert raw.notes["occurrencesWithoutMedia"] == 2
    kept, _ = read(tmp_path / "x", tmp_path, keep_without_media=True)
    bare = [row for row in kept if not row["mediaType"]]
    assert [row["key"] for row in bare] == ["o4", "o5"]
    assert len(kept) == len(rows) + 2


def test_a_package_that_is_none_says_why(tmp_path):
    with pytest.raises(DataError, match=r"datapackage\.json or data-package\.json"):
        read_data_package(write_files(tmp_path / "a", {"media.csv": "x"}), work=tmp_path)
    broken = write_files(tmp_path / "b", {"datapackage.json": json.dumps({"name": 1})})
    with pytest.raises(DataError, match="does not describe resources"):
        read_data_package(broken, work=tmp_path)
    given = {name: rows for name, rows in tables().items() if name != "media"}
    with pytest.raises(DataError, match="no resource `media`"):
        read_data_package(write_data_package(tmp_path / "c", given), work=tmp_path)


@pytest.mark.parametrize(
    ("row", "lineage"),
    [
        ({"scientificName": "Felidae Fischer", "taxonRank": "family"}, {"family": "Felidae"}),
        ({"scientificName": "Puma concolor coryi", "taxonRank": "SUBSPECIES"},
         {"genus": "Puma", "species": "Puma concolor"}),
        ({"scientificName": "Puma sp.", "taxonRank": "species"}, {"genus": "Puma"}),
        ({"scientificName": "puma", "taxonRank": "species"}, {}),
        ({"higherClassificationName": "Animalia|Chordata",
          "higherClassificationRank": "kingdom|phylum"},
         {"kingdom": "Animalia", "phylum": "Chordata"}),
        ({"higherClassificationName": "Animalia|Chordata", "higherClassificationRank": "x"}, {}),
    ],
)  # fmt: skip
def test_what_a_taxon_gives_away(row, lineage):
    assert lineage_of([row]) == lineage


AS_A_USER = """
import json, sys
from pathlib import Path
from syntype.data.occurrences.load import read_occurrences
raw = read_occurrences(Path(sys.argv[1]), work=Path(sys.argv[2]))
rows = [row for table in raw.tables for row in table.to_pylist()]
print(json.dumps([rows, raw.notes, raw.card.license]))
"""


def as_a_user(path, work):
    """Rows, notes and licence, by a process without the costly checks of types at run time."""
    command = [sys.executable, "-c", AS_A_USER, path, work]
    return json.loads(subprocess.run(command, capture_output=True, check=True).stdout)


@pytest.mark.real_data
def test_cyanolichens(real_data, tmp_path):
    rows, notes, licence = as_a_user(real_data("dwc_cyanolichens"), tmp_path)
    assert notes["tables"] == {
        "media": 2861, "occurrence-media": 3063, "occurrence": 1270, "material": 1269,
        "event": 1055,
    }  # fmt: skip
    assert notes["leftOut"] == {
        "no occurrence or material is linked to the medium": 2,
        "the link's mediaID is in no row": 202,
        "the link's occurrenceID is in no row": 2,
        "the medium has no address": 1,
    }
    assert len(rows) == notes["rows"] == 2858
    assert len({row["key"] for row in rows}) == 2858
    assert len({row["unit"] for row in rows}) == 1080
    assert notes["occurrencesWithoutMedia"] == 189
    assert licence == "CC-BY-4.0"
    assert all(row["decimalLatitude"] < -40 for row in rows)
    one = next(row for row in rows if row["key"] == "fungi_photo_60")
    assert one["verbatimIdentification"] == "Constantinomyces aff. nebulosus"
    assert (one["catalogNumber"], one["license"]) == ("T30_B32", "CC-BY-NC-SA-4.0")


@pytest.mark.real_data
def test_dissco(real_data, tmp_path):
    rows, notes, licence = as_a_user(real_data("dwc_dissco"), tmp_path)
    counts = notes["tables"]
    assert (counts["media"], counts["material"], counts["occurrence"]) == (147, 300, 295)
    assert (counts["identification"], counts["identification-taxon"]) == (300, 272)
    assert len(rows) == 147
    assert "leftOut" not in notes
    assert licence == "CC0-1.0"
    assert len({row["unit"] for row in rows}) == 74
    assert {row["license"] for row in rows} == {"CC0-1.0"}
    # The address of a picture names the specimen in this set.
    assert all(row["unit"].rpartition("/")[2] in row["accessURI"] for row in rows)
    assert sum(bool(row["species"]) for row in rows) == 139
