"""Margins: values and gradients against the textbook formulas, in float64."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from syntype.training.margin import MARGINS, arcface, arcface_published, cosface

margins = st.floats(0, 3)


def released_arcface(cosines, margin, scale):
    """As the released code does it: in place, without gradient, then scaled."""
    logits = cosines * 1.0
    with torch.no_grad():
        logits.arccos_()
        logits += margin
        logits.cos_()
    return logits * scale


@pytest.mark.parametrize("margin", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("function", [cosface, arcface])
def test_gradients_are_true(function, margin):
    # Away from the ends, and from theta = pi - m, where ArcFace has a kink.
    cosines = torch.linspace(-0.5, 0.99, 40, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: function(x, margin), cosines)


def test_arcface_has_a_true_gradient_beyond_the_guard():
    cosines = torch.linspace(-0.999, -0.6, 20, dtype=torch.float64, requires_grad=True)
    assert (cosines < -math.cos(1.0)).all()
    assert torch.autograd.gradcheck(lambda x: arcface(x, 1.0), cosines)


@given(margin=margins)
@settings(max_examples=40, deadline=None)
def test_arcface_is_cos_of_theta_plus_m_before_the_guard(margin):
    theta = torch.linspace(0.01, math.pi - 0.01, 200, dtype=torch.float64)
    theta = theta[theta < math.pi - margin]
    torch.testing.assert_close(arcface(theta.cos(), margin), (theta + margin).cos())


@given(margin=margins)
@settings(max_examples=40, deadline=None)
def test_arcface_falls_all_the_way_to_pi_without_a_jump(margin):
    theta = torch.linspace(0, math.pi, 2001, dtype=torch.float64)
    steps = arcface(theta.cos().clamp(-1, 1), margin).diff()
    assert (steps <= 1e-12).all()
    assert (steps > -0.01).all()


def test_published_arcface_matches_the_released_code_with_its_gradient():
    given = torch.linspace(-0.999, 0.999, 300, dtype=torch.float64)
    ours, theirs = (given.clone().requires_grad_() for _ in range(2))
    value = 64 * arcface_published(ours, 0.3)
    expected = released_arcface(theirs, 0.3, 64)
    torch.testing.assert_close(value, expected)
    value.sum().backward()
    expected.sum().backward()
    torch.testing.assert_close(ours.grad, theirs.grad)
    torch.testing.assert_close(ours.grad, torch.full_like(ours, 64))  # d/dcos = s, whatever theta


@pytest.mark.parametrize(("degrees", "factor"), [(10, 2.63), (60, 1.13), (90, 0.96)])
def test_true_gradient_differs_from_the_published_by_sine_over_sine(degrees, factor):
    cosine = torch.tensor(math.cos(math.radians(degrees)), dtype=torch.float64, requires_grad=True)
    arcface(cosine, 0.3).backward()
    assert cosine.grad.item() == pytest.approx(factor, abs=0.005)


@pytest.mark.parametrize("name", MARGINS)
def test_ends_are_finite_with_their_gradients(name):
    cosines = torch.tensor([-1.0, 1.0, -1 + 1e-7, 1 - 1e-7], requires_grad=True)
    value = MARGINS[name](cosines, 0.3)
    value.sum().backward()
    assert torch.isfinite(value).all()
    assert torch.isfinite(cosines.grad).all()


@pytest.mark.parametrize("name", MARGINS)
def test_no_margin_is_the_cosine(name):
    cosines = torch.linspace(-0.99, 0.99, 50)
    torch.testing.assert_close(MARGINS[name](cosines, 0.0), cosines, atol=1e-6, rtol=0)
