"""The columns in memory: the conditions mean what they say, and a loss of them costs nothing."""

import datetime
import json
import math
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fakes.collection import synthetic_records
from fakes.memory_index import fits
from syntype.data.census_dates import span_of
from syntype.search.columns import READ, Columns, bits, in_box, in_circle
from syntype.search.records import FACETS, HAS, conform_records
from syntype.search.where import EARTH_KM, EVERYTHING, Box, Circle, Where


def of(table: pa.Table, *cuts: int) -> Columns:
    """The columns of a table that came in parts."""
    columns = Columns()
    for start, end in zip((0, *cuts), (*cuts, table.num_rows), strict=True):
        columns.add(table.slice(start, end - start).select(READ))
    return columns


def rows_of(**values: Any) -> pa.Table:
    table = pa.table(values)
    return conform_records(table.add_column(0, "id", pa.array(map(str, range(len(table))))))


def same(left: Columns, right: Columns) -> None:
    assert left.n == right.n
    for name in left._arrays:
        np.testing.assert_array_equal(left[name], right[name], err_msg=name)
    assert {name: codes.names for name, codes in left.codes.items()} == {
        name: codes.names for name, codes in right.codes.items()
    }


@settings(max_examples=20, deadline=None)
@given(cuts=st.lists(st.integers(0, 150), max_size=5).map(sorted))
def test_in_however_many_parts_rows_come_the_columns_are_the_same(cuts: list[int]) -> None:
    table = synthetic_records(150)
    same(of(table), of(table, *cuts))


def test_each_value_finds_its_records() -> None:
    table = synthetic_records(300)
    columns, rows = of(table, 100), table.to_pylist()
    columns.bury(np.array([3, 7, 299, 5000]))
    alive = np.ones(300, bool)
    alive[[3, 7, 299]] = False
    assert np.array_equal(columns.fits(EVERYTHING), alive)
    for column in FACETS:
        for value in {row[column] for row in rows} | {"", "nobody", "\ud800"}:
            where = Where(equal={column: (value, "nobody")})
            wanted = np.array([fits(row, where) for row in rows]) & alive
            assert np.array_equal(columns.fits(where), wanted), (column, value)


def test_nothing_is_found_where_no_value_is_given_or_no_row_is() -> None:
    assert not of(synthetic_records(20)).fits(Where(equal={"family": ()})).any()
    for where in (
        EVERYTHING,
        Where(since="1900"),
        Where(has=("sound",)),
        Where(equal={"sex": ("",)}),
    ):
        assert Columns().fits(where).shape == (0,)
        assert of(synthetic_records(0)).fits(where).shape == (0,)


DATES = ("1913-05-27", "1913-05", "1913", "1912/1914", "1913-05-27/29", "", "May 1913", "1400",
         "2019-02-31", "2020-02-29", "2020-02-29T10:30:00Z", "1500", "2100-12-31")  # fmt: skip


def test_a_date_fits_when_a_part_of_it_does() -> None:
    columns = of(rows_of(eventDate=list(DATES)))
    some = [date for date in DATES if span_of(date)]
    for since in ("", *some):
        for until in ("", *some):
            if not (since or until) or (since and until and span_of(since)[0] > span_of(until)[1]):
                continue
            first = span_of(since)[0] if since else 0
            last = span_of(until)[1] if until else datetime.date.max.toordinal()
            wanted = [
                (span := span_of(date)) is not None and span[0] <= last and span[1] >= first
                for date in DATES
            ]
            assert columns.fits(Where(since=since, until=until)).tolist() == wanted


def test_what_a_record_has() -> None:
    words = ["", "image", "sound image", "place date", "image sound place date", "nonsense imagery"]
    columns = of(rows_of(has=words))
    for one in HAS:
        assert columns.fits(Where(has=(one,))).tolist() == [one in word.split() for word in words]
    assert columns.fits(Where(has=("image", "sound"))).tolist() == [
        False, False, True, False, True, False
    ]  # fmt: skip
    assert len({bits([word]) for word in HAS}) == len(HAS)
    assert bits(["imagery"]) == 0


def test_half_of_a_place_is_none() -> None:
    places = [(1.0, 2.0), (None, 2.0), (1.0, None), (None, None), (math.nan, 2.0)]
    latitude, longitude = zip(*places, strict=True)
    table = rows_of(
        decimalLatitude=pa.array(latitude, pa.float64()),
        decimalLongitude=pa.array(longitude, pa.float64()),
    )
    columns = of(table)
    world = Box(south=-90.0, west=-180.0, north=90.0, east=180.0)
    everywhere = Circle(latitude=0.0, longitude=0.0, km=30_000.0)
    for where in (Where(box=world), Where(circle=everywhere)):
        assert columns.fits(where).tolist() == [True, False, False, False, False]


north, east = st.floats(-90, 90), st.floats(-180, 180)
places = st.lists(st.tuples(north, east), min_size=1, max_size=8)


@given(places, north, north, east, st.floats(0, 359))
def test_a_box_over_the_antimeridian_is_one_from_west_to_east(
    found: list[tuple[float, float]], a: float, b: float, west: float, width: float
) -> None:
    far = west + width if west + width <= 180 else west + width - 360
    box = Box(south=min(a, b), west=west, north=max(a, b), east=far)
    latitude, longitude = np.array(found).T
    wanted = [
        min(a, b) <= y <= max(a, b)
        and (west <= x <= far if west <= far else (x >= west or x <= far))
        for y, x in found
    ]
    assert in_box(box, latitude=latitude, longitude=longitude).tolist() == wanted


def test_the_edges_of_a_box_lie_in_it() -> None:
    box = Box(south=-10.0, west=170.0, north=10.0, east=-170.0)
    latitude = np.array([10.0, -10.0, 0.0, 0.0, 0.0, 0.0, 10.001])
    longitude = np.array([170.0, -170.0, 180.0, -180.0, 169.9, -169.9, 175.0])
    found = in_box(box, latitude=latitude, longitude=longitude)
    assert found.tolist() == [True, True, True, True, False, False, False]


def chord_km(a: tuple[float, float], b: tuple[float, float]) -> float:
    """The great circle by the chord through the Earth: another way than the haversine."""

    def point(latitude: float, longitude: float) -> np.ndarray:
        y, x = math.radians(latitude), math.radians(longitude)
        return np.array([math.cos(y) * math.cos(x), math.cos(y) * math.sin(x), math.sin(y)])

    chord = float(np.linalg.norm(point(*a) - point(*b)))
    return 2 * EARTH_KM * math.asin(min(1.0, chord / 2))


@given(places, north, east, st.floats(0, 21_000))
def test_a_circle_is_a_great_circle(
    found: list[tuple[float, float]], latitude: float, longitude: float, km: float
) -> None:
    circle = Circle(latitude=latitude, longitude=longitude, km=km)
    there = np.array(found).T
    inside = in_circle(circle, latitude=there[0], longitude=there[1])
    for place, ours in zip(found, inside.tolist(), strict=True):
        far = chord_km((latitude, longitude), place)
        # Where both roundings meet, either is right; they are worst at the antipodes.
        if abs(far - km) > 1e-6 + 1e-3 * (far > 19_000):
            assert ours == (far < km)


def test_a_circle_of_no_size_holds_its_middle() -> None:
    circle = Circle(latitude=51.5, longitude=-0.12, km=0.0)
    found = in_circle(circle, latitude=np.array([51.5, 51.5]), longitude=np.array([-0.12, -0.1201]))
    assert found.tolist() == [True, False]


def test_saved_and_opened_they_are_the_same_and_go_on(tmp_path: Path) -> None:
    table = synthetic_records(200)
    columns = of(table.slice(0, 120))
    columns.save(tmp_path)
    again = Columns.open(tmp_path)
    same(again, columns)
    again.add(table.slice(120).select(READ))
    same(again, of(table))
    again.save(tmp_path)
    same(Columns.open(tmp_path), of(table))


def test_opened_all_are_alive_as_the_shelf_knows_the_dead(tmp_path: Path) -> None:
    columns = of(synthetic_records(20))
    columns.bury(np.array([3]))
    columns.save(tmp_path)
    assert Columns.open(tmp_path)["alive"].all()


@pytest.mark.parametrize("newer", ["columns.npz", "columns.json"])
def test_parted_by_a_kill_they_are_made_anew(tmp_path: Path, newer: str) -> None:
    table = synthetic_records(200)
    of(table.slice(0, 100)).save(tmp_path / "old")
    of(table).save(tmp_path / "new")
    shutil.copy(tmp_path / "new" / newer, tmp_path / "old" / newer)
    assert Columns.open(tmp_path / "old").n == 0


@pytest.mark.parametrize("name", ["columns.npz", "columns.json"])
@pytest.mark.parametrize("share", [0.0, 0.3, 0.99, None])
def test_damaged_or_gone_they_are_made_anew(tmp_path: Path, name: str, share: float | None) -> None:
    of(synthetic_records(100)).save(tmp_path)
    content = (tmp_path / name).read_bytes()
    if share is None:
        (tmp_path / name).unlink()
    else:
        (tmp_path / name).write_bytes(content[: int(len(content) * share)])
    columns = Columns.open(tmp_path)
    assert columns.n == 0
    columns.add(synthetic_records(100).select(READ))
    same(columns, of(synthetic_records(100)))


def test_of_another_version_with_other_columns_they_are_made_anew(tmp_path: Path) -> None:
    of(synthetic_records(10)).save(tmp_path)
    words = json.loads((tmp_path / "columns.json").read_text())
    del words["names"]["family"]
    (tmp_path / "columns.json").write_text(json.dumps(words))
    assert Columns.open(tmp_path).n == 0
