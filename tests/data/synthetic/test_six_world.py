"""A world of six senses: true ecology, whole files, the same bytes whoever draws them."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from syntype.configs import DataConfig
from syntype.data.observations import MEDIA, MODALITIES, SCHEMA, read_observations
from syntype.data.synthetic import write
from syntype.data.synthetic.six import SixWorld
from syntype.data.synthetic.six_config import SIX_SIZES, SixConfig, parse_six
from syntype.data.synthetic.six_write import NAME, read_truth, write_six
from syntype.data.synthetic.tile import paint_tile
from syntype.errors import DataNotFoundError, UsageError

FEW = SixConfig(
    n_species=6,
    n_observations=24,
    image_size=32,
    tile_size=32,
    seconds=0.5,
    sample_rate=8000,
    degrees=3.0,
    singletons=0.0,
    no_sound=0.5,
    no_place=0.2,
    no_climate=0.2,
    no_satellite=0.2,
)
GROWN = SixWorld(SixConfig(degrees=3.0))


@pytest.fixture(scope="module")
def few(tmp_path_factory):
    return write_six(FEW, tmp_path_factory.mktemp("few"), workers=1)


@pytest.fixture(scope="module")
def truth(few):
    return read_truth(few.roots[NAME])


def _bytes(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_the_table_is_that_of_observations_and_complete(few):
    assert few.table.select(SCHEMA.names).schema.equals(SCHEMA)
    assert len(few) == 24
    assert few.ids == sorted(few.ids)
    assert few.cards[0].license == "CC0-1.0"
    for sense in MEDIA:
        for row in np.flatnonzero(few.has(sense)):
            assert few.read(int(row), sense)
    with Image.open(few.roots[NAME] / few.column("satellite")[few.has("satellite")][0]) as tile:
        assert (tile.format, tile.size) == ("JPEG", (32, 32))
    assert few.notes["senses"] == {sense: int(few.has(sense).sum()) for sense in MODALITIES}


def test_a_share_of_the_rows_lacks_each_sense(few):
    assert few.has("image").all()
    assert 4 <= few.has("sound").sum() <= 20
    for sense in ("place", "climate", "satellite"):
        assert 12 <= few.has(sense).sum() < 24
    bare = SixWorld(dataclasses.replace(FEW, no_image=1.0, no_sound=1.0, no_place=1.0))
    assert not bare.rows.has["sound"].any()
    alone = ~(bare.rows.has["satellite"] | bare.rows.has["climate"])
    np.testing.assert_array_equal(bare.rows.has["image"], alone)


def test_processes_and_one_process_write_the_same_bytes(few, tmp_path, monkeypatch):
    monkeypatch.setattr(write, "_WORTH_A_PROCESS", 8)
    monkeypatch.setattr(write, "_CHUNK", 7)
    write_six(FEW, tmp_path, workers=2)
    assert _bytes(tmp_path) == _bytes(few.roots[NAME])


def test_a_killed_run_goes_on_and_ends_with_the_same_bytes(few, tmp_path):
    whole = _bytes(few.roots[NAME])
    for number, (name, content) in enumerate(whole.items()):
        if name == "world.json" or (number % 3 and name != "observations.parquet"):
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
    again = write_six(FEW, tmp_path, workers=1)
    assert _bytes(tmp_path) == whole
    assert again.revision == few.revision


def test_another_world_is_not_drawn_over_one(few):
    with pytest.raises(UsageError, match="holds another synthetic world"):
        write_six(dataclasses.replace(FEW, seed=1), few.roots[NAME])


def test_the_truth_is_kept(few, truth):
    assert sorted(truth.species) == sorted(set(few.column("species")))
    n_rows, n_columns = truth.effort.shape
    assert truth.ranges.shape == (6, n_rows, n_columns)
    assert truth.climate.shape == (n_rows, n_columns, 20)
    assert truth.distances.shape == (6, 6)
    assert set(truth.rows.column("id").to_pylist()) == set(few.ids)
    sea = np.isnan(truth.climate).all(axis=2)
    assert not truth.ranges[:, sea].any()
    for number, niche in enumerate(truth.niches):
        home = niche["home"]
        row = int((90 - home["decimalLatitude"]) / 3)
        column = int((home["decimalLongitude"] + 180) / 3)
        assert truth.ranges[number, row, column] > 0.5
        assert len(niche["optimum"]) == len(truth.axes)
    with pytest.raises(DataNotFoundError, match="synthetic-six:tiny"):
        read_truth(few.roots[NAME] / "images")


def test_climate_is_that_of_the_place_by_the_raster(few, truth):
    both = few.has("place") & few.has("climate")
    row = ((90 - few.latitude[both]) / 3).astype(int)
    column = ((few.longitude[both] + 180) / 3).astype(int)
    cells = truth.climate[row, column].astype(float)
    known = np.isfinite(cells).all(axis=1)
    # Warmth and seasonality change little within a cell.
    for variable in (1, 4):
        correlation = np.corrcoef(cells[known, variable], few.climate[both][known, variable])
        assert correlation[0, 1] > 0.9


def test_places_are_on_land_and_within_the_range(truth):
    rows, planet = GROWN.rows, GROWN.planet
    heights = planet.elevation(latitude=rows.latitude, longitude=rows.longitude)
    assert (heights > 0).mean() > 0.99
    row = ((90 - rows.latitude) / 3).astype(int)
    column = ((rows.longitude + 180) / 3).astype(int)
    cells = row * planet.shape[1] + column
    species = np.array([picture.species for picture in GROWN.world.pictures])
    assert (GROWN.ranges[species, cells] > 0).mean() > 0.97


def test_tiles_show_what_grows_where_they_are():
    scenery = GROWN.rows.scenery[::30]
    grown = np.array([one.productivity for one in scenery])
    tiles = [
        paint_tile(one, size=32, rng=np.random.default_rng(i)) for i, one in enumerate(scenery)
    ]
    green = [tile[..., 1].mean() - tile[..., 0].mean() for tile in tiles]
    assert np.corrcoef(grown, green)[0, 1] > 0.6


def test_takes_of_an_individual_are_near_and_of_one_day(few):
    found = few.select(few.has("place"))
    for unit in set(found.column("unit")):
        own = found.where(unit=unit)
        assert np.ptp(own.latitude) < 0.4
        assert len(set(few.where(unit=unit).column("eventDate"))) == 1


def test_people_bias_where_observations_are():
    free = SixWorld(dataclasses.replace(GROWN.config, bias=0.0))
    looked = [np.mean([one.people for one in world.rows.scenery]) for world in (GROWN, free)]
    assert looked[0] > 1.5 * looked[1]


def test_relatives_bear_similar_climates_and_are_sometimes_apart():
    optimum = np.stack([niche.optimum for niche in GROWN.niches])
    apart = np.linalg.norm(optimum[:, None] - optimum[None], axis=-1)
    kinship = GROWN.world.tree.distances
    upper = np.triu_indices(len(kinship), 1)
    seen = np.corrcoef(kinship[upper], apart[upper])[0, 1]
    rng = np.random.default_rng(0)
    orders = [rng.permutation(len(kinship)) for _ in range(199)]
    others = [np.corrcoef(kinship[upper], apart[np.ix_(o, o)][upper])[0, 1] for o in orders]
    assert seen > np.max(others)
    present = GROWN.ranges > 0
    shared = (present[:, None] & present[None]).sum(axis=-1)
    sisters = [(a, b) for a, b in zip(*upper, strict=True) if kinship[a, b] < 0.3]
    meeting = [bool(shared[pair]) for pair in sisters]
    assert any(meeting)
    assert not all(meeting)


def test_sizes_and_settings():
    assert parse_six("tiny") is SIX_SIZES["tiny"]
    asked = parse_six("species=9,observations=90,no_sound=0.5,seed=3")
    assert (asked.n_species, asked.n_observations, asked.no_sound, asked.seed) == (9, 90, 0.5, 3)
    for text, message in (
        ("huge", "synthetic-six:huge is not known"),
        ("colour=1", "is not known"),
        ("species=2", "species=3 or more"),
        ("tile=2000", "tile=2000 is out of range"),
        ("no_sound=1.5", "no_sound is a share"),
        ("degrees=7", "degrees must be 1, 2 or 3"),
        ("seconds=99", "seconds must lie"),
        ("rate=5", "rate must lie"),
        ("bias=9", "bias must lie"),
        ("seed=1,seed=2", "sets seed twice"),
    ):
        with pytest.raises(UsageError, match=message):
            parse_six(text)


def test_a_spec_draws_it_below_the_workspace_and_splits_by_individuals(tmp_path):
    spec = (
        "synthetic-six:species=6,observations=24,size=32,tile=32,seconds=0.5,rate=8000,degrees=3,"
        "singletons=0"
    )
    found = read_observations(spec, workspace=tmp_path, config=DataConfig(data=(spec,)))
    assert found.roots[NAME].parent == tmp_path / "data"
    assert set(found.column("split")) == {"train", "val", "test"}
    assert found.notes["unitsCut"]["units"] == 0
    table = read_observations(str(found.roots[NAME]), workspace=tmp_path)
    assert len(table) == 24
