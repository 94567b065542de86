"""The planet: a climate that hangs together, niches and ranges on it, and where people look."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from syntype.data.synthetic.niche import Niche, settle, wander
from syntype.data.synthetic.phylogeny import drift, grow
from syntype.data.synthetic.planet import AXES, LAND_SHARE, Planet, bioclim, unit_vectors
from syntype.data.synthetic.range import PRESENT, effort_of, range_of
from syntype.data.synthetic.traits import TRAIT_NAMES, Traits

COARSE = Planet(seed=0, degrees=3.0)
TRAITS = Traits.from_array(np.zeros(len(TRAIT_NAMES)))


def _ground(latitude, longitude, planet=COARSE):
    return planet.ground(
        latitude=np.asarray(latitude, dtype=np.float64),
        longitude=np.asarray(longitude, dtype=np.float64),
    )


def test_equal_seeds_are_equal_planets_and_others_differ():
    again = Planet(seed=0, degrees=3.0)
    np.testing.assert_array_equal(again.cells.climate, COARSE.cells.climate)
    other = Planet(seed=1, degrees=3.0)
    assert (other.land != COARSE.land).any()


def test_land_has_its_share_of_the_area():
    share = COARSE.areas[COARSE.land].sum() / COARSE.areas.sum()
    assert share == pytest.approx(LAND_SHARE, abs=0.03)


@given(st.floats(-89, 89))
def test_nothing_breaks_at_the_antimeridian(latitude):
    west, east = _ground([latitude], [-180.0]), _ground([latitude], [180.0])
    np.testing.assert_allclose(west.climate, east.climate, rtol=1e-6, atol=1e-6)


@given(st.floats(-180, 180))
def test_the_pole_is_one_place(longitude):
    np.testing.assert_allclose(
        _ground([90.0], [longitude]).elevation, _ground([90.0], [0.0]).elevation, atol=1e-6
    )


def test_the_climate_hangs_together():
    bio = COARSE.cells.bio
    np.testing.assert_allclose(bio[:, 6], bio[:, 4] - bio[:, 5])  # the year's range
    np.testing.assert_allclose(bio[:, 2], 100 * bio[:, 1] / bio[:, 6])
    assert (bio[:, 9] >= bio[:, 0]).all()  # the warmest quarter and the year
    assert (bio[:, 15] >= bio[:, 16]).all()  # the wettest quarter and the driest
    assert (bio[:, 11] > 0).all()
    cold, high = np.abs(COARSE.centres[0]) > 70, COARSE.cells.elevation > 2500
    tropics = np.abs(COARSE.centres[0]) < 15
    assert bio[cold, 0].mean() < 0 < 20 < bio[tropics & ~high, 0].mean()
    assert bio[tropics & high, 0].mean() < bio[tropics & ~high, 0].mean() - 8


def test_bioclim_is_what_its_definitions_say():
    months = np.arange(12.0)
    cold, warm = months[None] - 3, months[None] + 5
    rain = np.array([[10.0, 20, 30, 0, 0, 0, 0, 0, 0, 0, 0, 60]])
    bio = bioclim(cold, warm, rain)[0]
    mean = months + 1
    assert bio[0] == pytest.approx(mean.mean())
    assert bio[1] == pytest.approx(8)
    assert bio[3] == pytest.approx(100 * mean.std(ddof=1))
    assert (bio[4], bio[5]) == (16, -3)
    # The wettest quarter is December, January, February, over the turn of the year.
    assert bio[15] == 90
    assert bio[7] == pytest.approx((12 + 1 + 2) / 3)
    assert (bio[9], bio[10]) == (11, 2)
    assert (bio[11], bio[12], bio[13]) == (120, 60, 0)


def test_the_raster_has_the_layout_of_the_published_one():
    raster = COARSE.raster()
    assert raster.shape == (60, 120, 20)
    assert raster.dtype == np.float16
    land = COARSE.land.reshape(60, 120)
    np.testing.assert_array_equal(np.isfinite(raster).all(axis=2), land)
    np.testing.assert_allclose(raster[land].astype(float).mean(axis=0), 0, atol=0.01)
    np.testing.assert_allclose(raster[land].astype(float).std(axis=0), 1, atol=0.01)
    latitude, longitude = (one.reshape(60, 120) for one in COARSE.centres)
    assert latitude[0, 0] == 88.5
    assert longitude[0, 0] == -178.5


def test_axes_are_normal_scores_of_the_land():
    axes = COARSE.axes(COARSE.cells)[COARSE.land]
    weights = COARSE.areas[COARSE.land]
    for column in axes.T:
        assert np.average(column, weights=weights) == pytest.approx(0, abs=0.05)
        assert np.average(column**2, weights=weights) == pytest.approx(1, abs=0.1)


def _relatives_are_alike(tree, values, n=199):
    """Mantel's test: the correlation of two matrices of distances, and its p by permutation."""
    apart = np.linalg.norm(values[:, None] - values[None], axis=-1)
    upper = np.triu_indices(len(apart), 1)
    kinship = tree.distances[upper]
    seen = np.corrcoef(kinship, apart[upper])[0, 1]
    rng = np.random.default_rng(0)
    orders = [rng.permutation(len(apart)) for _ in range(n)]
    others = [np.corrcoef(kinship, apart[np.ix_(one, one)][upper])[0, 1] for one in orders]
    return seen, (1 + sum(other >= seen for other in others)) / (n + 1)


def test_what_drifts_shows_kinship_and_has_unit_deviation():
    tree = grow((14, 13, 13), np.random.default_rng(1))
    values = drift(tree, 300, np.random.default_rng(2), jump=0.02)[tree.tips]
    assert values.std() == pytest.approx(1, abs=0.1)
    correlation, p = _relatives_are_alike(tree, values)
    assert correlation > 0.8
    assert p < 0.01


def test_lineages_wander_on_the_sphere_and_sisters_stay_near():
    tree = grow((14, 13, 13), np.random.default_rng(1))
    start = np.array([0.0, 0.0, 1.0])
    moves = [wander(tree, start, np.random.default_rng(i), jump=0.02) for i in range(30)]
    np.testing.assert_allclose(np.linalg.norm(moves[0], axis=1), 1)
    places = np.concatenate([one[tree.tips] for one in moves], axis=1)
    correlation, p = _relatives_are_alike(tree, places)
    assert correlation > 0.5
    assert p < 0.01


def _niche(planet=COARSE, **changes):
    axes = planet.axes(planet.cells)
    fit = np.where(planet.land, -(axes**2).sum(axis=1), -np.inf)
    home = int(np.argmax(fit))
    return Niche(axes[home], np.full(len(AXES), 0.8), home, **changes)


def test_a_range_lies_on_land_inside_the_niche_and_has_its_home():
    niche = _niche()
    found = range_of(COARSE, niche, 0.0)
    suitable = niche.suitability(COARSE.axes(COARSE.cells))
    assert found[niche.home] == pytest.approx(1)
    present = found > 0
    assert present.sum() > 3
    assert COARSE.land[present].all()
    assert (found[present] > PRESENT).all()
    assert (found <= suitable + 1e-12).all()


def test_what_suits_but_lies_far_away_is_not_in_the_range():
    niche = _niche()
    suitable = niche.suitability(COARSE.axes(COARSE.cells)) * COARSE.land
    found = range_of(COARSE, niche, 0.0)
    assert ((suitable > 0.5) & (found == 0)).any()
    assert (range_of(COARSE, niche, 2.0) > 0).sum() > (range_of(COARSE, niche, -2.0) > 0).sum()


def test_a_species_settles_on_land_near_where_it_came_to_and_away_from_others():
    latitude, longitude = COARSE.centres
    xyz = unit_vectors(latitude=latitude, longitude=longitude)
    place = xyz[_niche().home]
    first = settle(COARSE, TRAITS, np.zeros(4), place)
    second = settle(COARSE, TRAITS, np.zeros(4), place, [first.home] * 3)
    assert COARSE.land[first.home]
    assert first.home != second.home
    assert xyz[first.home] @ place > np.cos(np.radians(60))
    axes = COARSE.axes(COARSE.cells)
    assert first.suitability(axes[first.home : first.home + 1])[0] > 0.5


def test_effort_is_on_land_and_falls_away_from_people():
    effort = effort_of(COARSE)
    assert (effort[~COARSE.land] == 0).all()
    assert effort.max() == pytest.approx(1, abs=0.2)
    wild = effort[COARSE.land].min()
    assert 0 < wild < 0.05
    assert (effort[COARSE.land] == wild).mean() > 0.05
