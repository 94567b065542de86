import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fakes.sounds import tone
from senses.kaldi import bank, spectrogram
from syntype.errors import UsageError
from syntype.senses.fbank import Fbank, fbank_bands, log_fbank


@pytest.mark.parametrize("hertz", [60, 1000, 7900])
def test_spectrograms_are_kaldis(hertz):
    samples = tone(hertz, 0.1, 16_000, seed=1) + np.float32(0.05)
    found = log_fbank(torch.from_numpy(samples)[None], Fbank())
    assert found.shape == (1, 8, 128)
    assert found.dtype == torch.float32
    np.testing.assert_allclose(found[0].numpy(), spectrogram(samples), atol=1e-5)


@pytest.mark.parametrize("n_bands", [23, 128])
def test_bands_are_kaldis(n_bands):
    np.testing.assert_allclose(fbank_bands(Fbank(bands=n_bands)), bank(n_bands), atol=1e-10)


def test_silence_is_the_floor_and_an_offset_is_not_heard():
    quiet = torch.zeros(1, 800)
    assert torch.equal(log_fbank(quiet, Fbank()), torch.full((1, 3, 128), math.log(2.0**-23)))
    loud = torch.from_numpy(tone(500, 0.05, 16_000, seed=2))[None]
    torch.testing.assert_close(
        log_fbank(loud.double() + 0.3, Fbank()), log_fbank(loud.double(), Fbank())
    )


@given(st.integers(400, 4000))
@settings(max_examples=30, deadline=None)
def test_frames_lie_within_the_sound_and_do_not_see_each_other(n):
    samples = torch.randn(1, n, generator=torch.Generator().manual_seed(n)) * 0.1
    found = log_fbank(samples, Fbank())
    assert found.shape[1] == 1 + (n - 400) // 160
    assert torch.equal(log_fbank(samples[:, :400], Fbank()), found[:, :1])


def test_what_cannot_be_is_refused():
    with pytest.raises(UsageError, match="399 samples are too few"):
        log_fbank(torch.zeros(1, 399), Fbank())
    with pytest.raises(UsageError, match="between 0 and 8000 Hz"):
        Fbank(low=8000.0)
    with pytest.raises(UsageError, match="must be positive"):
        Fbank(bands=0)
    assert (Fbank().padded, Fbank(window=512).padded, Fbank(window=513).padded) == (512, 512, 1024)
