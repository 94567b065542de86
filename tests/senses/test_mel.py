import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import ClapFeatureExtractor
from transformers.audio_utils import hertz_to_mel, mel_filter_bank, mel_to_hertz

from fakes.sounds import tone
from syntype.errors import UsageError
from syntype.senses.mel import (
    BATS,
    CLAP_FUSED,
    CLAP_PLAIN,
    Mel,
    clap_views,
    filter_bank,
    log_mel,
    middles,
    to_hertz,
    to_mel,
)
from syntype.senses.waves import Wave

PAD = "repeat-whole"


@pytest.fixture(scope="module")
def extractors():
    """The library's own, with the published settings."""
    common = {"feature_size": 64, "frequency_min": 50, "frequency_max": 14_000}
    return {
        fused: ClapFeatureExtractor(truncation=truncation, padding="repeatpad", **common)
        for fused, truncation in ((True, "fusion"), (False, "rand_trunc"))
    }


@pytest.fixture
def centred_draws(monkeypatch):
    """numpy's draws within the library, replaced by the rules of ours."""
    monkeypatch.setattr(np.random, "choice", lambda places: places[len(places) // 2])
    monkeypatch.setattr(np.random, "randint", lambda low, high: (high - 1) // 2)


def noise(seconds, seed=0):
    count = round(seconds * 48_000)
    return (0.1 * np.random.default_rng(seed).standard_normal(count)).astype(np.float32)


@pytest.mark.parametrize("fused", [True, False])
@pytest.mark.parametrize("seconds", [0.3, 3.0, 10.0, 10.004, 12.5])
def test_views_are_those_of_the_library_with_its_draws_replaced(
    extractors, centred_draws, fused, seconds
):
    samples = noise(seconds) + tone(3000, seconds)
    expected = extractors[fused](samples, sampling_rate=48_000, return_tensors="pt")
    mel = CLAP_FUSED if fused else CLAP_PLAIN
    views, longer = clap_views(Wave(samples, 48_000), mel, fused=fused, padding=PAD)
    assert views.shape == (4 if fused else 1, 1001, 64)
    assert longer == (seconds > (10.005 if fused else 10))
    torch.testing.assert_close(views, expected["input_features"][0].float(), atol=2e-3, rtol=0)


@pytest.mark.parametrize(("ours", "theirs"), [("zeros", "pad"), ("repeat", "repeat")])
def test_paddings_are_those_of_the_library(extractors, ours, theirs):
    samples = noise(3.3)
    expected = extractors[True](samples, sampling_rate=48_000, padding=theirs, return_tensors="pt")[
        "input_features"
    ][0]
    views, _ = clap_views(Wave(samples, 48_000), CLAP_FUSED, padding=ours)
    torch.testing.assert_close(views, expected.float(), atol=2e-3, rtol=0)


def test_the_same_sound_has_the_same_views():
    wave = Wave(noise(11), 48_000)
    first, second = (clap_views(wave, CLAP_FUSED, padding=PAD)[0] for _ in range(2))
    assert torch.equal(first, second)


@given(st.integers(2, 400), st.integers(1, 400))
def test_the_parts_lie_inside_and_in_order(total, n_frames):
    if total <= n_frames:
        total, n_frames = n_frames + 1, total
    starts = middles(total, n_frames)
    assert len(starts) == 3
    assert all(0 <= start <= total - n_frames for start in starts)


@pytest.mark.parametrize("mel", [CLAP_FUSED, CLAP_PLAIN, BATS, Mel(rate=22_050, high=11_025.0)])
def test_bands_are_those_of_the_library(mel):
    expected = mel_filter_bank(
        num_frequency_bins=mel.window // 2 + 1,
        num_mel_filters=mel.bands,
        min_frequency=mel.low,
        max_frequency=mel.high,
        sampling_rate=mel.rate,
        norm="slaney" if mel.equal_area else None,
        mel_scale=mel.scale,
    )
    np.testing.assert_allclose(filter_bank(mel).numpy(), expected, atol=1e-12)


@pytest.mark.parametrize("scale", ["htk", "slaney"])
@given(hertz=st.floats(0, 96_000))
def test_scales_are_those_of_the_library_and_invert(scale, hertz):
    array = np.array([hertz])
    np.testing.assert_allclose(to_mel(array, scale), hertz_to_mel(array, scale), rtol=1e-9)
    mels = to_mel(array, scale)
    np.testing.assert_allclose(to_hertz(mels, scale), mel_to_hertz(mels, scale), rtol=1e-9)
    np.testing.assert_allclose(to_hertz(mels, scale), array, rtol=1e-9, atol=1e-6)


def test_decibels_are_those_of_a_transform_by_hand():
    mel = Mel(rate=8000, window=64, hop=20, bands=5, low=100.0, high=4000.0)
    samples = noise(0.05)[:400]
    padded = np.pad(samples.astype(np.float64), 32, mode="reflect")
    shape = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(64) / 64)
    rows = []
    for frame in range(mel.frames(400)):
        part = padded[frame * 20 : frame * 20 + 64] * shape
        rows.append(np.abs(np.fft.rfft(part)) ** 2 @ filter_bank(mel).numpy())
    expected = 10 * np.log10(np.maximum(rows, 1e-10))
    found = log_mel(torch.from_numpy(samples)[None], mel)
    np.testing.assert_allclose(found[0].numpy(), expected, atol=1e-4)


def test_silence_is_a_hundred_below():
    found = log_mel(torch.zeros(2, 4800), CLAP_FUSED)
    assert torch.equal(found, torch.full((2, 11, 64), -100.0))


def test_twice_as_loud_is_six_decibels_more():
    wave = torch.from_numpy(noise(0.2))[None]
    gain = log_mel(2 * wave, CLAP_FUSED) - log_mel(wave, CLAP_FUSED)
    torch.testing.assert_close(gain, torch.full_like(gain, 6.0206), atol=1e-3, rtol=0)


def test_a_bat_is_heard_by_the_ear_for_bats_only():
    call = tone(45_000, 0.5, 192_000)
    loud = log_mel(torch.from_numpy(call)[None], BATS)
    edges = to_hertz(np.linspace(*to_mel(np.array([BATS.low, BATS.high]), "htk"), 66), "htk")
    band = int(loud.mean(dim=(0, 1)).argmax())
    assert edges[band] < 45_000 < edges[band + 2]
    heard = Wave(call, 192_000).at(48_000).samples
    assert log_mel(torch.from_numpy(heard)[None], CLAP_FUSED)[:, 5:-5].max() < -30


@pytest.mark.parametrize(
    "wrong", [{"high": 25_000.0}, {"low": 15_000.0}, {"hop": 0}, {"window": 1023}]
)
def test_bands_that_cannot_be_had_are_refused(wrong):
    with pytest.raises(UsageError):
        Mel(**wrong)


def test_too_few_samples_are_refused():
    with pytest.raises(UsageError, match="pad the sound"):
        log_mel(torch.zeros(1, 512), CLAP_FUSED)
