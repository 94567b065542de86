"""Every large set, as it is published: what all readers promise."""

import json
import shutil
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pytest

from fakes.large_sets import WRITERS, Written, shuffle_lines
from syntype.data.catalogue import Catalogue, locators
from syntype.data.collections.collection import OTHER_PART
from syntype.data.collections.read import read_collection
from syntype.data.collections.registry import COLLECTIONS
from syntype.data.importing import import_raw
from syntype.data.locator import Locator, read
from syntype.errors import DataNotFoundError, UsageError

every = pytest.mark.parametrize("kind", list(COLLECTIONS))


def catalogue_of(kind: str, written: Written, work: Path, *, part: str = "") -> Catalogue:
    """The miniature as a catalogue."""
    work.mkdir(parents=True, exist_ok=True)
    raw = read_collection(kind, written.root, part=part, name="set", work=work / "work")
    return import_raw(raw, work / "catalogue")


def rows_of(catalogue: Catalogue) -> list[dict[str, object]]:
    return pa.concat_tables(list(catalogue.scan())).to_pylist()


def adds_up(catalogue: Catalogue) -> bool:
    rows = catalogue.header.notes["rows"]
    return rows["read"] == rows["taken"] + sum(rows["leftOut"].values())


def test_every_set_has_a_miniature() -> None:
    assert list(WRITERS) == list(COLLECTIONS)


@every
def test_the_published_layout_is_read(kind: str, tmp_path: Path) -> None:
    written = WRITERS[kind](tmp_path / "set")
    catalogue = catalogue_of(kind, written, tmp_path / "out")
    notes = catalogue.header.notes
    expected = {"read": written.read, "taken": written.taken, "leftOut": dict(written.reasons)}
    assert notes["rows"] == expected
    assert adds_up(catalogue)
    assert len(catalogue) == written.taken - written.twins
    rows = rows_of(catalogue)
    assert len({row["id"] for row in rows}) == len(rows)
    assert all(str(row["id"]).startswith("set/") for row in rows)
    assert all(row["mediaType"] == "StillImage" for row in rows)
    assert not {"nan", "null", "None", "not_classified"} & {v for row in rows for v in row.values()}
    assert json.loads(json.dumps(notes)) == notes
    (card,) = catalogue.header.cards
    assert (card.source, card.license) == (COLLECTIONS[kind].source, COLLECTIONS[kind].license)


@every
def test_every_picture_is_read_where_it_lies(kind: str, tmp_path: Path) -> None:
    written = WRITERS[kind](tmp_path / "set")
    catalogue = catalogue_of(kind, written, tmp_path / "out")
    table = pa.concat_tables(list(catalogue.scan()))
    root = catalogue.header.roots["set"]
    keys = [id_.removeprefix("set/") for id_ in table.column("id").to_pylist()]
    for key, text, image in zip(keys, locators(table), table["image"].to_pylist(), strict=True):
        assert bool(image) == (key in written.media)
        if image:
            assert read(root, Locator.of(text)) == written.media[key]
    found = {key for key, image in zip(keys, table["image"].to_pylist(), strict=True) if image}
    assert found == set(written.media)


@every
def test_the_same_set_gives_the_same_bytes_wherever_it_lies(kind: str, tmp_path: Path) -> None:
    written = WRITERS[kind](tmp_path / "here" / "set")
    first = catalogue_of(kind, written, tmp_path / "one")
    there = Written(**{**vars(written), "root": tmp_path / "job-4711"})
    shutil.copytree(written.root, there.root)
    second = catalogue_of(kind, there, tmp_path / "two")
    again = catalogue_of(kind, written, tmp_path / "three")
    assert first.revision == second.revision == again.revision
    assert first.header.notes["rows"] == second.header.notes["rows"]


@every
def test_every_row_of_every_part_is_accounted_for(kind: str, tmp_path: Path) -> None:
    written = WRITERS[kind](tmp_path / "set")
    for number, part in enumerate(COLLECTIONS[kind].parts):
        try:
            catalogue = catalogue_of(kind, written, tmp_path / str(number), part=part)
        except DataNotFoundError:
            continue  # the miniature lacks it
        assert adds_up(catalogue), part


@pytest.mark.parametrize("kind", ["tree-of-life-10m", "bioscan-1m"])
def test_the_order_of_a_table_does_not_matter(kind: str, tmp_path: Path) -> None:
    written = WRITERS[kind](tmp_path / "set")
    before = catalogue_of(kind, written, tmp_path / "before")
    shuffle_lines(written.root / written.table, 5)
    after = catalogue_of(kind, written, tmp_path / "after")
    sort = {row["id"]: row for row in rows_of(before)}
    assert {row["id"] for row in rows_of(after)} == set(sort)
    # Of two rows with one id the first stays, so these alone may differ.
    same = [row for row in rows_of(after) if row == sort[row["id"]]]
    assert len(same) >= len(sort) - written.twins
    assert after.header.notes["rows"] == before.header.notes["rows"]


@every
def test_what_is_not_here_is_told_with_how_to_get_it(kind: str, tmp_path: Path) -> None:
    for path in (tmp_path / "nowhere", tmp_path):
        with pytest.raises(DataNotFoundError) as caught:
            read_collection(kind, path)
        message = str(caught.value)
        collection = COLLECTIONS[kind]
        assert collection.source in message
        assert collection.get in message
        assert all(line in message for line in collection.layout)


@every
def test_an_unknown_part_is_refused_with_those_there_are(kind: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no part 'sound'"):
        read_collection(kind, tmp_path, part="sound")


@every
def test_a_card_says_what_could_not_be_confirmed(kind: str) -> None:
    collection = COLLECTIONS[kind]
    assert "could" in collection.unconfirmed
    assert collection.usage.startswith(f"{kind}:FOLDER")


def test_parts_of_tree_of_life_10m(tmp_path: Path) -> None:
    written = WRITERS["tree-of-life-10m"](tmp_path / "set")
    sizes = {
        part: len(catalogue_of("tree-of-life-10m", written, tmp_path / f"c{part}", part=part))
        for part in COLLECTIONS["tree-of-life-10m"].parts
    }
    assert sizes == {
        "": 12, "eol": 8, "inat21": 2, "bioscan": 2, "train-small": 6, "metadata": 18,
    }  # fmt: skip
    assert OTHER_PART in Catalogue.open(tmp_path / "ceol/catalogue").header.notes["rows"]["leftOut"]


def test_splits_of_tree_of_life_10m(tmp_path: Path) -> None:
    written = WRITERS["tree-of-life-10m"](tmp_path / "set")
    catalogue = catalogue_of("tree-of-life-10m", written, tmp_path / "out")
    splits = Counter(row["split"] for row in rows_of(catalogue))
    assert splits == {"train": 9, "val": 3}
    assert catalogue.header.notes["splits"] == {"train": 14, "train_small": 3, "val": 5}
