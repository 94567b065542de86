"""Retrieval across modalities and its matrix."""

import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from syntype.configs import EvaluateConfig
from syntype.errors import DataError, UsageError
from syntype.evaluation import cross_modal
from syntype.evaluation.cross_matrix import Views, cross_matrix, matrix_difference
from syntype.evaluation.cross_modal import contents, hit_chance, retrieve_across
from syntype.evaluation.items import Items

QUICK = settings(max_examples=20, deadline=None)
RANKS = ("species", "genus", "family")
CONFIG = EvaluateConfig(resamples=200, confidence=0.9, recall_at=(1, 2, 5))


def table(species, units=None, ids=None):
    n = len(species)
    rows = {
        "id": ids or [f"o{i:03d}" for i in range(n)],
        "unit": units or [f"u{i}" for i in range(n)],
        "taxonGroup": ["Bird"] * n,
        "species": species,
        "genus": [name[:1] for name in species],
        "family": ["F" if name else "" for name in species],
    }
    return pa.table({name: pa.array(values, pa.string()) for name, values in rows.items()})


def side(vectors, samples, rows=None):
    rows = list(range(len(vectors))) if rows is None else rows
    taken = samples.take(pa.array(rows, pa.int64()))
    return Items.read(np.asarray(vectors, np.float32)[rows], taken, RANKS, "rows")


@st.composite
def worlds(draw, most=7):
    """Observations with two modalities, some missing, with shared units, names and vectors."""
    n = draw(st.integers(2, most))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    species = rng.choice(["aa", "ab", "ba", ""], n).tolist()
    units = [f"u{i}" for i in rng.integers(0, draw(st.sampled_from([2, 9])), n)]
    axes = draw(st.booleans())

    def vectors():
        if axes:  # few different vectors: ties and equal contents
            return np.eye(3, dtype=np.float32)[rng.integers(0, 3, n)]
        return rng.standard_normal((n, 4)).astype(np.float32)

    has = [sorted(rng.choice(n, rng.integers(1, n + 1), replace=False).tolist()) for _ in range(2)]
    return table(species, units), (vectors(), vectors()), has


def naive(samples, vectors, has, level, *, same, of_classes, recall_at):
    """The protocol of the docstring, one query at a time, over every order of ties."""
    rows = samples.to_pylist()
    unit = [v / np.linalg.norm(v, axis=1, keepdims=True) for v in vectors]
    key = [[tuple(np.asarray(v, np.float32).tolist()) for v in one] for one in unit]
    items = {}
    for row in has[1]:
        labels = tuple(rows[row][rank] for rank in RANKS)
        items.setdefault((key[1][row], labels), []).append(row)
    answers = []
    for query in has[0]:
        judged = []
        for (vector, labels), members in items.items():
            if level == "instance":
                right = any(
                    key[0][other] == key[0][query] and key[1][other] == vector
                    for other in set(has[0]) & set(has[1])
                )
            else:
                name = dict(zip(RANKS, labels, strict=True))[level]
                if name == "":
                    continue
                right = name == rows[query][level]
            own = not of_classes and {rows[m]["unit"] for m in members} == {rows[query]["unit"]}
            if own and not (level == "instance" and right):
                continue
            if same and vector == key[0][query]:
                continue
            cosine = round(float(unit[0][query].astype(float) @ np.array(vector)), 5)
            judged.append((cosine, right))
        answers.append(expected(judged, recall_at))
    return answers


def expected(judged, recall_at):
    """Mean over the orders of ties of hits, rank of the first right one, average precision."""
    n_right = sum(right for _, right in judged)
    if not n_right:
        return [np.nan] * (len(recall_at) + 2)
    levels = sorted({cosine for cosine, _ in judged}, reverse=True)
    groups = [[right for cosine, right in judged if cosine == level] for level in levels]
    means = []
    for orders in itertools.product(*(set(itertools.permutations(g)) for g in groups)):
        flat = np.array([right for group in orders for right in group])
        precision = np.cumsum(flat) / np.arange(1, len(flat) + 1)
        hits = [float(flat[:k].any()) for k in recall_at]
        means.append([*hits, flat.argmax() + 1, precision[flat].mean()])
    return np.mean(means, axis=0).tolist()


@QUICK
@given(worlds(), st.booleans(), st.booleans())
def test_every_number_equals_the_naive_mean_over_all_orders_of_ties(world, same, of_classes):
    samples, vectors, has = world
    if same:
        vectors, has = (vectors[0], vectors[0]), [has[0], has[0]]
    sides = [side(v, samples, rows) for v, rows in zip(vectors, has, strict=True)]
    names = ("image", "image") if same else ("image", "sound")
    found = retrieve_across(*sides, names=names, recall_at=(1, 2, 5), of_classes=of_classes)
    assert found.levels == [*(() if same else ("instance",)), *RANKS]
    for level in found.levels:
        want = naive(
            samples, vectors, has, level, same=same, of_classes=of_classes, recall_at=(1, 2, 5)
        )
        columns = [f"{level}Hit@{k}" for k in (1, 2, 5)]
        columns += [f"{level}Rank", f"{level}AveragePrecision"]
        got = np.stack([found.values(name) for name in columns], axis=1)
        np.testing.assert_allclose(got, np.array(want), atol=2e-6, err_msg=level)


@QUICK
@given(worlds(most=30), st.integers(0, 1000))
def test_the_order_of_rows_and_the_size_of_blocks_change_nothing(world, seed):
    samples, vectors, has = world
    names = ("image", "sound")
    whole = retrieve_across(*map(side, vectors, [samples] * 2, has), names=names)
    rng = np.random.default_rng(seed)
    turned = [rng.permutation(rows).tolist() for rows in has]
    other = retrieve_across(*map(side, vectors, [samples] * 2, turned), names=names)
    assert whole.table.equals(other.table) or nan_equal(whole.table, other.table)


def nan_equal(one, other):
    return all(
        np.array_equal(one[name].to_numpy(), other[name].to_numpy(), equal_nan=True)
        for name in one.column_names[2:]
    )


def test_small_blocks_give_the_same(monkeypatch):
    rng = np.random.default_rng(0)
    samples = table(rng.choice(["aa", "ab", "ba"], 40).tolist())
    sides = [side(rng.standard_normal((40, 5)), samples) for _ in range(2)]
    whole = retrieve_across(*sides, names=("a", "b"))
    monkeypatch.setattr(cross_modal, "_BLOCK_CELLS", 100)
    parts = retrieve_across(*sides, names=("a", "b"))
    for name in whole.table.column_names[2:]:
        np.testing.assert_allclose(whole.values(name), parts.values(name))


def test_rank_at_most_k_is_a_hit():
    samples = table(["a", "b", "c"])
    query = np.eye(3)
    gallery = np.array([[0.5, 0.6, 0], [1, 0, 0], [0, 0, 1]])  # the first query's own is second
    found = retrieve_across(
        side(query, samples), side(gallery, samples), names=("a", "b"), recall_at=(1, 2)
    )
    assert found.values("instanceRank")[0] == 2
    assert found.values("instanceHit@1")[0] == 0
    assert found.values("instanceHit@2")[0] == 1


def test_a_text_that_many_share_is_one_content_and_any_of_them_is_right():
    samples = table(["aa", "aa", "ab", "ab"])
    pictures = np.eye(4)
    texts = np.array([[1, 1, 0, 0], [1, 1, 0, 0], [0, 0, 1, 1], [0, 0, 1, 1]])
    found = retrieve_across(
        side(pictures, samples), side(texts, samples), names=("image", "text"), of_classes=True
    )
    assert found.n_gallery == {"instance": 2, "species": 2, "genus": 2, "family": 2}
    assert found.n_gallery_rows == 4
    assert found.values("instanceHit@1").tolist() == [1, 1, 1, 1]
    back = retrieve_across(side(texts, samples), side(pictures, samples), names=("text", "image"))
    assert back.values("instanceRelevant").tolist() == [2, 2, 2, 2]
    assert back.values("instanceHit@1").tolist() == [1, 1, 1, 1]
    # Without the name as a class of its own, the text of a unit's only picture would be hidden.
    alone = table(["aa", "bb"])
    hidden = retrieve_across(
        side(np.eye(2), alone), side(np.eye(2), alone), names=("image", "text")
    )
    assert np.isnan(hidden.values("speciesHit@1")).all()


def test_one_class_has_only_itself_to_find():
    samples = table(["aa"] * 5)
    rng = np.random.default_rng(1)
    sides = [side(rng.standard_normal((5, 3)), samples) for _ in range(2)]
    found = retrieve_across(*sides, names=("image", "sound"))
    assert found.values("speciesHit@1").tolist() == [1] * 5
    assert found.values("speciesAveragePrecision").tolist() == [1] * 5
    assert found.values("speciesRelevant").tolist() == [4] * 5  # the own unit is left out
    assert found.values("instanceAvailable").tolist() == [5] * 5


def test_contents_knows_minus_zero():
    first, code = contents(np.array([[0.0, 1], [-0.0, 1], [1, 0]], np.float32))
    assert len(first) == 2
    assert code[0] == code[1] != code[2]
    _, apart = contents(np.zeros((2, 2), np.float32), np.array([1, 2]))
    assert apart[0] != apart[1]


@QUICK
@given(st.integers(1, 9), st.data())
def test_the_chance_of_a_hit_is_the_share_of_draws(size, data):
    right = data.draw(st.integers(0, size))
    drawn = data.draw(st.integers(0, size))
    draws = list(itertools.combinations(range(size), drawn))
    want = np.mean([any(item < right for item in one) for one in draws])
    got = hit_chance(*(np.array([number]) for number in (right, size, drawn)))
    assert got[0] == pytest.approx(want, abs=1e-9)


def test_bad_levels_and_depths_are_refused():
    one = side(np.eye(2), table(["a", "b"]))
    with pytest.raises(UsageError, match="each once"):
        retrieve_across(one, one, names=("a", "b"), levels=("species", "species"))
    with pytest.raises(UsageError, match="1 or more"):
        retrieve_across(one, one, names=("a", "b"), recall_at=(0,))


# The matrix


@pytest.fixture(scope="module")
def views():
    return make_views()


def make_views(noise=0.6, n=60):
    rng = np.random.default_rng(5)
    species = np.repeat([f"{g}{s}" for g in "ab" for s in "xyz"], n // 6)
    samples = table(species.tolist(), units=[f"u{i // 2}" for i in range(n)])
    centre = dict(zip(sorted(set(species)), rng.standard_normal((6, 16)), strict=True))
    own = rng.standard_normal((n, 16))
    ids = np.array(samples.column("id").to_pylist())

    def vectors(number, rows):
        luck = np.random.default_rng(number).standard_normal((n, 16))
        made = np.stack([centre[name] for name in species]) + own + noise * luck
        return ids[rows].tolist(), made[rows].astype(np.float32)

    texts = np.stack([centre[name] for name in species]).astype(np.float32)
    return Views.of(
        samples,
        {
            "sound": vectors(1, np.arange(0, n, 2)),
            "image": vectors(2, np.arange(n)),
            "text": (ids.tolist(), texts),
            "climate": ([], np.zeros((0, 16), np.float32)),
        },
    )


def test_the_matrix_has_every_pair_that_has_rows(views):
    found = cross_matrix(views, CONFIG)
    assert found.modalities == ("image", "text", "sound")
    assert len(found.cells) == 6 * 4 + 3 * 3
    assert found.cell("image", "image", "instance") is None
    cell = found.cell("sound", "image", "instance")
    assert (cell.n_queries, cell.without, cell.n_gallery) == (30, 30, 60)
    assert set(cell.metrics) == {"Recall@1", "Recall@2", "Recall@5", "medianRank", "mAP"}
    assert cell.chance["Recall@1"] == pytest.approx(1 / 59)  # the unit's other picture is hidden
    recall = cell.metrics["Recall@1"]
    assert recall.estimate == pytest.approx(
        np.nanmean(found.retrievals["sound", "image"].values("instanceHit@1"))
    )
    assert recall.lower < recall.estimate < recall.upper
    assert cell.metrics["Recall@5"].estimate > cell.chance["Recall@5"]
    # A picture without a sound has nothing to find at instance level, and is a query of species.
    assert found.cell("image", "sound", "instance").nothing_to_find == 30
    assert found.cell("image", "sound", "species").n_queries == 60
    assert cell.as_json()["nGalleryRows"] == 60


def test_the_median_rank_lies_in_its_interval(views):
    found = cross_matrix(views, CONFIG)
    for cell in found.cells:
        median = cell.metrics["medianRank"]
        if median.lower is not None:
            assert 1 <= median.lower <= median.estimate <= median.upper


def test_woodruffs_interval_covers_the_median():
    """About 90 % of intervals of samples from a skewed distribution hold its median."""
    from syntype.evaluation.cross_matrix import _medians

    covered = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        n = 80
        one = Views([f"{i}" for i in range(n)], [f"u{i}" for i in range(n)], {}, {})
        ranks = np.ceil(rng.exponential(30, (1, n)))
        (found,) = _medians(ranks, one, CONFIG)
        covered += found.lower <= np.ceil(30 * np.log(2)) <= found.upper
    assert covered >= 48


def test_a_balanced_matrix_counts_each_species_the_same(views):
    cell = cross_matrix(views, CONFIG, balanced=True).cell("sound", "image", "species")
    found = cross_matrix(views, CONFIG).retrievals["sound", "image"]
    row_of = dict(zip(views.ids, views.labels["species"], strict=True))
    names = np.array([row_of[name] for name in found.table.column("id").to_pylist()])
    hits = found.values("speciesHit@1")
    want = np.mean([np.nanmean(hits[names == name]) for name in set(names)])
    assert cell.metrics["Recall@1"].estimate == pytest.approx(want)


def test_two_spaces_on_the_same_rows_are_paired(views):
    pairs = [("sound", "image")]
    better = cross_matrix(make_views(noise=0.1), CONFIG, pairs=pairs)
    worse = cross_matrix(make_views(noise=2.0), CONFIG, pairs=pairs)
    found = matrix_difference(worse, better)
    gain = found["sound", "image", "instance", "Recall@1"]
    one, other = (m.cell("sound", "image", "instance").metrics["Recall@1"] for m in (worse, better))
    assert gain.estimate == pytest.approx(other.estimate - one.estimate)
    assert gain.lower > 0
    same = matrix_difference(worse, worse)["sound", "image", "species", "mAP"]
    assert (same.estimate, same.p) == (0, 1)
    moved = replace(worse, views=replace(views, ids=views.ids[::-1]))
    with pytest.raises(UsageError, match="same observations"):
        matrix_difference(worse, moved)


def test_views_refuse_what_does_not_fit(views):
    samples = table(["a", "b"])
    with pytest.raises(DataError, match="the first 'zzz'"):
        Views.of(samples, {"image": (["zzz"], np.ones((1, 2), np.float32))})
    with pytest.raises(DataError, match="nothing to search"):
        Views.of(samples, {"image": ([], np.zeros((0, 2), np.float32))})
    with pytest.raises(UsageError, match="image to smell"):
        cross_matrix(views, CONFIG, pairs=[("image", "smell")])


def test_the_reference_page_names_every_key_of_a_cell(views):
    page = (Path(__file__).parents[2] / "docs" / "reference" / "cross-modal.md").read_text()
    for key in cross_matrix(views, CONFIG).cells[0].as_json():
        assert f"`{key}`" in page


def test_one_vector_for_everything_scores_as_chance_does():
    samples = table(["aa", "ab", "ba", "bb"] * 3)
    rng = np.random.default_rng(0)
    gallery = np.tile([1.0, 2.0], (12, 1))
    found = retrieve_across(
        side(rng.standard_normal((12, 2)), samples), side(gallery, samples), names=("a", "b")
    )
    # Four contents of equal vectors, one a species: any is as likely to be first.
    np.testing.assert_allclose(found.values("speciesHit@1"), 0.25)
    np.testing.assert_allclose(found.values("speciesRank"), 2.5)
