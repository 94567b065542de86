import os
from pathlib import Path

import pytest

from fakes.pictures import write_picture
from syntype.configs import DataConfig
from syntype.data.folder import pictures_below, read_folder
from syntype.errors import DataError, DataNotFoundError

CONFIG = DataConfig(data=("folder",))


def test_one_level(tmp_path: Path) -> None:
    root = tmp_path / "fish"
    write_picture(root / "Esox_lucius" / "1.jpg")
    write_picture(root / "Esox_lucius" / "2.JPG".lower()).rename(root / "Esox_lucius" / "2.JPG")
    write_picture(root / "acantharia_protist" / "a b.png")
    dataset = read_folder(root, CONFIG)
    assert dataset.ids == [
        "fish/Esox_lucius/1.jpg",
        "fish/Esox_lucius/2.JPG",
        "fish/acantharia_protist/a b.png",
    ]
    assert dataset.column("species").tolist() == ["Esox lucius"] * 2 + ["acantharia_protist"]
    assert dataset.column("verbatimIdentification").tolist()[0] == "Esox_lucius"
    assert dataset.column("genus").tolist() == ["Esox", "Esox", ""]
    assert set(dataset.column("taxonGroup")) == {"fish"}
    assert dataset.column("unit").tolist() == dataset.ids
    assert set(dataset.column("split")) == {""}
    assert dataset.read(2) == (root / "acantharia_protist" / "a b.png").read_bytes()


def test_two_levels_give_the_group_and_split_folders_the_split(tmp_path: Path) -> None:
    for split, given in (("train", "train"), ("Validation", "val"), ("test", "test")):
        root = tmp_path / "nested"
        write_picture(root / split / "Fish" / "Esox_lucius" / f"{split}.jpg")
        write_picture(root / split / "Parus_major" / f"{split}.jpg")
        rows = read_folder(root, CONFIG).where(split=given).table.to_pylist()
        assert [(row["taxonGroup"], row["species"]) for row in rows] == [
            ("Fish", "Esox lucius"),
            ("nested", "Parus major"),
        ]


def test_a_species_called_like_a_split_is_a_species(tmp_path: Path) -> None:
    write_picture(tmp_path / "test" / "1.jpg")
    write_picture(tmp_path / "Esox_lucius" / "1.jpg")
    dataset = read_folder(tmp_path, CONFIG)
    assert sorted(dataset.column("species")) == ["Esox lucius", "test"]
    assert set(dataset.column("split")) == {""}


def test_what_is_no_picture_is_passed_over_and_loose_pictures_are_told(tmp_path: Path) -> None:
    write_picture(tmp_path / "Esox_lucius" / "1.jpg")
    write_picture(tmp_path / "Esox_lucius" / ".hidden.jpg")
    write_picture(tmp_path / ".cache" / "x" / "1.jpg")
    write_picture(tmp_path / "__MACOSX" / "x" / "1.jpg")
    (tmp_path / "Esox_lucius" / "notes.txt").write_text("x")
    write_picture(tmp_path / "loose.jpg")
    dataset = read_folder(tmp_path, CONFIG, name="s")
    assert dataset.ids == ["s/Esox_lucius/1.jpg"]
    assert dataset.notes["leftOut"]["rows"] == [
        {"id": "s/loose.jpg", "reason": "in no class folder"}
    ]


def test_links_are_followed_but_not_in_a_circle(tmp_path: Path) -> None:
    elsewhere = write_picture(tmp_path / "elsewhere" / "Esox_lucius" / "1.jpg")
    root = tmp_path / "set"
    write_picture(root / "Parus_major" / "1.jpg")
    (root / "linked").symlink_to(elsewhere.parent)
    (root / "Parus_major" / "2.jpg").symlink_to(elsewhere)
    (root / "Parus_major" / "circle").symlink_to(root)
    assert list(pictures_below(root)) == [
        "Parus_major/1.jpg",
        "Parus_major/2.jpg",
        "linked/1.jpg",
    ]


def test_names_in_any_script_and_form(tmp_path: Path) -> None:
    write_picture(tmp_path / "Isoe\u0308tes lacustris" / "日本 été.jpg")
    dataset = read_folder(tmp_path, CONFIG, name="s")
    assert dataset.ids == ["s/Isoëtes lacustris/日本 été.jpg"]
    assert dataset.column("genus").tolist() == ["Isoëtes"]
    assert dataset.read(0)


def test_names_that_cannot_be_ids_are_told(tmp_path: Path) -> None:
    write_picture(tmp_path / "Esox" / "1.jpg")
    write_picture(tmp_path / "Esox" / "2#1.jpg")
    (tmp_path / "Esox" / os.fsdecode(b"\xff.jpg")).write_bytes(b"x")
    dataset = read_folder(tmp_path, CONFIG, name="s")
    assert dataset.ids == ["s/Esox/1.jpg", "s/Esox/2#1.jpg"]
    assert dataset.read(1)
    told = {row["id"]: row["reason"] for row in dataset.notes["leftOut"]["rows"]}
    assert set(told) == {"s/Esox/\\udcff.jpg"}
    assert all("rename the file" in reason for reason in told.values())


def test_bad_folders(tmp_path: Path) -> None:
    with pytest.raises(DataNotFoundError, match="Check the path given to --data"):
        read_folder(tmp_path / "nothing", CONFIG)
    (tmp_path / "empty" / "Esox_lucius").mkdir(parents=True)
    with pytest.raises(DataError, match="Put each species in a folder of its own"):
        read_folder(tmp_path / "empty", CONFIG)
    write_picture(tmp_path / "flat" / "1.jpg")
    with pytest.raises(DataError, match="1 lie directly in it"):
        read_folder(tmp_path / "flat", CONFIG)
