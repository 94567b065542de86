import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from syntype.errors import DataError
from syntype.taxonomy.taxon import Lineage
from syntype.taxonomy.tree import NOTHING_SHARED, TaxonTree

TIT: Lineage = ("Animalia", "Chordata", "Aves", "Passeriformes", "Paridae", "Parus", "Parus major")
BLUE = (*TIT[:5], "Cyanistes", "Cyanistes caeruleus")
PIKE = ("Animalia", "Chordata", "Actinopterygii", "Esociformes", "Esocidae", "Esox", "Esox lucius")
OAK = (
    "Plantae",
    "Tracheophyta",
    "Magnoliopsida",
    "Fagales",
    "Fagaceae",
    "Quercus",
    "Quercus robur",
)
BLOB = ("", "", "", "", "", "", "unknown_blobs")

NAMES = st.sampled_from(["", "a", "b"])
LINEAGES = st.lists(
    st.tuples(NAMES, NAMES, NAMES, NAMES, NAMES, NAMES, st.sampled_from("pqrstuv")),
    min_size=1,
    max_size=8,
)


def naive(first: Lineage, second: Lineage) -> int:
    """The definition, rank by rank from the species up."""
    if first[6] == second[6]:
        return 0
    for height in range(1, 7):
        place = 6 - height
        differ = any(a and b and a != b for a, b in zip(first[:place], second[:place], strict=True))
        if first[place] and first[place] == second[place] and not differ:
            return height
    return NOTHING_SHARED


def test_distances_by_hand() -> None:
    tree = TaxonTree.from_lineages([TIT, BLUE, PIKE, OAK, BLOB])
    assert tree.distance("Parus major", "Parus major") == 0
    assert tree.distance("Parus major", "Cyanistes caeruleus") == 2
    assert tree.distance("Parus major", "Esox lucius") == 5
    assert tree.distance("Parus major", "Quercus robur") == NOTHING_SHARED
    assert tree.distance("unknown_blobs", "Parus major") == NOTHING_SHARED
    assert tree.lowest_common_ancestor("Parus major", "Cyanistes caeruleus") == (
        "family",
        "Paridae",
    )
    assert tree.lowest_common_ancestor("Parus major", "Parus major") == ("species", "Parus major")
    assert tree.lowest_common_ancestor("Parus major", "Quercus robur") is None


def test_a_genus_of_one_name_in_two_kingdoms_is_two() -> None:
    bird = ("Animalia", "", "", "", "", "Morus", "Morus bassanus")
    plant = ("Plantae", "", "", "", "", "Morus", "Morus alba")
    nowhere = ("", "", "", "", "", "Morus", "Morus nigra")
    tree = TaxonTree.from_lineages([bird, plant, nowhere])
    assert tree.distance("Morus bassanus", "Morus alba") == NOTHING_SHARED
    assert tree.distance("Morus nigra", "Morus alba") == 1


def test_species_that_disagree_take_the_most_frequent_known_name() -> None:
    wrong = (*TIT[:4], "Corvidae", *TIT[5:])
    bare = ("", "", "", "", "", "", "Parus major")
    tree = TaxonTree.from_lineages([bare, bare, bare, TIT, wrong, TIT])
    assert tree.lineages == (TIT,)


def test_unknown_species_is_an_error_that_names_it() -> None:
    with pytest.raises(DataError, match="Esox lucius"):
        TaxonTree.from_lineages([TIT]).codes(["Esox lucius"])


@given(LINEAGES)
@settings(max_examples=60, deadline=None)
def test_the_matrix_is_the_definition_and_symmetric(lineages: list[Lineage]) -> None:
    tree = TaxonTree.from_lineages(lineages)
    matrix = tree.distance_matrix()
    expected = [[naive(a, b) for b in tree.lineages] for a in tree.lineages]
    np.testing.assert_array_equal(matrix, expected)
    np.testing.assert_array_equal(matrix, matrix.T)
    assert not matrix.diagonal().any()
    codes = tree.codes(reversed(tree.species))
    np.testing.assert_array_equal(tree.distances(codes, codes[::-1]), np.diagonal(matrix[::-1]))


@given(st.lists(st.tuples(*[st.sampled_from("ab")] * 6), min_size=3, max_size=8, unique=True))
@settings(max_examples=40, deadline=None)
def test_complete_lineages_make_an_ultrametric(paths: list[tuple[str, ...]]) -> None:
    lineages = [("Life", *("/".join(path[: i + 1]) for i in range(6))) for path in paths]
    d = TaxonTree.from_lineages(lineages).distance_matrix().astype(int)  # type: ignore[arg-type]
    assert (d[:, None, :] <= np.maximum(d[:, :, None], d[None, :, :])).all()


@given(LINEAGES, st.randoms(use_true_random=False))
@settings(max_examples=30, deadline=None)
def test_the_order_of_rows_does_not_matter(lineages: list[Lineage], random) -> None:
    shuffled = list(lineages)
    random.shuffle(shuffled)
    assert TaxonTree.from_lineages(lineages) == TaxonTree.from_lineages(shuffled)
