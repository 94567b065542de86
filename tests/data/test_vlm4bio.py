import json
import shutil
from pathlib import Path

import pytest

from fakes.vlm4bio import WITHOUT_FILE, write_vlm4bio
from syntype.configs import DataConfig
from syntype.data.vlm4bio import is_vlm4bio, read_vlm4bio
from syntype.errors import DataError, DataNotFoundError

CONFIG = DataConfig(data=("vlm4bio:x",))


@pytest.mark.parametrize("flat", [False, True])
@pytest.mark.parametrize("datasets", [False, True])
def test_the_published_layout(tmp_path: Path, flat: bool, datasets: bool) -> None:
    root = write_vlm4bio(tmp_path / "VLM4Bio", flat=flat, datasets=datasets)
    assert is_vlm4bio(root)
    dataset = read_vlm4bio(root, CONFIG)
    assert dataset.counts("taxonGroup") == {"Fish": 7, "Bird": 2, "Butterfly": 3}
    fish = dataset.where(taxonGroup="Fish")
    assert fish.counts("species")["Cyprinella whipplei"] == 3
    assert fish.counts("genus") == {"Cyprinella": 3, "Lepomis": 2, "Notropis": 1, "Esox": 1}
    assert set(fish.column("license")) == {"CC-BY-NC"}
    assert all(dataset.read(row) for row in range(len(dataset)))
    assert any(image.endswith("_2.JPG") for image in dataset.column("image")) != flat
    assert dataset.cards[0].source.startswith("doi:")
    assert json.loads(json.dumps(dataset.notes)) == dataset.notes


def test_what_is_left_out_is_told(tmp_path: Path) -> None:
    dataset = read_vlm4bio(write_vlm4bio(tmp_path / "v"), CONFIG)
    note = dataset.notes["leftOut"]
    assert note["reasons"] == {"no label": 2, "no such file": 1}
    assert any(row["id"].endswith(WITHOUT_FILE) for row in note["rows"])
    steps = dict(dataset.notes["cleaning"]["v"]["steps"])
    assert (steps["published"], steps["missing"], steps["blank"]) == (13, 12, 11)
    assert (steps["white_space"], steps["letter_case"]) == (10, 9)
    with pytest.raises(DataError, match="--on-error skip"):
        read_vlm4bio(tmp_path / "v", DataConfig(data=("v",), on_error="stop"))


def test_other_lists(tmp_path: Path) -> None:
    root = write_vlm4bio(tmp_path / "v")
    assert len(read_vlm4bio(root, CONFIG, subset="easy")) == 6
    hard = read_vlm4bio(root, CONFIG, subset="hard")
    assert hard.column("genus").tolist() == ["Heliconius", "Heliconius"]
    assert sorted(hard.column("species")) == [
        "Heliconius erato emma",
        "Heliconius erato lativitta",
    ]
    with pytest.raises(DataNotFoundError, match="it has: 10k, easy, hard"):
        read_vlm4bio(root, CONFIG, subset="medium")


def test_a_group_may_be_absent(tmp_path: Path) -> None:
    root = write_vlm4bio(tmp_path / "v")
    shutil.rmtree(root / "datasets" / "Bird")
    assert set(read_vlm4bio(root, CONFIG).column("taxonGroup")) == {"Fish", "Butterfly"}


def test_other_folders_and_columns_say_what_to_do(tmp_path: Path) -> None:
    assert not is_vlm4bio(tmp_path)
    with pytest.raises(DataNotFoundError, match="vlm4bio:FOLDER"):
        read_vlm4bio(tmp_path, CONFIG)
    root = write_vlm4bio(tmp_path / "v")
    (root / "datasets/Fish/metadata/metadata_10k.csv").write_text("file,name\na,b\n")
    with pytest.raises(DataError, match=r"has the columns file, name; .*fileNameAsDelivered"):
        read_vlm4bio(root, CONFIG)
    for chunk in (root / "datasets").glob("Butterfly/chunk_*"):
        shutil.rmtree(chunk)
    with pytest.raises(DataError, match="2 of the 2 pictures listed"):
        read_vlm4bio(root, CONFIG, subset="hard")
