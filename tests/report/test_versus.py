import math
from dataclasses import replace
from itertools import permutations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import rankdata

from fakes.versus import fake_entries, fake_scores
from syntype.configs import EvaluateConfig
from syntype.errors import DataError, UsageError
from syntype.evaluation.metrics import macro_mean, micro_mean
from syntype.evaluation.scores import Scores, summarise
from syntype.evaluation.statistics import holm, paired_permutation, resample
from syntype.provenance import canonical_json
from syntype.report import versus_swaps
from syntype.report.versus import Entry, _ranks, contrast
from syntype.report.versus_swaps import swap_p_values

QUICK = EvaluateConfig(resamples=400, ranks=("species",))
PLACES = (("A", "retrieval"), ("A", "knn"), ("B", "few-shot"))
SKILLS = {"best": 0.85, "good": 0.6, "poor": 0.3}


@pytest.fixture(scope="module")
def three():
    entries = fake_entries(SKILLS, PLACES)
    return entries, contrast(entries, QUICK)


def cell_of(versus, key, model):
    return next(one for one in versus.cells if (one.column, one.model) == (key, model))


def test_the_columns_are_the_main_metrics_of_every_task(three):
    _, versus = three
    assert [one.key for one in versus.columns] == [
        "A/retrieval/speciesHit@1",
        "A/knn/speciesTop@1",
        "B/few-shot/species1Shot",
        "B/few-shot/species5Shot",
    ]
    column = versus.columns[0]
    assert (column.n_scored, column.n_units, column.n_classes, column.family) == (96, 48, 12, 3)


def test_values_are_the_means_and_intervals_of_the_evaluation_itself(three):
    entries, versus = three
    for one in entries:
        for column in versus.columns:
            if (column.set, column.task) == (one.set, one.task):
                cell = cell_of(versus, column.key, one.model)
                values, classes = one.scores.values(column.metric), one.scores.column("species")
                assert cell.value.estimate == pytest.approx(macro_mean(values, classes))
                assert cell.other.estimate == pytest.approx(micro_mean(values))
                about = {"task": one.task}
                table = one.scores.table.append_column(
                    "nTrain", pa.array([3] * len(one.scores), pa.int32())
                )
                summary = summarise(table, QUICK, about)["all"][column.metric]
                for average, value in (("macro", cell.value), ("micro", cell.other)):
                    assert value.lower == pytest.approx(summary[average]["lower"])
                    assert value.upper == pytest.approx(summary[average]["upper"])


def test_the_best_model_is_found_and_shown_to_be_best(three):
    _, versus = three
    assert versus.models == ("best", "good", "poor")
    for column in versus.columns:
        assert versus.top(column) == (["best"], [])
    assert [one.mean_rank for one in versus.standings] == [1, 2, 3]
    assert [one.n_top for one in versus.standings] == [4, 0, 0]


def test_the_mean_is_that_of_the_columns(three):
    _, versus = three
    for standing in versus.standings:
        own = [cell_of(versus, one.key, standing.model).value.estimate for one in versus.columns]
        assert standing.mean == pytest.approx(np.mean(own))


def test_two_models_of_one_skill_are_tied():
    versus = contrast(fake_entries({"one": 0.6, "other": 0.6, "poor": 0.2}), QUICK)
    best, tied = versus.top(versus.columns[0])
    assert {*best, *tied} == {"one", "other"}
    assert len(best) == len(tied) == 1
    assert versus.standings[2].n_top == 0


def test_equal_scores_are_both_best_and_share_a_rank():
    one, poor = fake_entries({"one": 0.6, "poor": 0.2})
    versus = contrast([one, poor, replace(one, model="other")], QUICK)
    assert versus.top(versus.columns[0]) == (["one", "other"], [])
    assert [one.rank for one in versus.cells] == [1.5, 1.5, 3]
    assert (versus.pairs[0].p, versus.pairs[0].p_permutation) == (1, 1)


def test_equal_models_are_rarely_told_apart():
    """Of 60 sets with four models of one skill, in about 3 two are told apart."""
    wrong = 0
    for world in range(60):
        entries = [
            Entry(str(m), "A", "knn", fake_scores(0.5, m, world=world, task="knn", n_species=6))
            for m in range(4)
        ]
        versus = contrast(entries, replace(QUICK, resamples=200))
        wrong += any(one.shown for one in versus.pairs)
    assert wrong <= 6


def test_pairs_are_those_of_resample_with_the_better_model_first(three):
    entries, versus = three
    column = versus.columns[0]
    scores = {one.model: one.scores for one in entries if (one.set, one.task) == ("A", "retrieval")}
    names = sorted(scores)
    drawn = resample(
        np.stack([scores[name].values(column.metric) for name in names]).astype(float),
        scores["best"].column("unit"),
        classes=scores["best"].column("species"),
        resamples=column.resamples,
    )
    pairs = [one for one in versus.pairs if one.column == column.key]
    assert [(one.first, one.second) for one in pairs] == [
        ("best", "good"), ("best", "poor"), ("good", "poor"),
    ]  # fmt: skip
    for one in pairs:
        expected = drawn.difference(names.index(one.first), names.index(one.second))
        assert one.difference.estimate == pytest.approx(expected.estimate)
        assert one.difference.lower == pytest.approx(expected.lower)
        assert one.p == expected.p
    assert [one.p_holm for one in pairs] == holm([one.p for one in pairs])


def test_few_shot_draws_that_models_share_are_paired():
    def compared(keys):
        entries = [
            replace(one, scores=Scores(one.scores.table, {"episodesKey": key} if key else {}))
            for one, key in zip(
                fake_entries({"one": 0.6, "other": 0.5}, (("A", "few-shot"),), episodes=5),
                keys,
                strict=True,
            )
        ]
        return contrast(entries, QUICK, metrics=["species1Shot"])

    shared, apart, unknown = compared("aa"), compared("ab"), compared(["", ""])
    assert apart.pairs == unknown.pairs
    assert shared.pairs != apart.pairs
    assert shared.pairs[0].difference.estimate == apart.pairs[0].difference.estimate


def test_there_are_enough_draws_for_the_correction_to_find_anything():
    skills = {f"m{number}": 0.2 + 0.6 * (number > 0) for number in range(12)}
    versus = contrast(fake_entries(skills), QUICK)
    assert versus.columns[0].resamples == 5 * 66 / 0.05
    worst = [one for one in versus.pairs if one.second == "m0"]
    assert all(one.shown for one in worst)


def test_more_models_do_not_change_a_models_own_numbers(three):
    entries, versus = three
    alone = contrast([one for one in entries if one.model == "good"], QUICK)
    for one in alone.cells:
        other = cell_of(versus, one.column, "good")
        for value, before in ((one.value, other.value), (one.other, other.other)):
            assert value.lower == pytest.approx(before.lower, rel=1e-12)
            assert value.upper == pytest.approx(before.upper, rel=1e-12)


def test_nothing_depends_on_the_order_of_entries_or_rows(three):
    _, versus = three
    rng = np.random.default_rng(0)
    entries = fake_entries(SKILLS, PLACES, order=rng.permutation(98))
    assert canonical_json(contrast(entries[::-1], QUICK)) == canonical_json(versus)


def test_the_average_asked_for_decides(three):
    entries, versus = three
    micro = contrast(entries, QUICK, average="micro")
    for one in micro.cells:
        other = cell_of(versus, one.column, one.model)
        assert one.value == other.other
        assert one.other == other.value


def test_a_model_that_lacks_a_column_has_no_mean(three):
    entries, _ = three
    some = [one for one in entries if (one.model, one.task) != ("best", "knn")]
    versus = contrast(some, QUICK)
    assert versus.models == ("good", "poor", "best")
    found = versus.standings[2]
    assert (found.mean, found.mean_rank, found.n_top) == (None, None, 3)
    assert found.missing == ("A/knn/speciesTop@1",)
    assert versus.cell(versus.columns[1], "best") is None
    assert versus.top(versus.columns[1])[0] == ["good"]


def test_one_model_has_numbers_and_no_rivals():
    versus = contrast(fake_entries({"only": 0.5}, PLACES), QUICK)
    assert not versus.pairs
    assert not versus.contested
    assert not any(one.best or one.tied for one in versus.cells)
    assert versus.standings[0].mean is not None


def test_a_set_with_nothing_to_find_is_no_column_of_the_means():
    empty = fake_entries({"a": 0.5, "b": 0.6}, (("C", "retrieval"),), n_species=0)
    versus = contrast([*fake_entries({"a": 0.5, "b": 0.6}), *empty], QUICK)
    assert [one.n_scored for one in versus.columns] == [96, 0]
    assert versus.scored == versus.contested == versus.columns[:1]
    assert all(one.mean is not None and not one.missing for one in versus.standings)


def test_of_distances_the_lower_is_better_and_they_have_no_mean(three):
    entries, _ = three
    versus = contrast(entries, QUICK, metrics=["hierarchicalDistance@1"])
    assert {one.better for one in versus.columns} == {"lower"}
    assert versus.models[0] == "best"
    assert all(one.mean is None and one.mean_rank is not None for one in versus.standings)
    assert versus.pairs[0].difference.estimate < 0


def test_metrics_asked_for_are_compared_where_they_are(three):
    entries, _ = three
    versus = contrast(entries, QUICK, metrics=["speciesHit@5", "species5Shot", "speciesHit@5"])
    assert [one.key for one in versus.columns] == [
        "A/retrieval/speciesHit@5",
        "A/knn/species5Shot",
        "B/few-shot/species5Shot",
    ]


def test_episodes_widen_the_interval_as_in_the_evaluation():
    entries = fake_entries({"a": 0.5, "b": 0.8}, (("A", "few-shot"),), episodes=3)
    bare = [
        replace(one, scores=Scores(one.scores.table.drop(["species1ShotEpisodes"]), {}))
        for one in entries
    ]
    with_draws, without = contrast(entries, QUICK), contrast(bare, QUICK)
    for one, other in zip(with_draws.cells, without.cells, strict=True):
        if one.column.endswith("1Shot"):
            assert one.value.estimate == pytest.approx(other.value.estimate)
            assert one.value.upper - one.value.lower > other.value.upper - other.value.lower


def test_where_the_two_tests_disagree_it_is_said():
    """With this many pairs near 0.05, some lie on either side of it."""
    found = []
    for world in range(12):
        places = ((f"{world}", "knn"),)
        entries = fake_entries({"a": 0.5, "b": 0.62, "c": 0.56}, places, n_species=8)
        found += contrast(entries, QUICK).pairs
    assert any(one.disagree for one in found)
    for one in found:
        assert one.disagree == ((one.p <= 0.05) != (one.p_permutation <= 0.05))


@pytest.mark.parametrize("balanced", [True, False])
@pytest.mark.parametrize("n_species", [2, 12])
def test_swaps_of_all_pairs_are_those_of_one(balanced, n_species):
    shape = {"n_species": n_species, "n_lonely": 1}
    all_scores = [fake_scores(0.4 + 0.1 * number, number, **shape) for number in range(3)]
    values = np.stack([one.values("speciesHit@1") for one in all_scores])
    units = all_scores[0].column("unit")
    classes = all_scores[0].column("species") if balanced else None
    draws = 4000
    found = swap_p_values(values, units, classes=classes, resamples=draws, seed=0)
    for i, j in permutations(range(3), 2):
        expected = paired_permutation(values[i], values[j], units, classes=classes, resamples=draws)
        exact = n_species == 2  # 8 units: all 256 swaps are taken
        assert found[i, j] == pytest.approx(expected, abs=1e-12 if exact else 0.04)
    assert (found == found.T).all()
    assert (np.diag(found) == 1).all()


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.none() | st.floats(-5, 5, width=16), min_size=1, max_size=12),
    st.sampled_from(["higher", "lower"]),
)
def test_ranks_are_one_for_the_best_and_shared_by_equals(estimates, better):
    ranks = _ranks(estimates, better)
    known = [(e, r) for e, r in zip(estimates, ranks, strict=True) if e is not None]
    assert all(r is None for e, r in zip(estimates, ranks, strict=True) if e is None)
    n = len(known)
    assert math.isclose(sum(r for _, r in known), n * (n + 1) / 2)
    for e, r in known:
        ahead = sum(other > e if better == "higher" else other < e for other, _ in known)
        equal = sum(other == e for other, _ in known)
        assert r == ahead + (equal + 1) / 2


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_ties_and_ranks_agree_with_the_pairs(data):
    n_models = data.draw(st.integers(1, 5))
    hits = st.lists(st.sampled_from([0.0, 1.0]), min_size=12, max_size=12)
    entries = []
    for number in range(n_models):
        table = fake_scores(0.5, n_species=3, units_per_species=2, n_lonely=0).table
        column = table.column_names.index("speciesHit@1")
        values = pa.array(data.draw(hits), pa.float32())
        table = table.set_column(column, "speciesHit@1", values)
        entries.append(Entry(f"m{number}", "A", "retrieval", Scores(table, {})))
    versus = contrast(entries, replace(QUICK, resamples=200))
    (column,) = versus.columns
    estimates = [one.value.estimate for one in versus.cells]
    assert [one.rank for one in versus.cells] == rankdata([-one for one in estimates]).tolist()
    best, tied = versus.top(column)
    shown = {(one.first, one.second): one.shown for one in versus.pairs}
    assert len(shown) == n_models * (n_models - 1) // 2
    for cell in versus.cells:
        top = cell.value.estimate == max(estimates) and n_models > 1
        assert (cell.model in best) == top
        level = [not shown[one, cell.model] for one in best if (one, cell.model) in shown]
        assert (cell.model in tied) == (not top and any(level))
    for one in versus.pairs:
        assert one.difference.estimate >= 0
        assert one.shown == (one.p_holm < 0.05)
        assert one.p_holm >= one.p


def broken(change):
    first, second = fake_entries({"good": 0.6, "odd": 0.5})
    return [first, replace(second, scores=Scores(change(second.scores.table), {}))]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda table: table.slice(1), "not scored on the same queries"),
        (
            lambda table: table.set_column(1, "unit", pa.array(["u"] * table.num_rows)),
            "other ids, labels, units or ranks",
        ),
        (
            lambda table: table.set_column(
                4, "speciesRelevant", pa.array([4] * table.num_rows, pa.int32())
            ),
            "what there is to be found for a query differs",
        ),
        (
            lambda table: table.set_column(
                5, "speciesHit@1", pa.array([np.nan] * table.num_rows, pa.float32())
            ),
            "speciesHit@1 is not defined for the same queries",
        ),
    ],
)
def test_models_that_cannot_be_compared_are_named(change, words):
    with pytest.raises(DataError, match=rf"'odd' and 'good' .* 'A' \(retrieval\): .*{words}") as e:
        contrast(broken(change), QUICK)
    assert "Evaluate both" in str(e.value)


def test_what_is_defined_for_mistakes_only_cannot_be_paired(three):
    entries, _ = three
    with pytest.raises(DataError, match=r"take hierarchicalDistance@1"):
        contrast(entries, QUICK, metrics=["mistakeSeverity"])


def test_wrong_questions_are_refused(three):
    entries, _ = three
    with pytest.raises(UsageError, match="nothing to compare"):
        contrast([], QUICK)
    with pytest.raises(UsageError, match="'best' is there twice for retrieval on 'A'"):
        contrast([entries[0], entries[0]], QUICK)
    with pytest.raises(UsageError, match=r"None .* 'speciesHit@l'. They have: hier.*speciesHit@1"):
        contrast(entries, QUICK, metrics=["speciesHit@1", "speciesHit@l"])
    with pytest.raises(UsageError, match="does not say which model is better"):
        contrast(entries, QUICK, metrics=["withinSimilarity"])
    with pytest.raises(UsageError, match="No main metric is known for the task 'naming'"):
        contrast([replace(entries[0], task="naming")], QUICK)
    with pytest.raises(DataError, match="scores of knn hold no main metric"):
        contrast([replace(entries[0], task="knn")], QUICK)


@pytest.mark.parametrize(("n_units", "resamples", "whole"), [(7, 128, True), (7, 127, False)])
def test_all_swaps_are_taken_where_they_are_no_more_than_the_resamples(n_units, resamples, whole):
    assert versus_swaps._all_swaps(n_units, resamples) is whole
    assert not versus_swaps._all_swaps(5000, resamples), "2^5000 is no number that a float can hold"
