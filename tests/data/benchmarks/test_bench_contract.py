"""Every benchmark, in the layout of its archives: what all readers promise."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from fakes.benchmarks import WRITERS
from syntype.configs import DataConfig
from syntype.data.benchmarks.read import read_benchmark
from syntype.data.benchmarks.registry import BENCHMARKS
from syntype.data.dataset import SCHEMA
from syntype.data.load import SOURCES, load_dataset
from syntype.errors import DataError, DataNotFoundError, UsageError

CONFIG = DataConfig(data=("x",))


@dataclass(frozen=True)
class Miniature:
    """What the miniature of a benchmark holds: rows that can be used, and why others cannot."""

    rows: int
    species: int
    splits: dict[str, int]
    reasons: dict[str, int]
    units: int
    ranks: tuple[str, ...] = ()


MINIATURES = {
    "rare-species": Miniature(
        8,
        3,
        {"": 8},
        {"no label": 1, "no such file": 1},
        8,
        ("kingdom", "phylum", "class", "order", "family", "genus"),
    ),
    "meta-album": Miniature(18, 10, {"": 18}, {"no such file": 2}, 18),
    "nabirds": Miniature(15, 4, {"test": 8, "train": 7}, {"no such file": 1}, 2),
    "cub": Miniature(12, 3, {"test": 6, "train": 6}, {}, 12),
    "inat21": Miniature(
        20,
        2,
        {"train": 12, "test": 8},
        {"no such file": 2},
        3,
        ("kingdom", "phylum", "class", "order", "family", "genus"),
    ),
    "birds525": Miniature(18, 2, {"train": 10, "val": 4, "test": 4}, {}, 18),
    "fungitastic": Miniature(
        12,
        2,
        {"train": 4, "val": 4, "test": 4},
        {},
        6,
        ("kingdom", "phylum", "class", "order", "family", "genus"),
    ),
    "newt": Miniature(16, 4, {"train": 8, "test": 8}, {}, 16),
    "fishnet": Miniature(
        15, 2, {"train": 9, "test": 6}, {}, 15, ("class", "order", "family", "genus")
    ),
    "idle-oo": Miniature(12, 4, {"": 12}, {}, 8),
    "beetles": Miniature(
        12,
        3,
        {"": 12},
        {"no label": 4, "no table of pictures with labels": 1},
        10,
        ("kingdom", "phylum", "class", "order", "family", "genus"),
    ),
}
every = pytest.mark.parametrize("kind", list(BENCHMARKS))


def test_every_benchmark_has_a_miniature() -> None:
    assert list(WRITERS) == list(BENCHMARKS)
    assert set(MINIATURES) == set(BENCHMARKS)


@every
def test_the_published_layout_is_read(kind: str, tmp_path: Path) -> None:
    root = WRITERS[kind](tmp_path / "set")
    dataset = read_benchmark(kind, root, CONFIG)
    expected = MINIATURES[kind]
    assert dataset.table.schema.equals(SCHEMA)
    assert len(dataset) == expected.rows
    assert len(dataset.counts("species")) == expected.species
    assert dataset.counts("split") == expected.splits
    assert dataset.notes["leftOut"]["reasons"] == expected.reasons
    assert len(dataset.counts("unit")) == expected.units
    assert all("" not in dataset.counts(rank) for rank in expected.ranks)
    assert all(dataset.column("verbatimIdentification"))
    assert all(dataset.read(row) for row in range(len(dataset)))
    assert json.loads(json.dumps(dataset.notes)) == dataset.notes
    (card,) = dataset.cards
    benchmark = BENCHMARKS[kind]
    assert (card.source, card.license) == (benchmark.source, benchmark.license)
    assert card.citation == benchmark.citation


@every
def test_another_number_of_rows_is_noted(kind: str, tmp_path: Path) -> None:
    dataset = read_benchmark(kind, WRITERS[kind](tmp_path / "set"), CONFIG)
    published = next(iter(BENCHMARKS[kind].parts.values())).images
    if published is None:
        assert "expected" not in dataset.notes
        return
    note = dataset.notes["expected"]["set"]
    n_rows = len(dataset) + sum(MINIATURES[kind].reasons.values())
    assert note == {"published": published, "found": n_rows}


@every
def test_elsewhere_under_its_name_it_is_the_same(kind: str, tmp_path: Path) -> None:
    here = WRITERS[kind](tmp_path / "here" / "set")
    first = read_benchmark(kind, here, CONFIG)
    there = shutil.copytree(here, tmp_path / "job-4711")
    second = read_benchmark(kind, there, CONFIG, name="set")
    assert second.table == first.table
    assert second.revision == first.revision
    assert second.roots["set"].is_relative_to(there)


@every
def test_loading_gives_every_row_a_digest_and_a_split(kind: str, tmp_path: Path) -> None:
    root = WRITERS[kind](tmp_path / "set")
    config = DataConfig(data=(f"{kind}:{root}",))
    dataset = load_dataset(config, workspace=tmp_path / "runs")
    assert len(dataset) == MINIATURES[kind].rows
    assert all(dataset.column("imageDigest"))
    assert all(dataset.column("split"))
    for split in ("train", "test"):
        if given := MINIATURES[kind].splits.get(split):
            n_kept = len(dataset.where(split=split))
            assert n_kept == given if split == "test" else n_kept <= given
    named = load_dataset(DataConfig(data=(f"own={kind}:{root}",)), workspace=tmp_path / "runs")
    assert named.ids == [id_.replace("set/", "own/", 1) for id_ in dataset.ids]


@every
def test_an_empty_or_absent_folder_says_what_to_do(kind: str, tmp_path: Path) -> None:
    benchmark = BENCHMARKS[kind]
    (tmp_path / "empty").mkdir()
    for folder, what in (("empty", "lacks|no table|no folder"), ("none", "no such folder")):
        with pytest.raises(DataNotFoundError, match=what) as caught:
            read_benchmark(kind, tmp_path / folder, CONFIG)
        message = str(caught.value)
        for word in (
            str(tmp_path / folder),
            benchmark.source,
            benchmark.license,
            benchmark.get,
            f"--data {benchmark.usage}",
            *benchmark.layout,
        ):
            assert word in message


@every
def test_tables_without_their_pictures_say_what_to_do(kind: str, tmp_path: Path) -> None:
    root = WRITERS[kind](tmp_path / "set")
    for ending in ("jpg", "JPG", "png"):
        for picture in root.rglob(f"*.{ending}"):
            picture.unlink()
    listed = r"no picture (of the \d+ listed is there, for example \S+|lies in it)"
    with pytest.raises(DataNotFoundError, match=listed):
        read_benchmark(kind, root, CONFIG)


@pytest.mark.parametrize("kind", [kind for kind, entry in BENCHMARKS.items() if entry.needs])
def test_a_folder_around_it_does_no_harm(kind: str, tmp_path: Path) -> None:
    WRITERS[kind](tmp_path / "unpacked" / "set")
    outer = read_benchmark(kind, tmp_path / "unpacked", CONFIG, name="x")
    inner = read_benchmark(kind, tmp_path / "unpacked" / "set", CONFIG, name="x")
    assert outer.table == inner.table


@every
def test_unknown_parts_are_refused(kind: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="'no-such'"):
        read_benchmark(kind, WRITERS[kind](tmp_path / "set"), CONFIG, part="no-such")


@pytest.mark.parametrize("kind", [kind for kind, mini in MINIATURES.items() if mini.reasons])
def test_rows_that_cannot_be_used_stop_if_so_wished(kind: str, tmp_path: Path) -> None:
    root = WRITERS[kind](tmp_path / "set")
    with pytest.raises(DataError, match="--on-error skip"):
        read_benchmark(kind, root, DataConfig(data=("x",), on_error="stop"))


def test_the_command_line_lists_them() -> None:
    listed = dict(SOURCES)
    for benchmark in BENCHMARKS.values():
        assert listed[benchmark.usage] == benchmark.title
    assert BENCHMARKS["inat21"].usage == "inat21:FOLDER[#mini|full|val]"
    assert BENCHMARKS["newt"].usage == "newt:FOLDER[#TASK]"
    assert BENCHMARKS["cub"].usage == "cub:FOLDER"
