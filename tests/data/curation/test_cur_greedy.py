"""What stays is a maximal set without near pairs, whatever the graph."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from syntype.data.curation.greedy import Links, keep_apart


def draw(seed: int, n: int):
    """Rows on nodes, links between some nodes, and what is known of the rows."""
    rng = np.random.default_rng(seed)
    n_nodes = max(1, n // 2)
    node = rng.integers(0, n_nodes, n)
    pairs = np.argwhere(np.triu(rng.random((n_nodes, n_nodes)) < 0.15, 1))
    links = Links.of(n_nodes, pairs[:, 0], pairs[:, 1], rng.integers(1, 20, len(pairs)) * 1.0)
    near = node[:, None] == node[None]
    linked = np.zeros((n_nodes, n_nodes), dtype=bool)
    linked[pairs[:, 0], pairs[:, 1]] = linked[pairs[:, 1], pairs[:, 0]] = True
    near |= linked[node][:, node]
    columns = {
        "place": rng.permutation(n),
        "split": rng.integers(0, 2, n),
        "species": rng.integers(0, 3, n),
        "unit": rng.integers(0, max(1, n // 2), n),
    }
    return node, links, near, columns


def exempt(columns, one, other, by_unit):
    """Whether two near rows may both stay; and whether they are of two species."""
    same_split = columns["split"][one] == columns["split"][other]
    if by_unit and same_split and columns["unit"][one] == columns["unit"][other]:
        return True, False
    species = columns["species"][one], columns["species"][other]
    differ = min(species) > 0 and species[0] != species[1]
    return bool(differ and same_split), bool(differ)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 9999), st.integers(0, 16), st.booleans(), st.booleans())
def test_what_stays_is_maximal_and_apart(seed, n, by_unit, drop):
    node, links, near, columns = draw(seed, n)
    unit = columns["unit"] if by_unit else None
    known = {name: columns[name] for name in ("place", "split", "species")}
    found = keep_apart(node, links, unit=unit, drop_mixed=drop, **known)
    pairs = [(i, j) for i in range(n) for j in range(n) if i != j and near[i, j]]
    mixed = {i for i, j in pairs if exempt(columns, i, j, by_unit)[1]}
    assert found.dropped.tolist() == [drop and row in mixed for row in range(n)]
    # The naive greedy choice.
    stays: list[int] = []
    for row in np.argsort(columns["place"]).tolist():
        against = [k for k in stays if near[row, k] and not exempt(columns, row, k, by_unit)[0]]
        gone = bool(against) and not found.dropped[row]
        assert (found.of[row] >= 0) == gone
        if gone:
            assert found.of[row] in stays
            assert near[row, found.of[row]]
            assert not exempt(columns, row, found.of[row], by_unit)[0]
        elif not found.dropped[row]:
            stays.append(row)
    for row in np.flatnonzero(found.mixed >= 0).tolist():
        assert near[row, found.mixed[row]]
        assert exempt(columns, row, found.mixed[row], by_unit)[1]


def test_a_chain_loses_its_middle_only():
    links = Links.of(3, np.array([0, 1]), np.array([1, 2]), np.array([5.0, 6.0]))
    zeros = np.zeros(3, np.int64)
    found = keep_apart(
        np.arange(3),
        links,
        place=np.array([0, 1, 2]),
        split=zeros,
        species=zeros,
        unit=None,
        drop_mixed=False,
    )
    assert found.of.tolist() == [-1, 0, -1]
    assert found.apart[1] == 5


def test_a_placeholder_that_stands_often_costs_steps_not_their_square():
    n = 2_000
    nothing = np.empty(0, np.int64)
    found = keep_apart(
        np.zeros(n, np.int64),
        Links.of(1, nothing, nothing, nothing * 1.0),
        place=np.arange(n)[::-1],
        split=np.zeros(n, np.int64),
        species=np.ones(n, np.int64),
        unit=np.arange(n),
        drop_mixed=True,
    )
    assert np.flatnonzero(found.of < 0).tolist() == [n - 1]
