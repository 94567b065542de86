import tracemalloc
import warnings
from collections import defaultdict

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from syntype.configs import EvaluateConfig
from syntype.errors import DataError, UsageError, VectorError
from syntype.evaluation import neighbours, similarity
from syntype.evaluation.similarity import retrieve

QUICK = settings(max_examples=15, deadline=None)
CONFIG = EvaluateConfig(resamples=100, confidence=0.9, recall_at=(1, 2, 5))
GALLERY = EvaluateConfig(resamples=100, confidence=0.9, recall_at=(1, 2, 5), protocol="gallery")
RANKS = ("species", "genus", "family")


def table(species, units=None, ids=None, **columns):
    n = len(species)
    rows = {
        "id": ids or [f"picture {i:03d}" for i in range(n)],
        "unit": units or [f"unit {i}" for i in range(n)],
        "taxonGroup": ["Fish"] * n,
        "species": species,
        "genus": [name[:1] for name in species],
        "family": ["F" if name else "" for name in species],
    }
    return pa.table({name: pa.array(v, pa.string()) for name, v in (rows | columns).items()})


@st.composite
def collections(draw, side="q"):
    """Random samples with shared units, unknown labels, singletons, and vectors with exact ties."""
    n = draw(st.integers(1, 24))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    species = rng.choice(["aa", "ab", "ba", "bb", "ca", "", "rare"], n).tolist()
    units = [f"u{i}" if i else "" for i in rng.integers(0, draw(st.sampled_from([2, 9, 40])), n)]
    genus = [name[:1] if rng.random() < 0.9 else "" for name in species]
    family = [("F" if name < "b" else "G") if name else "" for name in genus]
    ids = [f"{side}{i}" for i in rng.permutation(n)]
    vectors = rng.standard_normal((n, 5)).astype(np.float32)
    if draw(st.booleans()):  # axes and their opposites: most similarities are exactly equal
        vectors = np.eye(5, dtype=np.float32)[rng.integers(0, 5, n)] * rng.choice([-2, 1], (n, 1))
    return vectors.astype(np.float32), table(species, units, ids, genus=genus, family=family)


def naive(vectors, samples, gallery, recall_at):
    """The protocol, one query and one item at a time."""
    queries, others = samples.to_pylist(), gallery[1].to_pylist()
    unit = [v / np.linalg.norm(v) for v in np.asarray(vectors, dtype=np.float64)]
    theirs = [v / np.linalg.norm(v) for v in np.asarray(gallery[0], dtype=np.float64)]
    rows = []
    for query, vector in zip(queries, unit, strict=True):
        cosine = {
            item["id"]: float(np.float32(vector @ other))
            for item, other in zip(others, theirs, strict=True)
        }
        usable = [
            item
            for item in others
            if item["id"] != query["id"] and not (item["unit"] and item["unit"] == query["unit"])
        ]
        usable.sort(key=lambda item: (-round(cosine[item["id"]], 6), item["id"]))
        row = {"neighbourIds": [item["id"] for item in usable[: max(recall_at)]]}
        for rank in RANKS:
            judged = [item[rank] == query[rank] for item in usable if item[rank]]
            r = sum(judged) if query[rank] else 0
            row[f"{rank}Relevant"] = r
            for k in recall_at:
                row[f"{rank}Hit@{k}"] = float(any(judged[:k])) if r else np.nan
            row[f"{rank}PrecisionAtR"] = np.mean(judged[:r]) if r else np.nan
            row[f"{rank}AveragePrecisionAtR"] = (
                sum(np.mean(judged[: i + 1]) for i in range(r) if judged[i]) / r if r else np.nan
            )
        sides = defaultdict(list)
        for item in usable:
            if item["species"] and query["species"]:
                sides[item["species"] == query["species"]].append(cosine[item["id"]])
        row["withinSimilarity"] = np.mean(sides[True]) if sides[True] else np.nan
        row["betweenSimilarity"] = np.mean(sides[False]) if sides[False] else np.nan
        rows.append(row)
    return rows


def assert_equals_naive(scores, rows):
    for got, want in zip(scores.table.to_pylist(), rows, strict=True):
        assert got["neighbourIds"] == want.pop("neighbourIds")
        for name, value in want.items():
            np.testing.assert_allclose(got[name], value, atol=2e-6, err_msg=name)


@QUICK
@given(collections())
def test_leave_one_out_equals_the_naive_loop(collection):
    vectors, samples = collection
    scores = retrieve(vectors, samples, CONFIG)
    assert scores.column("id") == samples.column("id").to_pylist()
    assert_equals_naive(scores, naive(vectors, samples, collection, CONFIG.recall_at))


@QUICK
@given(collections(), collections("g"))
def test_gallery_equals_the_naive_loop(collection, gallery):
    scores = retrieve(*collection, GALLERY, gallery=gallery)
    assert_equals_naive(scores, naive(*collection, gallery, GALLERY.recall_at))


@QUICK
@given(collections())
def test_a_gallery_of_the_queries_is_leave_one_out(collection):
    alone = retrieve(*collection, CONFIG)
    both = retrieve(*collection, GALLERY, gallery=collection)
    assert repr(both.table.to_pydict()) == repr(alone.table.to_pydict())


@QUICK
@given(collections(), st.randoms(use_true_random=False))
def test_row_order_changes_nothing_to_the_last_bit(collection, random):
    vectors, samples = collection
    order = list(range(len(vectors)))
    random.shuffle(order)
    shuffled = retrieve(vectors[order], samples.take(order), CONFIG)
    wanted = retrieve(vectors, samples, CONFIG).table.take(order)
    assert repr(shuffled.table.to_pydict()) == repr(wanted.to_pydict())


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("neighbours._BLOCK_CELLS", 50),
        ("ordering._CACHE_CELLS", 20),
    ],
)
def test_blocks_do_not_show(monkeypatch, name, value):
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((40, 6)).astype(np.float32)
    samples = table(rng.choice(["aa", "ab", "b", ""], 40).tolist())
    whole = retrieve(vectors, samples, CONFIG)
    monkeypatch.setattr(f"syntype.evaluation.{name}", value)
    assert_equals_naive(
        retrieve(vectors, samples, CONFIG), naive(vectors, samples, (vectors, samples), (1, 2, 5))
    )
    assert retrieve(vectors, samples, CONFIG).column("neighbourIds") == whole.column("neighbourIds")


def test_the_whole_product_is_never_in_memory(monkeypatch):
    n = 1500
    vectors = np.random.default_rng(0).standard_normal((n, 4)).astype(np.float32)
    samples = table(["a", "b"] * (n // 2))
    monkeypatch.setattr(neighbours, "_BLOCK_CELLS", 10 * n)
    monkeypatch.setattr(similarity, "summarise", lambda *_: {})
    tracemalloc.start()
    try:
        retrieve(vectors, samples, CONFIG)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < n * n * 4 / 2


def test_near_copies_of_the_same_unit_are_no_evidence():
    vectors = np.array([[1, 0], [1, 0], [0.9, 0.1], [0, 1]], dtype=np.float32)
    samples = table(["a", "a", "b", "a"], units=["track", "track", "other", "third"])
    scores = retrieve(vectors, samples, CONFIG)
    assert scores.column("neighbourIds")[0] == ["picture 002", "picture 003"]
    assert scores.values("speciesHit@1")[0] == 0
    assert scores.column("speciesRelevant") == [1, 1, 0, 2]


def test_a_singleton_is_counted_apart_and_never_a_miss():
    vectors = np.eye(4, dtype=np.float32) + 0.1
    scores = retrieve(vectors, table(["a", "a", "b", ""]), CONFIG)
    assert np.isnan(scores.values("speciesHit@1")[2:]).all()
    assert scores.summary["queries"]["species"] == {
        "scored": 2,
        "nothingToFind": 1,
        "unknownLabel": 1,
    }
    assert scores.summary["all"]["speciesHit@1"]["micro"]["n"] == 2


def test_unjudged_neighbours_are_stepped_over():
    vectors = np.array([[1, 0], [0.99, 0.1], [0.9, 0.4]], dtype=np.float32)
    scores = retrieve(vectors, table(["a", "", "a"]), CONFIG)
    assert scores.values("speciesHit@1")[0] == 1
    assert scores.column("neighbourLabels")[0] == ["", "a"]


def test_equal_similarities_are_ordered_by_id():
    rng = np.random.default_rng(3)
    one = rng.standard_normal(77).astype(np.float32)
    vectors = np.concatenate([rng.standard_normal((30, 77)).astype(np.float32), [one] * 11])
    ids = [f"{i:02d}" for i in rng.permutation(41)]
    config = EvaluateConfig(resamples=100, confidence=0.9, recall_at=(10,))
    scores = retrieve(vectors, table(["a"] * 41, ids=ids), config)
    assert scores.column("neighbourIds")[40] == sorted(ids[30:40])


@pytest.mark.parametrize(
    "species", [["a"] * 6, ["a", "b"] * 3, list("abcdef"), [""] * 6, ["a"]], ids="".join
)
def test_odd_sets_of_classes(species):
    vectors = np.random.default_rng(0).standard_normal((len(species), 3)).astype(np.float32)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        scores = retrieve(vectors, table(species), CONFIG)
    values = scores.values("speciesHit@1")
    counted = [species.count(name) > 1 and name != "" for name in species]
    np.testing.assert_array_equal(~np.isnan(values), counted)
    if len(set(species)) == 1:
        assert np.isnan(scores.values("betweenSimilarity")).all()
    if not any(counted):
        cell = scores.summary["all"]["speciesHit@1"]["macro"]
        assert (cell["estimate"], cell["lower"], cell["reason"]) == (None, None, "no values")


def test_vectors_are_brought_to_unit_length_and_halves_are_taken():
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((12, 8)).astype(np.float16)
    samples = table(["a", "b", "c"] * 4)
    scores = retrieve(vectors, samples, CONFIG)
    longer = retrieve(vectors.astype(np.float32) * 64, samples, CONFIG)
    assert scores.column("neighbourIds") == longer.column("neighbourIds")


def test_number_of_training_pictures():
    vectors = np.eye(4, dtype=np.float32)
    samples = table(["a", "b", "", "a"])
    scores = retrieve(vectors, samples, CONFIG, n_train={"a": 7})
    assert scores.column("nTrain") == [7, 0, -1, 7]
    assert list(scores.summary["byTrainingImages"]) == ["0", "5-9"]
    assert retrieve(vectors, samples, CONFIG).column("nTrain") == [-1] * 4


def test_ranks_need_not_include_species():
    vectors = np.random.default_rng(1).standard_normal((8, 3)).astype(np.float32)
    config = EvaluateConfig(resamples=100, confidence=0.9, ranks=("genus",), recall_at=(1,))
    scores = retrieve(vectors, table(["ax", "ay", "bx", "by"] * 2), config)
    assert scores.ranks == ["genus"]
    assert scores.column("neighbourLabels")[0][0] in {"ax", "ay", "bx", "by"}
    assert scores.rank_of("withinSimilarity") == "genus"


class TestRefuses:
    vectors = np.eye(3, dtype=np.float32)
    samples = table(["a", "a", "b"])

    @pytest.mark.parametrize("value", [np.nan, np.inf, 0])
    def test_broken_vectors(self, value):
        broken = self.vectors.copy()
        broken[1] = value
        with pytest.raises(VectorError, match=r"1 vectors of the queries are zero.*picture 001"):
            retrieve(broken, self.samples, CONFIG)

    def test_unequal_lengths(self):
        with pytest.raises(VectorError, match="2 vectors for 3 rows"):
            retrieve(self.vectors[:2], self.samples, CONFIG)

    def test_no_queries(self):
        with pytest.raises(DataError, match=r"no queries.*split is empty"):
            retrieve(self.vectors[:0], self.samples[:0], CONFIG)

    def test_empty_gallery(self):
        with pytest.raises(DataError, match="no gallery"):
            retrieve(
                self.vectors, self.samples, GALLERY, gallery=(self.vectors[:0], self.samples[:0])
            )

    def test_ids_twice(self):
        with pytest.raises(DataError, match="1 ids occur twice in the queries, for example 'x'"):
            retrieve(self.vectors, table(["a"] * 3, ids=["x", "y", "x"]), CONFIG)

    def test_missing_columns(self):
        with pytest.raises(DataError, match="queries lacks the columns unit, genus"):
            retrieve(self.vectors, self.samples.drop_columns(["unit", "genus"]), CONFIG)

    def test_other_dimensions(self):
        with pytest.raises(VectorError, match="3 dimensions and the gallery has 2"):
            retrieve(
                self.vectors, self.samples, GALLERY, gallery=(self.vectors[:, :2] + 1, self.samples)
            )

    def test_one_id_with_two_units(self):
        other = table(["a", "a", "b"], units=["unit 0", "else", "unit 2"])
        with pytest.raises(DataError, match="'picture 001' is of unit 'unit 1'"):
            retrieve(self.vectors, self.samples, GALLERY, gallery=(self.vectors, other))

    def test_protocol_and_gallery_that_contradict(self):
        with pytest.raises(UsageError, match="needs a gallery"):
            retrieve(self.vectors, self.samples, GALLERY)
        with pytest.raises(UsageError, match="takes no gallery"):
            retrieve(self.vectors, self.samples, CONFIG, gallery=(self.vectors, self.samples))
