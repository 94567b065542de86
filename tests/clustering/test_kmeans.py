"""k-means: objective, empties, ties, exactness of sums, determinism, independence of other k."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parent))
from clustering_data import mixture, naive_lloyd, noise, unit

from syntype.clustering.kmeans import KMeansResult, draw_seeds, kmeans
from syntype.clustering.nearest import assign
from syntype.errors import UsageError, VectorError

modest = settings(max_examples=25, deadline=None)


def same(a: KMeansResult, b: KMeansResult) -> bool:
    return (
        torch.equal(a.centres, b.centres)
        and torch.equal(a.labels, b.labels)
        and a.history == b.history
    )


@modest
@given(
    n=st.integers(2, 120),
    share=st.floats(0, 1),
    copies=st.integers(1, 3),
    seed=st.integers(0, 99),
    init=st.sampled_from(["plus-plus", "subset"]),
    search=st.sampled_from(["exact", "pruned"]),
)
def test_whatever_the_vectors_the_clusters_are_sound(n, share, copies, seed, init, search):
    """Also with duplicates, with k = n, and with pruning where there is nothing to prune."""
    vectors = noise(n, 6, seed).repeat(copies, 1)
    k = 1 + round(share * (n - 1))
    found = kmeans(vectors, k, iterations=8, init=init, seed=seed, search=search)
    assert found.centres.shape == (k, 6)
    assert torch.allclose(found.centres.norm(dim=1), torch.ones(k), atol=1e-5)
    assert set(found.labels.tolist()) == set(range(k)), "no cluster is empty, no label out of range"
    own = (vectors * found.centres[found.labels]).sum(dim=1)
    assert found.objective == pytest.approx(float(own.mean()), abs=1e-5)
    assert found.objective == found.history[-1]
    assert len(found.history) == found.iterations + 1
    if search == "exact":
        assert all(b >= a - 1e-6 for a, b in zip(found.history, found.history[1:], strict=False))


@modest
@given(n=st.integers(10, 200), k=st.integers(2, 9), seed=st.integers(0, 99))
def test_the_labels_are_the_nearest_centres(n, k, seed):
    vectors = mixture(n, 8, 5, seed=seed)
    found = kmeans(vectors, k, iterations=5, seed=seed, search="exact")
    best = (vectors.double() @ found.centres.double().T).max(dim=1).values
    own = (vectors * found.centres[found.labels]).sum(dim=1)
    assert torch.allclose(own.double(), best, atol=1e-6)


@modest
@given(k=st.integers(2, 12), seed=st.integers(0, 99))
def test_one_step_is_the_naive_step(k, seed):
    vectors, first = mixture(300, 16, 6, seed=seed), noise(k, 16, seed + 1)
    centres, labels, objective = naive_lloyd(vectors, first)
    if len(labels.unique()) < k:
        return  # an empty cluster is repaired, which the naive step knows nothing of
    found = kmeans(vectors, k, centres=first, iterations=1, search="exact")
    assert found.history[0] == pytest.approx(objective, abs=1e-6)
    assert torch.allclose(found.centres.double(), centres, atol=1e-6) or found.n_repaired


def test_it_stops_when_no_label_moves_and_a_warm_start_stays():
    vectors = mixture(500, 16, 5, spread=0.2)
    found = kmeans(vectors, 5, iterations=100)
    assert found.iterations < 100
    again = kmeans(vectors, 5, centres=found.centres, iterations=100)
    assert again.iterations == 1
    assert torch.equal(again.labels, found.labels)


def test_the_order_of_the_vectors_changes_only_the_order_of_the_labels():
    """Bit for bit: the sums are exact, so they do not know an order."""
    vectors, first = mixture(3000, 32, 9), noise(7, 32, 5)
    order = torch.randperm(len(vectors), generator=torch.Generator().manual_seed(1))
    straight = kmeans(vectors, 7, centres=first, iterations=4)
    shuffled = kmeans(vectors[order], 7, centres=first, iterations=4)
    assert torch.equal(straight.labels[order], shuffled.labels)
    assert torch.equal(straight.centres, shuffled.centres)


def test_one_giant_cluster_does_not_drift():
    """A hundred thousand vectors in one float32 sum would lose digits; these centres do not."""
    few = unit(noise(1000, 4, 3) * 0.3 + torch.tensor([1.0, 0, 0, 0]))
    vectors = torch.cat([few] * 100 + [-few[:3]])
    found = kmeans(
        vectors, 2, iterations=20, centres=unit(torch.tensor([[1.0, 1, 0, 0], [-1, 1, 0, 0]]))
    )
    assert found.iterations < 20
    assert found.labels.bincount().min() == 3
    for j in range(2):
        exact = unit(vectors[found.labels == j].double().sum(dim=0, keepdim=True))[0]
        assert torch.allclose(found.centres[j].double(), exact, rtol=0, atol=6e-8)


def test_ties_go_to_the_lowest_index():
    vectors = noise(40, 5)
    first = torch.cat([vectors[:1], vectors[1:2], vectors[:1], vectors[1:2]])
    labels, _ = assign(vectors, first)
    assert set(labels[:, 0].tolist()) == {0, 1}


def test_an_empty_cluster_takes_from_the_one_that_loses_most():
    tight, loose = unit(noise(50, 8, 1) * 0.01 + noise(1, 8, 2)), noise(50, 8, 3)
    vectors = torch.cat([tight, loose])
    first = torch.cat([tight[:1], loose.mean(dim=0, keepdim=True), -tight[:1], -tight[:1]])
    found = kmeans(vectors, 4, centres=unit(first), iterations=1)
    assert found.n_repaired >= 1
    assert len(found.labels.unique()) == 4
    assert len(found.labels[:50].unique()) == 1, "the tight cluster was left whole"


def test_k_equal_to_the_number_of_vectors_gives_each_its_own():
    found = kmeans(noise(30, 6), 30)
    assert sorted(found.labels.tolist()) == list(range(30))
    assert found.objective == pytest.approx(1, abs=1e-6)


def test_vectors_that_cancel_out_do_not_break_a_centre():
    vectors = torch.tensor([[1.0, 0], [-1, 0]])
    found = kmeans(vectors, 1)
    assert float(found.centres.norm()) == pytest.approx(1)
    assert found.objective == pytest.approx(0)


@pytest.mark.parametrize("search", ["exact", "pruned"])
def test_the_same_question_gives_the_same_bytes(search):
    vectors = mixture(1500, 16, 40)
    assert same(*(kmeans(vectors, 100, iterations=4, search=search) for _ in range(2)))
    assert not same(
        *(kmeans(vectors, 100, iterations=4, search=search, seed=seed) for seed in (0, 1))
    )


@pytest.mark.parametrize("init", ["plus-plus", "subset"])
@pytest.mark.parametrize("search", ["exact", "pruned"])
def test_the_result_of_one_k_does_not_depend_on_the_others(init, search):
    vectors = mixture(1500, 8, 30)
    for largest in (200, 300):
        first = draw_seeds(vectors, largest, init=init)
        for k in (3, 70, 200):
            alone = kmeans(vectors, k, iterations=3, init=init, search=search)
            shared = kmeans(vectors, k, iterations=3, search=search, first=first)
            assert same(shared, alone)


def test_too_few_vectors_to_start_from_are_refused():
    vectors = mixture(50, 8, 5)
    with pytest.raises(UsageError, match="3 first vectors were given for k = 4"):
        kmeans(vectors, 4, first=draw_seeds(vectors, 3))


@pytest.mark.parametrize("kind", ["float16 map", "float32 read-only", "float64"])
def test_arrays_and_maps_are_read_where_they_lie(kind, tmp_path):
    vectors = mixture(300, 8, 4)
    if kind == "float16 map":
        array = np.lib.format.open_memmap(
            tmp_path / "v.npy", "w+", np.float16, tuple(vectors.shape)
        )
        array[:] = vectors.numpy()
        array.flush()
        array = np.load(tmp_path / "v.npy", mmap_mode="r")
    else:
        array = vectors.numpy().astype(np.float64 if kind == "float64" else np.float32)
        array.flags.writeable = False
    found = kmeans(array, 4)
    expected = kmeans(torch.from_numpy(np.array(array, dtype=np.float32)), 4)
    assert same(found, expected)


@pytest.mark.parametrize("kind", ["structured", "unstructured"])
@pytest.mark.parametrize("k", [20, 150])
def test_the_objective_is_that_of_faiss(kind, k):
    faiss = pytest.importorskip("faiss")
    vectors = mixture(5000, 32, 60) if kind == "structured" else noise(5000, 32)
    theirs = faiss.Kmeans(
        32,
        k,
        niter=15,
        spherical=True,
        max_points_per_centroid=10**9,
        seed=1,
        min_points_per_centroid=1,
    )
    theirs.train(vectors.numpy())
    reached = float(theirs.index.search(vectors.numpy(), 1)[0].mean())
    ours = kmeans(vectors, k, iterations=15, search="exact").objective
    assert ours > reached * (1 - 0.005)


@pytest.mark.parametrize(
    ("vectors", "k", "error", "words"),
    [
        (noise(5, 3), 6, UsageError, "lower --k to 5"),
        (noise(5, 3), 0, UsageError, "raise --k"),
        (noise(3, 4).repeat(4, 1), 5, VectorError, "only 3 of the 12 differ"),
        (torch.zeros(0, 4), 1, VectorError, "split are not empty"),
        (torch.tensor([[1.0, 0], [float("nan"), 0]]), 1, VectorError, "number 1 holds NaN"),
        (torch.tensor([[1.0, 0], [float("inf"), 0]]), 1, VectorError, "number 1 holds NaN"),
        (torch.tensor([[1.0, 0], [0, 0]]), 1, VectorError, "number 1 is zero"),
        (torch.tensor([[1.0, 0], [0, 2]]), 1, VectorError, "length 2.0000, not 1"),
    ],
)
def test_what_cannot_be_clustered_is_refused_with_advice(vectors, k, error, words):
    with pytest.raises(error, match=words):
        kmeans(vectors, k)


def test_first_centres_must_fit():
    with pytest.raises(UsageError, match="3 first centres were given for k = 2"):
        kmeans(noise(9, 4), 2, centres=noise(3, 4))
    with pytest.raises(VectorError, match="different encoders"):
        kmeans(noise(9, 4), 2, centres=noise(2, 5))
