"""The pruned search loses next to nothing, and says how much it loses."""

import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent))
from clustering_data import mixture, noise

from syntype.clustering.kmeans import kmeans
from syntype.clustering.nearest import nearest
from syntype.clustering.pruned import TOLERANCE, Groups, PrunedSearch, _plan
from syntype.clustering.rows import Rows


@pytest.fixture(scope="module", params=["structured", "unstructured"])
def case(request, one_thread):
    """Vectors, and their clusters by the pruned search."""
    vectors = mixture(10_000, 48, 500) if request.param == "structured" else noise(10_000, 48)
    return vectors, kmeans(vectors, 400, iterations=10, search="pruned")


def test_pruning_costs_next_to_nothing_of_the_objective(case):
    """Within 0.5 % of the exact search after the same iterations, also where all is noise."""
    vectors, pruned = case
    exact = kmeans(vectors, 400, iterations=10, search="exact")
    assert pruned.objective > exact.objective * (1 - 0.005)
    _, cosines = nearest(Rows(vectors), pruned.centres)
    lost = 1 - pruned.objective / float(cosines.double().mean())
    assert lost < 3 * TOLERANCE, "what the checked vectors say holds for all"
    assert pruned.shortfall <= TOLERANCE


def test_the_pruned_objective_is_that_of_faiss(case):
    faiss = pytest.importorskip("faiss")
    vectors, pruned = case
    theirs = faiss.Kmeans(
        48,
        400,
        niter=10,
        spherical=True,
        seed=1,
        max_points_per_centroid=10**9,
        min_points_per_centroid=1,
    )
    theirs.train(vectors.numpy())
    reached = float(theirs.index.search(vectors.numpy(), 1)[0].mean())
    structured = reached > 0.6
    assert pruned.objective > reached * (1 - (0.002 if structured else 0.005))


def test_without_structure_most_is_searched_exactly():
    """Random labels tell the lists nothing, and noise tells the groups nothing."""
    rows = Rows(noise(3000, 64))
    centres = noise(600, 64, 1)
    labels = torch.randint(600, (3000,), generator=torch.Generator().manual_seed(0))
    search = PrunedSearch(rows)
    found, cosines = search(centres, labels)
    assert search.exact_share > 0.5
    best_labels, best = nearest(rows, centres)
    assert float((best - cosines).double().mean() / best.double().mean()) <= 2 * TOLERANCE
    assert float((found == best_labels).double().mean()) > 0.95


def test_known_clusters_of_structured_vectors_need_the_lists_alone():
    vectors = mixture(4000, 32, 200, spread=0.3)
    centres = kmeans(vectors, 200, iterations=4, search="exact").centres
    search = PrunedSearch(Rows(vectors))
    labels, _ = nearest(Rows(vectors), centres)
    found, _ = search(centres, labels)
    assert search.exact_share == 0
    assert float((found == labels).double().mean()) > 0.999


def test_groups_hold_every_centre_once():
    centres = noise(200, 16)
    groups = Groups.of(centres, centres[::20].clone())
    assert sorted(groups.members.tolist()) == list(range(200))
    assert torch.equal(torch.cat([groups.of_group(g) for g in range(len(groups))]), groups.members)
    assert len(groups.around_group(0, 200)) == 200


def test_equal_centres_keep_their_place_in_their_own_lists():
    centres = noise(1, 8).repeat(40, 1)
    search = PrunedSearch(Rows(noise(50, 8)))
    lists = search._neighbours(centres, Groups.of(centres, centres[:4].clone()))
    assert (lists == torch.arange(40)[:, None]).any(dim=1).all()


def test_the_plan_is_the_cheapest_that_suffices():
    """Ten checked vectors, four groups, 1,000 centres; two of the ten lost a lot."""
    found = torch.tensor([0.9] * 8 + [0.1, 0.2])
    everything_in_the_first_group = torch.full((10, 4), 0.9)
    assert _plan(torch.full((10,), 0.9), everything_in_the_first_group, 1000, 1e-3)[0] == 0
    far = torch.tensor([[0.9] * 4] * 8 + [[0.1, 0.1, 0.2, 0.9], [0.2, 0.2, 0.3, 0.9]])
    cost, probes, worst_probes, share = _plan(found, far, 1000, 1e-3)
    assert (probes, worst_probes, share) == (0, 4, 0.2), "the two worst, exactly"
    assert cost == pytest.approx(0.2)
    assert _plan(found, far, 1000, 0.09)[3] == 0.1, "the worst one alone is enough"
    nowhere = torch.full((10,), -1.0)
    assert _plan(nowhere, far, 1000, 1e-3)[2:] == (4, 1.0), "all vectors, exactly"
