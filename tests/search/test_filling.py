"""An index is brought up to date: nothing twice, nothing lost, what is left out is named."""

import csv
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from fakes.class_folders import species_names, write_class_folders
from fakes.ugly_pictures import jpeg
from syntype.configs import DataConfig, EmbedConfig, IndexConfig, Workplace
from syntype.errors import DataError, VectorError
from syntype.search import filling
from syntype.search.filling import Encoded, Filled, fill, vectors_for
from syntype.search.gathering import Gathered, gather
from syntype.search.index import Index
from syntype.search.indexing import index_source
from syntype.search.opening import open_index

CONFIG = IndexConfig(encoder="pixels", engine="exact")
N_SPECIES, N_IMAGES = 3, 5
N = N_SPECIES * N_IMAGES
Bring = Callable[..., Filled]


@pytest.fixture
def place(tmp_path: Path) -> Workplace:
    return Workplace(workspace=tmp_path / "work", quiet=True, workers=1, device="cpu")


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    return write_class_folders(tmp_path / "fish", n_species=N_SPECIES, n_images=N_IMAGES)


@pytest.fixture
def encoded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The ids of the pictures that were encoded."""
    found, of = list[str](), Encoded.of

    def tell(self: Encoded, table: pa.Table, *rest: Any) -> Any:
        rows, vectors = of(self, table, *rest)
        found.extend(table.column("id").take(pa.array(rows, pa.int64())).to_pylist())
        return rows, vectors

    monkeypatch.setattr(Encoded, "of", tell)
    return found


@pytest.fixture
def bring(tmp_path: Path, pictures: Path, place: Workplace) -> Bring:
    """Brings the index of the pictures up to date."""

    def do(**changes: Any) -> Filled:
        return index_source(
            str(pictures), str(tmp_path / "index"), replace(CONFIG, **changes), place
        )

    return do


@pytest.fixture
def look(tmp_path: Path) -> Callable[[], dict[str, tuple[dict[str, Any], bytes]]]:
    """Records and vectors of the index, by id."""

    def do() -> dict[str, tuple[dict[str, Any], bytes]]:
        with closing(open_index(str(tmp_path / "index"))) as index:
            ids = index.browse(10_000)
            rows = zip(index.records(ids), index.vectors(ids), strict=True)
            return {record["id"]: (record, vector.tobytes()) for record, vector in rows if record}

    return do


def counts(filled: Filled) -> tuple[int, ...]:
    return (filled.n_new, filled.n_changed, filled.n_same, filled.n_deleted, filled.n_gone)


def test_what_is_there_unchanged_is_passed_over(
    bring: Bring, look: Callable, encoded: list[str], pictures: Path
) -> None:
    assert counts(bring()) == (N, 0, 0, 0, 0)
    before = look()
    assert len(before) == len(encoded) == N
    assert counts(bring()) == (0, 0, N, 0, 0)
    assert look() == before
    assert len(encoded) == N
    (pictures / "new.jpg").write_bytes(jpeg(40, 40, seed=77))
    assert counts(bring()) == (1, 0, N, 0, 0)
    assert encoded[N:] == ["fish/new.jpg"]


def test_what_is_gone_is_deleted_only_when_asked(
    bring: Bring, look: Callable, pictures: Path
) -> None:
    bring()
    gone = next(pictures.glob("*/000.jpg"))
    gone.unlink()
    assert counts(bring()) == (0, 0, N - 1, 0, 1)
    assert len(look()) == N
    assert counts(bring(prune=True)) == (0, 0, N - 1, 1, 0)
    assert f"fish/{gone.relative_to(pictures)}" not in look()


def test_other_sets_in_the_index_are_not_pruned(
    bring: Bring, look: Callable, tmp_path: Path, place: Workplace
) -> None:
    bring()
    other = write_class_folders(tmp_path / "birds", n_species=1, n_images=2)
    filled = index_source(str(other), str(tmp_path / "index"), replace(CONFIG, prune=True), place)
    assert counts(filled) == (2, 0, 0, 0, 0)
    assert len(look()) == N + 2
    assert counts(bring(prune=True)) == (0, 0, N, 0, 0)


def test_other_words_for_a_picture_leave_its_vector_as_it_is_to_the_bit(
    bring: Bring, look: Callable, encoded: list[str]
) -> None:
    bring()
    before = look()
    filled = bring(license="CC0-1.0", rights_holder="The Museum")
    assert counts(filled) == (0, N, 0, 0, 0)
    assert len(encoded) == N, "nothing was encoded again"
    for id_, (record, vector) in look().items():
        assert (record["license"], record["rightsHolder"]) == ("CC0-1.0", "The Museum")
        assert vector == before[id_][1]


def test_a_licence_that_a_record_has_is_not_written_over(
    tmp_path: Path, look: Callable, place: Workplace
) -> None:
    home = tmp_path / "set"
    home.mkdir()
    for name in ("a", "b"):
        (home / f"{name}.jpg").write_bytes(jpeg(40, 40, seed=ord(name)))
    (home / "labels.csv").write_text(
        "path,label,license\na.jpg,Parus major,CC BY\nb.jpg,Parus x,\n"
    )
    config = replace(CONFIG, license="CC0")
    index_source(str(home), str(tmp_path / "index"), config, place)
    assert [record["license"] for record, _ in look().values()] == ["CC BY", "CC0"]


def test_a_picture_that_was_replaced_is_seen_when_all_are_read_again(
    bring: Bring, look: Callable, encoded: list[str], pictures: Path
) -> None:
    bring()
    before = look()
    changed = next(pictures.glob("*/001.jpg"))
    changed.write_bytes(jpeg(48, 40, seed=12345))
    assert counts(bring(reread=True)) == (0, N, 0, 0, 0)
    assert len(encoded) == 2 * N
    differing = {id_ for id_, (_, vector) in look().items() if vector != before[id_][1]}
    assert differing == {f"fish/{changed.relative_to(pictures)}"}


def test_what_cannot_be_read_is_left_out_by_name_and_comes_when_it_can(
    bring: Bring, look: Callable, pictures: Path, tmp_path: Path
) -> None:
    folder = pictures / species_names(1)[0].replace(" ", "_")
    whole = jpeg(48, 40, seed=5)
    (folder / "empty.jpg").write_bytes(b"")
    (folder / "cut.jpg").write_bytes(whole[: len(whole) // 3])
    (folder / "text.jpg").write_text("<html>not found</html>")
    (folder / "dangling.jpg").symlink_to(tmp_path / "nowhere.jpg")
    filled = bring()
    assert filled.n_new == N
    assert filled.left_out.total() == 4
    with (tmp_path / "index" / "left_out.csv").open(newline="") as handle:
        left = {row["id"].rpartition("/")[2]: row["reason"] for row in csv.DictReader(handle)}
    assert set(left) == {"empty.jpg", "cut.jpg", "text.jpg", "dangling.jpg"}
    assert all(left.values())
    assert str(tmp_path) not in "".join(filled.left_out), "reasons are counted, not paths"
    (folder / "cut.jpg").write_bytes(whole)
    again = bring()
    assert (again.n_new, again.left_out.total()) == (1, 3)
    for name in ("empty.jpg", "text.jpg", "dangling.jpg"):
        (folder / name).unlink()
    last = bring()
    assert (last.n_same, last.left_out.total()) == (N + 1, 0)
    assert not (tmp_path / "index" / "left_out.csv").exists(), "it tells of the last time"
    assert len(look()) == N + 1


def test_where_nothing_can_be_read_it_is_an_error_and_then_goes_on(
    tmp_path: Path, place: Workplace, look: Callable
) -> None:
    home = tmp_path / "broken"
    home.mkdir()
    for number in range(3):
        (home / f"{number}.jpg").write_bytes(b"")
    with pytest.raises(DataError, match=r"None of 3 records.*broken/0.jpg"):
        index_source(str(home), str(tmp_path / "index"), CONFIG, place)
    (home / "1.jpg").write_bytes(jpeg(40, 40, seed=1))
    index_source(str(home), str(tmp_path / "index"), CONFIG, place)
    assert list(look()) == ["broken/1.jpg"]


def embed(pictures: Path, place: Workplace, encoder: str = "pixels") -> Path:
    from syntype.data.load import load_dataset
    from syntype.embeddings.embed import embed as run
    from syntype.encoders.load import load_encoder

    dataset = load_dataset(DataConfig(data=(str(pictures),)), workspace=place.workspace)
    store = place.workspace / f"vectors-{encoder}"
    run(dataset, load_encoder(encoder, "cpu"), EmbedConfig(), store, workers=1)
    return store


def test_stored_vectors_are_taken_as_they_are(
    bring: Bring,
    look: Callable,
    encoded: list[str],
    pictures: Path,
    place: Workplace,
    tmp_path: Path,
) -> None:
    bring()
    by_encoder = look()
    store = embed(pictures, place)
    encoded.clear()
    index_source(str(pictures), str(tmp_path / "second"), replace(CONFIG, vectors=store), place)
    assert not encoded
    with closing(open_index(str(tmp_path / "second"))) as index:
        ids = index.browse(100)
        assert ids == list(by_encoder)
        wanted = np.stack([np.frombuffer(by_encoder[id_][1], np.float32) for id_ in ids])
        np.testing.assert_allclose(index.vectors(ids), wanted, atol=1e-3)
        assert index.card.encoder == open_card(tmp_path / "index").encoder
    # One without a vector in the store is left out, and told.
    (pictures / "late.jpg").write_bytes(jpeg(40, 40, seed=3))
    filled = index_source(
        str(pictures), str(tmp_path / "second"), replace(CONFIG, vectors=store), place
    )
    assert filled.listed == [("fish/late.jpg", "no vector in the store")]


def open_card(folder: Path) -> Any:
    with closing(open_index(str(folder))) as index:
        return index.card


def test_vectors_of_another_encoder_are_refused(
    bring: Bring, look: Callable, pictures: Path, place: Workplace
) -> None:
    bring()
    before = look()
    store = embed(pictures, place, "descriptors")
    with pytest.raises(VectorError, match="another encoder"):
        bring(vectors=store)
    assert look() == before
    # The index's own encoder goes on, whatever the default is.
    assert counts(bring(encoder="descriptors")) == (0, 0, N, 0, 0)


# Kills.

KILLED = """
import os, signal, sys
from syntype.cli import main
from syntype.search.embedded import EmbeddedIndex
upsert, done = EmbeddedIndex.upsert, []
def last(self, *arguments):
    if len(done) == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    upsert(self, *arguments)
    done.append(1)
EmbeddedIndex.upsert = last
main(sys.argv[1:])
"""


@pytest.mark.slow
def test_killed_it_goes_on_where_it_was_and_encodes_nothing_twice(
    tmp_path: Path, place: Workplace, encoded: list[str], look: Callable
) -> None:
    home = write_class_folders(tmp_path / "fish", n_species=6, n_images=100)
    arguments = ["index", str(home), "--to", str(tmp_path / "index"), "--encoder", "pixels",
                 "--engine", "exact", "--workspace", str(place.workspace), "--quiet"]  # fmt: skip
    done = subprocess.run([sys.executable, "-c", KILLED, *arguments], check=False)
    assert done.returncode == -signal.SIGKILL
    before = look()
    assert len(before) == 512, "two blocks were acknowledged"
    filled = index_source(str(home), str(tmp_path / "index"), CONFIG, place)
    assert counts(filled) == (88, 0, 512, 0, 0)
    assert len(encoded) == 88
    assert not set(encoded) & set(before)
    after = look()
    assert len(after) == 600
    assert {id_: after[id_] for id_ in before} == before


def test_a_full_disk_keeps_what_was_acknowledged(
    bring: Bring, look: Callable, encoded: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import errno

    from syntype.errors import ResourceError

    monkeypatch.setattr(filling, "_BLOCK", 4)
    fsync, calls = os.fsync, []

    def full(number: int) -> None:
        name = os.readlink(f"/proc/self/fd/{number}")
        calls.append(name.endswith("vectors.f16"))
        if sum(calls) > 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        fsync(number)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(ResourceError, match="full"):
            bring()
    assert len(look()) == 8
    assert counts(bring()) == (N - 8, 0, 8, 0, 0)
    assert len(encoded) == 12 + N - 8, "only the block that was not acknowledged is made again"


def test_an_engine_that_knows_nothing_of_files_is_filled_too(
    pictures: Path, place: Workplace
) -> None:
    from fakes.memory_index import MemoryIndex

    found: Gathered = gather(str(pictures), CONFIG, place)
    vectors = vectors_for(CONFIG, place, None)
    index: Index = MemoryIndex(vectors.dim)
    assert counts(fill(index, found, vectors, CONFIG)) == (N, 0, 0, 0, 0)
    assert counts(fill(index, found, vectors, CONFIG)) == (0, 0, N, 0, 0)
