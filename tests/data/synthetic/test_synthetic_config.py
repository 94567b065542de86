"""The words for sizes of a synthetic world, and worlds that cannot be."""

import pytest

from syntype.data.synthetic import SIZES, WorldConfig, parse_size
from syntype.errors import UsageError


@pytest.mark.parametrize("word", sorted(SIZES))
def test_a_word_names_a_size(word):
    assert parse_size(word) == SIZES[word]


def test_tiny_is_tiny_and_small_has_a_long_tail():
    assert (SIZES["tiny"].n_species, SIZES["tiny"].n_images) == (12, 240)
    assert SIZES["small"].n_singletons > 0


def test_settings_and_their_long_names():
    config = parse_size("species=9, images=40,size=64,seed=3,tail=1.2,modes=4")
    assert config == WorldConfig(
        n_species=9, n_images=40, image_size=64, seed=3, tail=1.2, max_modes=4
    )
    assert parse_size("n_species=9,n_images=40") == WorldConfig(n_species=9, n_images=40)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("huge", "tiny, small, medium"),
        ("", "tiny, small, medium"),
        ("species", "species=60,images=4000"),
        ("colour=3", "species=60,images=4000"),
        ("species=many", "species=many must be a whole number"),
        ("species=6.5", "whole number"),
        ("tail=long", "tail=long must be a number"),
        ("species=6,n_species=7", "twice"),
        ("species=2", "species=3 or more"),
        ("species=9,images=8", "images=9 or more"),
        ("size=16", "32 to 512"),
        ("size=1024", "32 to 512"),
        ("min_modes=5,max_modes=2", "min_modes <= max_modes"),
        ("tail=-1", "tail must lie"),
        ("tail=nan", "tail must lie"),
        ("singletons=2", "singletons must lie"),
        ("singletons=1,species=9,images=10", "lower singletons"),
        ("nuisance=-1", "nuisance must lie"),
    ],
)
def test_a_bad_size_says_what_is_allowed(text, says):
    with pytest.raises(UsageError, match=says):
        parse_size(text)
