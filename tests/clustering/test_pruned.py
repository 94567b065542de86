"""The pruned search loses next to nothing, and says how much it loses."""

import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent))
from clustering_data import mixture, noise

from syntype.clustering.kmeans import kmeans
from syntype.clustering.nearest import nearest
from syntype.clustering.pruned import TOLERANCE, Groups, PrunedSearch
from syntype.clustering.rows import Rows


@pytest.mark.parametrize("kind", ["structured", "unstructured"])
def test_pruning_costs_less_than_two_thousandths_of_the_objective(kind):
    vectors = mixture(20_000, 64, 800) if kind == "structured" else noise(20_000, 64)
    exact = kmeans(vectors, 500, iterations=6, search="exact")
    pruned = kmeans(vectors, 500, iterations=6, search="pruned")
    assert pruned.objective > exact.objective * (1 - 0.002)
    _, cosines = nearest(Rows(vectors), pruned.centres)
    lost = 1 - pruned.objective / float(cosines.double().mean())
    assert lost < 2 * TOLERANCE, "what the sample says holds for all"
    assert pruned.shortfall <= TOLERANCE


def test_without_structure_the_search_becomes_exact():
    """Random labels tell the lists nothing, and noise tells the groups nothing."""
    rows = Rows(noise(3000, 64))
    centres = rows.block(0, 600)
    labels = torch.randint(600, (3000,), generator=torch.Generator().manual_seed(0))
    search = PrunedSearch(rows)
    found, cosines = search(centres, labels)
    assert search.exact_share > 0
    best_labels, best = nearest(rows, centres)
    assert float((best - cosines).double().mean() / best.double().mean()) <= 2 * TOLERANCE
    assert float((found == best_labels).double().mean()) > 0.95


def test_known_clusters_of_structured_vectors_need_the_lists_alone():
    vectors = mixture(6000, 32, 300, spread=0.3)
    centres = kmeans(vectors, 300, iterations=4, search="exact").centres
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
