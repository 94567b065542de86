"""Dates, places and the long tail of a census."""

import datetime
import math

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from syntype.data.census_dates import Date, date_of, without_times
from syntype.data.census_places import Map, cells, extent
from syntype.data.census_tail import CLASSES, class_names, lorenz, tail_of

DATES = {
    "": Date("unknown"),
    "2019-05-01": Date("day", 2019, 5),
    "20190501": Date("day", 2019, 5),
    " 2019-05-01T10:30:15.5+02:00 ": Date("day", 2019, 5),
    "2019-05-01 10:30:00": Date("day", 2019, 5),
    "2020-366": Date("day", 2020, 12),
    "2019-366": Date("unreadable"),
    "2019-05": Date("month", 2019, 5),
    "2019": Date("year", 2019),
    "2019-05-01/2019-05-03": Date("range", 2019, 5),
    "2019-05-01/03": Date("range", 2019, 5),
    "2019-05-30/06-02": Date("range", 2019),
    "2019-05/07": Date("range", 2019),
    "2019/2021": Date("range"),
    "2019-05/2019": Date("range", 2019),
    "2019-05-01T10:00/11:30": Date("day", 2019, 5),
    "2019-05-01/2019-05-01": Date("day", 2019, 5),
    "2021/2019": Date("unreadable"),
    "2019-05-01/soon": Date("unreadable"),
    "0001-01-01": Date("unlikely"),
    "2999": Date("unlikely"),
    "1400/2010": Date("unlikely"),
    "0000-00-00": Date("unreadable"),
    "2019-00": Date("unreadable"),
    "2019-13-01": Date("unreadable"),
    "2019-02-29": Date("unreadable"),
    "1.5.2019": Date("unreadable"),
    "May 2019": Date("unreadable"),
    "2019-05-01Tnoon": Date("unreadable"),
}


@pytest.mark.parametrize(("text", "date"), DATES.items())
def test_what_a_date_says(text: str, date: Date) -> None:
    assert date_of(text) == date


@settings(max_examples=50, deadline=None)
@given(when=st.datetimes(datetime.datetime(1500, 1, 1), datetime.datetime(2100, 1, 1)))
def test_every_iso_time_is_its_day(when: datetime.datetime) -> None:
    texts, counts = without_times(pa.array([when.isoformat(), "May"]), np.array([2, 3]))
    assert dict(zip(texts, counts.tolist(), strict=True)) == {when.date().isoformat(): 2, "May": 3}
    assert date_of(when.isoformat()) == Date("day", when.year, when.month)


PLACES = st.tuples(st.integers(-90, 90), st.integers(-180, 180))


@settings(max_examples=25, deadline=None)
@given(places=st.lists(PLACES, min_size=1, max_size=30), degrees=st.sampled_from([0.5, 2.5, 10.0]))
def test_every_place_lies_in_one_cell(places: list, degrees: float) -> None:
    latitude, longitude = np.array(places, dtype=float).T
    counter = Map()
    counter.add(latitude=latitude, longitude=longitude)
    found = counter.end()
    n_zero = sum(place == (0, 0) for place in places)
    assert (found.n, found.zero) == (len(places) - n_zero, n_zero)
    drawn = cells(found, degrees)
    assert sum(cell.n for cell in drawn) == found.n
    if found.n:
        south, north, west, east = extent(found) or (0, 0, 0, 0)
        assert south <= min(lat for lat, lon in places if (lat, lon) != (0, 0))
        assert all(-90 <= cell.south < cell.north <= 90 for cell in drawn)
        assert west < east
        assert north > south
    else:
        assert extent(found) is None


def test_places_that_are_none_are_counted_by_why() -> None:
    nan, counter = math.nan, Map()
    counter.add(
        latitude=np.array([nan, 5, 0, 91, 10, math.inf]),
        longitude=np.array([nan, nan, 0, 0, 181, 5]),
    )
    found = counter.end()
    assert (found.none, found.half, found.zero, found.out, found.n) == (1, 1, 1, 3, 0)


def test_cells_are_about_equal_in_area() -> None:
    counter = Map()
    latitude, longitude = np.meshgrid(np.arange(-79.9, 80, 0.5), np.arange(-179.9, 180, 0.5))
    counter.add(latitude=latitude.ravel(), longitude=longitude.ravel())
    areas = [
        (math.sin(math.radians(one.north)) - math.sin(math.radians(one.south)))
        * (one.east - one.west)
        for one in cells(counter.end(), 2.5)
    ]
    assert max(areas) / min(areas) < 1.1


COUNTS = st.lists(st.integers(1, 20_000), min_size=1, max_size=50)


@settings(max_examples=80, deadline=None)
@given(counts=COUNTS)
def test_the_tail_equals_a_naive_one(counts: list[int]) -> None:
    found = tail_of(np.array(sorted(counts, reverse=True)))
    n, total = len(counts), sum(counts)
    differences = sum(abs(a - b) for a in counts for b in counts)
    assert found.gini == pytest.approx(differences / (2 * n * total), abs=1e-12)
    top = sorted(counts, reverse=True)
    assert found.top_share == pytest.approx(sum(top[: max(1, round(n / 100))]) / total)
    assert 2 * sum(top[: found.half]) >= total > 2 * sum(top[: found.half - 1])
    for first, species, rows in found.classes:
        last = next((one for one in CLASSES if one > first), math.inf)
        inside = [one for one in counts if first <= one < last]
        assert (species, rows) == (len(inside), sum(inside))
    curve = lorenz(np.array(top))
    assert curve[0] == (0, 0)
    assert curve[-1] == (1, 1)
    assert all(share <= place + 1e-9 for place, share in curve)


def test_a_tail_of_nothing() -> None:
    found = tail_of(np.zeros(0, dtype=np.int64))
    assert (found.gini, found.top_share, found.half) == (None, None, 0)
    assert lorenz(np.zeros(0)) == []
    assert class_names()[:3] == ("1", "2–4", "5–9")
    assert class_names()[-1] == "10,000+"
