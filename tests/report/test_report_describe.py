import pyarrow as pa

from syntype.data.dataset import SCHEMA, Card, Dataset
from syntype.report.describe import describe_dataset


def test_counts_by_group_and_split_and_no_folder(tmp_path):
    rows = [
        ("1", "Bird", "train", "a", "u1"),
        ("2", "Bird", "train", "a", "u1"),
        ("3", "Bird", "train", "b", "u2"),
        ("4", "Fish", "test", "c", "u3"),
        ("5", "Fish", "test", "", "u4"),
    ]
    keys = ("id", "taxonGroup", "split", "species", "unit")
    columns = {name: [""] * len(rows) for name in SCHEMA.names}
    columns |= dict(zip(keys, map(list, zip(*rows, strict=True)), strict=True))
    cards = (Card(name="one", source=str(tmp_path / "photos")), Card(name="two", source="doi:1"))
    table = pa.table(columns, schema=SCHEMA)
    content = describe_dataset(Dataset(table, {}, cards, {"duplicates": 2}))
    assert content["groups"] == {
        "Bird": {"train": {"images": 3, "species": 2, "units": 2, "singletons": 1}},
        "Fish": {"test": {"images": 2, "species": 1, "units": 2, "singletons": 1}},
    }
    assert content["name"] == "one + two"
    assert (content["images"], content["species"]) == (5, 3)
    assert [card["source"] for card in content["cards"]] == ["photos", "doi:1"]
    assert content["notes"] == {"duplicates": 2}
