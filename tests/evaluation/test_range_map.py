"""Range maps from a query and the places of a grid."""

from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from syntype.errors import DataError, VectorError
from syntype.evaluation.geography import EARTH_KM
from syntype.evaluation.range_map import (
    MapGrid,
    agreement,
    fit_curve,
    range_map,
    share_below,
)
from syntype.senses.rasters import Grid, read_raster, write_raster

GRID = MapGrid.around(south=-60, north=60, west=-30, east=30, degrees=5)


def circle(grid, latitude=20.0):
    """Vectors of places, and who is within 15 degrees of a centre."""
    lat, lon = grid.centres()
    rows = np.stack(
        [
            np.cos(np.radians(lat)) * np.cos(np.radians(lon)),
            np.cos(np.radians(lat)) * np.sin(np.radians(lon)),
            np.sin(np.radians(lat)),
        ],
        axis=1,
    )
    query = np.array([np.cos(np.radians(latitude)), 0, np.sin(np.radians(latitude))])
    return rows, query, (rows @ query > np.cos(np.radians(15))).reshape(grid.shape)


def test_the_grid_covers_its_box_and_the_earth():
    assert GRID.shape == (24, 12)
    latitude, longitude = GRID.centres()
    assert (latitude[0], longitude[0]) == (57.5, -27.5)
    assert (latitude[-1], longitude[-1]) == (-57.5, 27.5)
    earth = MapGrid.around(south=-90, north=90, west=-180, east=180, degrees=2)
    assert earth.areas_km2().sum() == pytest.approx(4 * np.pi * EARTH_KM**2)
    _, far = MapGrid.around(south=0, north=1, west=175, east=185, degrees=1).centres()
    assert far.max() < 180
    assert far.min() >= -180
    with pytest.raises(DataError, match="south and west come first"):
        MapGrid.around(south=10, north=0, west=0, east=1, degrees=1)


def test_a_map_of_cosines_agrees_with_the_true_range():
    places, query, truth = circle(GRID)
    made = range_map("Parus major", 7 * query, 3 * places, GRID)
    np.testing.assert_allclose(made.similarity.ravel(), places @ query, atol=1e-12)
    found = agreement(made, truth, resamples=100)
    assert found.metrics["auc"].estimate == pytest.approx(1)
    assert found.metrics["averagePrecision"].estimate == pytest.approx(1)
    assert found.metrics["boyce"].estimate > 0.5
    assert found.true_km2 == pytest.approx(GRID.areas_km2()[truth].sum())
    assert found.area_km2 <= found.true_km2
    assert found.prevalence == pytest.approx(found.true_km2 / GRID.areas_km2().sum())


def test_a_map_of_the_wrong_hemisphere_is_wrong():
    places, query, truth = circle(GRID)
    found = agreement(range_map("x", -query, places, GRID), truth, resamples=100)
    assert found.metrics["auc"].estimate == pytest.approx(0)


def test_masked_cells_are_nan_and_count_nowhere():
    places, query, truth = circle(GRID)
    mask = np.ones(GRID.shape, dtype=bool)
    mask[:5] = False
    made = range_map("x", query, places, GRID, mask=mask)
    assert np.isnan(made.score[:5]).all()
    assert np.isfinite(made.score[5:]).all()
    n = agreement(made, truth, resamples=100).metrics["auc"].n
    assert n == mask.sum()
    with pytest.raises(DataError, match="hides all"):
        range_map("x", query, places, GRID, mask=np.zeros(GRID.shape, dtype=bool))


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6))
def test_the_share_of_area_below_keeps_the_order_and_its_mean_is_one_half(seed):
    rng = np.random.default_rng(seed)
    similarity = rng.integers(0, 6, GRID.shape).astype(float)
    similarity[rng.uniform(size=GRID.shape) < 0.2] = np.nan
    share = share_below(similarity, GRID)
    shown, area = ~np.isnan(similarity), GRID.areas_km2()
    assert np.average(share[shown], weights=area[shown]) == pytest.approx(0.5)
    want = [
        (area[similarity < one].sum() + area[similarity == one].sum() / 2) / area[shown].sum()
        for one in similarity[shown]
    ]
    np.testing.assert_allclose(share[shown], want)


def test_the_curve_finds_the_one_that_the_data_were_drawn_from():
    rng = np.random.default_rng(0)
    similarity = rng.uniform(-0.5, 0.5, 20000)
    present = rng.uniform(size=20000) < 1 / (1 + np.exp(-(8 * similarity)))
    curve = fit_curve(similarity, present)
    assert curve.slope == pytest.approx(8, rel=0.1)
    assert curve.shift == pytest.approx(0, abs=0.2)
    assert curve.warning == ""
    assert 0 < curve.of(np.array([-0.5]))[0] < curve.of(np.array([0.5]))[0] < 1


def test_a_curve_stays_finite_where_the_two_are_apart_and_warns_where_it_falls():
    similarity = np.array([0.1, 0.2, 0.8, 0.9])
    apart = fit_curve(similarity, np.array([False, False, True, True]))
    assert np.isfinite([apart.slope, apart.shift]).all()
    assert apart.slope > 0
    falling = fit_curve(similarity, np.array([True, True, False, False]))
    assert "nothing that its records support" in falling.warning
    flat = fit_curve(np.full(4, 0.3), np.array([True, False, False, False]))
    assert flat.warning
    with pytest.raises(DataError, match="presences and background"):
        fit_curve(similarity, np.ones(4, dtype=bool))


def test_a_calibrated_map_reads_as_chances_and_carries_the_warning():
    places, query, truth = circle(GRID)
    curve = fit_curve(places @ query, truth.ravel())
    made = range_map("x", query, places, GRID, curve=curve)
    assert "chance" in made.reading
    assert made.score[truth].min() > made.score[~truth].max()
    falling = fit_curve(places @ query, ~truth.ravel())
    assert range_map("x", query, places, GRID, curve=falling).warning


def test_what_does_not_fit_is_refused():
    places, query, truth = circle(GRID)
    with pytest.raises(VectorError, match="Embed the centres"):
        range_map("x", query, places[:-1], GRID)
    with pytest.raises(VectorError, match="antimeridian"):
        range_map("x", query, np.where(np.arange(len(places))[:, None] == 3, np.nan, places), GRID)
    made = range_map("x", query, places, GRID)
    with pytest.raises(DataError, match="everywhere"):
        agreement(made, np.ones_like(truth))


def test_the_map_is_written_as_a_geotiff(tmp_path):
    places, query, _ = circle(GRID)
    made = range_map("x", query, places, GRID)
    where = Grid(west=GRID.west, north=GRID.north, width=5.0, height=5.0, shape=GRID.shape)
    made.write(tmp_path / "x.tif", partial(write_raster, grid=where))
    back = read_raster(tmp_path / "x.tif")
    np.testing.assert_array_equal(back.values, made.score.astype(np.float32))
    assert (back.grid.west, back.grid.north, back.grid.width) == (-30, 60, 5)
