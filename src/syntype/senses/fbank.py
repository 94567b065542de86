"""Log-mel spectrograms by Kaldi's formulas (`compute-fbank-feats`), in torch.

Of each frame: its mean is taken off, then 0.97 of the sample before from every sample (the first
stands before itself), then a symmetric Hann window; zeros up to the next power of two; power; mel
bands; natural logarithm, with float32's smallest step from 1 as the floor. Frames are those that
lie wholly within the sound (`snip-edges`).

Kaldi's mel is 1127 ln(1 + f / 700), and its triangles are straight over mel, where those of `mel`
are straight over Hz; half the sample rate itself is in no band. Everything is computed in float64.

Legend: n sounds, t samples, f frames, s samples of a frame, k frequencies of the transform, m mel
bands.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from syntype.errors import UsageError

_FLOOR = float(np.finfo(np.float32).eps)


@dataclass(frozen=True, kw_only=True)
class Fbank:
    """A front end of Kaldi's, without dither and without energy.

    Attributes:
        rate: Samples a second that it takes.
        window: s.
        hop: Samples from one frame to the next.
        bands: m.
        low: Lower edge of the lowest band, Hz; the highest band ends at half the rate.
        preemphasis: Share of the sample before that is taken off.
    """

    rate: int = 16_000
    window: int = 400
    hop: int = 160
    bands: int = 128
    low: float = 20.0
    preemphasis: float = 0.97

    def __post_init__(self) -> None:
        """Check that the bands can be had."""
        if min(self.rate, self.hop, self.bands) < 1 or self.window < 2:
            raise UsageError("rate, window, hop and bands of a front end must be positive.")
        if not 0 <= self.low < self.rate / 2:
            raise UsageError(
                f"Bands from {self.low:g} Hz cannot be had at {self.rate} samples a second: they "
                f"must begin between 0 and {self.rate / 2:g} Hz."
            )

    @property
    def padded(self) -> int:
        """Samples of the transform: the next power of two."""
        return 1 << (self.window - 1).bit_length()


def _mel(hertz: Float[np.ndarray, "_"]) -> Float[np.ndarray, "_"]:
    return 1127 * np.log(1 + hertz / 700)


def fbank_bands(fbank: Fbank) -> Float[Tensor, "k m"]:
    """The weight of each frequency of the transform in each band, float64."""
    low, high = _mel(np.array([fbank.low, fbank.rate / 2]))
    edges = low + (high - low) / (fbank.bands + 1) * np.arange(fbank.bands + 2)
    mels = _mel(np.arange(fbank.padded // 2) * fbank.rate / fbank.padded)[:, None]
    rising = (mels - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - mels) / (edges[2:] - edges[1:-1])
    weights = np.maximum(0, np.minimum(rising, falling))
    return torch.from_numpy(np.pad(weights, ((0, 1), (0, 0))))


def log_fbank(waves: Float[Tensor, "n t"], fbank: Fbank) -> Float[Tensor, "n f m"]:
    """Log-mel spectrograms, float32.

    Raises:
        UsageError: The waves are shorter than one frame.
    """
    if waves.shape[1] < fbank.window:
        raise UsageError(
            f"{waves.shape[1]} samples are too few for frames of {fbank.window}: pad the sound "
            "first."
        )
    frames: Float[Tensor, "n f s"] = waves.double().unfold(1, fbank.window, fbank.hop)
    frames = frames - frames.mean(dim=2, keepdim=True)
    before = torch.cat([frames[..., :1], frames[..., :-1]], dim=2)
    shape = torch.hann_window(
        fbank.window, periodic=False, dtype=torch.float64, device=waves.device
    )
    shaped = (frames - fbank.preemphasis * before) * shape
    power = torch.fft.rfft(shaped, n=fbank.padded).abs().square()
    bands = power @ fbank_bands(fbank).to(waves.device)
    return bands.clamp(min=_FLOOR).log().float()
