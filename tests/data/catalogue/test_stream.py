"""Streams: each row once an epoch whatever the sizes, in blocks, and shards that go on."""

import json
import tarfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from fakes.catalogues import catalogue_of, everywhere, jpeg
from syntype.configs import ShardsConfig
from syntype.data import stream as module
from syntype.data.catalogue import Catalogue
from syntype.data.shards import key_of, tagged, texts, write_shards
from syntype.data.stream import TaxaOf, epoch_order, open_stream
from syntype.errors import DataError, DataNotFoundError, UsageError
from syntype.taxonomy.taxon import Taxon


@pytest.fixture
def mini(tmp_path: Path) -> Catalogue:
    rows = everywhere(tmp_path / "media")
    for number, row in enumerate(rows):
        row["split"] = ["train", "val"][number % 5 == 0]
    rows[1]["verbatimIdentification"] = ""
    return catalogue_of(rows, tmp_path / "mini", tmp_path / "media")


def test_a_stream_reads_what_the_catalogue_says(mini: Catalogue) -> None:
    stream = open_stream(mini, with_ids=True)
    numbers = [int(stream.id(row).removeprefix("mini/p")) for row in range(len(stream))]
    assert numbers == [n for n in range(40) if n % 5 and n != 1]
    assert [stream.read(row) for row in range(len(stream))] == [jpeg(n) for n in numbers]
    taxa = TaxaOf(stream)
    assert taxa[0].vernacular_name == "Monarch"
    assert len(taxa) == len(stream)
    assert {stream.license(row) for row in range(len(stream))} == {"CC0"}
    assert len(open_stream(mini, split="")) == 39


def test_an_empty_split_says_what_to_do(mini: Catalogue) -> None:
    with pytest.raises(DataError, match="syntype data split"):
        open_stream(mini, split="test")


def test_a_file_that_is_gone_is_named(mini: Catalogue, tmp_path: Path) -> None:
    stream = open_stream(mini, split="")
    (tmp_path / "media" / "own" / "39.jpg").unlink()
    with pytest.raises(DataNotFoundError, match=r"39\.jpg is gone"):
        stream.read(len(stream) - 1)


@given(
    st.integers(1, 700), st.integers(1, 400), st.integers(1, 64), st.integers(0, 3), st.integers()
)
@settings(max_examples=60, deadline=None)
def test_each_row_comes_once_and_windows_hold_whole_blocks(n, mixed, block, epoch, seed) -> None:
    layout = np.random.default_rng(abs(seed)).permutation(n).astype(np.int32)
    before, module.BLOCK_ROWS = module.BLOCK_ROWS, block
    try:
        order = epoch_order(layout, mixed, seed, epoch)
        assert sorted(order.tolist()) == list(range(n))
        assert np.array_equal(order, epoch_order(layout, mixed, seed, epoch))
    finally:
        module.BLOCK_ROWS = before
    block_of = np.empty(n, dtype=int)
    block_of[layout] = np.arange(n) // block
    at_a_time = -(-mixed // block)
    seen: set[int] = set()
    begin = 0
    while begin < n:
        # As many rows as the next blocks hold: none of them was met before, all are met whole.
        window, size = [], 0
        for row in order[begin:]:
            if block_of[row] not in window:
                if len(window) == at_a_time:
                    break
                window.append(block_of[row])
        size = sum(int((block_of == one).sum()) for one in window)
        assert set(block_of[order[begin : begin + size]]) == set(window)
        assert not seen & set(window)
        seen |= set(window)
        begin += size


@given(st.integers(2, 300), st.integers(1, 40), st.integers(1, 4), st.integers(1, 3))
@settings(max_examples=30, deadline=None)
def test_workers_and_ranks_lose_and_double_no_row(n, batch, n_ranks, n_workers) -> None:
    """Batches of the one order, cut over ranks and dealt to workers, are the epoch."""
    order = epoch_order(np.arange(n, dtype=np.int32), 50, 0, 0)
    batches = np.array_split(order, max(1, n // batch))
    got = [
        row
        for rank in range(n_ranks)
        for worker in range(n_workers)
        for batch_ in batches[worker::n_workers]
        for row in np.array_split(batch_, n_ranks)[rank]
    ]
    assert sorted(got) == list(range(n))


def test_epochs_differ() -> None:
    layout = np.arange(2000, dtype=np.int32)
    orders = [epoch_order(layout, 300, 0, epoch) for epoch in range(3)]
    assert not np.array_equal(orders[0], orders[1])
    # Well mixed: rows that were neighbours are not so any more.
    assert np.mean(np.abs(np.diff(orders[0])) == 1) < 0.05


# Shards.


def members(path: Path) -> dict[str, bytes]:
    with tarfile.open(path) as tar:
        return {member.name: tar.extractfile(member).read() for member in tar}


def test_shards_hold_every_picture_once_and_go_on(mini: Catalogue, tmp_path: Path) -> None:
    config = ShardsConfig(split="", rows=10, size=16)
    (tmp_path / "media" / "own" / "39.jpg").write_bytes(b"broken")
    for number in range(3):
        write_shards(mini, tmp_path / "shared", config, share=(number, 3))
    done = write_shards(mini, tmp_path / "shards", config, workers=2)
    assert done == {"written": 38, "unreadable": 1}
    paths = sorted((tmp_path / "shards").glob("*.tar"))
    assert len(paths) == 4
    first = [path.read_bytes() for path in paths]
    assert first == [p.read_bytes() for p in sorted((tmp_path / "shared").glob("*.tar"))]
    everything = {k: v for path in paths for k, v in members(path).items()}
    keys = {name.partition(".")[0] for name in everything}
    assert keys == {f"p{i:05d}" for i in range(40) if i not in (1, 39)}
    about = json.loads(everything["p00002.json"])
    assert about == {"id": "mini/p00002", "license": "CC0"}
    assert everything["p00002.taxonTag_com.txt"].decode() == (
        "a photo of order Lepidoptera genus Danaus species plexippus with common name Monarch."
    )
    import io

    assert Image.open(io.BytesIO(everything["p00002.jpg"])).size == (16, 16)
    paths[1].unlink()
    write_shards(mini, tmp_path / "shards", config)
    assert [path.read_bytes() for path in paths] == first
    with pytest.raises(UsageError, match="another catalogue"):
        write_shards(mini, tmp_path / "shards", ShardsConfig(split="", rows=11, size=16))


def test_texts_are_the_ten_of_the_published_shards() -> None:
    taxon = Taxon(
        verbatim="x",
        scientific_name="Parus major",
        lineage=("Animalia", "", "Aves", "", "", "Parus", "Parus major"),
    )
    found = texts(taxon)
    assert set(found) == {
        f"{name}.txt"
        for name in [
            "scientific_name",
            "taxonomic_name",
            "common_name",
            "sci",
            "com",
            "taxon",
            "taxonTag",
            "sci_com",
            "taxon_com",
            "taxonTag_com",
        ]
    }
    assert found["com.txt"] == b"a photo of Parus major."
    assert found["sci_com.txt"] == b"a photo of Parus major with common name Parus major."
    assert tagged(taxon) == "kingdom Animalia class Aves genus Parus species major"


def test_keys_are_ids_where_they_can_be() -> None:
    assert key_of("set/0a-b_c") == "0a-b_c"
    assert key_of("set/a.b") != key_of("set/a/b")
    assert "." not in key_of("set/a.b")
