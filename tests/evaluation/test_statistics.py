import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from syntype.errors import DataError, UsageError
from syntype.evaluation import holm, metrics, paired_permutation, resample, statistics

QUICK = settings(max_examples=40, deadline=None)


@st.composite
def tables(draw, m=3):
    """Values of `m` models on random queries, with units, classes, ties and missing values."""
    n = draw(st.integers(1, 30))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    values = rng.random((m, n)) if draw(st.booleans()) else rng.integers(0, 2, (m, n)) * 1.0
    values[:, rng.random(n) < draw(st.sampled_from([0, 0.3, 1]))] = np.nan
    units = [f"u{i}" for i in rng.integers(0, draw(st.sampled_from([1, 4, 30])), n)]
    classes = [f"c{i}" for i in rng.integers(0, draw(st.sampled_from([1, 5])), n)]
    return values, units, classes


@QUICK
@given(tables(), st.booleans(), st.sampled_from([0.5, 0.9, 0.95]))
def test_interval_encloses_the_estimate(case, balanced, confidence):
    values, units, classes = case
    drawn = resample(
        values, units, classes=classes if balanced else None, resamples=100, confidence=confidence
    )
    for i, row in enumerate(values):
        one = drawn.interval(i)
        mean = metrics.macro_mean(row, classes) if balanced else metrics.micro_mean(row)
        assert one.estimate == (None if mean is None else pytest.approx(mean))
        assert one.n == (~np.isnan(row)).sum()
        assert one.n_units == len({u for u, v in zip(units, row, strict=True) if v == v})
        assert (one.lower is None) == (one.upper is None) == (one.reason != "")
        if one.lower is not None:
            assert 0 <= one.lower <= one.estimate <= one.upper <= 1


@QUICK
@given(tables(m=2))
def test_identical_models_do_not_differ(case):
    values, units, classes = case
    values[1] = values[0]
    for balance in (None, classes):
        difference = resample(values, units, classes=balance, resamples=100).difference(0, 1)
        if difference.n_units:
            assert difference.estimate == 0
        if difference.n_units > 1:
            assert (difference.p, difference.reason) == (1, "no spread")
            assert paired_permutation(*values, units, classes=balance, resamples=100) == 1


@QUICK
@given(tables(), st.randoms(use_true_random=False))
def test_order_of_queries_and_models_does_not_matter(case, random):
    values, units, classes = case
    order = list(range(len(units)))
    random.shuffle(order)
    shuffled = resample(
        values[::-1, order],
        [units[i] for i in order],
        classes=[classes[i] for i in order],
        resamples=100,
    )
    wanted = resample(values, units, classes=classes, resamples=100)
    for i in range(len(values)):
        one, other = wanted.interval(i), shuffled.interval(len(values) - 1 - i)
        assert (one.n, one.n_units, one.reason) == (other.n, other.n_units, other.reason)
        for end in ("estimate", "lower", "upper"):
            assert getattr(one, end) == pytest.approx(getattr(other, end), abs=1e-12)


@QUICK
@given(tables(m=2), st.booleans())
def test_difference_mirrors_and_agrees_with_its_p(case, balanced):
    values, units, classes = case
    drawn = resample(values, units, classes=classes if balanced else None, resamples=200)
    there, back = drawn.difference(0, 1), drawn.difference(1, 0)
    if there.p is None:
        assert there.n_units < 2
        return
    assert there.estimate == pytest.approx(-back.estimate)
    assert there.p == back.p
    if there.lower is not None:
        assert -1 <= there.lower <= there.estimate <= there.upper <= 1
        assert (there.lower, there.upper) == pytest.approx((-back.upper, -back.lower))
        if abs(there.estimate) > 1e-9:
            assert (there.p <= 0.05) == (there.lower > 0 or there.upper < 0)


def test_same_seed_same_interval_other_seed_other_interval():
    rng = np.random.default_rng(0)
    values, units = rng.random((1, 50)), [f"u{i // 2}" for i in range(50)]
    one = resample(values, units, seed=1).interval(0)
    assert one == resample(values, units, seed=1).interval(0)
    assert one != resample(values, units, seed=2).interval(0)


def test_chunks_of_draws_do_not_show(monkeypatch):
    rng = np.random.default_rng(0)
    values, units = rng.random((2, 50)), [f"u{i // 2}" for i in range(50)]
    whole = resample(values, units).draws
    monkeypatch.setattr(statistics, "_CHUNK_CELLS", 300)
    np.testing.assert_allclose(resample(values, units).draws, whole, atol=1e-15)


def test_no_interval_from_one_unit_or_from_no_spread_or_from_nothing():
    values = np.array([[0.0, 1, 1], [1, 1, 1], [np.nan] * 3])
    one = resample(values, ["u"] * 3).interval(0)
    assert (one.estimate, one.lower, one.reason) == (pytest.approx(2 / 3), None, "one unit")
    assert resample(values, ["u"] * 3).difference(0, 1).p is None
    three = resample(values, ["u", "v", "w"])
    assert three.interval(1).reason == "no spread"
    assert three.interval(1).upper is None
    nothing = three.interval(2)
    assert (nothing.estimate, nothing.upper, nothing.n, nothing.reason) == (
        None,
        None,
        0,
        "no values",
    )
    assert three.difference(2, 2).p is None
    assert np.isnan(three.estimate[2])


def test_the_same_difference_in_every_unit_is_as_likely_as_its_coin_tosses():
    values = np.array([[1.0] * 5, [0.0] * 5])
    difference = resample(values, list("abcde")).difference(0, 1)
    assert (difference.estimate, difference.p) == (1, 2**-4)
    assert paired_permutation(*values, list("abcde")) == 2 / 2**5


def test_standard_error_is_the_cluster_robust_one():
    # CR2 of the mean of equal clusters is the textbook standard error of the cluster means.
    rng = np.random.default_rng(0)
    values = rng.random((40, 5))
    units = [f"u{i}" for i in range(40) for _ in range(5)]
    drawn = resample(values.reshape(1, -1), units, resamples=50_000)
    assert drawn.draws.std() == pytest.approx(stats.sem(values.mean(axis=1)), rel=0.02)
    one = drawn.interval(0)
    low, high = stats.t.interval(0.95, 39, values.mean(), stats.sem(values.mean(axis=1)))
    assert (one.lower, one.upper) == pytest.approx((low, high), abs=0.15 * (high - low))


def test_class_balanced_error_of_tiny_classes_is_not_shrunk():
    # Classes of two units: a plain Bayesian bootstrap would have a third of the variance.
    rng = np.random.default_rng(0)
    values = rng.random((1000, 2))
    units = [f"u{i}" for i in range(2000)]
    classes = [f"c{i // 2}" for i in range(2000)]
    drawn = resample(values.reshape(1, -1), units, classes=classes, resamples=5000)
    assert drawn.draws.std() == pytest.approx(np.sqrt(1 / 12 / 2000), rel=0.05)


def test_differences_are_paired():
    rng = np.random.default_rng(0)
    hard = rng.random(300)
    values = np.stack([hard, hard + 0.01 + 0.001 * rng.standard_normal(300)])
    drawn = resample(values, [f"u{i}" for i in range(300)])
    difference = drawn.difference(1, 0)
    assert difference.lower > 0.009
    assert difference.p == pytest.approx(2 / 2001)
    single = drawn.interval(0)
    assert single.upper - single.lower > 50 * (difference.upper - difference.lower)


def test_rows_of_other_queries_cannot_be_paired():
    values = np.array([[0.0, 1, 1], [1, np.nan, 1]])
    with pytest.raises(UsageError, match="Rows 0 and 1 do not have values for the same queries"):
        resample(values, list("abc")).difference(0, 1)


def test_seeds_of_one_model_are_averaged_and_widen_the_interval():
    rng = np.random.default_rng(0)
    values = np.clip(rng.random((6, 200)) + np.array([[0, 0.1, 0.2, 0, 0, 0]]).T, 0, None)
    units = [f"u{i}" for i in range(200)]
    drawn = resample(values, units, replicates=[0, 0, 0, 1, 1, 1])
    np.testing.assert_allclose(drawn.estimate, values.reshape(2, 3, 200).mean(axis=(1, 2)))
    noisy, quiet = drawn.interval(0), drawn.interval(1)
    assert noisy.upper - noisy.lower > 3 * (quiet.upper - quiet.lower)
    assert drawn.seed_variance[0] == pytest.approx(values[:3].mean(axis=1).var(ddof=1) / 3)
    # With two degrees of freedom, three seeds do not prove such a difference; one would seem to.
    assert drawn.difference(0, 1).p > 0.05
    assert resample(values[[1, 3]], units).difference(0, 1).p < 0.01


def test_the_luck_of_a_draw_that_models_share_cancels_in_their_difference():
    rng = np.random.default_rng(0)
    base, luck = 0.5 + 0.05 * rng.standard_normal(300), 0.1 * rng.standard_normal((5, 1))
    better = base + 0.02 + 0.02 * rng.standard_normal((5, 300))
    values, units = np.concatenate([base + luck, better + luck]), [f"u{i}" for i in range(300)]
    options = {"replicates": [0] * 5 + [1] * 5, "resamples": 1000}
    paired = resample(values, units, occasions=[*range(5)] * 2, **options)
    alone = resample(values, units, **options)
    assert paired.difference(1, 0).p < 0.01
    assert alone.difference(1, 0).p > 0.5
    assert paired.difference(1, 0).estimate == alone.difference(1, 0).estimate
    np.testing.assert_allclose(paired.seed_variance, alone.seed_variance)
    first = resample(values[:5], units, replicates=[0] * 5, resamples=1000).interval(0)
    for end in ("lower", "upper"):  # an interval does not hang on who else is compared
        assert getattr(paired.interval(0), end) == pytest.approx(getattr(first, end))
    order = rng.permutation(10)
    options["replicates"] = np.repeat([0, 1], 5)[order]
    mixed = resample(values[order], units, occasions=np.tile(range(5), 2)[order], **options)
    assert mixed.difference(1, 0).p == paired.difference(1, 0).p


def test_draws_that_only_some_models_share_are_not_paired_by_halves():
    rng = np.random.default_rng(0)
    values, units = rng.random((4, 60)), [f"u{i}" for i in range(60)]
    options = {"replicates": [0, 0, 1, 1], "resamples": 400}
    partly = resample(values, units, occasions=[0, 1, 1, 2], **options).difference(0, 1)
    assert partly.lower < partly.estimate < partly.upper


def test_intervals_of_differences_cover_where_draws_are_shared():
    rng = np.random.default_rng(5)
    units, covered, n_sets = [f"u{i}" for i in range(60)], 0, 200
    for seed in range(n_sets):
        luck, own = 0.1 * rng.standard_normal((5, 1)), 0.02 * rng.standard_normal((2, 5, 1))
        values = 0.5 + 0.1 * rng.standard_normal(60) + luck + own
        values[1] += 0.03 + 0.05 * rng.standard_normal(60)
        drawn = resample(
            values.reshape(10, 60),
            units,
            replicates=np.repeat([0, 1], 5),
            occasions=np.tile(range(5), 2),
            resamples=400,
            seed=seed,
        )
        difference = drawn.difference(1, 0)
        covered += difference.lower <= 0.03 <= difference.upper
    assert 0.92 <= covered / n_sets <= 0.98, covered / n_sets


def test_seeds_listed_in_any_order():
    rng = np.random.default_rng(0)
    values, units = rng.random((4, 30)), [f"u{i}" for i in range(30)]
    drawn = resample(values, units, replicates=[1, 0, 1, 0])
    np.testing.assert_allclose(drawn.estimate, [values[[1, 3]].mean(), values[[0, 2]].mean()])


@QUICK
@given(tables(m=2), st.booleans())
def test_permutation_test_equals_the_naive_loop(case, balanced):
    values, units, classes = case
    names = sorted(set(units))[:8]
    kept = [u in names for u in units]
    values, units = values[:, kept], [u for u in units if u in names]
    classes = [c for c, keep in zip(classes, kept, strict=True) if keep]
    p = paired_permutation(*values, units, classes=classes if balanced else None)
    if np.isnan(values).all():
        assert p is None
        return

    def statistic(rows):
        if balanced:
            return metrics.macro_mean(rows[0], classes) - metrics.macro_mean(rows[1], classes)
        return metrics.micro_mean(rows[0]) - metrics.micro_mean(rows[1])

    observed, extreme = abs(statistic(values)), []
    for swap in range(2 ** len(names)):
        swapped = values.copy()
        for i, unit in enumerate(units):
            if swap >> names.index(unit) & 1:
                swapped[:, i] = swapped[::-1, i]
        extreme.append(abs(statistic(swapped)) >= observed - 1e-12)
    assert p == pytest.approx(np.mean(extreme))


def test_thousands_of_units_can_be_swapped():
    """2^2000 is no number that a float can hold."""
    a = np.ones(2000)
    p = paired_permutation(a, a * 0, [f"u{i}" for i in range(2000)], resamples=200)
    assert p == pytest.approx(1 / 201)


def test_bootstrap_and_permutation_agree():
    rng = np.random.default_rng(1)
    values = rng.random((2, 400))
    values[1] += 0.05
    units = [f"u{i // 3}" for i in range(400)]
    p = resample(values, units, resamples=5000).difference(0, 1).p
    assert paired_permutation(*values, units, resamples=5000) == pytest.approx(p, abs=0.02)


@QUICK
@given(st.lists(st.floats(0, 1), max_size=8))
def test_holm_equals_its_definition(p_values):
    adjusted = holm(p_values)
    ordered = sorted(p_values)
    for p, value in zip(p_values, adjusted, strict=True):
        rank = ordered.index(p)
        steps = [(len(ordered) - i) * ordered[i] for i in range(rank + 1)]
        assert value == pytest.approx(min(1, max(steps)))


def test_holm_worked_example():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    with pytest.raises(UsageError, match=r"must lie in \[0, 1\]"):
        holm([0.1, float("nan")])


@pytest.mark.parametrize(
    ("error", "message", "change"),
    [
        (DataError, "nothing to resample", {"values": np.zeros((0, 3))}),
        (DataError, "nothing to resample", {"values": np.zeros((1, 0)), "units": []}),
        (DataError, "3 queries, but 2 units", {"units": ["a", "b"]}),
        (DataError, "and 1 classes", {"classes": ["a"]}),
        (DataError, "infinite", {"values": np.full((1, 3), np.inf)}),
        (DataError, "unknown", {"units": ["a", "", "b"]}),
        (UsageError, "100 resamples cannot show", {"resamples": 100, "confidence": 0.999}),
        (UsageError, "--evaluate.confidence of at least", {"confidence": 0.4}),
        (UsageError, "replicates must number", {"replicates": [1]}),
        (UsageError, "replicates must number", {"replicates": [0, 0]}),
        (UsageError, "occasions must number", {"occasions": [0, 1]}),
    ],
)
def test_bad_input(error, message, change):
    case = {"values": np.ones((1, 3)), "units": ["a", "b", "c"]} | change
    with pytest.raises(error, match=message):
        resample(**case)


# Simulated sets for the coverage: many classes of few units of unequal sizes, and answers that
# agree within a unit (intraclass correlation 0.4). The truth is known.


def simulated(rng, balanced, n_units=80, n_classes=25):
    share = 1 / np.arange(1, n_classes + 1)
    share /= share.sum()
    chance = np.linspace(0.45, 0.85, n_classes)[:: 1 if balanced else -1]
    if balanced:  # the list of classes is fixed, each with two units or more
        of_unit = np.repeat(np.arange(n_classes), np.maximum(2, n_units * share).astype(int))
        truth = chance.mean()
    else:
        of_unit = rng.choice(n_classes, n_units, p=share)
        truth = share @ chance
    easy = rng.beta(chance[of_unit] * 1.5, (1 - chance[of_unit]) * 1.5)
    size = np.maximum(1, rng.lognormal(np.log(3), 0.8, len(of_unit))).astype(int)
    unit = np.repeat(np.arange(len(of_unit)), size)
    values = rng.random((2, len(unit))) < easy[unit] * np.array([[1], [0.85]])
    classes = [f"c{i}" for i in of_unit[unit]] if balanced else None
    return values * 1.0, [f"u{i}" for i in unit], classes, truth


@pytest.mark.parametrize("balanced", [False, True], ids=["micro", "macro"])
def test_intervals_cover_as_often_as_they_say(balanced):
    rng = np.random.default_rng(2024)
    covered = {"mean": 0, "difference": 0}
    n_sets = 400
    for seed in range(n_sets):
        values, units, classes, truth = simulated(rng, balanced)
        drawn = resample(values, units, classes=classes, resamples=400, seed=seed)
        one, difference = drawn.interval(0), drawn.difference(0, 1)
        covered["mean"] += one.lower <= truth <= one.upper
        covered["difference"] += difference.lower <= 0.15 * truth <= difference.upper
    for what, count in covered.items():
        assert 0.92 <= count / n_sets <= 0.98, (what, count / n_sets)


def test_plain_bayesian_bootstrap_covers_too_little_where_classes_are_tiny():
    # Why `resample` differs from the textbook, as its page says: here the same sets, plainly drawn.
    rng = np.random.default_rng(2024)
    covered, n_sets = 0, 100
    for _ in range(n_sets):
        values, units, classes, truth = simulated(rng, balanced=True)
        names, unit = np.unique(units, return_inverse=True)
        in_class = np.array(classes) == np.unique(classes)[:, None]
        total, size = (
            np.array([np.bincount(unit, row, len(names)) for row in in_class * of])
            for of in (values[0], 1)
        )
        weights = rng.standard_exponential((400, len(names)))
        draws = ((weights @ total.T) / (weights @ size.T)).mean(axis=1)
        low, high = np.quantile(draws, [0.025, 0.975])
        covered += low <= truth <= high
    assert covered / n_sets < 0.85


def test_p_rejects_no_more_often_than_it_says():
    rng = np.random.default_rng(7)
    p_values = []
    for seed in range(200):
        values, units, classes, _ = simulated(rng, True)
        swap = rng.integers(0, 2, len(set(units)))  # whole units change sides, so none is better
        code = np.unique(units, return_inverse=True)[1]
        other = np.where(rng.random(len(units)) < 0.3, 1 - values[0], values[0])
        values = np.where(swap[code] == 1, [values[0], other], [other, values[0]])
        p_values.append(
            resample(values, units, classes=classes, resamples=400, seed=seed).difference(0, 1).p
        )
    for level in (0.05, 0.2, 0.5):
        rejected = np.mean(np.array(p_values) <= level)
        assert 0 < rejected < level + 2 * np.sqrt(level * (1 - level) / 200)


def test_intervals_of_several_seeds_cover_the_noise_of_training():
    rng = np.random.default_rng(11)
    units, covered, blind = [f"u{i}" for i in range(100)], 0, 0
    for seed in range(300):
        trained = 0.05 * rng.standard_normal((4, 1))
        values = 0.5 + 0.2 * rng.standard_normal(100) + trained
        one = resample(values, units, replicates=[0] * 4, resamples=400, seed=seed).interval(0)
        single = resample(values[:1], units, resamples=400, seed=seed).interval(0)
        covered += one.lower <= 0.5 <= one.upper
        blind += single.lower <= 0.5 <= single.upper
    assert 0.92 <= covered / 300 <= 0.98
    assert blind / 300 < 0.8
