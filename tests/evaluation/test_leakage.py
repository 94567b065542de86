"""What two sets share: planted copies are found and told, by kind; species are counted."""

import json
import re
from fnmatch import fnmatch
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from syntype.configs import LeakageConfig
from syntype.data.benchmarks.registry import BENCHMARKS
from syntype.data.dataset import SCHEMA, Card, Dataset
from syntype.data.perceptual import Hashes
from syntype.errors import UsageError, VectorError
from syntype.evaluation.leakage import audit
from syntype.evaluation.training_sets import KNOWN, flags, known_training

CONFIG = LeakageConfig()
PAGE = Path(__file__).parents[2] / "docs" / "reference" / "leakage.md"


def dataset(name, digests, species, groups=None):
    n = len(digests)
    columns = {column: [""] * n for column in SCHEMA.names}
    columns |= {
        "id": [f"{name}/{row}" for row in range(n)],
        "imageDigest": digests,
        "species": species,
        "taxonGroup": groups or ["Fish"] * n,
    }
    return Dataset(pa.table(columns, schema=SCHEMA), {name: Path()}, (Card(name=name),))


def hashes(bits, usable=None, failures=()):
    bits = np.asarray(bits, dtype=np.uint8)
    usable = np.ones(len(bits), dtype=bool) if usable is None else np.array(usable)
    return Hashes(bits, usable, tuple(failures))


def random_bits(n, seed):
    return np.random.default_rng(seed).integers(0, 256, (n, 32), dtype=np.uint8)


def sets():
    """Row 0 is the same file, row 1 nearly the same look, row 2 the same only to an encoder."""
    first = dataset("train", ["d0", "d1", "d2", "d3"], ["a", "b", "c", ""])
    second = dataset("test", ["d0", "e1", "e2"], ["a", "x", "c"], ["Fish", "Fish", "Bird"])
    one, two = random_bits(4, 0), random_bits(3, 1)
    two[0] = one[0]
    two[1] = one[1]
    two[1, 0] ^= 0b111
    vectors = np.eye(8, dtype=np.float32)
    return first, second, (hashes(one), hashes(two)), (vectors[:4], vectors[[0, 5, 2]])


def test_copies_are_found_by_the_first_kind_that_shows_them():
    first, second, looks, vectors = sets()
    found = audit(first, second, looks, CONFIG, names=("train", "test"), vectors=vectors)
    rows = {row["otherId"]: row for row in found.pairs.to_pylist()}
    assert {name: (row["id"], row["kind"]) for name, row in rows.items()} == {
        "test/0": ("train/0", "exact"),
        "test/1": ("train/1", "near"),
        "test/2": ("train/2", "cosine"),
    }
    assert rows["test/1"]["bits"] == 3
    assert rows["test/0"]["cosine"] == pytest.approx(1)
    assert rows["test/1"]["sameSpecies"] is False
    assert found.affected() == ["test/0", "test/1", "test/2"]
    text = " ".join(found.sentences())
    assert "3 of the 3 pictures of test" in text
    assert "Pairs under two species: 1" in text
    assert "2 of the 3 species of test are in train" in text


def test_species_in_common_are_counted_by_group():
    first, second, looks, _ = sets()
    found = audit(first, second, looks, CONFIG, names=("train", "test"))
    whole, bird, fish = found.overlaps
    assert (whole.group, whole.n_species, whole.n_shared, whole.n_of_shared) == ("", 3, 2, 2)
    assert (bird.group, bird.n_species, bird.n_shared) == ("Bird", 1, 1)
    assert (fish.group, fish.n_species, fish.n_shared) == ("Fish", 2, 1)
    assert found.compared == ["exact", "near"]


def test_a_picture_is_no_copy_of_itself_and_pairs_mirror():
    first, second, looks, vectors = sets()
    same = audit(first, first, (looks[0], looks[0]), CONFIG, names=("a", "a"))
    assert same.pairs.num_rows == 0
    one = audit(first, second, looks, CONFIG, names=("a", "b"), vectors=vectors)
    two = audit(second, first, looks[::-1], CONFIG, names=("b", "a"), vectors=vectors[::-1])
    pairs = {(row["id"], row["otherId"], row["kind"]) for row in one.pairs.to_pylist()}
    assert pairs == {(r["otherId"], r["id"], r["kind"]) for r in two.pairs.to_pylist()}


def test_flat_and_broken_pictures_match_nothing_and_are_told():
    first, second, _, _ = sets()
    same = np.zeros((4, 32), dtype=np.uint8)
    looks = (
        hashes(same, [True, False, False, False], [(3, "broken data stream")]),
        hashes(same[:3], [False] * 3),
    )
    found = audit(first, second, looks, CONFIG, names=("train", "test"))
    assert [row["kind"] for row in found.pairs.to_pylist()] == ["exact"]
    assert found.n_unhashed == 5
    assert list(found.failures) == [("train/3", "broken data stream")]
    assert "5 pictures are too flat" in " ".join(found.sentences())


def test_sets_without_anything_in_common_or_without_pictures():
    first, second, _, _ = sets()
    apart = dataset("other", ["z0"], ["z"])
    found = audit(
        first,
        apart,
        (hashes(random_bits(4, 0)), hashes(random_bits(1, 9))),
        CONFIG,
        names=("a", "b"),
    )
    assert found.sentences() == [
        "No picture of b was found in a (exact, near compared).",
        "a and b have no species in common.",
    ]
    empty = first.select(np.zeros(4, dtype=bool))
    none = audit(
        empty,
        second,
        (hashes(np.zeros((0, 32))), hashes(random_bits(3, 1))),
        CONFIG,
        names=("a", "b"),
    )
    assert none.pairs.num_rows == 0


def test_saved_audits_are_equal_bytes_and_the_page_has_their_words(tmp_path):
    first, second, looks, vectors = sets()
    found = audit(first, second, looks, CONFIG, names=("train", "test"), vectors=vectors)
    for name in "ab":
        found.save(tmp_path / name)
    for file in ("leakage.json", "pairs.parquet"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()
    numbers = json.loads((tmp_path / "a" / "leakage.json").read_text())
    page = PAGE.read_text()
    for word in (*numbers, *found.pairs.column_names):
        assert f"`{word}`" in page, word


def test_vectors_of_other_rows_and_thresholds_that_cannot_be_are_refused():
    first, second, looks, vectors = sets()
    with pytest.raises(VectorError, match="3 vectors for 4 pictures"):
        audit(first, second, looks, CONFIG, names=("a", "b"), vectors=(vectors[1], vectors[1]))
    with pytest.raises(UsageError, match=r"--leakage\.bits"):
        LeakageConfig(bits=128)
    with pytest.raises(UsageError, match=r"--leakage\.cosine"):
        LeakageConfig(cosine=0.0)


def test_what_is_known_of_training_sets():
    assert known_training("open_clip:hf-hub:imageomics/bioclip", "rare-species").species == "no"
    assert known_training("open_clip:hf-hub:imageomics/bioclip-2", "rare-species").species == "yes"
    clip = known_training("open_clip:ViT-B-16/openai", "cub")
    assert (clip.pictures, clip.species) == ("unknown", "unknown")
    assert known_training("pixels", "rare-species") is None
    assert known_training("open_clip:hf-hub:imageomics/bioclip", "my-own") is None


@pytest.mark.parametrize(
    "spec",
    [
        "timm:resnet50.a1_in1k",
        "timm:vit_base_patch16_224.augreg_in21k",
        "timm:vit_base_patch14_dinov2.lvd142m",
        "transformers:facebook/dinov2-base",
    ],
)
def test_a_model_that_was_trained_on_pictures_of_a_test_is_told(spec):
    for benchmark in ("cub", "vlm4bio"):
        assert known_training(spec, benchmark).pictures == "yes"
    assert known_training(spec, "nabirds") is None


def test_flags_are_told_and_saved_with_the_audit(tmp_path):
    first, second, looks, _ = sets()
    bioclip_2 = "open_clip:hf-hub:imageomics/bioclip-2"
    known = flags(bioclip_2, ["mine", "rare-species", "rare-species"])
    assert [one.benchmark for one in known] == ["rare-species"]
    assert flags("", ["rare-species"]) == []
    found = audit(first, second, looks, CONFIG, names=("a", "b"), known=known)
    (sentence,) = (text for text in found.sentences() if "training set" in text)
    assert sentence.startswith(f"{bioclip_2} and rare-species: ")
    assert "species: yes." in sentence
    assert "issue 34" in sentence
    found.save(tmp_path)
    (saved,) = json.loads((tmp_path / "leakage.json").read_text())["known"]
    assert (saved["encoder"], saved["pictures"], saved["species"]) == (bioclip_2, "no", "yes")
    assert saved["source"]


def test_the_table_of_training_sets_is_in_order_and_on_the_page():
    page = re.sub(r"\s+", " ", PAGE.read_text())
    for one in KNOWN:
        encoders = " ".join(f"`{pattern}`" for pattern in one.specs)
        assert f"| {one.benchmark} | {encoders} | {one.pictures} | {one.species} |" in page
        assert one.benchmark in {*BENCHMARKS, "vlm4bio"}, one
        assert one.source
        assert one.remark
    for spec in ("open_clip:hf-hub:imageomics/bioclip", "open_clip:hf-hub:imageomics/bioclip-2"):
        hits = [
            one
            for one in KNOWN
            if one.benchmark == "rare-species" and any(fnmatch(spec, p) for p in one.specs)
        ]
        assert len(hits) == 1, "no model is told two things of one benchmark"
