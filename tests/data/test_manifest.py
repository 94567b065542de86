"""Splits that are published: written, read, replayed; and refused when something differs."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fakes.pictures import write_picture
from syntype.configs import DataConfig
from syntype.data.dataset import SCHEMA, Dataset
from syntype.data.load import load_dataset
from syntype.data.manifest import COLUMNS, manifest_of, read_manifest, replay, save_split
from syntype.data.records import SPLITS, left_out_notes
from syntype.errors import DataError, DataNotFoundError, UsageError

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "splits.md"


def write(root: Path, n_species: int = 5, n_pictures: int = 6) -> Path:
    for species in range(n_species):
        for picture in range(n_pictures):
            write_picture(root / f"Genus_{'abcdefgh'[species]}us" / f"{picture}.jpg")
    return root


def load(root: Path, tmp_path: Path, **options) -> Dataset:
    config = DataConfig(data=(str(root),), **options)
    return load_dataset(config, workspace=tmp_path / "runs")


def saved(root: Path, tmp_path: Path, name: str = "split.parquet", **options) -> Path:
    path = tmp_path / name
    config = DataConfig(data=(str(root),), **options)
    save_split(load_dataset(config, workspace=tmp_path / "runs"), config, path)
    return path


@pytest.mark.parametrize("kind", ["made", "unseen"])
def test_a_replayed_split_is_the_published_one(tmp_path: Path, kind: str) -> None:
    root = write(tmp_path / "set")
    path = saved(root, tmp_path, split=kind, seed=3)
    first = load(root, tmp_path, split=kind, seed=3)
    again = load(root, tmp_path, split=str(path), seed=99)
    assert again.table.equals(first.table)
    assert again.revision == first.revision
    assert again.notes["splits"]["set"]["origin"] == "replayed"
    header = read_manifest(path).header
    assert again.notes["manifest"]["hash"] == header.hash
    assert header.samples == {
        name: len(first.where(split=name)) for name in ("train", "val", "test")
    }
    replayed = saved(root, tmp_path, "again.parquet", split=str(path))
    assert read_manifest(replayed).header.kind == header.hash
    assert read_manifest(replayed).header.hash == header.hash


WORDS = st.text(st.characters(codec="utf-8"), min_size=1, max_size=8)
# Id to split, unit, species and digest.
ROWS = st.dictionaries(
    WORDS, st.tuples(st.sampled_from(SPLITS), WORDS, WORDS, WORDS), min_size=1, max_size=12
)
CONFIG = DataConfig(data=("set",))


def dataset_of(rows: dict[str, tuple[str, ...]]) -> Dataset:
    columns = zip(*rows.values(), strict=True)
    filled = dict(zip(("split", "unit", "species", "imageDigest"), columns, strict=True))
    empty = dict.fromkeys(SCHEMA.names, [""] * len(rows))
    table = pa.table({**empty, **filled, "id": list(rows)}, schema=SCHEMA)
    return Dataset(table, {"set": Path("set")}, notes={"leftOut": left_out_notes([])})


@given(ROWS, st.randoms(use_true_random=False))
@settings(max_examples=40, deadline=None)
def test_what_is_saved_is_read_and_replayed(tmp_path_factory, rows, random) -> None:
    dataset = dataset_of(rows)
    path = tmp_path_factory.mktemp("split") / "split.parquet"
    header = save_split(dataset, CONFIG, path)
    manifest = read_manifest(path)
    assert manifest.header == header
    assert manifest.table.equals(manifest_of(dataset, CONFIG).table)
    order = list(range(len(dataset)))
    random.shuffle(order)
    shuffled = dataset.select(np.array(order))
    bare = replace(
        shuffled,
        table=shuffled.table.set_column(
            SCHEMA.get_field_index("split"), "split", pa.array([""] * len(order))
        ),
    )
    assert replay(bare, manifest, path).table.equals(shuffled.table)


@given(ROWS, st.sampled_from(COLUMNS), st.data())
@settings(max_examples=40, deadline=None)
def test_any_changed_cell_is_refused(tmp_path_factory, rows, column, data) -> None:
    path = tmp_path_factory.mktemp("split") / "split.parquet"
    save_split(dataset_of(rows), CONFIG, path)
    table = pq.read_table(path)
    values = table.column(column).to_pylist()
    row = data.draw(st.integers(0, len(values) - 1))
    values[row] = data.draw(st.none() | WORDS.filter(lambda word: word != values[row]))
    place = COLUMNS.index(column)
    pq.write_table(
        table.set_column(place, table.schema.field(place), pa.array(values, pa.string())), path
    )
    with pytest.raises(DataError, match="changed or damaged"):
        read_manifest(path)


def test_the_hash_is_that_of_the_page(tmp_path: Path) -> None:
    path = saved(write(tmp_path / "set"), tmp_path, split="made")
    digests = {
        name: hashlib.sha256(json.dumps(values).encode()).hexdigest()
        for name, values in pq.read_table(path).to_pydict().items()
    }
    text = json.dumps(digests, sort_keys=True, separators=(",", ":"))
    header = read_manifest(path).header
    assert header.sha256 == hashlib.sha256(text.encode()).hexdigest()
    assert header.sha256.startswith(header.hash)


def test_equal_splits_are_equal_bytes(tmp_path: Path) -> None:
    root = write(tmp_path / "set")
    one, two = (saved(root, tmp_path, f"{name}.parquet", split="made") for name in "ab")
    assert one.read_bytes() == two.read_bytes()


def test_strata_and_unseen_species_are_in_it(tmp_path: Path) -> None:
    root = write(tmp_path / "set")
    path = saved(root, tmp_path, split="unseen")
    manifest = read_manifest(path)
    rows = manifest.table.to_pylist()
    train = [row["species"] for row in rows if row["split"] == "train"]
    for row in rows:
        wanted = train.count(row["species"])
        low, _, high = row["stratum"].partition("-")
        assert int(low) <= wanted <= int(high or low)
    unseen = {row["species"] for row in rows if row["split"] == "test"} - set(train)
    assert set(manifest.header.unseen) == unseen
    assert unseen


def test_rows_that_the_data_lack_are_told(tmp_path: Path) -> None:
    root = write(tmp_path / "set")
    path = saved(root, tmp_path, split="made")
    (root / "Genus_aus" / "0.jpg").unlink()
    with pytest.raises(DataError, match=r"1 of the 30 samples .* set/Genus_aus/0.jpg"):
        load(root, tmp_path, split=str(path))


def test_rows_that_the_split_lacks_are_left_out_and_noted(tmp_path: Path) -> None:
    root = write(tmp_path / "set")
    path = saved(root, tmp_path, split="made")
    write_picture(root / "Genus_aus" / "new.jpg")
    dataset = load(root, tmp_path, split=str(path))
    assert len(dataset) == 30
    assert dataset.notes["leftOut"]["reasons"] == {"not in the split that is replayed": 1}


def test_other_pictures_are_refused(tmp_path: Path) -> None:
    root = write(tmp_path / "set")
    path = saved(root, tmp_path, split="made")
    write_picture(root / "Genus_aus" / "0.jpg", "another picture")
    with pytest.raises(DataError, match="1 pictures are not those of the split"):
        load(root, tmp_path, split=str(path))


def test_what_is_no_split_is_told(tmp_path: Path) -> None:
    root = write(tmp_path / "set", 2)
    with pytest.raises(DataNotFoundError, match="There is no split"):
        load(root, tmp_path, split=str(tmp_path / "none.parquet"))
    other = tmp_path / "other.parquet"
    pq.write_table(pa.table({"id": ["a"]}), other)
    with pytest.raises(DataError, match="no split of syntype"):
        load(root, tmp_path, split=str(other))
    table = pq.read_table(saved(root, tmp_path))
    for header in ("[]", '{"format": 1}', "no JSON"):
        pq.write_table(table.replace_schema_metadata({b"syntype": header.encode()}), other)
        with pytest.raises(DataError, match="no split of syntype"):
            read_manifest(other)
    pq.write_table(table.replace_schema_metadata({b"syntype": b'{"format": 2}'}), other)
    with pytest.raises(DataError, match="has format 2, this syntype reads 1"):
        read_manifest(other)
    with pytest.raises(UsageError, match="--split random: it is given, made, unseen"):
        DataConfig(data=("x",), split="random")


@pytest.mark.parametrize("options", [{"limit": 3}, {"unit": "track"}])
def test_a_replayed_split_brings_its_samples_and_units(options: dict) -> None:
    with pytest.raises(UsageError, match="leave out --taxon"):
        DataConfig(data=("x",), split="birds.parquet", **options)


def test_a_limited_split_is_replayed_without_the_limit(tmp_path: Path) -> None:
    root = write(tmp_path / "set")
    path = saved(root, tmp_path, split="made", per_species=4)
    dataset = load(root, tmp_path, split=str(path))
    assert dataset.table.equals(load(root, tmp_path, split="made", per_species=4).table)
    assert dataset.notes["leftOut"]["total"] == 10


def test_the_page_has_every_column_and_field(tmp_path: Path) -> None:
    page = PAGE.read_text()
    header = read_manifest(saved(write(tmp_path / "set"), tmp_path)).header
    for name in (*COLUMNS, *vars(header), "hash"):
        assert f"`{name}`" in page, name


def test_a_manifest_stands_in_any_order_of_rows(tmp_path: Path) -> None:
    root = write(tmp_path / "set")
    config = DataConfig(data=(str(root),), split="made")
    dataset = load_dataset(config, workspace=tmp_path / "runs")
    shuffled = dataset.select(np.random.default_rng(0).permutation(len(dataset)))
    headers = [save_split(one, config, tmp_path / "x.parquet") for one in (dataset, shuffled)]
    assert headers[0] == headers[1]
