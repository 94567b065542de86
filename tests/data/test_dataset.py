from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from syntype.data.dataset import SCHEMA, Dataset
from syntype.errors import DataNotFoundError


def dataset(root: Path, **columns: list[str]) -> Dataset:
    n = len(next(iter(columns.values())))
    table = pa.table(
        {name: pa.array(columns.get(name, [""] * n), pa.string()) for name in SCHEMA.names}
    )
    return Dataset(table, {"": root})


def test_pictures_are_read_whole_or_as_a_byte_range(tmp_path: Path) -> None:
    (tmp_path / "all.tar").write_bytes(b"0123456789")
    (tmp_path / "odd#3.jpg").write_bytes(b"odd")
    made = dataset(tmp_path, image=["all.tar", "all.tar#2+3", "odd#3.jpg"])
    assert [made.read(row) for row in range(3)] == [b"0123456789", b"234", b"odd"]


def test_a_picture_that_went_away_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataNotFoundError, match=r"gone\.jpg"):
        dataset(tmp_path, image=["gone.jpg"]).read(0)


def test_rows_are_chosen_by_mask_number_or_value(tmp_path: Path) -> None:
    made = dataset(tmp_path, id=["a", "b", "c"], split=["train", "test", "train"])
    assert made.select(np.array([True, False, True])).ids == ["a", "c"]
    assert made.select(np.array([2, 0])).ids == ["c", "a"]
    assert made.where(split="test").ids == ["b"]
    assert made.counts("split") == {"train": 2, "test": 1}


def test_the_revision_knows_every_column_but_not_order_or_place(tmp_path: Path) -> None:
    made = dataset(tmp_path, id=["a", "b"], species=["x", "y"], imageDigest=["1", "2"])
    turned = made.select(np.array([1, 0]))
    assert turned.revision == made.revision
    assert Dataset(made.table, {"": Path("elsewhere")}).revision == made.revision
    relabelled = dataset(tmp_path, id=["a", "b"], species=["x", "z"], imageDigest=["1", "2"])
    assert relabelled.revision != made.revision
    assert relabelled.pictures == made.pictures
    repainted = dataset(tmp_path, id=["a", "b"], species=["x", "y"], imageDigest=["1", "3"])
    assert repainted.pictures != made.pictures
