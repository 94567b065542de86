"""Rows in the order of a label file."""

from pathlib import Path

import pytest

from syntype.data.order import rows_in_order
from syntype.errors import DataError, DataNotFoundError

IDS = ["set/a/1.jpg", "set/a/2.jpg", "set/b/1.jpg"]


def write(path: Path, *images: str) -> Path:
    rows = [f"{image},species" for image in images]
    path.write_text("\n".join(["filepath,class", *rows]) + "\n")
    return path


def test_rows_follow_the_table_which_may_name_more(tmp_path: Path) -> None:
    table = write(tmp_path / "labels.csv", "b/1.jpg", "gone/9.jpg", "./a/2.jpg", "a/1.jpg")
    assert rows_in_order(IDS, table).tolist() == [2, 1, 0]


def test_pictures_without_a_place_are_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"1 of the 3 pictures .* 'set/b/1.jpg'"):
        rows_in_order(IDS, write(tmp_path / "labels.csv", "a/1.jpg", "a/2.jpg"))
    with pytest.raises(DataError, match="2 of the 3 pictures"):
        rows_in_order(IDS, write(tmp_path / "short.csv", "1.jpg"))
    with pytest.raises(DataNotFoundError, match=r"--few-shot\.order"):
        rows_in_order(IDS, tmp_path / "none.csv")
