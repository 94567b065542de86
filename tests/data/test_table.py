from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fakes.pictures import write_picture
from syntype.configs import DataConfig
from syntype.data.table import read_table
from syntype.errors import DataError, DataNotFoundError, UsageError

CONFIG = DataConfig(data=("t",))
ROWS = [("a.jpg", "Esox lucius"), ("b/c d.JPG", "Parus major")]


def write(path: Path, text: str, encoding: str = "utf-8") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode(encoding))
    return path


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_delimiters_and_encodings(
    tmp_path: Path, delimiter: str, encoding: str, newline: str
) -> None:
    lines = [f"path{delimiter}label{delimiter}common_name"]
    lines += [f'{file}{delimiter}{label}{delimiter}"Brême, ""x"""' for file, label in ROWS]
    dataset = read_table(write(tmp_path / "t.csv", newline.join(lines), encoding), CONFIG)
    assert dataset.ids == ["t/a.jpg", "t/b/c d.JPG"]
    assert dataset.column("species").tolist() == ["Esox lucius", "Parus major"]
    assert set(dataset.column("vernacularName")) == {'Brême, "x"'}
    assert "encoding" not in dataset.notes


def test_windows_encoding_is_guessed_and_told(tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv", "path,label\na.jpg,Isoëtes lacustris\n", "cp1252")
    dataset = read_table(path, CONFIG)
    assert dataset.column("species").tolist() == ["Isoëtes lacustris"]
    assert dataset.notes["encoding"] == {"t": "cp1252"}


def test_parquet_with_other_types(tmp_path: Path) -> None:
    table = pa.table(
        {
            "image": ["a.jpg", "b.jpg"],
            "species": pa.array(["Esox lucius", "Parus major"]).dictionary_encode(),
            "unit": [1, 2],
            "bytes": [[1], [2]],
            "family": pa.nulls(2),
        }
    )
    pq.write_table(table, tmp_path / "catalogue.parquet")
    dataset = read_table(tmp_path / "catalogue.parquet", CONFIG, name="p")
    assert dataset.column("unit").tolist() == ["p/1", "p/2"]
    assert dataset.column("genus").tolist() == ["Esox", "Parus"]
    assert dataset.column("family").tolist() == ["", ""]


def test_ranks_that_the_table_brings_go_before_derived_ones(tmp_path: Path) -> None:
    text = (
        "path,scientificName,species,genus,family,class,taxon_group,split,license\n"
        'a.jpg,"Parus ater Linnaeus, 1758",Periparus ater,,Paridae,Aves,Bird,training,CC0\n'
        "b.jpg,acantharia_protist,,Acantharia,,,,all,\n"
    )
    first, second = read_table(write(tmp_path / "t.csv", text), CONFIG).table.to_pylist()
    assert first["verbatimIdentification"] == "Parus ater Linnaeus, 1758"
    assert first["scientificName"] == "Parus ater"
    assert first["species"] == "Periparus ater"
    assert (first["genus"], first["family"], first["class"]) == ("Periparus", "Paridae", "Aves")
    assert (first["taxonGroup"], first["split"], first["license"]) == ("Bird", "train", "CC0")
    assert (second["genus"], second["family"]) == ("Acantharia", "")
    assert (second["taxonGroup"], second["split"]) == ("t", "")


def test_genus_and_epithet_in_two_columns(tmp_path: Path) -> None:
    text = "filepath,genus,species\na.jpg,Esox,lucius\nb.jpg,Parus,Parus major\nc.jpg,Esox,\n"
    dataset = read_table(write(tmp_path / "t.csv", text), CONFIG)
    assert dataset.column("species").tolist() == ["Esox lucius", "Parus major"]
    assert dataset.column("genus").tolist() == ["Esox", "Parus"]


@pytest.mark.parametrize(
    ("word", "split"),
    [
        ("Train", "train"),
        ("valid", "val"),
        ("dev", "val"),
        ("testing", "test"),
        ("all", ""),
        ("7", ""),
    ],
)
def test_words_for_splits(tmp_path: Path, word: str, split: str) -> None:
    path = write(tmp_path / "t.csv", f"path,label,split\na.jpg,Esox lucius,{word}\n")
    assert read_table(path, CONFIG).column("split").tolist() == [split]


def test_names_of_sets(tmp_path: Path) -> None:
    text = "path,label\na.jpg,Esox lucius\n"
    for file, name in (("pike.csv", "pike"), ("labels.csv", "set"), ("metadata.csv", "set")):
        dataset = read_table(write(tmp_path / "set" / file, text), CONFIG)
        assert dataset.ids == [f"{name}/a.jpg"]
        assert dataset.cards[0].name == name


def test_paths_are_absolute_below_images_or_with_backslashes(tmp_path: Path) -> None:
    picture = write_picture(tmp_path / "images" / "x" / "a.jpg")
    for place in ("x/a.jpg", "images/x/a.jpg", "images\\x\\a.jpg", str(picture)):
        path = write(tmp_path / "t.csv", f"path,label\n{place},Esox lucius\n")
        dataset = read_table(path, CONFIG)
        assert dataset.read(0) == picture.read_bytes()
    assert dataset.ids == ["t/a.jpg"]


def test_rows_that_cannot_be_used_are_told(tmp_path: Path) -> None:
    text = (
        "path,label\na.jpg,Esox lucius\na.jpg,Esox_lucius\nb.jpg,\nc.jpg, \n,Esox lucius\n"
        "d.jpg,Esox lucius\nd.jpg,Parus major\n"
    )
    path = write(tmp_path / "t.csv", text)
    dataset = read_table(path, CONFIG)
    assert dataset.ids == ["t/a.jpg"]
    note = dataset.notes["leftOut"]
    assert note["total"] == 6
    assert note["reasons"] == {
        "no label": 2,
        "no path": 1,
        "the picture stands under several labels: Esox lucius, Parus major": 2,
        "the same row stands twice": 1,
    }
    assert dataset.notes["cleaning"]["t"]["rowsMissing"] == 1
    assert dataset.notes["cleaning"]["t"]["rowsBlank"] == 1
    with pytest.raises(DataError, match="--on-error skip"):
        read_table(path, DataConfig(data=("t",), on_error="stop"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("path,label\n", "has no rows below its header"),
        ("path,label\na.jpg,Esox,lucius\n", "cannot be read as a table"),
        ("path,path\na.jpg,Esox\n", "Rename all but one"),
        ("path,label\na.jpg,\nb.jpg, \n", "--column label=NAME"),
        ("path,colour\na.jpg,red\n", "--column label=NAME"),
        ("path,label\nhttps://x.org/a.jpg,Esox lucius\n", "Fetch them first"),
    ],
)
def test_bad_tables_say_what_to_do(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_table(write(tmp_path / "t.csv", text), CONFIG)


def test_files_that_are_no_tables(tmp_path: Path) -> None:
    with pytest.raises(DataNotFoundError, match="Check the path"):
        read_table(tmp_path / "no.csv", CONFIG)
    with pytest.raises(DataError, match="cannot be read as a table"):
        read_table(write(tmp_path / "t.parquet", "not Parquet"), CONFIG)
    path = write(tmp_path / "t.csv", "path,label\na.jpg,x\n")
    with pytest.raises(UsageError, match="Its columns are: path, label"):
        read_table(path, DataConfig(data=("t",), column=("label=kind",)))
