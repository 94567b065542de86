"""The census against a naive count, for any rows and any batches."""

import itertools
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from syntype.data.catalogue import SCHEMA, Catalogue, conform, writing
from syntype.data.census import (
    about_catalogue,
    about_dataset,
    catalogue_rows,
    census,
    census_of_catalogue,
    census_of_dataset,
)
from syntype.data.census_counter import REPEATED, SIDE_EDGES, TALLIED
from syntype.data.census_data import Census
from syntype.data.census_dates import date_of
from syntype.data.dataset import SCHEMA as SAMPLE
from syntype.data.dataset import Card, Dataset
from syntype.data.occurrences.licences import short_licence
from syntype.data.raw import NUMBERS
from syntype.taxonomy.taxon import RANKS

WORDS = {
    "species": ["", "Parus major", "Esox lucius", "Ærø ørn", "Parus minor"],
    "taxonGroup": ["", "Bird", "Fish"],
    "split": ["", "train", "val", "test"],
    "license": ["", "CC BY 4.0", "cc-by-4.0", "CC0", "ask me"],
    "eventDate": ["", "2019-05-01", "2019-05-01T10:00Z", "2019", "2019/2021", "May", "0999-01-01"],
    "accessURI": ["", "https://a/1.jpg", "https://a/2.jpg", "x" * 300],
    "imageDigest": ["", "ab" * 32, "cd" * 32],
    "image": ["", "a.jpg", "b.jpg"],
    "creator": ["", "Li", "Zoë"],
    "unit": ["", "one", "two"],
}


@st.composite
def rows(draw):
    """Rows by a generator of numbers: drawn value by value they would take minutes."""
    n, rng = draw(st.integers(0, 40)), np.random.default_rng(draw(st.integers(0, 2**32)))
    columns = {name: rng.choice(words, n).tolist() for name, words in WORDS.items()}
    numbers = {
        "decimalLatitude": [None, 0.0, 91.0, *rng.uniform(-90, 90, 9)],
        "decimalLongitude": [None, 0.0, -181.0, *rng.uniform(-180, 180, 9)],
        "pixelXDimension": [None, 0, *rng.integers(1, 7000, 9).tolist()],
        "pixelYDimension": [None, 0, *rng.integers(1, 7000, 9).tolist()],
        "imageLength": [None, 0, 2**33, *rng.integers(1, 10**6, 9).tolist()],
    }
    for name, values in numbers.items():
        columns[name] = [values[place] for place in rng.integers(0, len(values), n)]
    fields = {name: NUMBERS.get(name, pa.string()) for name in columns}
    return conform(pa.table({k: pa.array(v, fields[k]) for k, v in columns.items()}))


def flat(found: Census) -> dict:
    """A census as plain values that can be compared."""
    values = dict(vars(found))
    values["places"] = {**vars(found.places), "grid": found.places.grid.tobytes()}
    for name in ("overall", "groups"):
        groups = (found.overall,) if name == "overall" else found.groups
        values[name] = [{**vars(one), "counts": one.counts.tolist()} for one in groups]
    return values


@settings(max_examples=15, deadline=None)
@given(table=rows(), data=st.data())
def test_the_census_does_not_depend_on_batches(table: pa.Table, data: st.DataObject) -> None:
    whole = census([table])
    cuts = sorted(data.draw(st.lists(st.integers(0, table.num_rows), max_size=3)))
    edges = [0, *cuts, table.num_rows]
    parts = [table.slice(a, b - a) for a, b in itertools.pairwise(edges)]
    encoded = data.draw(st.sets(st.sampled_from(sorted(WORDS))))
    held = data.draw(st.sampled_from([10, 1000]))
    parts = [
        pa.table(
            {
                name: part.column(name).dictionary_encode()
                if name in encoded
                else part.column(name)
                for name in part.column_names
            }
        )
        for part in parts
    ]
    assert flat(census(parts, held=held)) == flat(whole)


@settings(max_examples=15, deadline=None)
@given(table=rows())
def test_the_census_equals_a_naive_count(table: pa.Table) -> None:
    found, given_rows = census([table]), table.to_pylist()
    assert found.rows == len(given_rows)
    known = {
        name: [row[name] for row in given_rows if row[name] not in ("", None)]
        for name in SCHEMA.names
    }
    assert found.filled == {name: len(values) for name, values in known.items()}
    assert found.ranks == {rank: (len(known[rank]), len(set(known[rank]))) for rank in RANKS}
    for name in TALLIED:
        values = [short_licence(text) if name == "license" else text for text in known[name]]
        counts = sorted(Counter(values).items(), key=lambda one: (-one[1], one[0].encode()))
        tally = found.tallies[name]
        assert (tally.known, tally.distinct, tally.top) == (len(values), len(counts), tuple(counts))
    for name in REPEATED:
        counts = Counter(known[name])
        assert (found.repeats[name].rows, found.repeats[name].distinct) == (
            len(known[name]),
            len(counts),
        )
    check_groups(found, given_rows)
    check_dates_and_sizes(found, given_rows)


def check_groups(found: Census, given_rows: list[dict]) -> None:
    groups = defaultdict(list)
    for row in given_rows:
        groups[row["taxonGroup"]].append(row)
    assert [one.rows for one in found.groups] == sorted(map(len, groups.values()), reverse=True)
    for one in (*found.groups, found.overall):
        mine = given_rows if one is found.overall else groups[one.name]
        counts = Counter(row["species"] for row in mine if row["species"])
        assert one.counts.tolist() == sorted(counts.values(), reverse=True)
        assert one.unnamed == sum(not row["species"] for row in mine)
        of_split = {
            split: {r["species"] for r in mine if r["split"] == split} for split in WORDS["split"]
        }
        for split, (n, n_species) in one.splits.items():
            assert n == sum(row["split"] == split for row in mine)
            assert n_species == len(of_split[split] - {""})
        assert one.unseen == len(of_split["test"] - of_split["train"] - {""})


def check_dates_and_sizes(found: Census, given_rows: list[dict]) -> None:
    dates = [date_of(row["eventDate"]) for row in given_rows]
    assert {k: n for k, n in found.dates.items() if n} == Counter(date.kind for date in dates)
    assert found.years == Counter(date.year for date in dates if date.year)
    assert sum(found.months) == sum(date.month > 0 for date in dates)
    pairs = [(row["pixelXDimension"], row["pixelYDimension"]) for row in given_rows]
    sides = [min(pair) for pair in pairs if None not in pair and min(pair) > 0]
    places = np.digitize(sides, SIDE_EDGES) - 1
    assert found.sides.counts == tuple(np.bincount(places, minlength=len(SIDE_EDGES)).tolist())
    lengths = [row["imageLength"] for row in given_rows if row["imageLength"]]
    assert (found.n_bytes.n, found.n_bytes.total) == (len(lengths), sum(lengths))
    assert (found.n_bytes.least, found.n_bytes.most) == (
        min(lengths, default=0),
        max(lengths, default=0),
    )
    media = Counter(
        "here" if row["image"] else "elsewhere" if row["accessURI"] else "nowhere"
        for row in given_rows
    )
    assert {name: n for name, n in found.media.items() if n} == media


def test_nulls_and_missing_columns_are_unknown() -> None:
    found = census([pa.table({"species": pa.array([None, "Parus major"]), "id": ["a", "b"]})])
    assert found.ranks["species"] == (1, 1)
    assert (found.overall.unnamed, found.filled["license"]) == (1, 0)
    assert found.media == {"here": 0, "elsewhere": 0, "nowhere": 2}
    assert found.dates["unknown"] == 2
    assert found.places.none == 2


def test_nothing_at_all_is_a_census_too() -> None:
    found = census([])
    assert (found.rows, found.groups, found.overall.species) == (0, (), 0)
    assert found.repeats["unit"].rows == 0


@pytest.fixture
def catalogue(tmp_path: Path) -> Catalogue:
    n = 500
    columns = {
        "id": [f"birds/{row}" for row in range(n)],
        "species": [f"Parus s{row % 7}" for row in range(n)],
        "taxonGroup": ["Bird"] * n,
        "decimalLatitude": [51.5] * n,
        "decimalLongitude": [-0.1] * n,
    }
    notes = {"said": 1}
    with writing(
        tmp_path / "birds",
        cards=[Card(name="birds", source="here", license="CC0", citation="")],
        roots={"birds": tmp_path},
        notes=notes,
        history=[{"verb": "import", "options": {}, "of": "here"}],
    ) as writer:
        writer.add(conform(pa.table(columns)))
    return Catalogue.open(tmp_path / "birds")


def test_a_catalogue_is_counted_as_its_rows_are(catalogue: Catalogue) -> None:
    found = census_of_catalogue(catalogue)
    assert flat(found) == flat(census(catalogue.scan()))
    assert (found.rows, found.filled["id"], found.overall.species) == (500, 500, 7)
    about = about_catalogue(catalogue)
    assert (about.name, about.revision, about.notes["said"]) == ("birds", catalogue.revision, 1)
    assert about.history[0]["verb"] == "import"


def test_a_dataset_is_counted_in_a_catalogues_columns() -> None:
    columns = {name: ["", "", ""] for name in SAMPLE.names} | {
        "id": ["s/a.jpg", "s/b", "s/c"],
        "image": ["a.jpg", "x.tar#512+1000", "y.parquet#row3@image.bytes"],
        "unit": ["s/a.jpg", "s/track", "s/track"],
        "species": ["Parus major", "Parus major", ""],
    }
    card = Card(name="s", source="", license="", citation="")
    dataset = Dataset(pa.table(columns, schema=SAMPLE), {"s": Path()}, (card,), {"limit": 3})
    table = catalogue_rows(dataset)
    assert table.schema.equals(SCHEMA)
    assert table.column("imageStore").to_pylist() == ["", "span", "cell image.bytes"]
    assert table.column("imageOffset").to_pylist() == [None, 512, 3]
    assert table.column("unit").to_pylist() == ["", "s/track", "s/track"]
    found = census_of_dataset(dataset)
    assert (found.rows, found.n_bytes.total, found.overall.species) == (3, 1000, 1)
    assert "eventDate" not in found.filled
    assert about_dataset(dataset).notes == {"limit": 3}
