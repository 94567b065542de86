"""The geographic audit."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from syntype.configs import EvaluateConfig
from syntype.errors import DataError
from syntype.evaluation.geography import (
    EARTH_KM,
    TrainingPoints,
    audit,
    bands,
    grid_cells,
    haversine_km,
    unit_sphere,
)

CONFIG = EvaluateConfig(resamples=200, confidence=0.9)
QUICK = settings(max_examples=25, deadline=None)
LATITUDES = st.floats(-90, 90)
LONGITUDES = st.floats(-180, 180)


def km(lat, lon, other_lat, other_lon):
    return haversine_km(
        latitude=np.array([lat], float),
        longitude=np.array([lon], float),
        other_latitude=np.array([other_lat], float),
        other_longitude=np.array([other_lon], float),
    )[0]


def test_known_distances():
    assert km(0, 0, 0, 180) == pytest.approx(np.pi * EARTH_KM)
    assert km(90, 0, -90, 77) == pytest.approx(np.pi * EARTH_KM)
    assert km(0, 179.5, 0, -179.5) == pytest.approx(np.radians(1) * EARTH_KM)
    assert km(90, 10, 90, -120) == pytest.approx(0, abs=1e-6)
    assert km(48.8566, 2.3522, 52.52, 13.405) == pytest.approx(877.5, abs=1)  # Paris to Berlin


@QUICK
@given(LATITUDES, LONGITUDES, LATITUDES, LONGITUDES)
def test_distances_are_symmetric_and_turns_do_not_matter(lat, lon, lat2, lon2):
    there = km(lat, lon, lat2, lon2)
    assert there == pytest.approx(km(lat2, lon2, lat, lon), abs=1e-6)
    assert there == pytest.approx(km(lat, lon + 360, lat2, lon2), abs=1e-3)
    assert 0 <= there <= np.pi * EARTH_KM + 1e-6


@QUICK
@given(st.integers(1, 30), st.integers(1, 30), st.integers(0, 10**6))
def test_the_tree_finds_what_a_loop_finds(n, m, seed):
    rng = np.random.default_rng(seed)
    where = {"latitude": rng.uniform(-90, 90, n), "longitude": rng.uniform(-180, 180, n)}
    theirs = {"latitude": rng.uniform(-90, 90, m), "longitude": rng.uniform(-180, 180, m)}
    points = TrainingPoints.of(**theirs)
    every = np.stack(
        [
            haversine_km(
                **where,
                other_latitude=np.full(n, theirs["latitude"][i]),
                other_longitude=np.full(n, theirs["longitude"][i]),
            )
            for i in range(m)
        ],
        axis=1,
    )
    np.testing.assert_allclose(points.nearest_km(**where), every.min(axis=1), atol=1e-3)
    np.testing.assert_array_equal(points.within(2000, **where), (every <= 2000).sum(axis=1))
    assert (points.within(1e9, **where) == m).all()


def test_no_training_points_are_infinitely_far():
    nothing = TrainingPoints.of(latitude=np.array([np.nan]), longitude=np.array([0.0]))
    where = {"latitude": np.zeros(2), "longitude": np.zeros(2)}
    assert nothing.n == 0
    assert np.isinf(nothing.nearest_km(**where)).all()
    assert nothing.within(100, **where).tolist() == [0, 0]


def test_swapped_coordinates_are_told():
    with pytest.raises(DataError, match="swapped"):
        unit_sphere(latitude=np.array([120.0]), longitude=np.array([10.0]))


def test_bands_and_cells_hold_the_edges_of_the_earth():
    names, order = bands(np.array([-90.0, -0.1, 0.0, 90.0]))
    assert names == ["90°S to 60°S", "30°S to 0°", "0° to 30°N", "60°N to 90°N"]
    assert order[0] == "60°N to 90°N"
    assert len(order) == 6
    here, _ = grid_cells(
        latitude=np.array([90.0, 10.0, 10.0]), longitude=np.array([0.0, 180.0, -180.0])
    )
    assert here == ["60°N 0°", "0° 180°W", "0° 180°W"]


@pytest.fixture(scope="module")
def world():
    """Right in Europe, where the training points are; a guess in the south."""
    rng = np.random.default_rng(2)
    n = 300
    north = np.arange(n) < 200
    latitude = np.where(north, rng.uniform(45, 55, n), rng.uniform(-40, -30, n))
    longitude = np.where(north, rng.uniform(5, 15, n), rng.uniform(140, 150, n))
    latitude[-10:] = np.nan
    score = (rng.uniform(size=n) < np.where(north, 0.9, 0.3)).astype(float)
    score[0] = np.nan
    training = TrainingPoints.of(
        latitude=rng.uniform(45, 55, 5000), longitude=rng.uniform(5, 15, 5000)
    )
    units = [f"u{i // 2}" for i in range(n)]
    return score, units, {"latitude": latitude, "longitude": longitude}, training


def test_each_bin_is_the_mean_of_its_queries(world):
    score, units, where, training = world
    found = audit(score, units, **where, training=training, config=CONFIG)
    assert found.n_without_place == 10
    assert found.n_train == 5000
    south = {part.name: part for part in found.of("latitude")}["60°S to 30°S"]
    inside = where["latitude"] < -30
    assert south.score.estimate == pytest.approx(score[inside].mean())
    assert (south.score.n, south.n_train) == (90, 0)
    assert south.score.lower < south.score.estimate < south.score.upper
    for by in ("latitude", "cell", "distance", "density"):
        assert sum(part.score.n for part in found.of(by)) == 289
    far = found.of("distance")[-1]
    assert far.name == "1000 km or more"
    assert far.score.upper < found.of("distance")[0].score.lower
    assert found.of("density")[0].name == "none"
    assert found.of("density")[0].score.estimate == pytest.approx(south.score.estimate)
    # The mean over regions is not the mean over queries, most of which are in the north.
    cells = [part.score.estimate for part in found.of("cell")]
    assert found.by_region.estimate == pytest.approx(np.mean(cells))
    assert found.overall.estimate == pytest.approx(
        np.nanmean(score[np.isfinite(where["latitude"])])
    )


def test_the_table_has_a_row_for_each_bin(world):
    score, units, where, training = world
    found = audit(score, units, **where, training=training, config=CONFIG)
    table = found.as_table()
    assert table.num_rows == len(found.parts)
    assert table.column("n").to_pylist() == [part.score.n for part in found.parts]
    assert set(table.column("by").to_pylist()) == {"latitude", "cell", "distance", "density"}


def test_the_order_of_rows_does_not_matter(world):
    score, units, where, training = world
    order = np.random.default_rng(0).permutation(len(score))
    turned = {name: values[order] for name, values in where.items()}
    other = audit(
        score[order], [units[i] for i in order], **turned, training=training, config=CONFIG
    ).as_table()
    first = audit(score, units, **where, training=training, config=CONFIG).as_table()
    assert other.column("bin").equals(first.column("bin"))
    np.testing.assert_allclose(other.column("lower").to_numpy(), first.column("lower").to_numpy())


def test_without_places_there_is_no_audit(world):
    score, units, where, training = world
    nowhere = {name: np.full(len(score), np.nan) for name in where}
    with pytest.raises(DataError, match="both a score and a place"):
        audit(score, units, **nowhere, training=training, config=CONFIG)
