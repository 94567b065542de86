from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from syntype.data.benchmarks.files import (
    best_prefix,
    binomial,
    number,
    on_disk,
    pairs,
    table_with,
)
from syntype.errors import DataError

STEMS = st.sampled_from(["a", "b", "a.b"])
ENDINGS = st.sampled_from([".jpg", ".JPG", ".Jpg", ".png"])
PLACES = st.builds("{}{}{}".format, st.sampled_from(["", "x/", "x/y/"]), STEMS, ENDINGS)


@settings(max_examples=60, deadline=None)
@given(there=st.sets(PLACES), asked=st.lists(PLACES, min_size=1))
def test_on_disk_is_the_naive_search(
    tmp_path_factory: pytest.TempPathFactory, there: set[str], asked: list[str]
) -> None:
    root = tmp_path_factory.mktemp("files")
    for place in there:
        (root / place).parent.mkdir(parents=True, exist_ok=True)
        (root / place).touch()
    paths, missing = on_disk(root, asked)
    for row, place in enumerate(asked):
        stem, _, ending = place.rpartition(".")
        alike = [p for p in there if p.rpartition(".")[0] == stem]
        same = [p for p in alike if p.rpartition(".")[2].lower() == ending.lower()]
        if place in there:
            assert paths[row] == place
        elif same and ending == ending.lower():
            assert paths[row] in same
        elif not same:
            assert paths[row] == place
            assert missing[row] == "no such file"
        assert (row in missing) == (paths[row] not in there)


def test_on_disk_leaves_the_folder_alone(tmp_path: Path) -> None:
    root = tmp_path / "set"
    (root / "x").mkdir(parents=True)
    (tmp_path / "secret.jpg").touch()
    (root / "x" / "a.JPG").touch()
    asked = ["../secret.jpg", str(tmp_path / "secret.jpg"), "", "./x\\a.jpg", "x", "gone/a.jpg"]
    paths, missing = on_disk(root, asked)
    assert paths[3] == "x/a.JPG"
    assert set(missing) == {0, 1, 2, 4, 5}
    assert missing[2] == "no path"
    assert paths[2] == "row 3"


def test_best_prefix_is_that_of_most_files(tmp_path: Path) -> None:
    for place in ("b/1.jpg", "b/2.jpg", "c/1.jpg"):
        (tmp_path / place).parent.mkdir(exist_ok=True)
        (tmp_path / place).touch()
    assert best_prefix(tmp_path, ["1.jpg", "2.jpg", "3.jpg"], ["a/", "c/", "b/"]) == "b/"
    assert best_prefix(tmp_path, ["9.jpg"], ["a/", "c/"]) == "a/"


def test_pairs_keep_blanks_within_the_rest(tmp_path: Path) -> None:
    path = tmp_path / "classes.txt"
    path.write_bytes("1 Oak Titmouse\n\n2  Zoë  Birch\r\n3\n".encode("latin-1"))
    assert pairs(path) == {"1": "Oak Titmouse", "2": "Zo\ufffd  Birch", "3": ""}


def test_a_table_must_have_its_columns(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("a,b\n1,\n")
    assert table_with(path, ["a"]) == {"a": ["1"], "b": [None]}
    with pytest.raises(DataError, match=r"no column c, d; its columns are: a, b\. .*--data"):
        table_with(path, ["a", "c", "d"])


@pytest.mark.parametrize(
    ("genus", "species", "name"),
    [
        ("Esox", "lucius", "Esox lucius"),
        ("Esox", "Esox lucius", "Esox lucius"),
        (None, "Esox lucius", "Esox lucius"),
        ("Esox", None, None),
        (" ", "", None),
    ],
)
def test_binomial(genus: str | None, species: str | None, name: str | None) -> None:
    assert binomial(genus, species) == name


def test_numbers_lose_what_a_table_added() -> None:
    assert [number(text) for text in ("12", "12.0", " 120.00", None)] == ["12", "12", "120", ""]
