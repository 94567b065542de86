"""Tiles and songs: they show what they are made from, and are the same every time."""

import io
import wave

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from syntype.data.synthetic.phylogeny import drift, grow
from syntype.data.synthetic.song import N_TRAITS, sing, voice_of, wav_bytes
from syntype.data.synthetic.tile import Scenery, paint_tile
from syntype.data.synthetic.traits import TRAIT_NAMES, Traits

TRAITS = Traits.from_array(np.zeros(len(TRAIT_NAMES)))
MILD = {
    "elevation": 200.0,
    "warmth": 14.0,
    "coldest": 0.0,
    "rain": 900.0,
    "productivity": 0.45,
    "woodland": 0.4,
    "soil": 0.0,
    "people": 0.02,
    "shore": (200.0, 200.0, 200.0, 200.0),
}


def _tile(seed=0, size=48, **changes):
    scenery = Scenery(**(MILD | changes))
    return paint_tile(scenery, size=size, rng=np.random.default_rng(seed)).astype(float)


def _mean(**changes):
    return np.mean([_tile(seed, **changes).mean(axis=(0, 1)) for seed in range(4)], axis=0)


def test_a_tile_is_the_same_for_the_same_place_and_generator():
    np.testing.assert_array_equal(_tile(3), _tile(3))
    assert (_tile(3) != _tile(4)).any()


@pytest.mark.parametrize("size", [64, 224])
def test_tiles_of_any_size(size):
    tile = paint_tile(Scenery(**MILD), size=size, rng=np.random.default_rng(0))
    assert tile.shape == (size, size, 3)
    assert tile.dtype == np.uint8


def test_snow_is_white_woods_are_dark_and_green_deserts_are_red_and_the_sea_is_blue():
    snow = _mean(warmth=-14.0, coldest=-40.0, rain=200.0, productivity=0.1, woodland=0.0)
    woods = _mean(warmth=25.0, rain=2400.0, productivity=0.9, woodland=0.99)
    desert = _mean(warmth=25.0, rain=40.0, productivity=0.02, woodland=0.0, soil=2.0)
    sea = _mean(shore=(-300.0, -300.0, -300.0, -300.0), elevation=-300.0)
    assert snow.min() > 190
    assert woods.mean() < 90
    assert woods[1] > woods[0] + 20
    assert desert[0] > desert[1] + 15 > desert[2] + 30
    assert sea[2] > sea[0] + 30


def test_greenness_follows_what_grows():
    grown = np.linspace(0.02, 0.9, 8)
    greenness = [
        (lambda rgb: rgb[1] - rgb[0])(_mean(productivity=p, woodland=p, rain=3000 * p))
        for p in grown
    ]
    assert np.corrcoef(grown, greenness)[0, 1] > 0.85


def test_people_make_fields_and_houses():
    wild, settled = _tile(people=0.0, woodland=0.0), _tile(people=0.8, woodland=0.0)
    assert np.abs(wild - settled).mean() > 10


def _voice(group="Bird", seed=0):
    return voice_of(group, TRAITS, np.random.default_rng(seed).standard_normal(N_TRAITS))


def _song(voice, individual=0, take=0, rate=16000, seconds=1.0):
    return sing(
        voice,
        seconds=seconds,
        rate=rate,
        individual=np.random.default_rng(individual),
        take=np.random.default_rng(take),
    )


def _centre(sound, rate=16000):
    power = np.abs(np.fft.rfft(sound)) ** 2
    return float((np.fft.rfftfreq(len(sound), 1 / rate) * power).sum() / power.sum())


@settings(max_examples=25, deadline=None)
@given(
    st.sampled_from(["Fish", "Butterfly", "Bird"]),
    st.integers(0, 999),
    st.sampled_from([8000, 16000, 22050, 44100]),
)
def test_songs_are_waves_of_the_asked_length_that_never_clip(group, seed, rate):
    sound = _song(_voice(group, seed), take=seed, rate=rate)
    assert len(sound) == rate
    assert sound.dtype == np.float32
    assert 0.3 < np.abs(sound).max() <= 0.96
    assert np.isfinite(sound).all()


def test_body_plans_sing_in_their_registers():
    fish, insects, birds = (
        np.median([_centre(_song(_voice(group, seed))) for seed in range(8)])
        for group in ("Fish", "Butterfly", "Bird")
    )
    assert fish < 1200 < birds < insects


def _spectrum(sound):
    """Share of the sound's power in 24 bands of a third of an octave, ordered by pitch."""
    power = np.abs(np.fft.rfft(sound)) ** 2
    band = np.digitize(np.fft.rfftfreq(len(sound), 1 / 16000), 100 * 2 ** (np.arange(1, 24) / 4))
    found = np.bincount(band, weights=power, minlength=24)
    return np.log10(found / found.sum() + 1e-3)


def test_an_individual_varies_less_than_species_do():
    same = [_spectrum(_song(_voice(seed=1), i, i)) for i in range(6)]
    others = [_spectrum(_song(_voice(seed=i), i, i)) for i in range(6)]
    within = np.mean([np.linalg.norm(a - b) for a in same for b in same])
    between = np.mean([np.linalg.norm(a - b) for a in others for b in others])
    assert within > 0
    assert between > 1.5 * within


def test_relatives_sound_alike():
    """Within birds alone, so that registers do not make it."""
    tree = grow((3, 3, 24), np.random.default_rng(5))
    values = drift(tree, N_TRAITS, np.random.default_rng(6), jump=0.02)
    birds = tree.tips[6:]
    spectra = np.stack(
        [
            _spectrum(_song(voice_of("Bird", TRAITS, values[tip]), i, i))
            for i, tip in enumerate(birds)
        ]
    )
    apart = np.linalg.norm(spectra[:, None] - spectra[None], axis=-1)
    kinship = tree.distances[6:, 6:]
    upper = np.triu_indices(len(birds), 1)
    seen = np.corrcoef(kinship[upper], apart[upper])[0, 1]
    rng = np.random.default_rng(0)
    orders = [rng.permutation(len(birds)) for _ in range(199)]
    others = [np.corrcoef(kinship[upper], apart[np.ix_(o, o)][upper])[0, 1] for o in orders]
    assert seen > max(0.1, float(np.quantile(others, 0.95)))


def test_wav_files_hold_the_wave():
    sound = _song(_voice())
    with wave.open(io.BytesIO(wav_bytes(sound, 16000))) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, 16000)
        read = np.frombuffer(file.readframes(16000), dtype="<i2") / 32767
    np.testing.assert_allclose(read, sound, atol=1e-4)
