"""The order of pictures in a published label file, which some published numbers depend on."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Int

from syntype.configs import DataConfig
from syntype.data.columns import map_columns
from syntype.data.table import read_columns
from syntype.errors import DataError, DataNotFoundError


def rows_in_order(ids: Sequence[str], path: Path) -> Int[np.ndarray, "n"]:
    """The rows of `ids` in the order in which the table at `path` names their pictures.

    A path of the table names the id that it ends, after a slash.

    Args:
        ids: Ids of samples: the name of their set, a slash, and the path of the picture.
        path: A CSV, TSV or Parquet table with a column of paths, as a data set would have.

    Raises:
        DataNotFoundError: There is no such table.
        DataError: A sample is not in the table, or two have the same place in it.
    """
    if not path.is_file():
        raise DataNotFoundError(f"There is no table {path}. Check --few-shot.order.")
    table, _ = read_columns(path)
    image = map_columns(table, path.stem, DataConfig(data=(str(path),))).columns["image"]
    place: dict[str, int] = {}
    for row, name in enumerate(table[image]):
        if name:
            place.setdefault(name.strip().replace("\\", "/").removeprefix("./"), row)
    rows, lost = {}, []
    for row, name in enumerate(ids):
        found = next((place[end] for end in _ends(name) if end in place), None)
        if found is None or found in rows:
            lost.append(name)
        else:
            rows[found] = row
    if lost:
        raise DataError(
            f"{len(lost)} of the {len(ids)} pictures have no place of their own in {path}, for "
            f"example {lost[0]!r}. --few-shot.order takes the label file of these very data."
        )
    return np.array([rows[found] for found in sorted(rows)], dtype=np.int64)


def _ends(name: str) -> list[str]:
    """What stands behind each slash, the longest first, and the whole."""
    parts = name.split("/")
    return ["/".join(parts[start:]) for start in range(len(parts))]
