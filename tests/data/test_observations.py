"""Observations: what the noun promises, and tables of observations read from disk."""

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from syntype.configs import DataConfig
from syntype.data.observations import MODALITIES, SCHEMA, Observations, read_observations
from syntype.errors import DataError, DataNotFoundError, UsageError

CLIMATE = " ".join(str(number / 10) for number in range(20))


def _write(path: Path, rows: list[dict[str, str]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as handle:
        writer = csv.DictWriter(handle, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def _rows() -> list[dict[str, str]]:
    """Six observations; the second lacks its sound's file, the third its place, and so on."""
    found = [
        {
            "id": f"o{number}",
            "longitude": f"{10 + number}.25",
            "latitude": f"{50 + number}.5",
            "species": "Parus major" if number % 2 else "Turdus merula",
            "class": "Aves",
            "observed_on": "2020-05-01",
            "image": f"pictures/{number}.jpg",
            "sound": f"sounds/{number}.wav",
            "satellite": "",
            "climate": CLIMATE if number < 4 else "",
            "observer": f"o{number // 2}",
        }
        for number in range(6)
    ]
    found[2] |= {"latitude": "", "longitude": ""}
    found[3] |= {"latitude": "120.5", "longitude": "20.1"}
    return found


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """A table with media; the sound of the second row is not there."""
    for number in range(6):
        for folder, ending in (("pictures", "jpg"), ("sounds", "wav")):
            path = tmp_path / "set" / folder / f"{number}.{ending}"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(f"{folder} {number}".encode())
    (tmp_path / "set" / "sounds" / "1.wav").unlink()
    return _write(tmp_path / "set" / "observations.csv", _rows())


def read(path: Path, **options: object) -> Observations:
    """The observations at `path`, its digests remembered beside it."""
    config = DataConfig(data=(str(path),), **options)  # type: ignore[arg-type]
    return read_observations(str(path), workspace=path.parent / "work", config=config)


def test_a_table_becomes_observations_with_what_each_row_has(table: Path) -> None:
    found = read(table)
    assert found.table.schema.equals(SCHEMA)
    assert found.ids == [f"set/o{number}" for number in range(6)]
    assert found.has("image").all()
    assert found.has("text").all()
    assert found.has("sound").tolist() == [True, False, True, True, True, True]
    assert found.has("place").tolist() == [True, True, False, False, True, True]
    assert found.has("climate").tolist() == [True] * 4 + [False] * 2
    assert not found.has("satellite").any()
    assert found.column("species").tolist()[:2] == ["Turdus merula", "Parus major"]
    assert found.column("class").tolist() == ["Aves"] * 6
    assert found.column("genus").tolist()[:2] == ["Turdus", "Parus"]
    assert found.column("eventDate").tolist() == ["2020-05-01"] * 6


def test_columns_are_found_by_name_whatever_their_order(table: Path) -> None:
    """Longitude stands before latitude in the table."""
    found = read(table)
    np.testing.assert_array_equal(found.latitude[:2], [50.5, 51.5])
    np.testing.assert_array_equal(found.longitude[:2], [10.25, 11.25])
    assert np.isnan(found.latitude[2])
    np.testing.assert_allclose(found.climate[0], np.arange(20) / 10, rtol=1e-6)
    assert np.isnan(found.climate[4:]).all()
    assert found.climate.dtype == np.float32


def test_what_is_lost_is_told_by_name_and_reason(table: Path) -> None:
    notes = read(table).notes
    assert notes["mediaMissing"]["sound"]["rows"] == [{"id": "set/o1", "reason": "no such file"}]
    assert notes["badPlaces"]["rows"] == [{"id": "set/o3", "reason": "perhaps swapped"}]
    assert notes["senses"] == {
        "image": 6,
        "text": 6,
        "place": 4,
        "satellite": 0,
        "sound": 5,
        "climate": 4,
    }
    assert notes["leftOut"]["total"] == 0
    with pytest.raises(DataError, match="on-error skip"):
        read(table, on_error="stop")


def test_rows_that_are_none_are_left_out(tmp_path: Path, table: Path) -> None:
    rows = _rows()
    rows[1]["species"] = ""
    rows.append(rows[0])
    rows.append({**rows[4], "species": "Corvus corax"})
    bare = dict.fromkeys(rows[0], "") | {"id": "bare", "species": "Pica pica"}
    found = read(_write(table, [*rows, bare]))
    assert found.ids == ["set/o0", "set/o2", "set/o3", "set/o5"]
    reasons = {row["id"]: row["reason"] for row in found.notes["leftOut"]["rows"]}
    assert reasons["set/o1"] == "no label"
    assert reasons["set/o0"] == "the same observation stands twice"
    assert "several labels: Corvus corax, Turdus merula" in reasons["set/o4"]
    assert "nothing but its name" in reasons["set/bare"]
    assert found.notes["leftOut"]["total"] == 5


def test_a_table_written_from_observations_is_read_back_the_same(
    table: Path, tmp_path: Path
) -> None:
    found = read(table)
    again_path = table.parent / "observations.parquet"
    pq.write_table(found.table, again_path)
    again = read(again_path)
    names = [name for name in SCHEMA.names if name != "license"]
    assert again.table.select(names).equals(found.table.select(names))
    assert again.revision == found.revision


def test_climate_may_stand_in_twenty_columns(table: Path) -> None:
    names = ["elevation", *(f"bio{number}" for number in range(1, 20))]
    rows = [
        {key: cell for key, cell in row.items() if key != "climate"}
        | {name: str(number / 10) for number, name in enumerate(names)}
        for row in _rows()
    ]
    rows[1]["bio7"] = ""
    found = read(_write(table, rows))
    np.testing.assert_allclose(found.climate[0], np.arange(20) / 10, rtol=1e-6)
    assert found.has("climate").tolist() == [True, False, True, True, True, True]


def test_a_climate_of_another_length_is_refused(table: Path) -> None:
    rows = _rows()
    rows[1]["climate"] = "1 2 3"
    with pytest.raises(DataError, match=r"row 2: the climate has 3 variables, not 20"):
        read(_write(table, rows))


def test_the_revision_knows_everything_but_order_and_place(table: Path) -> None:
    found = read(table)
    shuffled = found.select(np.array([3, 1, 0, 2, 5, 4]))
    assert shuffled.revision == found.revision
    moved = replace(found, roots={"set": Path("/elsewhere")})
    assert moved.revision == found.revision
    assert found.select(np.arange(5)).revision != found.revision
    rows = _rows()
    rows[0]["latitude"] = "50.6"
    assert read(_write(table, rows)).revision != found.revision


def test_the_contents_of_a_sense_depend_on_that_sense_alone(table: Path) -> None:
    before = read(table)
    rows = _rows()
    rows[0]["latitude"] = "50.6"
    (table.parent / "sounds" / "2.wav").write_bytes(b"another sound")
    after = read(_write(table, rows))
    changed = {sense for sense in MODALITIES if before.contents(sense) != after.contents(sense)}
    assert changed == {"place", "sound"}


def test_media_are_read_and_named(table: Path) -> None:
    found = read(table)
    assert found.read(2, "sound") == b"sounds 2"
    assert found.name(2, "sound").endswith("set/sounds/2.wav)")
    with pytest.raises(DataNotFoundError, match="has no sound"):
        found.read(1, "sound")
    (table.parent / "pictures" / "2.jpg").unlink()
    with pytest.raises(DataNotFoundError, match="is gone"):
        found.read(2, "image")
    with pytest.raises(UsageError, match="is no sense"):
        found.has("smell")


def test_taxa_share_objects(table: Path) -> None:
    taxa = read(table).taxa()
    assert taxa[0].species == "Turdus merula"
    assert taxa[0] is taxa[2]
    assert taxa[0].at("class") == "Aves"


def test_splits_are_made_by_units_and_cut_none(table: Path) -> None:
    found = read(table, unit="observer", split="made")
    assert set(found.column("split")) <= {"train", "val", "test"}
    of_unit = set(zip(found.column("unit"), found.column("split"), strict=True))
    assert len(of_unit) == len(set(found.column("unit"))) == 3
    assert found.notes["unitsCut"]["units"] == 0
    assert len(found.where(split="train")) == found.notes["splits"]["train"]


def test_units_may_be_cells_of_the_map(table: Path) -> None:
    units = read(table, unit="place:30").column("unit")
    assert units[0] == units[1]


def test_a_choice_of_rows(table: Path) -> None:
    assert set(read(table, taxon=("Parus",)).column("species")) == {"Parus major"}
    assert len(read(table, per_species=1)) == 2
    with pytest.raises(DataError, match="No observation is of Felis"):
        read(table, taxon=("Felis",))


def test_sets_whose_media_are_all_gone_are_refused(table: Path) -> None:
    for folder in ("pictures", "sounds"):
        for path in (table.parent / folder).iterdir():
            path.unlink()
    with pytest.raises(DataNotFoundError, match="None of the 12 media of set is there"):
        read(table)


def test_what_is_no_table_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(DataNotFoundError, match=r"isoundnat:FOLDER"):
        read(tmp_path)
    with pytest.raises(DataNotFoundError, match="no observations at"):
        read(tmp_path / "absent.csv")
    path = _write(tmp_path / "x.csv", [{"a": "1", "b": "2"}])
    with pytest.raises(DataError, match="no column looks like the labels"):
        read(path)
    with pytest.raises(UsageError, match="has no column 'c'"):
        read(path, column=("label=c",))
    with pytest.raises(UsageError, match="is not TERM=NAME"):
        read(path, column=("colour=b",))


def test_columns_can_be_named_and_the_set_too(table: Path) -> None:
    spec = f"mine={table}"
    config = DataConfig(data=(spec,), column=("sound=image",))
    found = read_observations(spec, workspace=table.parent / "w", config=config)
    assert found.ids[0] == "mine/o0"
    assert found.has("sound").all()
    assert not found.has("image").any()
    assert "sound" not in found.notes["guessed"]["mine"]


def test_addresses_are_no_files(table: Path) -> None:
    rows = _rows()
    rows[0]["image"] = "https://example.org/a.jpg"
    found = read(_write(table, rows))
    assert not found.has("image")[0]
    assert found.notes["mediaMissing"]["image"]["reasons"] == {
        "an address on the web, not a file: fetch it first": 1
    }
