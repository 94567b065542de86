"""What `data info` draws with characters."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from syntype.data.catalogue import conform
from syntype.data.census import census
from syntype.data.census_places import Map, Places
from syntype.report.info_text import bar, bars, by_period, info_text, spark, text_map, years_line


def places_of(*pairs: tuple[float, float], times: int = 1) -> Places:
    counter = Map()
    latitude, longitude = np.array(pairs * times, dtype=float).T
    counter.add(latitude=latitude, longitude=longitude)
    return counter.end()


def test_bars_are_as_long_as_their_numbers() -> None:
    assert bar(8, 8, 4) == "████"
    assert bar(5, 8, 4) == "██▌"
    assert bar(1, 10**6, 4) == "▏"
    assert bar(0, 8, 4) == ""
    assert bars([("one", 1000), ("three", 0)], 4) == "    one  1,000  ████\n  three      0"


def test_a_line_of_numbers_has_a_sign_for_each() -> None:
    assert spark([0, 1, 4, 8]) == " ▁▄█"
    assert spark([1, 10**6]) == "▁█"
    assert spark([]) == ""


@given(years=st.dictionaries(st.integers(1500, 2100), st.integers(1, 99), max_size=30))
def test_no_year_is_lost_in_periods(years: dict[int, int]) -> None:
    start, step, counts = by_period(years, 40)
    assert sum(counts) == sum(years.values())
    assert len(counts) <= 40
    for year, n in years.items():
        assert counts[(year - start) // step] >= n
    assert len(years_line(years)) <= 100


def test_years_are_named_at_both_ends() -> None:
    assert years_line({2001: 1, 2003: 8}) == "  2001 ▁ █ 2003  (year by year, most 8)"
    assert years_line({1500: 1, 2000: 1}).startswith("  1500 █")
    assert "20 years a sign" in years_line({1500: 1, 2000: 1})
    assert years_line({}) == ""


def test_the_map_has_places_where_they_are() -> None:
    drawn = text_map(places_of((-33.9, 18.4), (64.1, -21.9))).splitlines()
    assert len(drawn) == 18 + 4
    assert max(map(len, drawn)) <= 100
    signs = [(line, row.index("█") - 8) for line, row in enumerate(drawn[1:19]) if "█" in row]
    # In bands of equal area, line 9 begins at the equator; column 36 at Greenwich.
    assert signs == [(0, 31), (14, 39)]
    assert drawn[-1].strip() == "█ 1 row"
    assert "0° │" in drawn[1 + 9]


def test_shades_go_by_the_logarithm() -> None:
    found = text_map(places_of(*[(50, 10)] * 10_000, (0.1, 100), *[(-40, -60)] * 100))
    lines = found.splitlines()
    assert lines[-1].strip() == "· 1+  ░ 7+  ▒ 40+  ▓ 252+  █ 1,585+ rows"
    assert sum(line.count("█") for line in lines[:-1]) == 1
    assert sum(line.count("▒") for line in lines[:-1]) == 1
    assert sum(line.count("·") for line in lines[:-1]) == 1


@pytest.mark.parametrize("n", [0, 3])
def test_nothing_is_drawn_of_nothing(n: int) -> None:
    table = conform(pa.table({"id": [f"a/{row}" for row in range(n)]}))
    assert info_text(census([table])) == ""


def test_everything_is_drawn_in_a_hundred_columns() -> None:
    table = conform(
        pa.table(
            {
                "species": ["Parus major"] * 12 + ["Esox lucius"],
                "eventDate": ["2001", "1860-01-01"] + [""] * 11,
                "decimalLatitude": [1.0] * 13,
                "decimalLongitude": [179.9] * 13,
            }
        )
    )
    text = info_text(census([table]))
    assert max(map(len, text.splitlines())) <= 100
    assert text.splitlines()[:2] == [
        "Species by their number of rows",
        "      1  1  ████████████████████████████████████████",
    ]
    assert "10–19  1" in text
    assert "Rows by year\n" in text
    assert "Places\n" in text
