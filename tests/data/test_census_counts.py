"""The counts that a census is made of."""

import tempfile
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from syntype.data.census_counts import STEPS, Bins, Names, Repeats, encode, hashes

TEXTS = st.lists(st.text(max_size=40) | st.text("ab\0", max_size=600), max_size=60)


@settings(max_examples=80, deadline=None)
@given(texts=TEXTS)
def test_a_hash_is_that_of_the_text_alone(texts: list[str]) -> None:
    found = hashes(pa.array(texts, pa.string()))
    alone = [int(hashes(pa.array([text]))[0]) for text in texts]
    assert found.tolist() == alone
    assert len(set(alone)) == len(set(texts))
    shifted = pa.array(["before", *texts], pa.string()).slice(1)
    assert hashes(shifted).tolist() == alone


def test_hashes_spread_over_all_bits() -> None:
    found = hashes(pa.array([f"https://example.org/{number}.jpg" for number in range(20_000)]))
    assert len(np.unique(found)) == 20_000
    ones = np.unpackbits(found.view(np.uint8)).reshape(-1, 64).mean(axis=0)
    assert np.abs(ones - 0.5).max() < 0.02


@settings(max_examples=60, deadline=None)
@given(texts=TEXTS, held=st.sampled_from([1, 7, 10**6]))
def test_repeats_equal_a_naive_count(texts: list[str], held: int) -> None:
    repeats = Repeats(held)
    for start in range(0, len(texts), 9):
        batch = pa.chunked_array([pa.array(texts[start : start + 9], pa.string())])
        repeats.add(batch.dictionary_encode() if start % 2 else batch)
    found, counts = repeats.end(), Counter(text for text in texts if text)
    assert (found.rows, found.distinct) == (counts.total(), len(counts))
    assert found.more == counts.total() - len(counts)
    sizes = Counter(max(step for step in STEPS if step <= n) for n in counts.values())
    assert found.sizes == sizes


def test_what_is_written_aside_is_removed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    repeats = Repeats(2)
    repeats.add(pa.chunked_array([["a", "b", "a"]]))
    assert list(tmp_path.iterdir())
    assert repeats.end().more == 1
    assert not list(tmp_path.iterdir())


@settings(max_examples=40, deadline=None)
@given(names=st.lists(st.sampled_from(["b", "a", "é", ""]), max_size=50))
def test_names_are_merged_whatever_their_batches(names: list[str]) -> None:
    found = Names()
    for name in names:
        found.add(pa.array([name, "never"]), counts=np.array([1, 0]))
    table = found.table()
    pairs = list(zip(table.column("name").to_pylist(), table.column("n").to_pylist(), strict=True))
    assert pairs == sorted(Counter(names).items(), key=lambda one: (-one[1], one[0].encode()))


def test_many_small_batches_of_names_are_merged_on_the_way() -> None:
    found = Names("left", "right")
    for number in range(1000):
        found.add(pa.array([str(number % 3)]), pa.array(["x"]), counts=np.array([2]))
    assert found.table().to_pylist()[0] == {"left": "0", "right": "x", "n": 668}


def test_an_encoded_column_counts_its_values() -> None:
    column = pa.chunked_array([["a", None], ["b", "a"]])
    for one in (column, column.dictionary_encode()):
        values, counts = encode(one).values.to_pylist(), encode(one).counts().tolist()
        assert dict(zip(values, counts, strict=True)) == {"a": 2, "b": 1, "": 1}
    assert len(encode(pa.chunked_array([], pa.string())).codes) == 0


def test_bins_have_no_upper_end_and_keep_what_is_below() -> None:
    bins = Bins((10, 20))
    bins.add(np.array([3, 10, 19]))
    bins.add(np.array([20, 10**12]))
    found = bins.end()
    assert found.counts == (3, 2)
    assert (found.n, found.total, found.least, found.most) == (5, 10**12 + 52, 3, 10**12)
