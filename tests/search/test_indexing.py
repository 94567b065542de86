"""The verb `index` as a whole: a source becomes an index that knows what it is."""

import shutil
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fakes.class_folders import write_class_folders
from fakes.collection import clustered_vectors, synthetic_records
from fakes.memory_index import MemoryIndex
from syntype.configs import IndexConfig, Workplace
from syntype.errors import DataError, DataNotFoundError, EncoderError, UsageError
from syntype.search.embedded import EmbeddedIndex, make
from syntype.search.exact import Exact
from syntype.search.index import Card, Index
from syntype.search.indexing import finish, index_source
from syntype.search.opening import open_index

CONFIG = IndexConfig(encoder="pixels")


@pytest.fixture
def place(tmp_path: Path) -> Workplace:
    return Workplace(workspace=tmp_path / "work", quiet=True, workers=1, device="cpu")


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    return write_class_folders(tmp_path / "here" / "fish", n_species=4, n_images=6)


def opened(location: Path) -> Any:
    return closing(open_index(str(location)))


def test_an_index_knows_where_it_comes_from_and_what_asks_it(
    tmp_path: Path, pictures: Path, place: Workplace
) -> None:
    filled = index_source(str(pictures), str(tmp_path / "index"), CONFIG, place)
    assert filled.n_new == 24
    with opened(tmp_path / "index") as index:
        card = index.card
        assert (card.engine, card.spec) == ("cells", "pixels")
        assert card.roots == {"fish": pictures.resolve()}
        assert list(card.cards) == ["fish"]
        assert card.encoder
        assert card.notes, "what it can be asked by, and how similarity is to be read"
        state = index.state
        assert index.share_new == 0, "the columns are kept, so that it opens at once"
    index_source(str(pictures), str(tmp_path / "index"), CONFIG, place)
    with opened(tmp_path / "index") as index:
        assert index.state == state, "the same again changes nothing"


def test_two_sources_are_one_index(tmp_path: Path, pictures: Path, place: Workplace) -> None:
    birds = write_class_folders(tmp_path / "birds", n_species=1, n_images=3)
    for source in (pictures, birds):
        index_source(str(source), str(tmp_path / "index"), CONFIG, place)
    with opened(tmp_path / "index") as index:
        assert dict(index.facet("datasetName")) == {"fish": 24, "birds": 3}
        assert set(index.card.cards) == set(index.card.roots) == {"fish", "birds"}


def test_two_sets_of_one_name_are_refused_and_a_name_helps(
    tmp_path: Path, pictures: Path, place: Workplace
) -> None:
    twin = write_class_folders(tmp_path / "there" / "fish", n_species=1, n_images=3)
    index_source(str(pictures), str(tmp_path / "index"), CONFIG, place)
    with pytest.raises(DataError, match=r"has a set fish from .*NEW="):
        index_source(str(twin), str(tmp_path / "index"), CONFIG, place)
    index_source(f"other={twin}", str(tmp_path / "index"), CONFIG, place)
    with opened(tmp_path / "index") as index:
        assert dict(index.facet("datasetName")) == {"fish": 24, "other": 3}


def test_moved_together_index_and_pictures_go_on(
    tmp_path: Path, pictures: Path, place: Workplace
) -> None:
    index_source(str(pictures), str(tmp_path / "here" / "index"), CONFIG, place)
    shutil.move(tmp_path / "here", tmp_path / "there")
    fish = tmp_path / "there" / "fish"
    filled = index_source(str(fish), str(tmp_path / "there" / "index"), CONFIG, place)
    assert (filled.n_new, filled.n_same) == (0, 24)


def test_what_cannot_be_is_refused_before_anything_is_made(
    tmp_path: Path, pictures: Path, place: Workplace
) -> None:
    location = tmp_path / "index"
    wrong: list[tuple[str, IndexConfig, type[Exception]]] = [
        (str(tmp_path / "nowhere"), CONFIG, DataNotFoundError),
        (str(pictures), replace(CONFIG, encoder="no-such-encoder"), EncoderError),
        (str(pictures), replace(CONFIG, engine="postgres"), UsageError),
    ]
    for source, config, error in wrong:
        with pytest.raises(error):
            index_source(source, str(location), config, place)
        assert not location.exists()
    location.mkdir()
    (location / "mine.txt").write_text("x")
    with pytest.raises(DataError, match="something already"):
        index_source(str(pictures), str(location), CONFIG, place)


def test_a_relative_encoder_folder_is_kept_so_that_it_is_found_from_anywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from syntype.search.indexing import _lasting

    (tmp_path / "space").mkdir()
    monkeypatch.chdir(tmp_path)
    assert _lasting("space") == str(tmp_path / "space")
    assert _lasting("pixels") == "pixels"


@pytest.fixture
def small(tmp_path: Path) -> Callable[[], Index]:
    make(tmp_path / "small", Card(engine="exact", dim=16, encoder={}))
    return lambda: EmbeddedIndex(tmp_path / "small", Exact())


def test_finishing_builds_when_much_is_new_and_compacts_when_much_is_dead(
    small: Callable[[], EmbeddedIndex], monkeypatch: pytest.MonkeyPatch
) -> None:
    done = list[str]()
    for name in ("build", "compact"):
        what = getattr(EmbeddedIndex, name)
        monkeypatch.setattr(
            EmbeddedIndex, name, lambda self, n=name, w=what: (done.append(n), w(self))
        )
    table = synthetic_records(200)
    vectors = clustered_vectors(table, 16)
    with closing(small()) as index:
        index.upsert(table.slice(0, 100), vectors[:100])
        finish(index)
        finish(index)
        assert done == ["build"]
        index.upsert(table.slice(100, 10), vectors[100:110])
        finish(index)
        assert done == ["build"], "a few more are no reason"
        index.upsert(table.slice(110), vectors[110:])
        finish(index)
        assert done == ["build", "build"]
        index.delete(table.column("id").to_pylist()[:100])
        finish(index)
        assert done == ["build", "build", "compact"]
        assert index.share_dead == 0
    with closing(small()) as index:
        assert (len(index), index.share_new) == (100, 0)
        assert "calibration" in str(index.card.notes).lower() or index.card.notes


def test_any_engine_is_finished(monkeypatch: pytest.MonkeyPatch) -> None:
    index, table = MemoryIndex(16), synthetic_records(60)
    index.upsert(table, clustered_vectors(table, 16))
    finish(index)
    assert index.card.notes
    assert np.isfinite(index.vectors(index.browse(60))).all()
