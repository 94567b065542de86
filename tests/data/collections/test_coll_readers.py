"""What each reader makes of its set's own ways."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fakes.large_sets import (
    Written,
    uuid_of,
    write_bioscan_1m,
    write_biotrove,
    write_tree_of_life_10m,
    write_tree_of_life_200m,
)
from syntype.data.catalogue import Catalogue
from syntype.data.collections.collection import NO_VALUE, Account, known
from syntype.data.collections.delimited import stream
from syntype.data.collections.read import read_collection
from syntype.data.importing import import_raw
from syntype.data.inflating import inflate
from syntype.errors import DataError, DataNotFoundError
from syntype.taxonomy import cleaning


def read(
    kind: str, written: Written, out: Path, part: str = ""
) -> tuple[Catalogue, dict[str, Any]]:
    raw = read_collection(kind, written.root, part=part, name="set", work=out / "work")
    catalogue = import_raw(raw, out / "catalogue")
    rows = pa.concat_tables(list(catalogue.scan())).to_pylist()
    return catalogue, {row["id"].removeprefix("set/"): row for row in rows}


def test_tree_of_life_10m_row_by_row(tmp_path: Path) -> None:
    written = write_tree_of_life_10m(tmp_path / "set")
    catalogue, rows = read("tree-of-life-10m", written, tmp_path / "out")
    bird, moth, rose, dipper = (rows[uuid_of(name)] for name in "abce")
    assert bird["vernacularName"] == 'Say\'s "Phoebe", the grey one'
    assert bird["rightsHolder"] == 'A. "Tony" Jansen, Jr.'
    assert (bird["license"], bird["accessURI"]) == ("cc-by-3.0", "https://content.eol.org/a.jpg")
    assert (bird["mediaID"], bird["taxonID"]) == ("EOL:97", "EOL:7097")
    assert (moth["vernacularName"], moth["rightsHolder"]) == ("", "")
    assert (rose["scientificName"], rose["genus"]) == ("Rosa canina x gallica", "Rosa")
    assert (dipper["kingdom"], dipper["species"]) == ("Animalia", "Cinclus cinclus")
    assert dipper["verbatimIdentification"] == "Cinclus cinclus cinclus (Linnaeus, 1758)"
    drongo = rows[uuid_of("d")]
    assert (drongo["scientificName"], drongo["kingdom"]) == ("", "")
    assert drongo["vernacularName"] == "Spangled Drongo"
    fly = rows[uuid_of("m")]
    assert (fly["scientificName"], fly["taxonRank"]) == ("Sciaridae", "family")
    assert (fly["vernacularName"], fly["split"], fly["imageStore"]) == ("", "val", "deflate")
    assert rows[uuid_of("n")]["imageStore"] == "span"
    assert rows[uuid_of("k")]["image"].endswith("/Two.JPG")
    notes = catalogue.header.notes
    assert notes["namesCleaned"] == {
        "behind_name": 2, "genus_twice": 1, "kingdom": 1,
    }  # fmt: skip
    assert notes["licenses"]["rows"] == 3


def test_tree_of_life_10m_says_what_is_wrong_with_archives(tmp_path: Path) -> None:
    written = write_tree_of_life_10m(tmp_path / "set")
    catalogue, _ = read("tree-of-life-10m", written, tmp_path / "out")
    eol = catalogue.header.notes["archives"]["eol"]
    assert eol["here"] == ["image_set_01.tar", "image_set_02.tar"]
    assert "it ends within" in eol["broken"]["image_set_02.tar"]
    assert eol["inflateFirst"] == ["image_set_03.tar.gz"]
    assert len(eol["notHere"]) == 60


def test_an_archive_that_was_inflated_is_read(tmp_path: Path) -> None:
    written = write_tree_of_life_10m(tmp_path / "set")
    archive = written.root / "dataset/EOL/image_set_03.tar.gz"
    for lost in ("image_set_01.tar", "image_set_02.tar"):
        (archive.parent / lost).unlink()
    with pytest.raises(DataNotFoundError, match=r"syntype data inflate .*image_set_03\.tar\.gz"):
        read_collection("tree-of-life-10m", written.root, part="eol")
    inflate(archive)
    _, rows = read("tree-of-life-10m", written, tmp_path / "out", part="eol")
    assert list(rows) == [uuid_of("h")]


def test_inat21_as_one_tar(tmp_path: Path) -> None:
    import tarfile

    written = write_tree_of_life_10m(tmp_path / "set")
    home = written.root / "dataset/inat21"
    with tarfile.open(home / "train.tar", "w") as tar:
        tar.add(home / "train", "train")
    (home / "train").rename(tmp_path / "elsewhere")
    _, rows = read("tree-of-life-10m", written, tmp_path / "out", part="inat21")
    assert {row["image"] for row in rows.values()} == {"dataset/inat21/train.tar"}
    assert set(rows) == {uuid_of("j"), uuid_of("k")}


def test_bioscan_unpacked_in_tree_of_life_10m(tmp_path: Path) -> None:
    written = write_tree_of_life_10m(tmp_path / "set")
    home = written.root / "dataset/bioscan"
    (home / "cropped_256.zip").unlink()
    (home / "part1").mkdir()
    (home / "part1/BIOUG71436-B05.jpg").write_bytes(b"x")
    catalogue, rows = read("tree-of-life-10m", written, tmp_path / "out", part="bioscan")
    assert [row["image"] for row in rows.values()] == ["dataset/bioscan/part1/BIOUG71436-B05.jpg"]
    assert catalogue.header.notes["rows"]["leftOut"]["archive not here"] == 2


def test_licences_are_optional(tmp_path: Path) -> None:
    written = write_tree_of_life_10m(tmp_path / "set")
    (written.root / "metadata/licenses.csv").unlink()
    _, rows = read("tree-of-life-10m", written, tmp_path / "out")
    assert {row["accessURI"] for row in rows.values()} == {""}


def test_tree_of_life_200m_row_by_row(tmp_path: Path) -> None:
    written = write_tree_of_life_200m(tmp_path / "set")
    catalogue, rows = read("tree-of-life-200m", written, tmp_path / "out")
    first, second, odd, rose = (rows[uuid_of(n)] for n in "1236")
    assert (first["license"], first["rightsHolder"]) == ("cc-by-nc-4.0", 'Ann "A." B.')
    assert first["unit"] == second["unit"] == "set/gbif:4001"
    assert first["basisOfRecord"] == "HumanObservation"
    assert (odd["license"], odd["rightsHolder"]) == ("No known copyright restrictions", "")
    assert (odd["verbatimIdentification"], odd["mediaID"]) == ("incertae sedis", "17_23")
    assert (rose["scientificName"], rose["vernacularName"]) == (
        "Rosa canina x gallica",
        'the "hybrid"',
    )
    assert catalogue.header.notes["withoutAddress"] == 1
    assert catalogue.header.notes["licenses"] == "joined by uuid"


def test_tables_in_one_order_are_joined_row_by_row(tmp_path: Path) -> None:
    written = write_tree_of_life_200m(tmp_path / "set")
    _, joined = read("tree-of-life-200m", written, tmp_path / "joined")
    ids = pq.read_table(written.root / "dataset/catalog.parquet", columns=["uuid"])["uuid"]
    path = written.root / "dataset/metadata/provenance.parquet"
    owners = {row["uuid"]: row for row in pq.read_table(path).to_pylist()}
    nobody = {"license_name": None, "copyright_owner": None}
    ordered = [{**nobody, **owners.get(id_, {}), "uuid": id_} for id_ in ids.to_pylist()]
    pq.write_table(pa.Table.from_pylist(ordered), path)
    catalogue, rows = read("tree-of-life-200m", written, tmp_path / "ordered")
    assert catalogue.header.notes["licenses"] == "in the order of the catalogue"
    assert rows == joined


@pytest.mark.parametrize(
    ("part", "n_rows"),
    [("gbif", 4), ("eol", 1), ("fathomnet", 1), ("citizen-science", 2), ("museums", 2)],
)
def test_parts_of_tree_of_life_200m(part: str, n_rows: int, tmp_path: Path) -> None:
    written = write_tree_of_life_200m(tmp_path / "set")
    _, rows = read("tree-of-life-200m", written, tmp_path / "out", part=part)
    assert len(rows) == n_rows


def test_tree_of_life_200m_as_readers_of_the_file_name_its_columns(tmp_path: Path) -> None:
    written = write_tree_of_life_200m(tmp_path / "set")
    path = written.root / "dataset/catalog.parquet"
    table = pq.read_table(path)
    names = ["basis_of_record" if n == "basisOfRecord" else n for n in table.column_names]
    pq.write_table(table.rename_columns(names), path)
    _, rows = read("tree-of-life-200m", written, tmp_path / "out")
    assert rows[uuid_of("1")]["basisOfRecord"] == "HumanObservation"


def test_bioscan_1m_row_by_row(tmp_path: Path) -> None:
    written = write_bioscan_1m(tmp_path / "set")
    catalogue, rows = read("bioscan-1m", written, tmp_path / "out")
    assert (rows["A1"]["species"], rows["A1"]["split"]) == ("Bradysia tilicola", "train")
    assert (rows["A2"]["scientificName"], rows["A2"]["split"]) == ("Cecidomyiidae", "")
    assert (rows["B1"]["family"], rows["B1"]["split"]) == ('Chiro"nomidae', "val")
    assert rows["A1"]["taxonID"] == "BOLD:AER5166"
    assert rows["A1"]["kingdom"] == "Animalia"
    assert rows["A1"]["license"] == "CreativeCommons - Attribution"
    assert catalogue.header.notes["archives"]["partsNotHere"] == []


def test_bioscan_1m_of_full_size(tmp_path: Path) -> None:
    from fakes.large_sets import write_zip

    written = write_bioscan_1m(tmp_path / "set")
    name = "bioscan_images_original_full_part1.zip"
    write_zip(written.root / name, {"images/4900531.jpg": b"full size"})
    catalogue, rows = read("bioscan-1m", written, tmp_path / "out", part="original")
    assert list(rows) == ["A1"]
    assert rows["A1"]["image"] == name
    left_out = catalogue.header.notes["rows"]["leftOut"]
    assert left_out["archive not here"] == 2
    assert left_out["no such picture"] == 2


def test_bioscan_1m_unpacked(tmp_path: Path) -> None:
    written = write_bioscan_1m(tmp_path / "set")
    (written.root / "cropped_256.zip").unlink()
    folder = written.root / "bioscan/images/cropped_256/part113"
    folder.mkdir(parents=True)
    (folder / "BIOUG1-A01.jpg").write_bytes(b"x")
    _, rows = read("bioscan-1m", written, tmp_path / "out")
    assert list(rows) == ["B1"]


def test_biotrove_row_by_row(tmp_path: Path) -> None:
    written = write_biotrove(tmp_path / "set")
    catalogue, rows = read("biotrove", written, tmp_path / "out")
    assert catalogue.header.notes["tables"] == 4
    assert list(rows) == ["20931", "66790", "7", "8"]
    assert rows["20931"]["accessURI"].endswith("/20931/medium.JPG")
    assert (rows["66790"]["scientificName"], rows["66790"]["taxonRank"]) == ("Araneidae", "family")
    assert rows["66790"]["vernacularName"] == ""
    assert rows["7"]["scientificName"] == "Rosa canina x gallica"
    assert rows["8"]["scientificName"] == "Rosa"


def test_biotrove_named_by_the_folder_of_its_tables(tmp_path: Path) -> None:
    written = write_biotrove(tmp_path / "set")
    raw = read_collection("biotrove", written.root / "BioTrove")
    assert sum(table.num_rows for table in raw.tables) == written.taken


def test_a_table_of_another_set_is_refused(tmp_path: Path) -> None:
    written = write_biotrove(tmp_path / "set")
    pq.write_table(pa.table({"x": [1]}), written.root / "BioTrove/chunk_1.parquet")
    with pytest.raises(DataError, match="lacks the columns photo_id"):
        list(read_collection("biotrove", written.root).tables)
    written = write_tree_of_life_10m(tmp_path / "other")
    (written.root / "metadata/catalog.csv").write_text("a,b\n1,2\n")
    with pytest.raises(DataError, match="lacks the columns treeoflife_id"):
        list(read_collection("tree-of-life-10m", written.root).tables)


def test_tables_are_read_as_they_stand(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b'\xef\xbb\xbfid,name\n007,"a ""b"", c"\n1.0,"two\nlines"\n2,,\nNA,null\n')
    account = Account()
    rows = [row for table in stream(path, ["id"], account) for row in table.to_pylist()]
    assert rows == [
        {"id": "007", "name": 'a "b", c'},
        {"id": "1.0", "name": "two\nlines"},
        {"id": "NA", "name": "null"},
    ]
    assert (account.n_read, dict(account.reasons)) == (4, {"3 cells, unlike the header": 1})


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"", "is empty"), (b"id\n\xff\xfe\n", "UTF-8"), (b"\xff\xfe\n", "no text in UTF-8")],
)
def test_what_is_no_table_is_told(content: bytes, words: str, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(content)
    with pytest.raises(DataError, match=words):
        list(stream(path, ["id"], Account()))


def test_words_for_no_value_are_those_that_the_cleaning_of_labels_knows() -> None:
    assert {*NO_VALUE, ""} == cleaning._MISSING_WORDS
    column = pa.chunked_array([["NULL", "Nanna", None], ["not_classified", ""]], pa.string())
    assert known(column, {"not_classified": ""}).to_pylist() == ["", "Nanna", "", "", ""]
    assert known(pa.chunked_array([[7, None]])).to_pylist() == ["7", ""]
