import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest

from fakes.pictures import write_picture
from fakes.vlm4bio import write_vlm4bio
from syntype.configs import DataConfig
from syntype.data.dataset import SCHEMA, Dataset
from syntype.data.load import load_dataset, parse_spec
from syntype.errors import DataError, DataNotFoundError, UsageError


def load(tmp_path: Path, *data: str | Path, **options) -> Dataset:
    config = DataConfig(data=tuple(map(str, data)), **options)
    return load_dataset(config, workspace=tmp_path / "runs")


def write_folder(root: Path, n_species: int = 2, n_pictures: int = 5) -> Path:
    for species in range(n_species):
        for picture in range(n_pictures):
            write_picture(root / f"Genus_{'abcdefgh'[species]}us" / f"{picture}.jpg")
    return root


def write_table(root: Path, rows: list[str], header: str = "path,label,split,track") -> Path:
    """A folder with labels.csv; a picture for each row, its bytes from the part after @."""
    lines = []
    for row in rows:
        row, _, content = row.partition("@")
        path = root / row.split(",")[0]
        write_picture(path, content or row)
        lines.append(row)
    (root / "labels.csv").write_text("\n".join([header, *lines]) + "\n")
    return root


@pytest.mark.parametrize(
    ("spec", "parts"),
    [
        ("folder:/a/b", ("", "folder", "/a/b")),
        ("table:x.csv", ("", "table", "x.csv")),
        ("vlm4bio:v#easy", ("", "vlm4bio", "v#easy")),
        ("synthetic:species=9,images=90", ("", "synthetic", "species=9,images=90")),
        ("fish=/scratch/123", ("fish", "", "/scratch/123")),
        ("fish=table:x.csv", ("fish", "table", "x.csv")),
        ("C:\\data", ("", "", "C:\\data")),
        ("/a=b/c", ("", "", "/a=b/c")),
    ],
)
def test_parse_spec(spec: str, parts: tuple[str, str, str]) -> None:
    assert parse_spec(spec) == parts


def test_bare_paths_find_their_reader(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "folder")
    table = write_table(
        tmp_path / "table", [f"{i}.jpg,Esox {'ab'[i % 2]}us,,t{i}" for i in range(4)]
    )
    assert len(load(tmp_path, folder)) == 10
    assert load(tmp_path, table).ids == load(tmp_path, f"table:{table}/labels.csv").ids
    assert load(tmp_path, table).ids == load(tmp_path, table / "labels.csv").ids
    assert len(load(tmp_path, f"vlm4bio:{write_vlm4bio(tmp_path / 'v')}")) == 12
    assert len(load(tmp_path, f"vlm4bio:{tmp_path / 'v'}#easy")) == 6


def test_sets_are_joined_and_sorted(tmp_path: Path) -> None:
    fish = write_folder(tmp_path / "fish")
    birds = write_folder(tmp_path / "birds", n_species=3)
    dataset = load(tmp_path, fish, birds)
    assert dataset.table.schema.equals(SCHEMA)
    assert dataset.ids == sorted(dataset.ids)
    assert dataset.counts("taxonGroup") == {"birds": 15, "fish": 10}
    assert dataset.roots == {"fish": fish, "birds": birds}
    assert dataset.notes["species"] == {"birds": 3, "fish": 2}
    assert all(dataset.column("imageDigest"))
    assert all(dataset.column("split"))
    assert load(tmp_path, birds, fish).revision == dataset.revision
    assert json.loads(json.dumps(dataset.notes)) == dataset.notes


def test_the_same_data_elsewhere_or_in_another_order_is_the_same(tmp_path: Path) -> None:
    rows = [f"{i}.jpg,Esox {'abc'[i % 3]}us,,t{i // 2}" for i in range(24)]
    here = write_table(tmp_path / "here" / "set", rows)
    there = tmp_path / "there" / "set"
    shutil.copytree(here, there)
    lines = (there / "labels.csv").read_text().splitlines()
    (there / "labels.csv").write_text("\n".join([lines[0], *reversed(lines[1:])]))
    renamed = there.rename(tmp_path / "job-4711")
    first = load(tmp_path, here)
    assert load(tmp_path, f"set={renamed}").table == first.table
    assert load(tmp_path, f"set={renamed}").revision == first.revision
    write_picture(renamed / "0.jpg", "another picture")
    assert load(tmp_path, f"set={renamed}").revision != first.revision


def test_sets_of_one_name_are_refused(tmp_path: Path) -> None:
    one, two = write_folder(tmp_path / "1" / "set"), write_folder(tmp_path / "2" / "set")
    with pytest.raises(UsageError, match="--data NAME=FOLDER"):
        load(tmp_path, one, two)
    # Equal pictures in both sets: the units of copies are one, so no split cuts them.
    dataset = load(tmp_path, one, f"other={two}")
    assert dataset.notes["unitsJoined"] == 10
    assert dataset.notes["unitsCut"]["units"] == 0
    halves = [dataset.where(datasetName=name).column("split").tolist() for name in ("set", "other")]
    assert halves[0] == halves[1]


def test_limit_takes_the_same_pictures_whatever_else_there_is(tmp_path: Path) -> None:
    root = write_folder(tmp_path / "set", n_pictures=12)
    few = load(tmp_path, root, per_species=4)
    assert set(few.counts("species").values()) == {4}
    assert few.notes["limit"] == 16
    assert set(load(tmp_path, root, per_species=3).ids) < set(few.ids)
    assert load(tmp_path, root, per_species=4, seed=1).ids != few.ids


def test_split_is_given_or_made(tmp_path: Path) -> None:
    words = ["train", "train", "valid", "testing"]
    rows = [f"{i}.jpg,Esox {'ab'[i % 2]}us,{words[i % 4]},t{i}" for i in range(16)]
    root = write_table(tmp_path / "set", rows)
    given = load(tmp_path, root)
    assert given.notes["splits"] == {"set": {"origin": "given", "train": 8, "val": 4, "test": 4}}
    made = load(tmp_path, root, split="made")
    assert made.notes["splits"]["set"]["origin"] == "made"
    assert made.column("split").tolist() != given.column("split").tolist()
    shares = (0.0, 0.0, 1.0)
    assert set(load(tmp_path, root, split="made", split_fractions=shares).column("split")) == {
        "test"
    }


def test_a_lacking_val_is_taken_from_train(tmp_path: Path) -> None:
    rows = [f"{i}.jpg,Esox {'ab'[i % 2]}us,{'test' if i > 15 else 'train'},t{i}" for i in range(20)]
    dataset = load(tmp_path, write_table(tmp_path / "set", rows))
    note = dataset.notes["splits"]["set"]
    assert (note["origin"], note["test"]) == ("completed", 4)
    assert note["val"] > 0
    assert note["train"] + note["val"] == 16


def test_a_unit_cut_by_a_given_split_is_told(tmp_path: Path) -> None:
    rows = [f"{i}.jpg,Esox {'ab'[i % 2]}us,{['train', 'val', 'test'][i % 3]},t" for i in range(6)]
    dataset = load(tmp_path, write_table(tmp_path / "set", rows))
    assert dataset.notes["unitsCut"] == {"units": 1, "examples": ["set/t"]}
    assert load(tmp_path, tmp_path / "set", split="made").notes["unitsCut"]["units"] == 0


def test_copies_across_given_splits_leave_test_whole(tmp_path: Path) -> None:
    rows = [
        "a.jpg,Esox aus,train,t1@same",
        "b.jpg,Esox aus,test,t2@same",
        "c.jpg,Esox bus,val,t3",
        "d.jpg,Esox bus,train,t4",
        "e.jpg,Esox bus,test,t5@twice",
        "f.jpg,Esox bus,test,t6@twice",
    ]
    dataset = load(tmp_path, write_table(tmp_path / "set", rows))
    assert dataset.ids == [f"set/{name}.jpg" for name in "bcdef"]
    note = dataset.notes["duplicates"]
    assert [row["id"] for row in note["leaks"]] == ["set/a.jpg"]
    assert dataset.column("unit").tolist()[-2:] == ["set/t5", "set/t5"]
    assert dataset.notes["unitsJoined"] == 1
    made = load(tmp_path, tmp_path / "set", split="made")
    assert len(made) == 6
    assert made.notes["duplicates"]["nLeaks"] == 0


def test_missing_pictures_are_left_out_or_stop(tmp_path: Path) -> None:
    rows = [f"{i}.jpg,Esox {'ab'[i % 2]}us,,t{i}" for i in range(6)]
    root = write_table(tmp_path / "set", rows)
    (root / "0.jpg").unlink()
    (root / "1.jpg").write_bytes(b"")
    dataset = load(tmp_path, root)
    assert dataset.notes["leftOut"]["rows"] == [
        {"id": "set/0.jpg", "reason": "no such file"},
        {"id": "set/1.jpg", "reason": "the file is empty"},
    ]
    assert len(dataset) == 4
    with pytest.raises(DataNotFoundError, match=r"0.jpg \(no such file\).*--on-error skip"):
        load(tmp_path, root, on_error="stop")
    for path in root.glob("*.jpg"):
        path.unlink()
    with pytest.raises(DataNotFoundError, match=r"6 of 6 pictures.*--column image=NAME"):
        load(tmp_path, root)


def test_units_are_named_or_guessed(tmp_path: Path) -> None:
    rows = [f"{i}.jpg,Esox {'ab'[i % 2]}us,t{i // 2},m{i}" for i in range(8)]
    root = write_table(tmp_path / "set", rows, "path,label,track,mine")
    assert len(load(tmp_path, root).counts("unit")) == 4
    assert load(tmp_path, root, unit="mine").column("unit").tolist()[0] == "set/m0"
    assert load(tmp_path, root).notes["guessed"]["set"] == ["image", "label", "unit"]
    with pytest.raises(UsageError, match="no column 'yours'"):
        load(tmp_path, root, unit="yours")


def test_units_are_several_columns_or_places(tmp_path: Path) -> None:
    rows = [f"{i}.jpg,Esox {'ab'[i % 2]}us,s{i // 4},{i % 2},{i // 2},0.2" for i in range(8)]
    root = write_table(tmp_path / "set", rows, "path,label,locality,eventDate,lat,lon")
    joined = load(tmp_path, root, unit="locality+eventDate")
    assert set(joined.counts("unit").values()) == {2}
    assert joined.column("unit")[0] == 'set/["s0", "0"]'
    assert set(load(tmp_path, root, unit="place:0.5").counts("unit").values()) == {2}
    assert joined.notes["columns"]["set"]["unit"] == "locality+eventDate"
    assert "unit" not in joined.notes["guessed"]["set"]
    special = load(tmp_path, root, unit="nothing", column=("set.unit=locality+lat",))
    assert len(special.counts("unit")) == 4


def test_whole_species_are_kept_from_training(tmp_path: Path) -> None:
    root = write_folder(tmp_path / "set", n_species=6)
    dataset = load(tmp_path, root, split="unseen")
    seen, in_test = (set(dataset.where(split=name).column("species")) for name in ("train", "test"))
    assert in_test - seen
    assert in_test & seen
    assert dataset.notes["splits"]["set"]["origin"] == "made"


def test_columns_of_class_folders_are_refused(tmp_path: Path) -> None:
    root = write_folder(tmp_path / "set")
    for options in ({"unit": "track"}, {"column": ("image=path",)}):
        with pytest.raises(UsageError, match="leave out --column and --unit"):
            load(tmp_path, root, **options)


def test_synthetic_worlds_lie_below_the_workspace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synthetic = pytest.importorskip("syntype.data.synthetic")
    wanted = []

    def write_world(config, folder: Path, *, workers: int, progress) -> Dataset:
        wanted.append((config, folder))
        names = [f"{i}.jpg" for i in range(6)]
        for name in names:
            write_picture(folder / name)
        columns = {name: [""] * 6 for name in SCHEMA.names} | {
            "id": [f"synthetic/{name}" for name in names],
            "datasetName": ["synthetic"] * 6,
            "image": names,
            "imageDigest": list("uvwxyz"),
            "species": ["a", "b"] * 3,
            "unit": names,
            "mode": ["m"] * 6,
        }
        return Dataset(pa.table(columns), {"synthetic": folder})

    monkeypatch.setattr(synthetic, "write_world", write_world)
    dataset = load(tmp_path, "synthetic:tiny", write_folder(tmp_path / "set"))
    assert wanted[0][0] == synthetic.parse_size("tiny")
    assert wanted[0][1].parent == tmp_path / "runs" / "data"
    assert set(dataset.where(datasetName="synthetic").column("mode")) == {"m"}
    assert set(dataset.where(datasetName="set").column("mode")) == {""}
    assert dataset.where(datasetName="synthetic").column("imageDigest").tolist() == list("uvwxyz")


def test_bad_input_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(DataNotFoundError, match="synthetic:"):
        load(tmp_path, tmp_path / "nothing")
    with pytest.raises(DataNotFoundError, match="Check the path"):
        load(tmp_path, f"folder:{tmp_path / 'nothing'}")
    with pytest.raises(DataError, match="one species"):
        load(tmp_path, write_folder(tmp_path / "one", n_species=1))
    with pytest.raises(UsageError, match="--data vlm4bio:"):
        load(tmp_path, write_vlm4bio(tmp_path / "v"))


@pytest.mark.real_data
def test_real_sets_together(tmp_path: Path, real_data: Callable[[str], Path]) -> None:
    names = ("fish_f4k", "plankton_ndsb", "birds_opennature_cc0")
    dataset = load(tmp_path, *map(real_data, names))
    assert len(dataset) == 14_210
    assert dataset.notes["species"] == {"bird": 742, "fish": 23, "plankton": 121}
    assert dataset.notes["singletons"] == {"bird": 742, "fish": 0, "plankton": 0}
    assert dataset.notes["splits"] == {
        "birds_opennature_cc0": {"origin": "made", "train": 445, "val": 148, "test": 149},
        "fish_f4k": {"origin": "given", "train": 4175, "val": 1214, "test": 1963},
        "plankton_ndsb": {"origin": "given", "train": 3631, "val": 930, "test": 1555},
    }
    assert dataset.notes["duplicates"]["copies"] == 0
    assert dataset.notes["unitsCut"]["units"] == 0
    assert dataset.notes["leftOut"]["total"] == 0
    fish = dataset.where(taxonGroup="fish")
    assert len(fish.counts("genus").keys() - {""}) == 20
    assert fish.where(species="Scaridae").counts("family") == {"Scaridae": 48}
    assert set(dataset.where(taxonGroup="plankton").column("genus")) == {""}
    assert len(fish.counts("unit")) == 5064
