"""The naive index keeps what `Index` promises, and the synthetic collection has what it says."""

import datetime

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from fakes.collection import (
    DATES,
    ODD_KEYS,
    SET,
    clustered_vectors,
    synthetic_index,
    synthetic_records,
    write_pictures,
)
from fakes.memory_index import MemoryIndex
from syntype.data.census_dates import span_of
from syntype.errors import DataError, VectorError
from syntype.search.index import Hit
from syntype.search.records import FACETS, RECORD, conform_records, read_medium
from syntype.search.where import Box, Circle, Where


def records(*rows: dict) -> pa.Table:
    return conform_records(pa.Table.from_pylist(list(rows)))


def test_similarities_are_of_halved_vectors_and_equal_ones_are_in_the_order_of_ids() -> None:
    index = MemoryIndex(2)
    vectors = np.array([[0.6, 0.8], [1, 0], [0.6, 0.8]], np.float32)
    index.upsert(records({"id": "b"}, {"id": "c"}, {"id": "a"}), vectors)
    (hits,) = index.search(np.array([[0.6, 0.8]], np.float32), 5)
    assert [hit.id for hit in hits] == ["a", "b", "c"]
    halved = np.float16(0.6).astype(np.float32), np.float16(0.8).astype(np.float32)
    wanted = float((halved[0] * np.float32(0.6) + halved[1] * np.float32(0.8)).round(6))
    assert hits[0] == Hit("a", wanted)
    assert hits[1].similarity == wanted
    assert index.vectors(["a"]).tolist() == [[float(halved[0]), float(halved[1])]]
    assert [len(hits) for hits in index.search(np.eye(2, dtype=np.float32), 2)] == [2, 2]


def test_records_are_replaced_and_removed_by_id() -> None:
    index = synthetic_index(30)
    id_ = f"{SET}/a#b"
    index.upsert(records({"id": id_, "species": "Anas crecca"}), index.vectors([f"{SET}/plain"]))
    assert len(index) == 30
    (row,) = index.records([id_])
    assert row is not None
    assert row["species"] == "Anas crecca"
    assert row.keys() == set(RECORD.names)
    assert index.delete([id_, id_, "nothing"]) == 1
    assert len(index) == 29
    before = index.state
    assert index.delete(["nothing"]) == 0
    assert index.state == before
    index.delete([f"{SET}/a b"])
    assert index.state != before
    assert index.records([id_]) == [None]
    with pytest.raises(DataError):
        index.vectors([id_])


@pytest.mark.parametrize("ids", [["a", "a"], ["", "b"]])
def test_bad_ids_change_nothing(ids: list[str]) -> None:
    index = MemoryIndex(2)
    with pytest.raises(DataError):
        index.upsert(records(*({"id": id_} for id_ in ids)), np.eye(2, dtype=np.float32))
    assert len(index) == 0


@pytest.mark.parametrize("vector", [[np.nan, 1], [0, 0], [3, 4], [np.inf, 0], [1, 0, 0]])
def test_broken_vectors_change_nothing(vector: list[float]) -> None:
    index = MemoryIndex(2)
    with pytest.raises(VectorError):
        index.upsert(records({"id": "a"}), np.array([vector], np.float32))
    assert len(index) == 0


def test_conditions() -> None:
    index = synthetic_index(300)

    def found(where: Where) -> list[dict]:
        ids = index.browse(1000, where)
        assert index.count(where) == len(ids)
        assert ids == sorted(ids)
        return [row for row in index.records(ids) if row is not None]

    assert {row["family"] for row in found(Where(equal={"family": ("Paridae",)}))} == {"Paridae"}
    assert {row["sex"] for row in found(Where(equal={"sex": ("", "male")}))} == {"", "male"}
    fiji = found(Where(box=Box(south=-20.0, west=170.0, north=5.0, east=-170.0)))
    assert {row["id"] for row in fiji} >= {f"{SET}/a#b", f"{SET}/a%2Fb", f"{SET}/a?b=c&d"}
    assert all(abs(row["decimalLongitude"]) >= 170 for row in fiji)
    north = found(Where(circle=Circle(latitude=89.9, longitude=-135.0, km=12.0)))
    assert {row["decimalLatitude"] for row in north} == {90.0}
    year = found(Where(since="1913", until="1913"))
    assert {row["eventDate"] for row in year} >= {"1913", "1913-05", "1913-05-27/29"}
    assert "1899/1901" in {row["eventDate"] for row in found(Where(since="1900", until="1900"))}
    assert all(span_of(row["eventDate"]) for row in found(Where(until="2100")))
    both = found(Where(has=("sound", "place")))
    assert both
    assert all({"sound", "place"} <= set(row["has"].split()) for row in both)


def test_browsing_goes_on_behind_an_id() -> None:
    index = synthetic_index(25)
    first = index.browse(10)
    assert first + index.browse(100, after=first[-1]) == index.browse(100)


def test_counts() -> None:
    index = synthetic_index(300)
    for column in FACETS:
        counts = index.facet(column)
        assert sum(n for _, n in counts) == 300
        assert counts == sorted(counts, key=lambda pair: (-pair[1], pair[0]))
        assert dict(counts).get("", 0) == index.count(Where(equal={column: ("",)}))
    assert len(index.facet("species", most=3)) == 3
    dated = [span_of(row["eventDate"]) for row in synthetic_records(300).to_pylist()]
    begins = [datetime.date.fromordinal(span[0]).year for span in dated if span]
    assert index.years() == [(year, begins.count(year)) for year in sorted(set(begins))]
    cells = index.places(10)
    assert sum(cell.n for cell in cells) == index.count(Where(has=("place",)))
    assert max(cell.latitude for cell in cells) == 90


def test_suggestions_are_of_words() -> None:
    index = synthetic_index(300)
    assert {one[:2] for one in index.suggest("VANESSA C", 10)} == {("species", "Vanessa cardui")}
    assert {one[:2] for one in index.suggest("headed", 10)} == {
        ("vernacularName", "Black-headed Gull")
    }
    assert index.suggest("anessa", 10) == []
    assert index.suggest(" ", 10) == []
    counts = [n for _, _, n in index.suggest("p", 100)]
    assert counts == sorted(counts, reverse=True)


def test_the_collection_is_whole_and_odd(tmp_path) -> None:
    table = synthetic_records(120, seed=3)
    assert table.schema.equals(RECORD)
    assert table.slice(0, 50).equals(synthetic_records(50, seed=3))
    assert not table.equals(synthetic_records(120, seed=4))
    ids = table.column("id").to_pylist()
    assert len(set(ids)) == 120
    assert ids[: len(ODD_KEYS)] == [f"{SET}/{key}" for key in ODD_KEYS]
    assert set(DATES) <= set(table.column("eventDate").to_pylist())
    for column in FACETS:
        values = set(table.column(column).to_pylist())
        assert len(values - {""}) >= 1, column
    write_pictures(tmp_path, table)
    for row in table.to_pylist():
        if row["image"].endswith(".jpg"):
            content = read_medium(row, {SET: tmp_path})
            assert content[:2] == b"\xff\xd8"
    Image.open(tmp_path / "000000.jpg").load()


def test_vectors_cluster_by_species() -> None:
    table = synthetic_records(150)
    vectors = clustered_vectors(table, 16)
    assert vectors.dtype == np.float32
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1)
    names = np.array(table.column("species").to_pylist())
    same = (names[:, None] == names) & (names[:, None] != "") & ~np.eye(150, dtype=bool)
    cosines = vectors @ vectors.T
    assert cosines[same].min() > 0.4 > cosines[~same & ~np.eye(150, dtype=bool)].mean()
