"""Every set that is named leads to a catalogue the same way, whatever its layout."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from fakes import benchmarks, large_sets
from fakes.vlm4bio import write_vlm4bio
from syntype.configs import DataConfig, Workplace
from syntype.data.benchmarks.registry import BENCHMARKS
from syntype.data.catalogue import SCHEMA, Catalogue
from syntype.data.decode import decode
from syntype.data.import_from import import_from
from syntype.data.load import IMPORTED, RECORDS, load_dataset
from syntype.data.locator import Locator, read
from syntype.errors import DataNotFoundError, UsageError

WRITERS: dict[str, Callable[[Path], object]] = {
    **benchmarks.WRITERS,
    **large_sets.WRITERS,
    "vlm4bio": write_vlm4bio,
}
EVERY = (*BENCHMARKS, *(kind for kind in IMPORTED if kind != RECORDS), "vlm4bio")
# Address lists: their pictures are elsewhere.
ELSEWHERE = {"tree-of-life-200m", "biotrove"}


def imported(kind: str, folder: Path) -> Catalogue:
    WRITERS[kind](folder / "set")
    place = Workplace(workspace=folder / "ws", workers=1)
    return import_from(f"mini={kind}:{folder / 'set'}", folder / "catalogue", place)


def test_every_kind_has_a_miniature() -> None:
    assert set(EVERY) <= set(WRITERS)


@pytest.mark.parametrize("kind", EVERY)
def test_a_set_becomes_a_catalogue_whose_pictures_are_read_where_they_lie(
    kind: str, tmp_path: Path
) -> None:
    made = imported(kind, tmp_path)
    table = pa.concat_tables(list(made.scan()))
    assert table.schema.equals(SCHEMA)
    rows = table.to_pylist()
    assert rows
    assert all(row["id"].startswith("mini/") for row in rows)
    assert len({row["id"] for row in rows}) == len(rows)
    assert set(made.header.roots) == {"mini"}
    assert made.header.cards[0].source
    assert made.header.history[0]["verb"] == "import"
    n_here = 0
    for row in rows:
        if row["image"]:
            place = Locator(
                row["image"], row["imageStore"], row["imageOffset"] or 0, row["imageLength"] or 0
            )
            content = read(made.header.roots["mini"], place)
            n_here += 1
            assert content
    assert bool(n_here) == (kind not in ELSEWHERE)
    if kind == "nabirds":
        first = next(row for row in rows if row["image"])
        assert decode(read(made.header.roots["mini"], Locator(first["image"]))).dtype == np.uint8


def test_a_large_set_is_imported_before_it_is_data(tmp_path: Path) -> None:
    config = DataConfig(data=(f"biotrove:{tmp_path}",))
    with pytest.raises(UsageError, match=r"syntype data import biotrove:.* --out CATALOGUE"):
        load_dataset(config, workspace=tmp_path / "ws")


def test_nothing_there_is_told(tmp_path: Path) -> None:
    place = Workplace(workspace=tmp_path / "ws")
    for spec in (f"biotrove:{tmp_path / 'no'}", f"records:{tmp_path / 'no'}", f"{tmp_path / 'no'}"):
        with pytest.raises(DataNotFoundError):
            import_from(spec, tmp_path / "c", place)
