import errno
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from syntype.embeddings import store
from syntype.embeddings.store import Embeddings, StoreKey, Writer, check_vectors, ids_hash
from syntype.errors import ResourceError, VectorError

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "embedding-store.md"


def unit_rows(n: int, dim: int, seed: int = 0) -> np.ndarray:
    vectors = np.random.default_rng(seed).normal(size=(n, dim)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def names(n: int) -> list[str]:
    return [f"set/Grünling {i}.jpg" for i in range(n)]


def key_for(ids: list[str], dtype: str = "float32", **encoder) -> StoreKey:
    return StoreKey(
        data="d" * 16, ids=ids_hash(ids), encoder={"weights": "w"} | encoder, dtype=dtype
    )


def fill(writer: Writer, vectors: np.ndarray, skipped=(), only=None) -> None:
    """Write the pending shards (or the numbers `only`) from the matrix of all ids asked for."""
    for shard in list(writer.pending):
        if only is not None and shard.index not in only:
            continue
        positions = range(shard.start, shard.stop)
        gone = {writer.ids[p]: "truncated" for p in positions if p in skipped}
        writer.write(shard, vectors[[p for p in positions if p not in skipped]], gone)


def make(folder, n=20, dim=5, shard_rows=6, dtype="float32", skipped=()) -> Embeddings:
    writer = Writer(folder, key_for(names(n), dtype), names(n), dim, shard_rows)
    fill(writer, unit_rows(n, dim), skipped)
    return writer.seal()


@settings(max_examples=20, deadline=None)
@given(
    n=st.integers(1, 40),
    shard_rows=st.integers(1, 17),
    dim=st.integers(1, 6),
    dtype=st.sampled_from(["float16", "float32"]),
    data=st.data(),
)
def test_round_trip_from_any_subset_of_finished_shards(
    tmp_path_factory, n, shard_rows, dim, dtype, data
):
    folder = tmp_path_factory.mktemp("store")
    vectors, ids = unit_rows(n, dim), names(n)
    skipped = data.draw(st.sets(st.integers(0, n - 1), max_size=n - 1))
    first = Writer(folder, key_for(ids, dtype), ids, dim, shard_rows)
    numbers = [shard.index for shard in first.pending]
    done = data.draw(st.sets(st.sampled_from(numbers)))
    fill(first, vectors, skipped, only=done)
    second = Writer(folder, key_for(ids, dtype), ids, dim, shard_rows)
    assert {shard.index for shard in second.pending} == set(numbers) - done
    fill(second, vectors, skipped)
    opened = second.seal()

    kept = [i for i in range(n) if i not in skipped]
    expected = vectors[kept].astype(dtype).astype(np.float32)
    assert opened.ids == [ids[i] for i in kept]
    assert [entry.id for entry in opened.skipped] == [ids[i] for i in sorted(skipped)]
    assert len(opened) == len(kept)
    assert opened.dim == dim
    assert opened.key == key_for(ids, dtype)
    assert np.array_equal(opened.matrix(), expected)
    assert opened.matrix().dtype == np.float32
    size = data.draw(st.integers(1, n + 3))
    blocks = list(opened.blocks(size))
    assert all(len(block) == size for block in blocks[:-1])
    assert np.array_equal(np.concatenate(blocks), expected)
    rows = data.draw(st.lists(st.integers(0, len(kept) - 1)))
    assert np.array_equal(opened.take(np.array(rows, np.int64)), expected[rows])
    wanted = [opened.ids[row] for row in rows]
    assert opened.rows_of(wanted).tolist() == rows
    Embeddings.open(folder, verify=True)


def test_one_shard_of_float32_is_mapped_not_copied(tmp_path):
    whole = make(tmp_path, shard_rows=100).matrix()
    base = whole
    while base.base is not None and not isinstance(base, np.memmap):
        base = base.base
    assert isinstance(base, np.memmap)
    assert not whole.flags.writeable


def test_plain_numpy_reads_it_as_the_page_says(tmp_path, monkeypatch):
    opened = make(tmp_path, dtype="float16", skipped={0, 1, 2, 3, 4, 5, 11})
    snippet = re.search(r"```python\n(.*?)```", PAGE.read_text(), re.S).group(1)
    monkeypatch.chdir(tmp_path)
    scope: dict = {}
    exec(snippet, scope)
    assert np.array_equal(scope["vectors"], opened.matrix())
    assert scope["ids"] == opened.ids


def kind_of(value) -> str:
    if isinstance(value, dict):
        return "object"
    if isinstance(value, list):
        inner = {kind_of(item) for item in value}
        return f"array of {inner.pop()}" if len(inner) == 1 else "array"
    return {str: "string", int: "integer"}[type(value)]


def flattened(content: dict) -> dict[str, str]:
    """Field paths as the page writes them, and their types."""
    fields = {}
    for name, value in content.items():
        fields[name] = kind_of(value)
        inside = value if isinstance(value, dict) else value[0] if isinstance(value, list) else None
        if isinstance(inside, dict) and name != "encoder":
            dot = "." if isinstance(value, dict) else "[]."
            inner = {k: v for k, v in flattened(inside).items() if not k.startswith("encoder.")}
            fields |= {f"{name}{dot}{k}": v for k, v in inner.items()}
    return fields


def documented(title: str) -> dict[str, str]:
    section = PAGE.read_text().split(f"## {title}\n", 1)[1].split("\n## ", 1)[0]
    rows = re.findall(r"^\| `([^`]+)` \| ([^|]+) \|", section, re.M)
    return {name: kind.strip() for name, kind in rows}


def test_the_page_lists_every_field_and_no_other(tmp_path):
    make(tmp_path, skipped={1})
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    sidecar = json.loads((tmp_path / "00000.json").read_text())
    assert documented("Manifest") == flattened(manifest)
    assert documented("Sidecar") == flattened(sidecar)
    assert f"version {store.VERSION}" in PAGE.read_text()


def test_the_pages_arithmetic_is_right():
    page = PAGE.read_text()
    rows = re.findall(r"^\| ([\d,]+) \| ([\d,]+) \| (float\d+) \| ([\d,]+) \|", page, re.M)
    assert rows
    for n, dim, dtype, size in rows:
        n, dim, size = (int(text.replace(",", "")) for text in (n, dim, size))
        assert n * dim * np.dtype(dtype).itemsize == size


def test_the_tree_is_the_one_on_the_page(tmp_path):
    make(tmp_path, n=8, shard_rows=4)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "00000.json", "00000.npy", "00001.json", "00001.npy", "ids.txt", "manifest.json",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("value", "fault"),
    [
        (np.nan, "NaN or infinite"),
        (np.inf, "NaN or infinite"),
        (0.0, "zero"),
        (0.7, "of length"),
    ],
)
def test_a_broken_vector_is_refused_by_the_name_of_its_sample(tmp_path, value, fault):
    vectors = unit_rows(20, 5)
    vectors[8] = value
    writer = Writer(tmp_path, key_for(names(20)), names(20), 5, 6)
    with pytest.raises(VectorError, match=rf"sample set/Grünling 8\.jpg is {fault}"):
        fill(writer, vectors)
    assert len(Writer(tmp_path, key_for(names(20)), names(20), 5, 6).pending) == 3


def test_one_bad_component_is_enough():
    vectors = unit_rows(3, 4)
    vectors[1, 2] = np.nan
    with pytest.raises(VectorError, match="sample b is NaN"):
        check_vectors(vectors, ["a", "b", "c"])


def test_half_precision_vectors_count_as_unit():
    check_vectors(unit_rows(200, 64).astype(np.float16), names(200))


@pytest.mark.parametrize("damage", ["flip", "truncate", "remove", "no sidecar", "sidecar text"])
def test_a_shard_that_is_not_right_is_made_anew_and_only_that(tmp_path, damage):
    ids = names(20)
    fill(Writer(tmp_path, key_for(ids), ids, 5, 6), unit_rows(20, 5))
    path = tmp_path / "00002.npy"
    if damage == "flip":
        content = bytearray(path.read_bytes())
        content[-1] ^= 1
        path.write_bytes(content)
    elif damage == "truncate":
        path.write_bytes(path.read_bytes()[:-1])
    elif damage == "remove":
        path.unlink()
    else:
        sidecar = path.with_suffix(".json")
        sidecar.unlink() if damage == "no sidecar" else sidecar.write_text("[]")
    again = Writer(tmp_path, key_for(ids), ids, 5, 6)
    assert [shard.index for shard in again.pending] == [2]
    assert again.n_done == 14


def test_shards_of_another_key_or_size_do_not_count(tmp_path):
    ids = names(20)
    fill(Writer(tmp_path, key_for(ids), ids, 5, 6), unit_rows(20, 5))
    assert len(Writer(tmp_path, key_for(ids, weights="other"), ids, 5, 6).pending) == 4
    assert not list(tmp_path.glob("*.npy"))


def test_another_sharding_leaves_no_stray_files(tmp_path):
    ids = names(20)
    fill(Writer(tmp_path, key_for(ids), ids, 5, 3), unit_rows(20, 5))
    (tmp_path / ".00003.npy.123.tmp").write_bytes(b"left by a kill")
    (tmp_path / "log.jsonl").write_text("not ours")
    writer = Writer(tmp_path, key_for(ids), ids, 5, 10)
    fill(writer, unit_rows(20, 5))
    writer.seal()
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "00000.json", "00000.npy", "00001.json", "00001.npy", "ids.txt", "log.jsonl",
        "manifest.json",
    ]  # fmt: skip


def test_ids_that_cannot_be_lines_are_refused():
    with pytest.raises(VectorError, match="line break"):
        ids_hash(["a", "b\nc"])
    with pytest.raises(VectorError, match="'a' appears 2 times"):
        ids_hash(["a", "b", "a"])
    assert ids_hash(["a\u2028b\x0b"])  # separators of `str.splitlines`, but not of the format


def test_odd_ids_come_back(tmp_path):
    ids = ["a\u2028b", "c\x0bd", "e\rf", " ", "日本"]
    writer = Writer(tmp_path, key_for(ids), ids, 3, 2)
    fill(writer, unit_rows(5, 3))
    assert writer.seal().ids == ids


def test_an_unsealed_store_is_not_opened(tmp_path):
    fill(Writer(tmp_path, key_for(names(20)), names(20), 5, 6), unit_rows(20, 5))
    with pytest.raises(VectorError, match="goes on where it stopped"):
        Embeddings.open(tmp_path)


def test_another_version_is_not_opened(tmp_path):
    make(tmp_path)
    path = tmp_path / "manifest.json"
    path.write_text(path.read_text().replace('"version": 1', '"version": 9'))
    with pytest.raises(VectorError, match="version 9"):
        Embeddings.open(tmp_path)


@pytest.mark.parametrize("name", ["00001.npy", "ids.txt"])
@pytest.mark.parametrize("damage", ["truncate", "empty", "remove"])
def test_files_of_the_wrong_size_are_found_at_opening(tmp_path, name, damage):
    make(tmp_path)
    path = tmp_path / name
    content = path.read_bytes()
    path.unlink()
    if damage != "remove":
        path.write_bytes(content[:-3] if damage == "truncate" else b"")
    with pytest.raises(VectorError, match=f"{name} is damaged"):
        Embeddings.open(tmp_path)


def test_a_manifest_that_miscounts_is_found_at_opening(tmp_path):
    make(tmp_path)
    path = tmp_path / "manifest.json"
    path.write_text(path.read_text().replace('"rows": 20', '"rows": 21'))
    with pytest.raises(VectorError, match="its shards hold 20 rows"):
        Embeddings.open(tmp_path)


@pytest.mark.parametrize("name", ["00001.npy", "ids.txt"])
def test_verify_finds_one_wrong_bit(tmp_path, name):
    make(tmp_path)
    content = bytearray((tmp_path / name).read_bytes())
    content[-2] ^= 1
    (tmp_path / name).write_bytes(content)
    Embeddings.open(tmp_path)
    with pytest.raises(VectorError, match=f"{name} is damaged: its SHA-256"):
        Embeddings.open(tmp_path, verify=True)


def test_rows_of_names_what_is_missing(tmp_path):
    opened = make(tmp_path, skipped={3})
    with pytest.raises(VectorError, match=r"1 of 2 samples .* set/Grünling 3\.jpg"):
        opened.rows_of([names(20)[3], names(20)[4]])


def test_take_refuses_rows_outside(tmp_path):
    opened = make(tmp_path)
    for rows in ([-1], [20]):
        with pytest.raises(IndexError, match="0 to 19"):
            opened.take(np.array(rows))


def test_nothing_kept_is_an_error_with_the_first_reason(tmp_path):
    ids = names(4)
    writer = Writer(tmp_path, key_for(ids), ids, 5, 6)
    fill(writer, unit_rows(4, 5), skipped={0, 1, 2, 3})
    with pytest.raises(VectorError, match=r"None of the 4 samples.*truncated"):
        writer.seal()


def test_a_full_disk_says_so_and_keeps_what_is_written(tmp_path, monkeypatch):
    ids = names(20)
    writer = Writer(tmp_path, key_for(ids), ids, 5, 6)
    plain_save = np.save
    calls = []

    def save(*args, **kwargs):
        calls.append(1)
        if len(calls) == 3:
            raise OSError(errno.ENOSPC, "No space left on device")
        plain_save(*args, **kwargs)

    monkeypatch.setattr(np, "save", save)
    with pytest.raises(ResourceError, match=r"disk .* is full"):
        fill(writer, unit_rows(20, 5))
    monkeypatch.undo()
    assert [shard.index for shard in Writer(tmp_path, key_for(ids), ids, 5, 6).pending] == [2, 3]
    assert not list(tmp_path.glob(".*"))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_disk_that_is_truly_full_is_recognised(tmp_path):
    """The error number must survive NumPy's writing, which loses it on real files."""
    ids = names(5000)
    writer = Writer(tmp_path, key_for(ids), ids, 5, 5000)
    (tmp_path / f".00000.npy.{os.getpid()}.tmp").symlink_to("/dev/full")
    with pytest.raises(ResourceError, match=r"disk .* is full"):
        fill(writer, unit_rows(5000, 5))


def test_the_store_needs_no_torch():
    code = "import sys, syntype.embeddings.store as s; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
