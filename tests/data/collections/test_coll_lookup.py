"""Rows found by the hashes of their names, as a dictionary finds them; and pictures by name."""

import gc
import uuid
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fakes.large_sets import write_tar
from syntype.data.archive_index import index
from syntype.data.collections import lookup
from syntype.data.collections.collection import Account
from syntype.data.collections.lookup import Lookup, hashes
from syntype.data.collections.media import Media, ending_lowered, picture
from syntype.data.locator import Locator, read

some_names = st.one_of(
    st.text(max_size=40).filter(lambda text: text.isprintable()), st.uuids().map(str)
)


@settings(max_examples=40, deadline=None)
@given(
    added=st.lists(st.tuples(some_names, st.integers(0, 2**40)), max_size=60),
    asked=st.lists(some_names, max_size=10),
    waiting=st.integers(1, 20),
)
def test_it_finds_what_a_dictionary_finds(
    added: list[tuple[str, int]],
    asked: list[str],
    waiting: int,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    naive: dict[str, int] = {}
    for name, value in added:
        naive.setdefault(name, value)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lookup, "_WAITING", waiting)
        table = Lookup({"value": np.int64}, tmp_path_factory.mktemp("w"))
        for name, value in added:
            table.add(hashes([name]), value=np.array([value]))
        table.end()
    names = [*asked, *naive]
    rows = table.find(hashes(names))
    values = table.take("value", rows)
    assert (table.n_rows, table.n_twice) == (len(naive), len(added) - len(naive))
    for name, row, value in zip(names, rows.tolist(), values.tolist(), strict=True):
        assert (row >= 0) == (name in naive)
        assert value == naive.get(name, 0)


@given(st.lists(some_names, max_size=20))
def test_a_hash_depends_on_the_name_alone(names: list[str]) -> None:
    together = hashes(names)
    assert together.tolist() == [int(hashes([name])[0]) for name in names]
    column = pa.array(["before", *names, "after"]).slice(1, len(names))
    assert hashes(column).tolist() == together.tolist()


def test_uuids_are_hashed_apart_whatever_the_case() -> None:
    ids = [str(uuid.UUID(int=n << 64 | m, version=4)) for n in range(40) for m in range(40)]
    assert len(set(hashes(ids).tolist())) == len(ids)
    assert hashes([ids[7].upper()]) == hashes([ids[7]])
    almost = [ids[7][:-1] + "g", ids[7].replace("-", "a"), ids[7] + "0"]
    assert len({*hashes(almost).tolist(), int(hashes([ids[7]])[0])}) == 4


def test_nothing_is_left_on_the_disk(tmp_path: Path) -> None:
    table = Lookup({"value": np.int8}, tmp_path / "work")
    table.add(hashes(["a"]), value=np.array([1]))
    table.end()
    assert not list((tmp_path / "work").iterdir())
    del table
    gc.collect()


def test_an_empty_table_finds_nothing(tmp_path: Path) -> None:
    table = Lookup({"value": np.int8}, tmp_path).end()
    assert table.find(hashes(["a", "b"])).tolist() == [-1, -1]


def test_pictures_in_folders_and_archives_are_found_alike(tmp_path: Path) -> None:
    (tmp_path / "sub/part1").mkdir(parents=True)
    (tmp_path / "sub/part1/A.JPG").write_bytes(b"in a folder")
    (tmp_path / "sub/part1/notes.txt").write_bytes(b"")
    tar = write_tar(tmp_path / "a.tar", {"part2/b.jpg": b"in a tar", "part1/A.jpg": b"twice"})

    def naming(place: str) -> str | None:
        found = picture(place)
        return f"{found[0]}/{ending_lowered(found[1])}" if found else None

    media = Media(tmp_path, tmp_path / "work")
    media.add_folder(tmp_path / "sub/part1", naming)
    media.add_archive(index(tar), naming, Account())
    media.end()
    columns, here = media.places(["part1/A.jpg", "part2/b.jpg", "part3/c.jpg", ""])
    assert here.tolist() == [True, True, False, False]
    assert columns["image"].to_pylist() == ["sub/part1/A.JPG", "a.tar", "", ""]
    assert columns["imageStore"].to_pylist() == ["", "span", "", ""]
    assert (media.n_pictures, media.n_twice) == (3, 1)
    place = Locator("a.tar", "span", columns["imageOffset"][1].as_py(), 8)
    assert read(tmp_path, place) == b"in a tar"
    assert columns["imageLength"].to_pylist() == [None, 8, None, None]
