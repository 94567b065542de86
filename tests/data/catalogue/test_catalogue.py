"""Catalogues: written whole, scanned in any shares, named and keyed as every set is."""

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fakes.catalogues import COLUMNS, catalogue_of, everywhere, jpeg, row
from syntype.configs import ChoiceConfig, DataConfig
from syntype.data import catalogue as module
from syntype.data.catalogue import NUMBERS, SCHEMA, Catalogue, conform, writing
from syntype.data.choosing import lot, lowest, subset
from syntype.data.dataset import Card
from syntype.data.from_catalogue import read_catalogue, write_dataset
from syntype.data.importing import import_raw
from syntype.data.load import load_dataset
from syntype.data.locator import Locator, read
from syntype.data.numbering import Codes, row_hashes
from syntype.data.raw import Raw, tables_of
from syntype.data.split_catalogue import split_catalogue
from syntype.data.splits import complete_split, make_split, unseen_split
from syntype.errors import DataError, DataNotFoundError, UsageError


def whole(catalogue: Catalogue) -> list[dict]:
    return pa.concat_tables(list(catalogue.scan())).to_pylist()


@pytest.fixture
def mini(tmp_path: Path) -> Catalogue:
    return catalogue_of(everywhere(tmp_path / "media"), tmp_path / "mini", tmp_path / "media")


@pytest.fixture
def small_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    """Row groups of seven rows and parts of three groups, so that few rows cross all borders."""
    monkeypatch.setattr(module, "GROUP_ROWS", 7)
    monkeypatch.setattr(module, "PART_ROWS", 21)


def test_each_row_finds_its_picture(mini: Catalogue) -> None:
    rows = whole(mini)
    assert len(rows) == len(mini) == 40
    for number, one in enumerate(rows):
        place = Locator(
            one["image"], one["imageStore"], one["imageOffset"] or 0, one["imageLength"] or 0
        )
        assert one["id"] == f"mini/p{number:05d}"
        assert read(mini.header.roots["mini"], place) == jpeg(number)


def test_names_are_cleaned_as_for_any_set(tmp_path: Path) -> None:
    labels = ["parus  major", "Parus major (Linnaeus, 1758)", "Parus major", "", "Parus_minor"]
    rows = [{"key": f"{i}", "verbatimIdentification": label, "genus": "", "family": " Paridae"}
            for i, label in enumerate(labels)]  # fmt: skip
    rows[3] |= {"genus": "Parus"}
    made = catalogue_of(rows, tmp_path / "c", tmp_path, columns=("key", "genus", "family",
                        "verbatimIdentification"))  # fmt: skip
    found = whole(made)
    assert [one["species"] for one in found] == ["Parus major"] * 3 + ["", "Parus minor"]
    assert [one["genus"] for one in found] == ["Parus"] * 5
    assert {one["family"] for one in found} == {"Paridae"}
    assert [one["verbatimIdentification"] for one in found] == labels
    steps = dict(made.header.notes["cleaning"]["steps"])
    assert steps["published"] == 5
    assert steps["letter_case"] == 2


def test_a_medium_without_terms_gets_none_from_its_set(tmp_path: Path) -> None:
    made = catalogue_of([row(1, {"image": "x"}, license="")], tmp_path / "c", tmp_path)
    assert made.header.cards[0].license == "CC BY 4.0"
    assert whole(made)[0]["license"] == ""


def test_twins_are_left_out_by_name(tmp_path: Path) -> None:
    rows = [row(number, {"image": "x"}) for number in (1, 2, 1, 3, 1)]
    made = catalogue_of(rows, tmp_path / "c", tmp_path)
    assert [one["id"] for one in whole(made)] == ["mini/p00001", "mini/p00002", "mini/p00003"]
    assert made.header.notes["leftOut"]["reasons"] == {"the same row stands twice": 2}
    told = (tmp_path / "c" / "left_out.csv").read_text().splitlines()
    assert told[1:] == ['"mini/p00001","the same row stands twice"'] * 2


@given(st.integers(0, 60), st.integers(1, 5))
@settings(max_examples=15, deadline=None)
@pytest.mark.usefixtures("small_groups")
def test_every_row_comes_to_exactly_one_share(
    tmp_path_factory: pytest.TempPathFactory, n: int, n_shares: int
) -> None:
    folder = tmp_path_factory.mktemp("shares")
    made = catalogue_of([row(i, {"image": "x"}) for i in range(n)], folder / "c", folder)
    assert len(made.header.parts) == -(-n // 21)
    seen = Counter(
        id_
        for number in range(n_shares)
        for table in made.scan(["id"], share=(number, n_shares))
        for id_ in table.column("id").to_pylist()
    )
    assert seen == Counter(f"mini/p{i:05d}" for i in range(n))


@pytest.mark.usefixtures("small_groups")
def test_batches_of_the_reader_do_not_show(tmp_path: Path) -> None:
    rows = [row(i, {"image": "x"}) for i in range(50)]
    revisions = set()
    for size in (1, 13, 1000):
        raw = Raw(card=Card(name="mini"), root=tmp_path,
                  tables=tables_of(rows, COLUMNS, batch_rows=size))  # fmt: skip
        revisions.add(import_raw(raw, tmp_path / f"c{size}").revision)
    assert len(revisions) == 1


def test_a_writer_that_fails_leaves_nothing(tmp_path: Path) -> None:
    def fail() -> None:
        with writing(tmp_path / "c", cards=[], roots={}, notes={}, history=[]) as writer:
            writer.add(conform(pa.table({"id": ["a"]})))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert list(tmp_path.iterdir()) == []


def test_what_is_no_catalogue_or_damaged_is_told(mini: Catalogue, tmp_path: Path) -> None:
    with pytest.raises(DataNotFoundError, match="syntype data import"):
        Catalogue.open(tmp_path)
    with pytest.raises(UsageError, match="Name a new folder"):
        catalogue_of([], mini.folder, tmp_path)
    mini.check()
    part = mini.folder / mini.header.parts[0][0]
    content = part.read_bytes()
    part.write_bytes(content[: len(content) // 2])
    with pytest.raises(DataError, match="changed"):
        mini.check()
    with pytest.raises(DataError, match="cannot be read"):
        list(mini.scan())
    part.unlink()
    with pytest.raises(DataNotFoundError, match="is missing"):
        Catalogue.open(mini.folder)
    header = json.loads((mini.folder / "catalogue.json").read_text())
    (mini.folder / "catalogue.json").write_text(json.dumps(header | {"format": 99}))
    with pytest.raises(DataError, match="format 99"):
        Catalogue.open(mini.folder)


def test_catalogue_and_media_move_together(mini: Catalogue, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    mini.folder.rename(tmp_path / "elsewhere" / "mini")
    (tmp_path / "media").rename(tmp_path / "elsewhere" / "media")
    moved = Catalogue.open(tmp_path / "elsewhere" / "mini")
    assert moved.revision == mini.revision
    assert moved.header.roots["mini"].resolve() == tmp_path / "elsewhere" / "media"


def test_the_page_lists_every_column_and_no_other() -> None:
    page = (Path(__file__).parents[3] / "docs" / "reference" / "catalogue.md").read_text()
    block = page.split("<!-- columns -->")[1]
    listed = [line.split("|")[1].strip().strip("`") for line in block.splitlines()
              if line.startswith("| `")]  # fmt: skip
    kinds = {line.split("|")[1].strip().strip("`"): line.split("|")[2].strip()
             for line in block.splitlines() if line.startswith("| `")}  # fmt: skip
    assert listed == SCHEMA.names
    assert {name for name, kind in kinds.items() if kind != "text"} == set(NUMBERS)


# Choosing.


def test_a_subset_is_of_the_taxon_and_no_larger_than_asked(mini: Catalogue, tmp_path: Path) -> None:
    config = ChoiceConfig(taxon=("lepidoptera",), per_species=3)
    made = subset(mini, config, tmp_path / "few")
    rows = whole(made)
    assert Counter(one["species"] for one in rows) == {"Danaus plexippus": 3, "Vanessa atalanta": 3}
    assert made.header.notes["leftOut"]["reasons"] == {"not asked for": 34}
    assert made.header.history[-1]["options"]["taxon"] == ["lepidoptera"]
    assert made.header.history[0]["rows"] == 40
    more = whole(subset(mini, ChoiceConfig(taxon=("Lepidoptera",), per_species=4), tmp_path / "m"))
    assert {one["id"] for one in rows} < {one["id"] for one in more}
    assert len(subset(mini, ChoiceConfig(limit=5), tmp_path / "five")) == 5
    with pytest.raises(DataError, match="of Aves to take"):
        subset(mini, ChoiceConfig(taxon=("Aves",)), tmp_path / "none")


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(-1, 4)), max_size=60), st.integers(0, 4),
       st.integers(0, 12))  # fmt: skip
def test_the_lowest_are_taken(rows, per_species: int, limit: int) -> None:
    places = np.array([place for place, _ in rows], dtype=np.uint64)
    species = np.array([one for _, one in rows], dtype=np.int64)
    taken = lowest(places, species, per_species, limit)
    expected = [row for row in range(len(rows)) if species[row] >= 0]
    if per_species:
        expected = [
            row
            for row in expected
            if sum(species[o] == species[row] and (places[o], o) < (places[row], row)
                   for o in expected) < per_species
        ]  # fmt: skip
    if limit:
        expected = sorted(expected, key=lambda row: (places[row], row))[:limit]
    assert np.flatnonzero(taken).tolist() == sorted(expected)


def test_a_catalogue_and_a_data_set_choose_the_same(mini: Catalogue, tmp_path: Path) -> None:
    config = DataConfig(data=(f"catalogue:{mini.folder}",), per_species=4, seed=3, limit=9)
    direct = read_catalogue(mini.folder, config)
    loaded = load_dataset(config, workspace=tmp_path / "ws")
    assert sorted(direct.ids) == loaded.ids
    assert len(loaded) == 9
    assert loaded.notes["limit"] == 31
    everything = load_dataset(DataConfig(data=(str(mini.folder),)), workspace=tmp_path / "ws")
    assert [everything.read(i) for i in range(40)] == [jpeg(i) for i in range(40)]
    assert loaded.read(0) == everything.read(everything.ids.index(loaded.ids[0]))


def test_rows_without_a_name_or_a_picture_are_no_samples(tmp_path: Path) -> None:
    rows = everywhere(tmp_path / "media", 8)
    rows[0]["verbatimIdentification"] = ""
    rows[1]["image"] = ""
    made = catalogue_of(rows, tmp_path / "c", tmp_path / "media")
    found = read_catalogue(made.folder, DataConfig(data=("c",)))
    assert len(found) == 6
    assert found.notes["leftOut"]["reasons"] == {"no label": 1}
    assert found.notes["notAskedFor"] == {"mini": 1}


def test_a_data_set_goes_to_a_catalogue_and_back(mini: Catalogue, tmp_path: Path) -> None:
    first = load_dataset(DataConfig(data=(str(mini.folder),)), workspace=tmp_path / "ws")
    again = write_dataset(first, tmp_path / "again")
    second = load_dataset(DataConfig(data=(str(again.folder),)), workspace=tmp_path / "ws")
    assert first.table.equals(second.table)
    assert first.revision == second.revision


# Numbers.


@given(st.lists(st.text("abü", max_size=3), max_size=30), st.integers(1, 4))
def test_codes_name_values_whatever_the_chunks(values: list[str], n_chunks: int) -> None:
    cuts = np.array_split(np.asarray(values, dtype=object), n_chunks)
    plain = pa.chunked_array([pa.array(cut.tolist(), pa.string()) for cut in cuts])
    encoded = pa.chunked_array([chunk.dictionary_encode() for chunk in plain.chunks])
    codes = Codes()
    for column in (plain, encoded):
        assert [codes.names[number] for number in codes.of(column)] == values


def test_hashes_depend_on_key_and_name_only() -> None:
    names = ["a", "b", "ü"]
    assert row_hashes(names, lot(0)).tolist() == row_hashes(names, lot(0)).tolist()
    assert (row_hashes(names, lot(0)) != row_hashes(names, lot(1))).all()
    assert row_hashes(names[::-1], lot(0)).tolist() == row_hashes(names, lot(0)).tolist()[::-1]


# Splits.


@pytest.mark.usefixtures("small_groups")
@pytest.mark.parametrize("kind", ["made", "given", "unseen"])
def test_a_catalogue_is_split_as_any_set(kind: str, tmp_path: Path) -> None:
    source = np.random.default_rng(1)
    names = ["", "Aus bus", "Aus cus", "Bus dus", "Cus eus", "Cus fus"]
    rows = [
        row(
            i,
            {"image": "x"},
            verbatimIdentification=names[source.integers(6)],
            unit=["", f"u{source.integers(40)}"][source.integers(2)],
            split=["", "", "train", "test"][source.integers(4)],
        )
        for i in range(200)
    ]
    made = catalogue_of(rows, tmp_path / "c", tmp_path)
    config = DataConfig(data=("c",), split=kind, seed=3)
    found = whole(split_catalogue(made, config, tmp_path / "s"))
    named = [i for i, one in enumerate(found) if one["species"]]
    units = [found[i]["unit"] or found[i]["id"] for i in named]
    labels = [found[i]["species"] for i in named]
    places = [(found[i]["taxonGroup"], found[i]["genus"]) for i in named]
    fractions = config.split_fractions
    expected = {
        "made": lambda: make_split(units, labels, fractions, 3),
        "unseen": lambda: unseen_split(units, labels, places, fractions, 3),
        "given": lambda: complete_split(
            units, labels, [rows[i]["split"] for i in named], fractions, 3
        ),
    }[kind]()
    assert [found[i]["split"] for i in named] == expected.tolist()
    assert {one["split"] for one in found if not one["species"]} == {""}


def test_a_split_needs_names(tmp_path: Path) -> None:
    rows = [row(i, {"image": "x"}, verbatimIdentification="") for i in range(3)]
    made = catalogue_of(rows, tmp_path / "c", tmp_path)
    with pytest.raises(DataError, match="syntype data resolve"):
        split_catalogue(made, DataConfig(data=("c",)), tmp_path / "s")
