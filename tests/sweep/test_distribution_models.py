import json

import numpy as np
import pytest
import torch
from scipy.optimize import minimize

from fakes.disdat_tables import write_region
from syntype.configs.distribution import DistributionConfig
from syntype.data.disdat import read_region
from syntype.errors import UsageError
from syntype.sweep.distribution import MODELS, run_disdat
from syntype.sweep.distribution_models import (
    Hinges,
    Scaling,
    assume_negative,
    cloglog,
    ridge_logistic,
)

QUICK = DistributionConfig(trees=5, steps=25, width=8, depth=1, batch=64, resamples=100)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("disdat")
    for name in ("AWT", "CAN"):
        write_region(folder, name)
    return folder


def test_ridge_logistic_reaches_the_minimum():
    rng = np.random.default_rng(0)
    features = np.concatenate([np.ones((200, 1)), rng.normal(size=(200, 5))], axis=1)
    target = (rng.uniform(size=200) < 0.2).astype(float)
    weights = np.where(target > 0, 1.0, 100.0)

    def loss(beta):
        scores = features @ beta
        fit = weights @ (np.logaddexp(0, scores) - target * scores)
        return fit + 3 / 2 * beta[1:] @ beta[1:]

    found = ridge_logistic(features, target, weights, 3.0)
    best = minimize(loss, np.zeros(6), method="BFGS", options={"gtol": 1e-6})
    assert loss(found) <= best.fun + 1e-6
    again = ridge_logistic(features, target, weights, 3.0, start=found)
    np.testing.assert_allclose(again, found, atol=1e-5)


def test_suitability_lies_between_0_and_1_and_keeps_the_order():
    rng = np.random.default_rng(0)
    background, sites = rng.normal(size=(100, 3)), rng.normal(size=(50, 3))
    beta = np.array([0.5, -1.0, 2.0])
    found = cloglog(beta, background, sites)
    assert ((found > 0) & (found < 1)).all()
    assert (np.argsort(found) == np.argsort(sites @ beta)).all()
    np.testing.assert_allclose(cloglog(beta * 0, background, sites), 1 - np.exp(-1))


def test_the_loss_is_sinrs_in_float64():
    rng = np.random.default_rng(0)
    there, other, species = rng.normal(size=(7, 4)), rng.normal(size=(7, 4)), rng.integers(0, 4, 7)
    chance, elsewhere = 1 / (1 + np.exp(-there)), 1 / (1 + np.exp(-other))
    expected = -np.log(1 - chance + 1e-5)
    for row, one in enumerate(species):
        expected[row, one] = 9.0 * -np.log(chance[row, one] + 1e-5)
    expected = expected.mean() + (-np.log(1 - elsewhere + 1e-5)).mean()
    found = assume_negative(
        torch.from_numpy(there), torch.from_numpy(other), torch.from_numpy(species), 9.0
    )
    assert float(found) == pytest.approx(expected, abs=1e-12)


def test_classes_are_told_apart_and_amounts_kept_near(folder):
    data = read_region(folder, "CAN")
    scaling = Scaling.of(data.background, data.is_class)
    values = scaling.all(data.background)
    assert values.shape[1] == 6 + 3
    np.testing.assert_allclose(values[:, :6].mean(axis=0), 0, atol=0.2)
    np.testing.assert_array_equal(values[:, 6:].sum(axis=1), 1)
    far = data.background.take(np.arange(2))
    far.variables[:] = 1e6
    assert np.abs(scaling.amounts(far)).max() == 5
    assert not scaling.flags(far).any(), "a class never seen is none"


def test_hinges_bend_at_their_knots(folder):
    data = read_region(folder, "AWT")
    hinges = Hinges.of(data.background, Scaling.of(data.background, data.is_class), 3)
    features = hinges(data.background)
    assert features.shape == (300, 1 + 8 * (2 + 2 * 3))
    np.testing.assert_allclose(features[:, 1:].mean(axis=0), 0, atol=1e-9)
    np.testing.assert_allclose(features[:, 1:].std(axis=0), 1, atol=1e-9)


def test_niches_are_found_and_told_by_region(folder, tmp_path):
    table = run_disdat(folder, ["AWT", "CAN"], ["maxent", "forest"], QUICK)
    assert len(table.rows) == (6 + 3) * 2
    means = {(row["region"], row["model"]): row for row in table.means}
    for model in ("maxent", "forest"):
        assert means["all", model]["auc"] > 0.75
    for row in table.means:
        assert row["aucLower"] <= row["auc"] <= row["aucUpper"]
        assert row["nSpecies"] == {"AWT": 6, "CAN": 3, "all": 9}[row["region"]]
    gain = means["all", "forest"]["aucGain"]
    expected = means["all", "forest"]["auc"] - means["all", "maxent"]["auc"]
    assert gain == pytest.approx(expected)
    assert set(table.chosen["CAN"]) == {"maxent", "forest"}
    table.write(tmp_path / "table.json")
    assert json.loads((tmp_path / "table.json").read_text())["means"] == table.means


def test_every_model_runs(folder):
    table = run_disdat(folder, ["CAN"], MODELS, QUICK)
    assert [row["model"] for row in table.means] == list(MODELS)
    assert all(row["auc"] is not None for row in table.rows)
    assert set(table.chosen["CAN"]["climate"]["heldOutAuc"]) == {"25"}


def test_results_do_not_depend_on_the_other_models(folder):
    both = run_disdat(folder, ["CAN"], ["maxent", "climate"], QUICK)
    alone = run_disdat(folder, ["CAN"], ["climate"], QUICK)
    assert [row for row in both.rows if row["model"] == "climate"] == alone.rows


def test_the_background_may_be_the_target_group(folder):
    config = DistributionConfig(background="target-group", trees=5, resamples=100)
    given = DistributionConfig(trees=5, resamples=100)
    first, second = (
        run_disdat(folder, ["AWT"], ["maxent", "forest"], c).means for c in (config, given)
    )
    for one, other in zip(first, second, strict=True):
        assert one["auc"] != other["auc"]


def test_unknown_models_are_refused(folder):
    with pytest.raises(UsageError, match="maxent, forest, place"):
        run_disdat(folder, ["CAN"], ["gam"], QUICK)
    with pytest.raises(UsageError):
        DistributionConfig(resamples=5)
