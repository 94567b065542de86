"""Patching: the ends bit by bit, what is refused by name, and choices with a budget."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from syntype.binding.patching import (
    Curve,
    along,
    check_disjoint,
    choose,
    combine,
    compare,
    fixed_tensors,
    grid,
    interpolate,
    recheck,
    sequential,
)
from syntype.errors import DataError, UsageError, WeightsError
from syntype.senses.load import load_sense


def net(seed=0):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return nn.Sequential(nn.Linear(40, 30), nn.BatchNorm1d(30), nn.Linear(30, 3))


def state(seed=0):
    return {name: value.clone() for name, value in net(seed).state_dict().items()}


def tuned(start, seed=1, size=0.1):
    """Weights some way from `start`, as a training would leave them."""
    source = torch.Generator().manual_seed(seed)
    found = {}
    for name, value in start.items():
        if value.is_floating_point():
            found[name] = value + size * torch.randn(value.shape, generator=source)
        else:
            found[name] = value + 7
    return found


def same(one, other):
    assert one.keys() == other.keys()
    return all(torch.equal(one[n], other[n]) and one[n].dtype == other[n].dtype for n in one)


def test_the_ends_come_back_bit_by_bit():
    start = state()
    end = tuned(start)
    assert same(interpolate(start, end, 0.0), start)
    assert same(interpolate(start, end, 1.0), end)
    found = interpolate(start, end, 0.0)
    found["0.weight"].zero_()
    assert start["0.weight"].any()  # copies


@settings(max_examples=25, deadline=None)
@given(share=st.floats(0, 1), seed=st.integers(0, 9))
def test_between_them_is_the_formula_in_float64(share, seed):
    start = state(seed)
    end = tuned(start, seed + 1)
    found = interpolate(start, end, share)
    for name, value in found.items():
        if not value.is_floating_point():
            assert torch.equal(value, end[name] if share == 1 else start[name])
            continue
        expected = (1 - share) * start[name].double() + share * end[name].double()
        torch.testing.assert_close(value, expected.float(), rtol=0, atol=1e-7)


def test_whole_numbers_are_copied_and_named():
    start = state()
    kinds = compare(start, tuned(start))
    assert kinds.copied == ("1.num_batches_tracked",)
    assert "0.weight" in kinds.interpolated
    assert compare(start, start).equal == tuple(sorted(start))


def test_halves_stay_halves():
    start = {"a": torch.randn(8, dtype=torch.float16)}
    found = interpolate(start, {"a": start["a"] + 1}, 0.5)
    assert found["a"].dtype == torch.float16


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s.pop("2.bias"), r"only before: 2\.bias"),
        (lambda s: s.update(extra=torch.zeros(1)), "only after: extra"),
        (lambda s: s.update({"2.bias": torch.zeros(4)}), r"of another shape: 2\.bias"),
        (lambda s: s.update({"2.bias": s["2.bias"].double()}), r"of another type: 2\.bias"),
        (lambda s: s.update({"2.bias": s["2.bias"] * math.nan}), r"not finite: 2\.bias"),
        (
            lambda s: s.update({"0.weight": net(5).state_dict()["0.weight"]}),
            r"no more alike than two random draws: 0\.weight",
        ),
    ],
)
def test_what_cannot_be_interpolated_is_named(change, message):
    start = state()
    end = tuned(start)
    change(end)
    with pytest.raises(WeightsError, match=message):
        interpolate(start, end, 0.3)


def test_other_random_fourier_draws_are_refused_by_name():
    spec = "untrained:place-sphere?hidden=16&frequencies=8&dim=12&seed="
    one, other = (load_sense(f"{spec}{seed}", "cpu").module for seed in (0, 1))
    fixed = fixed_tensors(one)
    assert fixed == {f"LocEnc{scale}.capsule.0.b" for scale in range(3)}
    mixed = {
        name: other.state_dict()[name] if name == "LocEnc1.capsule.0.b" else value
        for name, value in one.state_dict().items()
    }
    with pytest.raises(WeightsError, match=r"different draws: LocEnc1\.capsule\.0\.b"):
        interpolate(one.state_dict(), mixed, 0.5, fixed=fixed)
    # Large draws are found without being told which tensors are fixed.
    wide = torch.randn(600, 2), torch.randn(600, 2)
    with pytest.raises(WeightsError, match="two random draws: b"):
        interpolate({"b": wide[0]}, {"b": wide[1]}, 0.5)


def test_statistics_of_batches_are_trained_and_buffers_are_not():
    module = net()
    module.register_buffer("positions", torch.arange(3))
    module.register_buffer("mean", torch.zeros(3))
    module[2].bias.requires_grad_(False)
    assert fixed_tensors(module) == {"mean", "2.bias"}


@settings(max_examples=20, deadline=None)
@given(shares=st.lists(st.floats(0, 0.33), min_size=1, max_size=3))
def test_parallel_patching_is_the_formula(shares):
    start = state()
    names = [f"t{place}" for place in range(len(shares))]
    ends = {name: tuned(start, seed) for seed, name in enumerate(names, 1)}
    found = combine(start, ends, dict(zip(names, shares, strict=True)))
    turned = dict(reversed(ends.items()))
    assert same(found, combine(start, turned, dict(zip(names, shares, strict=True))))
    for name in ("0.weight", "1.running_mean"):
        expected = (1 - sum(shares)) * start[name].double()
        for key, share in zip(names, shares, strict=True):
            expected = expected + share * ends[key][name].double()
        torch.testing.assert_close(found[name], expected.float(), rtol=0, atol=1e-6)


def test_parallel_patching_keeps_the_ends_and_its_bounds():
    start = state()
    ends = {"a": tuned(start, 1), "b": tuned(start, 2)}
    assert same(combine(start, ends, {"a": 0.0, "b": 0.0}), start)
    assert same(combine(start, ends, {"a": 0.0, "b": 1.0}), ends["b"])
    with pytest.raises(UsageError, match=r"sum to 1\.4"):
        combine(start, ends, {"a": 0.7, "b": 0.7})
    with pytest.raises(UsageError, match="share from 0 to 1"):
        combine(start, ends, {"a": 0.7})
    with pytest.raises(UsageError, match="share from 0 to 1"):
        interpolate(start, ends["a"], 1.5)


def test_sequential_patching_starts_each_from_the_one_before():
    start, seen = state(), []

    def tune(task, now):
        seen.append((task, {name: value.clone() for name, value in now.items()}))
        return tuned(now, 3 + len(seen))

    found, shares = sequential(
        start, ["x", "y"], tune, lambda task, *_: {"x": 0.25, "y": 0.5}[task]
    )
    assert shares == {"x": 0.25, "y": 0.5}
    assert same(seen[0][1], start)
    middle = interpolate(start, tuned(start, 4), 0.25)
    assert same(seen[1][1], middle)
    assert same(found, interpolate(middle, tuned(middle, 5), 0.5))


CURVE = Curve(
    (0.0, 0.25, 0.5, 0.75, 1.0),
    {
        "image": (0.50, 0.55, 0.60, 0.58, 0.40),
        "sound": (0.40, 0.41, 0.37, 0.30, 0.20),
        "place": (0.30, 0.30, 0.31, 0.35, 0.40),
    },
)


def test_a_budget_bars_what_costs_another_task_too_much():
    free = choose(CURVE, "image")
    assert (free.share, free.barred) == (0.5, ())
    assert free.gained == pytest.approx(0.10)
    held = choose(CURVE, "image", 0.01)
    assert (held.share, held.unbarred, held.barred) == (0.25, 0.5, (0.5, 0.75, 1.0))
    assert held.worst == "place"
    assert choose(CURVE, "image", {"place": 0.0}).share == 0.5
    assert choose(CURVE, "place", 0.0).share == 0.25 or choose(CURVE, "place", 0.0).share == 0.0
    assert choose(CURVE, "mean", 1.0).share == 0.5
    assert choose(CURVE, "place", {"image": 0.0, "sound": 0.0}).share == 0.0
    with pytest.raises(UsageError, match="no task fish"):
        choose(CURVE, "fish")


@settings(max_examples=50, deadline=None)
@given(
    scores=st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=8),
    budget=st.floats(0, 1),
)
def test_no_choice_ever_costs_more_than_its_budget(scores, budget):
    shares = tuple(place / 10 for place in range(len(scores)))
    curve = Curve(shares, {"a": tuple(s[0] for s in scores), "b": tuple(s[1] for s in scores)})
    choice = choose(curve, "a", budget)
    place = shares.index(choice.share)
    assert scores[0][1] - scores[place][1] <= budget + 1e-9
    assert choice.gained >= 0
    for other, (gain, kept) in enumerate(scores):
        if scores[0][1] - kept <= budget and scores[0][0] - gain <= budget:
            assert gain <= scores[place][0] or other == place


def test_the_curve_holds_every_task_and_starts_at_the_start():
    start = {"a": torch.zeros(2)}
    end = {"a": torch.ones(2)}
    curve = along(
        (0.5, 1.0),
        lambda share: interpolate(start, end, share),
        lambda found: {"up": float(found["a"][0]), "down": -float(found["a"][1])},
    )
    assert curve.shares == (0.0, 0.5, 1.0)
    assert curve.scores == {"up": (0.0, 0.5, 1.0), "down": (0.0, -0.5, -1.0)}
    assert curve.as_json()["scores"]["up"] == [0.0, 0.5, 1.0]
    with pytest.raises(UsageError, match="without a score"):
        along((1.0,), lambda share: start, lambda found: {"a": math.nan})
    with pytest.raises(UsageError, match="name some"):
        along((1.0,), lambda share: start, lambda found: {})


def test_other_senses_are_rechecked():
    found = recheck(
        {"a": torch.zeros(1)}, {"a": torch.ones(1)},
        lambda state: {"x": 1 - float(state["a"]), "y": float(state["a"])}, 0.1,
    )  # fmt: skip
    assert [(one.task, one.before, one.after, one.within) for one in found] == [
        ("x", 1.0, 0.0, False),
        ("y", 0.0, 1.0, True),
    ]


def test_what_is_chosen_on_is_not_reported_on():
    check_disjoint(["a", "b"], ["c"])
    with pytest.raises(DataError, match="1 units are in the selection split and in the report"):
        check_disjoint(["a", "b"], ["b"], "units")


def test_the_grid_holds_both_ends():
    np.testing.assert_allclose(grid(3, 0.5), (0.0, 0.25, 0.5))
