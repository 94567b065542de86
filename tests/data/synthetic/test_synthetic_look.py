"""Colours are right, sexes and ages differ, relatives converge where they should."""

import numpy as np
import pytest

from syntype.data.synthetic.look import look_of, shows, srgb
from syntype.data.synthetic.modes import Mode
from syntype.data.synthetic.traits import TRAIT_NAMES, Traits, ranged, toward


def _mode(sex="male", stage="adult", view="lateral left"):
    return Mode(sex=sex, life_stage=stage, view=view, background="reef", weight=1.0)


def _traits(seed):
    return Traits.from_array(np.random.default_rng(seed).standard_normal(len(TRAIT_NAMES)))


def _look(traits, ancestral, mode, seed=0):
    return look_of(traits, ancestral, mode, np.random.default_rng(seed))


@pytest.mark.parametrize(
    ("lab", "rgb"),
    [
        ((1.0, 0.0, 0.0), (1, 1, 1)),
        ((0.0, 0.0, 0.0), (0, 0, 0)),
        ((0.62796, 0.22486, 0.12585), (1, 0, 0)),
        ((0.45201, -0.03246, -0.31153), (0, 0, 1)),
    ],
)
def test_oklab_gives_the_published_colours(lab, rgb):
    assert np.allclose(srgb(np.array(lab)), rgb, atol=2e-3)


def test_traits_survive_the_way_to_arrays_and_mix():
    a, b = _traits(1), _traits(2)
    assert Traits.from_array(a.as_array()) == a
    assert np.allclose(toward(a, b, 0.25).as_array(), 0.75 * a.as_array() + 0.25 * b.as_array())
    assert ranged(0.0, 2.0, 4.0) == pytest.approx(3)
    assert 2 < ranged(-9.0, 2.0, 4.0) < ranged(9.0, 2.0, 4.0) < 4


def test_there_is_more_to_a_species_than_its_picture():
    assert {"voice_pitch", "niche_warmth", "range_latitude"} <= set(TRAIT_NAMES)


def test_the_largest_liability_shows_and_names_the_species():
    traits = _traits(3)
    kind = traits.patterns[0]
    assert getattr(traits, kind) == max(getattr(traits, name) for name in traits.patterns)
    assert shows(traits)[0] == kind
    assert _look(traits, traits, _mode()).pattern == kind


def test_specimens_vary_less_than_species():
    own, other = _traits(4), _traits(5)
    looks = [_look(own, own, _mode(), seed).ground for seed in range(20)]
    foreign = _look(other, other, _mode()).ground
    within = np.linalg.norm(np.std(looks, axis=0))
    assert 0 < within < 0.5 * np.linalg.norm(np.mean(looks, axis=0) - foreign)


def test_modes_change_the_look():
    traits = _traits(6)
    male, female, young, under = (
        _look(traits, traits, mode)
        for mode in (_mode(), _mode("female"), _mode("", "juvenile"), _mode(view="folded left"))
    )
    for other in (female, young, under):
        assert np.abs(other.ground - male.ground).max() > 0.03
    assert young.young
    assert young.pattern != male.pattern


def test_females_and_young_of_one_genus_converge():
    gaps = {"male": [], "female": [], "young": []}
    for seed in range(30):
        ancestral = _traits(1000 + seed)
        sisters = [toward(ancestral, _traits(seed + shift), 0.6) for shift in (0, 500)]
        for who, mode in (
            ("male", _mode()),
            ("female", _mode("female")),
            ("young", _mode("", "juvenile")),
        ):
            a, b = (_look(one, ancestral, mode) for one in sisters)
            gaps[who].append(np.linalg.norm(a.ground - b.ground))
    assert np.mean(gaps["female"]) < 0.6 * np.mean(gaps["male"])
    assert np.mean(gaps["young"]) < 0.8 * np.mean(gaps["male"])
