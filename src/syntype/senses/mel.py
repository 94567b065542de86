"""Log-mel spectrograms in torch, and CLAP's input made of them without chance.

Legend: n sounds, t samples, f frames, k frequencies of the transform, m mel bands, v views.

The front end is CLAP's (Wu et al., "Large-scale contrastive language-audio pretraining", ICASSP
2023) as transformers' ClapFeatureExtractor computes it: periodic Hann window, frames centred with
reflection at the ends, power, mel bands, decibels with a floor of -100. Everything is computed in
float64, since a band without energy is the difference of large numbers otherwise.

Two mel scales: `htk`, 2595 log10(1 + f / 700); and `slaney`, linear below 1000 Hz (3 mels per 200
Hz) and logarithmic above (27 mels per factor of 6.4). `equal_area` gives each band's triangle the
area 1 (in Hz), else its peak is 1.

CLAP draws at random what it hears of a sound longer than its window, and whether a batch of short
ones has one called longer. Here the three local views begin in the middle of the ranges that the
random ones are drawn from, the single view of the unfused model is the centre, and `longer` is a
rule (see `sound_clap`).

Nothing above half the sample rate is there to be heard: 48 kHz ends at 24 kHz, and CLAP's bands at
14 kHz, which leaves out bats and many crickets. `BATS` is a front end for them.
"""

from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from syntype.errors import UsageError
from syntype.senses.waves import Crop, Padding, Wave, fill

Scale = Literal["htk", "slaney"]
_FLOOR = 1e-10
_SLANEY_STEP, _SLANEY_KNEE, _SLANEY_LOG = 200 / 3, 1000.0, np.log(6.4) / 27


@dataclass(frozen=True, kw_only=True)
class Mel:
    """A log-mel front end.

    Attributes:
        rate: Samples a second that it takes.
        window: Samples of a frame.
        hop: Samples from one frame to the next.
        bands: m.
        low: Lower edge of the lowest band, Hz.
        high: Upper edge of the highest band, Hz.
        scale: Mel scale.
        equal_area: Whether each band has the area 1, else the peak 1.
    """

    rate: int = 48_000
    window: int = 1024
    hop: int = 480
    bands: int = 64
    low: float = 50.0
    high: float = 14_000.0
    scale: Scale = "htk"
    equal_area: bool = False

    def __post_init__(self) -> None:
        """Check that the bands can be had."""
        if not 0 <= self.low < self.high <= self.rate / 2:
            raise UsageError(
                f"Bands from {self.low:g} to {self.high:g} Hz cannot be had at {self.rate} samples "
                f"a second: they must lie between 0 and {self.rate / 2:g} Hz."
            )
        if min(self.window, self.hop, self.bands) < 1 or self.window % 2:
            raise UsageError("window (even), hop and bands of a mel front end must be positive.")

    def frames(self, n_samples: int) -> int:
        """How many frames n samples have."""
        return n_samples // self.hop + 1


CLAP_FUSED = Mel()
"""What CLAP's fused models hear."""
CLAP_PLAIN = Mel(scale="slaney", equal_area=True)
"""What CLAP's unfused models hear."""
BATS = Mel(rate=192_000, window=2048, hop=960, low=8_000.0, high=96_000.0)
"""8 to 96 kHz, for recordings at 192 kHz and more: bats, bush crickets."""


def to_mel(hertz: Float[np.ndarray, "_"], scale: Scale) -> Float[np.ndarray, "_"]:
    """Frequencies on a mel scale."""
    if scale == "htk":
        return 2595 * np.log10(1 + hertz / 700)
    above = _SLANEY_KNEE / _SLANEY_STEP
    bent = above + np.log(np.maximum(hertz, _SLANEY_KNEE) / _SLANEY_KNEE) / _SLANEY_LOG
    return np.where(hertz < _SLANEY_KNEE, hertz / _SLANEY_STEP, bent)


def to_hertz(mel: Float[np.ndarray, "_"], scale: Scale) -> Float[np.ndarray, "_"]:
    """The inverse of `to_mel`."""
    if scale == "htk":
        return 700 * (10 ** (mel / 2595) - 1)
    above = _SLANEY_KNEE / _SLANEY_STEP
    bent = _SLANEY_KNEE * np.exp((np.maximum(mel, above) - above) * _SLANEY_LOG)
    return np.where(mel < above, mel * _SLANEY_STEP, bent)


def filter_bank(mel: Mel) -> Float[Tensor, "k m"]:
    """The weight of each frequency of the transform in each band, float64."""
    ends = to_mel(np.array([mel.low, mel.high]), mel.scale)
    edges = to_hertz(np.linspace(ends[0], ends[1], mel.bands + 2), mel.scale)
    hertz = np.linspace(0, mel.rate // 2, mel.window // 2 + 1)
    rising = (hertz[:, None] - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - hertz[:, None]) / (edges[2:] - edges[1:-1])
    weights = np.maximum(0, np.minimum(rising, falling))
    if mel.equal_area:
        weights *= 2 / (edges[2:] - edges[:-2])
    return torch.from_numpy(weights)


def log_mel(waves: Float[Tensor, "n t"], mel: Mel) -> Float[Tensor, "n f m"]:
    """Log-mel spectrograms in decibels, float32; silence is -100.

    Raises:
        UsageError: The waves are shorter than half a window, which leaves nothing to reflect.
    """
    if waves.shape[1] <= mel.window // 2:
        raise UsageError(
            f"{waves.shape[1]} samples are too few for frames of {mel.window}: pad the sound first."
        )
    shape = torch.hann_window(mel.window, dtype=torch.float64, device=waves.device)
    power = (
        torch.stft(
            waves.double(),
            mel.window,
            mel.hop,
            window=shape,
            pad_mode="reflect",
            return_complex=True,
        )
        .abs()
        .square()
    )
    bands = power.transpose(1, 2) @ filter_bank(mel).to(waves.device)
    return (10 * bands.clamp(min=_FLOOR).log10()).float()


class Heard(NamedTuple):
    """What CLAP's network takes of one sound.

    Attributes:
        views: Log-mel spectrograms: the whole and three parts, or one window.
        longer: Whether the sound is longer than the window.
    """

    views: Float[Tensor, "v f m"]
    longer: bool


def clap_views(
    wave: Wave, mel: Mel, *, seconds: float = 10.0, fused: bool = True, padding: Padding
) -> Heard:
    """The input of CLAP's network for one sound, at the rate of `mel`.

    Args:
        wave: The sound, at the rate of `mel`.
        mel: `CLAP_FUSED` or `CLAP_PLAIN` in the published models.
        seconds: The network's window.
        fused: The whole squeezed into the window with three parts of it, else one part.
        padding: How a sound shorter than the window fills it.
    """
    assert wave.rate == mel.rate
    length = round(seconds * mel.rate)
    longer = len(wave.samples) > length
    if not fused:
        crop = Crop(kind="centre", seconds=seconds, padding=padding)
        return Heard(log_mel(torch.from_numpy(crop.cut(wave)), mel), longer)
    samples = wave.samples if longer else fill(wave.samples, length, padding)
    whole = log_mel(torch.from_numpy(np.ascontiguousarray(samples))[None], mel)[0]
    n_frames = mel.frames(length)
    if len(whole) <= n_frames:  # up to one hop longer than the window is not longer
        return Heard(whole.expand(4, -1, -1).clone(), False)
    squeezed = functional.interpolate(
        whole[None, None], (n_frames, mel.bands), mode="bilinear", align_corners=False
    )[0, 0]
    parts = [whole[start : start + n_frames] for start in middles(len(whole), n_frames)]
    return Heard(torch.stack([squeezed, *parts]), True)


def middles(total: int, n_frames: int) -> list[int]:
    """Where the three local views begin: the middle of each third of the possible places.

    Args:
        total: Frames of the whole sound, more than `n_frames`.
        n_frames: Frames of a view.
    """
    thirds = np.array_split(np.arange(total - n_frames + 1), 3)
    return [int(third[len(third) // 2]) if len(third) else 0 for third in thirds]
