"""The page and the tables of `data info`."""

import html.parser
import math
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from syntype.data.catalogue import SCHEMA, conform
from syntype.data.census import census
from syntype.data.census_data import About, Census
from syntype.data.dataset import Card
from syntype.report import info_svg, info_tables
from syntype.report.info_map import class_edges, degrees_words, draw_map, equal_earth, map_words
from syntype.report.info_page import headline, render, write_info_page
from syntype.report.info_tables import byte_words, share
from syntype.report.info_tables import info_tables as all_tables

HOSTILE = '<script>alert("x")</script> & co'
NOTES = {
    "leftOut": {
        "total": 3,
        "reasons": {"no label": 2, HOSTILE: 1},
        "rows": [{"id": HOSTILE, "reason": "no label"}],
    },
    "cleaning": {"steps": [["as delivered", 9]], "changed": {"parus_major": "Parus major"}},
    "curation": {
        "rowsIn": 1200,
        "verdicts": {"kept": 1000, "exact copy": 200},
        "longTail": {"before": {"species": 30, "gini": 0.8}, "after": {"species": 29, "gini": 0.7}},
    },
}
ABOUT = About(
    name=HOSTILE,
    revision="abc123",
    cards=(Card(name=HOSTILE, source="here", license="CC0", citation=""),),
    notes=NOTES,
    history=({"verb": "import", "options": {"seed": 7}, "of": HOSTILE},),
)


def rows(n: int = 1000, **columns: list) -> pa.Table:
    rng = np.random.default_rng(3)
    species = rng.zipf(1.5, n) % 150
    table = {
        "id": [f"a/{row}" for row in range(n)],
        "datasetName": ["a"] * n,
        "image": ["a.tar"] * n,
        "imageStore": ["span"] * n,
        "imageLength": rng.integers(900, 10**6, n).tolist(),
        "imageDigest": [f"{row // 2:064x}" for row in range(n)],
        "species": [f"Parus s{number}" if number else "" for number in species],
        "family": ["Paridae"] * n,
        "taxonGroup": [HOSTILE if number % 3 else "Bird" for number in species],
        "split": [("train", "val", "test", "")[number % 4] for number in range(n)],
        "license": [("CC BY 4.0", "cc-by-4.0", "")[number % 3] for number in range(n)],
        "creator": [f"Person {number % 50}" for number in range(n)],
        "countryCode": [("DE", HOSTILE)[number % 2] for number in range(n)],
        "eventDate": [("2019-05-01", "1999", "", "May")[number % 4] for number in range(n)],
        "decimalLatitude": rng.uniform(-80, 80, n).tolist(),
        "decimalLongitude": rng.uniform(-170, 170, n).tolist(),
        "pixelXDimension": rng.integers(100, 5000, n).tolist(),
        "pixelYDimension": rng.integers(100, 5000, n).tolist(),
    } | columns
    fields = {name: SCHEMA.field(name).type for name in table}
    return conform(pa.table({k: pa.array(v, fields[k]) for k, v in table.items()}))


@pytest.fixture(scope="module")
def counted() -> Census:
    return census([rows()])


@pytest.fixture(scope="module")
def page(counted: Census) -> str:
    return render(counted, ABOUT, {"version": HOSTILE})


class Tags(html.parser.HTMLParser):
    """Checks that tags are closed, and collects them with the text."""

    def __init__(self) -> None:
        super().__init__()
        self.found, self.open, self.text = [], [], ""

    def handle_starttag(self, tag, attrs) -> None:
        self.found.append((tag, dict(attrs)))
        if tag not in {"meta", "link", "br"}:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_endtag(self, tag) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data) -> None:
        self.text += data


def parsed(text: str) -> Tags:
    tags = Tags()
    tags.feed(text)
    assert tags.open == []
    return tags


def test_the_page_is_whole_and_needs_no_other_file(page: str) -> None:
    tags = parsed(page)
    assert "<script" not in page
    assert not re.search(r"url\(|@import", page)
    for tag, attributes in tags.found:
        assert attributes.get("href", "#")[:1] in {"#", "d"}, attributes
        assert "src" not in attributes, tag
    assert len(page) < 1_500_000


def test_every_link_leads_to_a_heading(page: str) -> None:
    tags = parsed(page)
    ids = [attributes["id"] for _, attributes in tags.found if "id" in attributes]
    assert len(ids) == len(set(ids))
    links = {a["href"][1:] for t, a in tags.found if t == "a" and a["href"].startswith("#")}
    assert links <= set(ids)
    assert len(links) == 9


def test_the_page_shows_everything(page: str) -> None:
    text = parsed(page).text
    for said in (
        headline(census([rows()])).split(".")[0],
        "Rows of each species",
        "Names at each rank",
        "Rows and species by group and split",
        "Equal Earth",
        "Rows by year",
        "Rows by month",
        "CC-BY-4.0",
        "Creators: 50 (the 15 most frequent)",
        "Shorter side",
        "Duplicates",
        "Missing fields",
        "Long tail before and after curation",
        "exact copy",
        "Left out, by reason",
        "seed=7",
        HOSTILE,
    ):
        assert said.replace(" %", "\u00a0%") in text or said in text, said
    assert "abc123" in text


def test_figures_have_a_wide_and_a_narrow_form_and_a_name(page: str) -> None:
    tags = parsed(page)
    pictures = [attributes for tag, attributes in tags.found if tag == "svg"]
    widths = [one["viewbox"].split()[2] for one in pictures]
    assert widths.count("740") == widths.count("360") == len(widths) / 2 == 8
    assert all(one["role"] == "img" and one["aria-label"] for one in pictures)
    assert "nan" not in "".join(str(one) for one in tags.found)


def test_equal_rows_give_equal_pages(counted: Census, tmp_path: Path) -> None:
    first, second = (
        write_info_page(census(tables), ABOUT, tmp_path / f"{number}.html").read_bytes()
        for number, tables in enumerate(([rows()], [rows().slice(0, 300), rows().slice(300)]))
    )
    assert first == second


@pytest.mark.parametrize("n", [0, 1])
def test_a_set_of_nothing_has_a_page(n: int) -> None:
    table = conform(pa.table({"id": ["a/1"] * n}, schema=pa.schema([("id", pa.string())])))
    about = replace(ABOUT, notes={}, history=(), cards=())
    text = parsed(render(census([table]), about, {})).text
    assert "Nothing was left out." in text
    assert "Provenance" not in text


def test_what_the_headline_says(counted: Census) -> None:
    assert headline(census([])) == "There are no rows."
    assert headline(census([rows(1, species=[""])])) == "1 row, none of which has a species."
    assert re.fullmatch(
        r"1,000 rows of \d+ species in 2 groups\. [\d.]+ % of the species have fewer than ten rows"
        r"(; the most frequent 1 % of species have \d+ % of the rows)?\.",
        headline(counted),
    )


def test_tables_are_rectangular_and_none_is_empty(counted: Census) -> None:
    tables = all_tables(counted, ABOUT)
    assert all(rows and all(len(row) == len(header) for row in rows) for _, header, rows in tables)
    titles = [title for title, _, _ in tables]
    assert len(titles) == len(set(titles))
    assert titles[0] == HOSTILE
    assert titles[-1] == "Left out: 3 (the first 1)"


def test_numbers_stand_in_the_tables(counted: Census) -> None:
    found = {title: rows for title, _, rows in all_tables(counted, ABOUT)}
    assert ("rows", "1,000") in found[HOSTILE]
    assert found["Licences: 1"] == [("CC-BY-4.0", "667", "66.7 %"), ("unknown", "333", "33.3 %")]
    assert ("bytes of the medium (exact copies)", "1,000", "500", "500", "2") in found["Duplicates"]
    assert ("not readable as ISO 8601", "250", "25 %") in found["Dates: 1999 to 2019"]
    assert ("eventDate", "250", "75 %") in found["Missing fields"]
    assert found["Missing fields"][0][0].startswith("in every row: id, datasetName, image")
    assert found["Missing fields"][-1][0].startswith("in no row: ")
    assert found["Curation"] == [("kept", "1,000", "83.3 %"), ("exact copy", "200", "16.7 %")]
    assert ("species", "30", "29") in found["Long tail before and after curation"]
    assert ("", "'parus_major' read as 'Parus major'", "") in found["Cleaning of labels"]
    assert ("Formats", "image/jpeg", "1", "100 %") not in found["Columns of one value"]
    assert ("Sets", "a", "1,000", "100 %") in found["Columns of one value"]
    assert found["History"] == [("1", "import", "seed=7", HOSTILE)]


def test_many_groups_end_in_a_count() -> None:
    table = rows(30, taxonGroup=[f"g{number:02d}" for number in range(30)])
    _, _, found = info_tables.groups(census([table]), 12)
    assert (len(found), found[12][0], found[13][0]) == (14, "... and 18 more", "all")


def test_units_are_named_ones_and_rows_without() -> None:
    assert info_tables.units(census([rows(4, unit=["", "", "a", "a"])])) == 3


@pytest.mark.parametrize(
    ("part", "whole", "text"),
    [
        (0, 9, "0 %"),
        (9, 9, "100 %"),
        (1, 10**6, "< 0.1 %"),
        (999_999, 10**6, "> 99.9 %"),
        (1, 3, "33.3 %"),
        (0, 0, "0 %"),
    ],
)
def test_a_share_is_never_rounded_to_none_or_all(part: int, whole: int, text: str) -> None:
    assert share(part, whole) == text


def test_bytes_in_words() -> None:
    assert [byte_words(n) for n in (0, 999, 1500, 2.5e8, 3.8e11, 9.9e15)] == [
        "0 B",
        "999 B",
        "1.5 kB",
        "250 MB",
        "380 GB",
        "9,900.0 TB",
    ]


def test_equal_earth_keeps_areas() -> None:
    assert equal_earth(0, 180) == pytest.approx((2.70663, 0), abs=1e-5)
    assert equal_earth(90, 0) == pytest.approx((0, 1.317363), abs=1e-5)
    for south in range(-85, 85, 17):
        (x1, y1), (x2, y2) = equal_earth(south, 1), equal_earth(south + 0.01, 1)
        true = math.radians(1) * (
            math.sin(math.radians(south + 0.01)) - math.sin(math.radians(south))
        )
        assert (x1 + x2) / 2 * (y2 - y1) == pytest.approx(true, rel=1e-3)


def test_a_region_is_drawn_larger_than_the_world() -> None:
    rng = np.random.default_rng(1)
    near = census(
        [rows(50, decimalLatitude=rng.uniform(46, 48, 50), decimalLongitude=rng.uniform(6, 10, 50))]
    )
    drawn = draw_map(near.places, narrow=False)
    assert "47°N" in drawn
    assert map_words(near.places).startswith("Cells of about 28 by 28 km")
    assert drawn.count("<title>") == len(re.findall(r'<path class="m\d"', drawn)) > 10
    far = census([rows(50)])
    assert "60°N" in draw_map(far.places, narrow=True)
    assert "<title>" not in draw_map(far.places, narrow=True)


def test_classes_of_colour_are_whole_numbers() -> None:
    assert class_edges(1) == [1]
    assert class_edges(10**6) == [1, 10, 100, 1000, 10_000, 100_000]
    assert class_edges(3) == [1, 2, 3]


def test_degrees_have_a_direction() -> None:
    assert degrees_words(-30.5, "N", "S") == "30.5°S"
    assert degrees_words(0, "N", "S") == "0°"


@pytest.mark.parametrize("most", [1, 3, 7, 10, 99, 101, 12_345_678])
def test_steps_are_few_round_and_reach_the_top(most: int) -> None:
    found = info_svg.steps(most)
    assert found[0] == 0
    assert found[-1] >= most
    assert 2 <= len(found) <= 6
    assert info_svg.steps(0) == [0, 1]


def test_a_rank_curve_ends_at_the_last_species() -> None:
    drawn = info_svg.rank_frequency([("all", np.array([1000, 10, 1]))], narrow=False)
    assert "species number 1 has 1,000 rows" in drawn
    assert "species number 3 has 1 rows" in drawn


def test_the_reference_page_names_every_kind_of_date() -> None:
    page = (Path(__file__).parents[2] / "docs" / "reference" / "info.md").read_text()
    for word in ("day", "month", "year", "range", "unlikely", "unreadable", "unknown"):
        assert f"`{word}`" in page
    for number in ("32 million", "0.25", "1500", "2100"):
        assert number in page
