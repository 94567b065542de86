"""Published sets of observations: what all readers promise, and what is each one's own."""

import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from fakes.observations import EXPORT_HEADER, WRITERS, write_raster
from syntype.configs import DataConfig
from syntype.data.observation_sets.published_set import climate_at
from syntype.data.observations import MEDIA, SCHEMA, Observations, read_observations
from syntype.data.observations_published import SETS
from syntype.errors import DataError, DataNotFoundError, UsageError


@dataclass(frozen=True)
class Miniature:
    """What the miniature of a set holds."""

    senses: dict[str, int]
    splits: dict[str, int]
    left_out: dict[str, int]
    missing: dict[str, dict[str, int]]
    bad_places: dict[str, int]


GONE = {"no such file": 1}
MINIATURES = {
    "isatnat": Miniature(
        {"image": 11, "text": 12, "place": 12, "satellite": 11, "sound": 0, "climate": 0},
        {"train": 8, "test": 4},
        {
            "iNat21's annotations have no such id": 1,
            "the annotations have another place for this id: it is another picture's": 1,
            "the key is not <id>_<latitude>_<longitude>": 1,
            "the same observation stands twice": 1,
        },
        {"satellite": GONE, "image": GONE},
        {},
    ),
    "isoundnat": Miniature(
        {"image": 28, "text": 29, "place": 27, "satellite": 0, "sound": 28, "climate": 0},
        {"train": 19, "val": 4, "test": 6},
        {"no label": 1, "the same observation stands twice": 1},
        {"image": GONE, "sound": GONE},
        {"perhaps swapped": 1},
    ),
    "taxabench-8k": Miniature(
        {"image": 12, "text": 12, "place": 12, "satellite": 11, "sound": 12, "climate": 12},
        {"test": 12},
        {},
        {"satellite": GONE},
        {},
    ),
    "multinat": Miniature(
        {"image": 16, "text": 16, "place": 16, "satellite": 0, "sound": 16, "climate": 0},
        {"train": 12, "val": 4},
        {},
        {},
        {},
    ),
}


@pytest.fixture(scope="module")
def homes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """All miniatures."""
    root = tmp_path_factory.mktemp("sets")
    return {name: write(root / name) for name, write in WRITERS.items()}


def read(kind: str, home: Path, **options: object) -> Observations:
    """A set as it is published."""
    spec = f"{kind}:{home}"
    config = DataConfig(data=(spec,), split_fractions=(1.0, 0.0, 0.0), **options)  # type: ignore[arg-type]
    return read_observations(spec, workspace=home.parent / "work", config=config)


def test_every_set_has_a_miniature() -> None:
    assert set(SETS) == set(WRITERS) == set(MINIATURES)


@pytest.mark.parametrize("kind", MINIATURES)
def test_a_set_is_read_as_published(kind: str, homes: dict[str, Path]) -> None:
    found, expected = read(kind, homes[kind]), MINIATURES[kind]
    assert found.table.schema.equals(SCHEMA)
    assert found.notes["senses"] == expected.senses
    assert dict(found.counts("split")) == expected.splits
    assert found.notes["leftOut"]["reasons"] == expected.left_out
    missing = {sense: one["reasons"] for sense, one in found.notes["mediaMissing"].items()}
    assert missing == expected.missing
    assert found.notes["badPlaces"]["reasons"] == expected.bad_places
    assert found.ids == sorted(found.ids)
    assert all(id_.startswith(f"{kind}/") for id_ in found.ids)
    for sense in MEDIA:
        for row in np.flatnonzero(found.has(sense)):
            assert found.read(int(row), sense)


@pytest.mark.parametrize("kind", MINIATURES)
def test_a_set_is_the_same_wherever_it_lies(
    kind: str, homes: dict[str, Path], tmp_path: Path
) -> None:
    moved = shutil.copytree(homes[kind], tmp_path / kind)
    assert read(kind, moved).revision == read(kind, homes[kind]).revision


@pytest.mark.parametrize("kind", MINIATURES)
def test_what_is_not_there_is_said_with_the_layout(kind: str, tmp_path: Path) -> None:
    with pytest.raises(DataNotFoundError, match="no such folder"):
        read(kind, tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataNotFoundError, match=f"(?s)it has none of .*{kind}:FOLDER.*\n    "):
        read(kind, tmp_path / "empty")


@pytest.mark.parametrize("kind", ["isoundnat", "taxabench-8k", "multinat"])
def test_tables_without_names_are_refused(kind: str, tmp_path: Path) -> None:
    table = next(iter(SETS[kind].tables))
    (tmp_path / table).write_text("id,latitude\n1,2\n")
    with pytest.raises(DataError, match="no column scientific_name; they have: id, latitude"):
        read(kind, tmp_path)


def test_isoundnat_warns_of_its_random_split(homes: dict[str, Path]) -> None:
    found = read("isoundnat", homes["isoundnat"])
    cut, obscured = found.notes["warnings"]["isoundnat"]
    assert "2 of 29 observers' days stand in more than one split" in cut
    assert obscured.startswith("1 observations have obscured")
    assert found.notes["unitsCut"] == {"units": 1, "examples": ["isoundnat/77 2020-01-01"]}
    made = read("isoundnat", homes["isoundnat"], split="made")
    assert made.notes["unitsCut"]["units"] == 0


def test_isoundnat_says_how_many_rows_are_published(homes: dict[str, Path]) -> None:
    notes = read("isoundnat", homes["isoundnat"]).notes
    assert notes["expected"]["isoundnat"]["val_df.csv"] == {"published": 4407, "found": 4}
    assert notes["lacking"]["isoundnat"][0].startswith("satellite: no files in sat_images")


def test_isoundnat_in_detail(homes: dict[str, Path]) -> None:
    found = read("isoundnat", homes["isoundnat"])
    row = found.ids.index("isoundnat/101")
    values = {name: found.column(name)[row] for name in SCHEMA.names if name != "climate"}
    assert values["scientificName"] == "Neotibicen tibicen"
    assert values["genus"] == "Neotibicen"
    assert values["vernacularName"] == "Swamp Cicada"
    assert values["taxonGroup"] == "Insecta"
    assert (values["decimalLatitude"], values["decimalLongitude"]) == (33.25, 2.5)
    assert values["image"] == "images/101.jpg"
    assert values["sound"] == "sounds_mp3/101.mp3"
    assert values["unit"] == "isoundnat/1 2021-07-18"
    licences = dict(zip(found.ids, found.column("license"), strict=True))
    assert licences["isoundnat/105"] == "all rights reserved"
    assert licences["isoundnat/106"] == "CC-BY-NC"
    assert "isoundnat/107" in found.ids  # 107.0 in the table


def test_columns_may_stand_in_any_order(homes: dict[str, Path]) -> None:
    """val_df.csv has longitude before latitude."""
    header = (homes["isoundnat"] / "val_df.csv").read_text().splitlines()[0].split(",")
    assert header.index("longitude") < header.index("latitude")
    assert EXPORT_HEADER.index("latitude") < EXPORT_HEADER.index("longitude")
    found = read("isoundnat", homes["isoundnat"]).where(split="val")
    assert (found.latitude >= 30).all()
    assert (found.longitude < 12).all()


def test_taxabench_looks_climate_up_as_published(homes: dict[str, Path]) -> None:
    home = homes["taxabench-8k"]
    found = read("taxabench-8k", home)
    values = np.load(home / "bioclim_elevation_scaled.npy")
    rows = dict(zip(found.ids, range(len(found)), strict=True))
    plain = rows["taxabench-8k/200"]
    line = int((90 - found.latitude[plain]) / 180 * 36)
    column = int((found.longitude[plain] + 180) / 360 * 72)
    np.testing.assert_array_equal(found.climate[plain], values[line, column].astype(np.float32))
    corner = rows["taxabench-8k/201"]  # longitude 180, latitude -90
    np.testing.assert_array_equal(found.climate[corner], values[-1, -1].astype(np.float32))
    sea = rows["taxabench-8k/202"]
    np.testing.assert_array_equal(found.climate[sea], np.zeros(20))


def test_taxabench_finds_sounds_by_id_whatever_their_ending(homes: dict[str, Path]) -> None:
    found = read("taxabench-8k", homes["taxabench-8k"])
    endings = {locator.rpartition(".")[2] for locator in found.column("sound")}
    assert endings == {"m4a", "wav", "mp3"}
    assert found.column("satellite")[0].startswith("sat_images/sentinel/200_")


def test_isatnat_takes_labels_and_units_from_inat21(homes: dict[str, Path]) -> None:
    found = read("isatnat", homes["isatnat"])
    row = found.ids.index("isatnat/1")
    assert found.column("species")[row] == "Bellis perennis"
    assert found.column("family")[row] == "Asteraceae"
    assert found.column("unit")[row] == "isatnat/holder 0"
    assert found.column("eventDate")[row] == "2019-05-04"
    assert found.column("image")[row].startswith("inat21/train/00001_Plantae")
    assert (found.latitude[row], found.longitude[row]) == (41.5, -71.25)
    assert "have seen iNat21" in found.notes["warnings"]["isatnat"][0]


def test_isatnat_without_labels_or_pictures(homes: dict[str, Path], tmp_path: Path) -> None:
    home = shutil.copytree(homes["isatnat"], tmp_path / "isatnat")
    shutil.rmtree(home / "inat21/train")
    shutil.rmtree(home / "inat21/val")
    found = read("isatnat", home)
    assert not found.has("image").any()
    assert "none of iNat21's pictures" in found.notes["lacking"]["isatnat"][0]
    for path in (home / "inat21").glob("*.json"):
        path.write_text("{}")
    with pytest.raises(DataError, match="is not an annotation file"):
        read("isatnat", home)
    shutil.rmtree(home / "inat21")
    with pytest.raises(DataNotFoundError, match="the labels are iNat21's"):
        read("isatnat", home)


def test_units_can_be_chosen(homes: dict[str, Path]) -> None:
    found = read("isoundnat", homes["isoundnat"], unit="user_id")
    assert "isoundnat/77" in set(found.column("unit"))
    with pytest.raises(UsageError):
        read("isoundnat", homes["isoundnat"], unit="colour")


def test_rasters_of_another_shape_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "climate.npy"
    np.save(path, np.zeros((4, 8, 3), dtype=np.float32))
    with pytest.raises(DataError, match=r"Expected are floats of rows x columns x 20"):
        climate_at(path, latitude=["1"], longitude=["2"])
    path.write_bytes(b"no array")
    with pytest.raises(DataError, match="damaged"):
        climate_at(path, latitude=["1"], longitude=["2"])


def test_climate_at_no_place_is_missing(tmp_path: Path) -> None:
    write_raster(tmp_path / "climate.npy")
    found = climate_at(
        tmp_path / "climate.npy", latitude=["", "95", "10"], longitude=["", "0", "9"]
    )
    assert np.isnan(found[:2]).all()
    assert np.isfinite(found[2]).all()
