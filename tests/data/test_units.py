"""Units from columns: joined, or cells of the map."""

import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from syntype.data import units
from syntype.data.units import unit_column
from syntype.errors import UsageError


def cell_of(latitude, longitude, degrees):
    return units.cell_of(
        latitude=float(latitude), longitude=float(longitude), degrees=float(degrees)
    )


TABLE = {
    "observer": ["Ann", "Ann", "Bo", None],
    "eventDate": ["1", "2", "1", "1"],
    "decimalLatitude": ["51.51", "51.52", "", "95"],
    "lon": ["-0.1", "-0.11", "3", "3"],
}


def test_one_column_several_or_places() -> None:
    assert unit_column(TABLE, "observer", "set") == TABLE["observer"]
    joined = unit_column(TABLE, "observer+eventDate", "set")
    assert len(set(joined[:3])) == 3
    assert joined[3] is None, "unknown observers are not one observer"
    blanks = {"a": ["x y", "x", " "], "b": ["z", "y z", "z"]}
    first, second, third = unit_column(blanks, "a + b", "set")
    assert first != second
    assert third is None
    cells = unit_column(TABLE, "place:0.5", "set")
    assert cells[0] == cells[1] is not None
    assert cells[2:] == [None, None]
    assert unit_column(TABLE, "place", "set")[0] is not None


@pytest.mark.parametrize("unit", ["collector", "observer+collector"])
def test_columns_that_are_not_there_are_told(unit: str) -> None:
    with pytest.raises(UsageError, match=r"no column 'collector'.*observer, eventDate"):
        unit_column(TABLE, unit, "set")


def test_places_need_coordinates_and_a_size() -> None:
    with pytest.raises(UsageError, match=r"no column latitude .*which --unit place needs"):
        unit_column({"lon": ["1"]}, "place", "set")
    with pytest.raises(UsageError, match="between 0 and 90 degrees"):
        unit_column(TABLE, "place:0", "set")


@given(
    st.floats(-90, 90), st.floats(-180, 180), st.integers(-2, 2), st.sampled_from([0.1, 0.5, 7.0])
)
def test_a_turn_of_the_circle_is_the_same_place(latitude, longitude, turns, degrees) -> None:
    # Whole degrees in binary, so that a turn adds no rounding.
    longitude = round(longitude * 8) / 8
    assert cell_of(latitude, longitude, degrees) == cell_of(
        latitude, longitude + 360 * turns, degrees
    )


def test_cells_have_about_equal_areas() -> None:
    """Of places that are even on the sphere, each cell but the caps gets about as many."""
    drawn = np.random.default_rng(0).uniform(size=(100_000, 2))
    latitudes, longitudes = np.degrees(np.arcsin(2 * drawn[:, 0] - 1)), 360 * drawn[:, 1]
    places = zip(latitudes, longitudes, strict=True)
    counts = Counter(cell_of(*place, 10) for place in places if abs(place[0]) < 80)
    even = len(drawn) / (4 * math.pi * math.degrees(1) ** 2 / 10**2)
    assert all(0.6 < n / even < 1.5 for n in counts.values())


@given(st.floats(-90, 90), st.floats(-180, 180), st.sampled_from([0.5, 3.0]))
def test_a_cell_is_small(latitude, longitude, degrees) -> None:
    """Places of one cell are no farther apart than its diagonal, and some slack at the poles."""
    near = cell_of(latitude, longitude, degrees)
    for other in (latitude + 2.2 * degrees, latitude - 2.2 * degrees):
        if abs(other) <= 90:
            assert cell_of(other, longitude, degrees) != near
    if abs(latitude) < 80:  # The caps around the poles are one cell each.
        shift = 3 * degrees / math.cos(math.radians(latitude))
        assert cell_of(latitude, longitude + shift, degrees) != near


def test_the_antimeridian_and_the_poles() -> None:
    assert cell_of(0, 180, 0.5) == cell_of(0, -180, 0.5)
    assert cell_of(0, 179.99, 0.5) != cell_of(0, -179.99, 0.5), "an edge like any other"
    for pole in (-90, 90):
        assert len({cell_of(pole, longitude, 0.5) for longitude in range(-180, 181, 30)}) == 1
    assert cell_of(-90, 10, 0.5) != cell_of(90, 10, 0.5)
    assert cell_of(90, 10, 90) != cell_of(-90, 10, 90)
    assert cell_of(math.nan, 10, 0.5) is None
    assert cell_of(10, math.inf, 0.5) is None
