import json

import pyarrow as pa

from syntype.data.dataset import SCHEMA, Dataset
from syntype.data.duplicates import copies, duplicates_notes, joined_units, leaks


def dataset(rows: list[tuple[str, str, str, str]]) -> Dataset:
    """Rows of digest, split, unit, species; the ids are 0, 1, 2 ..."""
    names = ("imageDigest", "split", "unit", "species")
    columns = {name: [""] * len(rows) for name in SCHEMA.names}
    columns |= dict(zip(names, map(list, zip(*rows, strict=True)), strict=True))
    columns["id"] = [str(i) for i in range(len(rows))]
    return Dataset(pa.table(columns, schema=SCHEMA), {})


def test_copies_go_where_they_matter_less() -> None:
    one = dataset(
        [
            ("x", "train", "a", "s"),
            ("x", "test", "b", "s"),
            ("x", "val", "c", "s"),
            ("y", "val", "d", "s"),
            ("y", "train", "e", "s"),
            ("z", "test", "f", "s"),
            ("z", "test", "g", "s"),
            ("w", "train", "h", "s"),
        ]
    )
    assert leaks(one).tolist() == [0, 2, 4]
    notes = duplicates_notes(one, leaks(one))
    assert (notes["pictures"], notes["copies"], notes["nLeaks"]) == (3, 4, 3)
    assert notes["leaks"][0] == {"id": "0", "split": "train", "copyOf": "1", "copySplit": "test"}
    assert notes["leaks"][2]["copyOf"] == "3"
    assert json.loads(json.dumps(notes)) == notes


def test_rows_without_a_split_or_a_digest_never_leak() -> None:
    one = dataset([("x", "", "a", "s"), ("x", "test", "b", "s"), ("", "train", "c", "s")] * 2)
    assert leaks(one).size == 0
    assert copies(dataset([("", "train", "a", "s"), ("", "test", "b", "s")])) == []


def test_units_that_share_a_picture_are_one_across_chains() -> None:
    one = dataset(
        [
            ("x", "", "c", "s"),
            ("x", "", "b", "s"),
            ("y", "", "b", "s"),
            ("y", "", "a", "s"),
            ("z", "", "d", "s"),
        ]
    )
    assert joined_units(one) == ["a", "a", "a", "a", "d"]


def test_copies_under_different_labels_are_told() -> None:
    one = dataset([("x", "", "a", "s"), ("x", "", "b", "t"), ("y", "", "c", "s")])
    assert duplicates_notes(one, leaks(one))["labelsDiffer"] == [["0", "1"]]
