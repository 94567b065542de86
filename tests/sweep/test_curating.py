"""Curation by vectors: the store meets the catalogue."""

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from fakes.curated import picture, write_catalogue
from syntype.configs import Workplace
from syntype.configs.curate import CurateConfig
from syntype.data.curation.curate import FILE
from syntype.embeddings.store import StoreKey, Writer, ids_hash
from syntype.errors import UsageError, VectorError
from syntype.sweep.curating import curate_catalogue


def store(folder: Path, ids: list[str], angles: list[float], encoder: str = "fake") -> Path:
    """Vectors in a plane, at so many degrees."""
    key = StoreKey(data="d", ids=ids_hash(ids), encoder={"name": encoder}, dtype="float32")
    radians = np.radians(np.array(angles))
    vectors = np.stack([np.cos(radians), np.sin(radians)], axis=1).astype(np.float32)
    writer = Writer(folder, key, ids, 2, 100)
    for shard in list(writer.pending):
        writer.write(shard, vectors, {})
    writer.seal()
    return folder


def test_near_vectors_go_within_and_across(tmp_path):
    contents = {f"{number}.png": picture(number) for number in range(5)}
    rows = [{"image": name, "species": "Lota lota"} for name in contents]
    write_catalogue(tmp_path / "in", rows, contents)
    write_catalogue(tmp_path / "test", [{"image": "x.png"}], {"x.png": picture(9)})
    # In another order than the catalogue, of one picture it does not have, and without 4.png.
    own = store(
        tmp_path / "own",
        ["set/3.png", "set/other.png", "set/2.png", "set/1.png", "set/0.png"],
        [120.0, 121.0, 60.0, 1.0, 0.0],
    )
    theirs = store(tmp_path / "theirs", ["set/x.png"], [61.0])
    config = CurateConfig(vectors=(own, theirs))
    place = Workplace(workspace=tmp_path / "runs")
    done = curate_catalogue(
        tmp_path / "in", tmp_path / "out", config, place, against=[tmp_path / "test"]
    )
    told = {row["id"]: row for row in pq.read_table(tmp_path / "out" / FILE).to_pylist()}
    assert told["set/1.png"]["verdict"] == "cosine copy"
    assert told["set/1.png"]["ofId"] == "set/0.png"
    assert told["set/1.png"]["cosine"] == pytest.approx(np.cos(np.radians(1)), abs=1e-6)
    assert told["set/2.png"]["verdict"] == "cosine copy of another set"
    assert told["set/2.png"]["ofId"] == "set/x.png"
    assert done.n_out == 3
    other = store(tmp_path / "alien", ["set/x.png"], [61.0], encoder="another")
    for vectors, error, word in (
        ((own, other), VectorError, "two encoders"),
        ((theirs,), VectorError, "none of its ids"),
        ((own, theirs, theirs), UsageError, "3 folders for 2 sets"),
    ):
        config = CurateConfig(vectors=vectors)
        with pytest.raises(error, match=word):
            curate_catalogue(
                tmp_path / "in", tmp_path / "no", config, place, against=[tmp_path / "test"]
            )
