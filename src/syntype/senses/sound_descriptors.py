"""A hearing without weights: the floor that learned ones must beat.

    sound-descriptors
    sound-descriptors?ear=bats&crop=loudest&seconds=3

Legend: n sounds, w windows, f frames, m mel bands, d dimensions, g groups of bands.

What sounds were compared with before networks learned to, of the log-mel spectrogram within 80 dB
of its loudest cell, so that distance to the microphone hardly counts:

    spectrum    mean and standard deviation of each band over time
    cepstrum    cosine transform along the bands (20 coefficients without the first, as in MFCC):
                mean, standard deviation, and standard deviation of the change in 30 ms
    flux        how much louder groups of bands become from frame to frame: mean, deviation
    contrast    the loud against the quiet bands of each group (Jiang et al. 2002): mean, deviation
    rhythm      strength of 0.5 to 20 modulations a second of each quarter of the bands

Every block has length 1, and all weigh the same: nothing was chosen on data. The vector of a sound
is the mean over its windows.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from syntype.encoders.spec import Spec, check_options, whole_number
from syntype.errors import UsageError
from syntype.provenance import plain
from syntype.senses.mel import BATS, Mel, log_mel
from syntype.senses.sense import Inputs, Sense
from syntype.senses.waves import Crop, waves_of

EARS = {
    "common": Mel(rate=32_000, window=1024, hop=320, low=50.0, high=14_000.0),
    "bats": BATS,
}
"""Front ends by name: what people hear and record, and ultrasound."""
_CROP = Crop(kind="spread", seconds=5.0, n=2, padding="repeat")
EAR_OPTIONS = ("ear", "crop", "seconds", "windows")
"""Options of a spec that `ear_of` reads."""
_RANGE = 80.0  # dB
_CEPSTRA, _GROUPS, _LAG = 20, 8, 3
_RHYTHMS, _SLOWEST, _FASTEST, _QUARTERS = 16, 0.5, 20.0, 4
_TINY = 1e-6


@dataclass(frozen=True, kw_only=True)
class Ear:
    """How a sound becomes log-mel windows.

    Attributes:
        mel: The front end.
        crop: Which windows.
    """

    mel: Mel
    crop: Crop

    def __call__(self, sounds: Sequence[Any]) -> Inputs:
        """Windows (n, w, f, m) of sounds, decoded (`Wave`) or not (`SoundSource`).

        Raises:
            MediaError: One cannot be decoded.
        """
        cut = np.stack([self.crop.cut(wave) for wave in waves_of(sounds, self.mel.rate)])
        spectra = log_mel(torch.from_numpy(cut.reshape(-1, cut.shape[-1])), self.mel)
        return (spectra.unflatten(0, cut.shape[:2]),)


def ear_of(spec: Spec) -> Ear:
    """The front end and the windows that the options of `spec` ask for.

    Raises:
        UsageError: An option is none.
    """
    name = spec.options.get("ear", "common")
    if name not in EARS:
        raise UsageError(f"In {spec}, ear is one of {', '.join(EARS)}, not {name!r}.")
    kinds: tuple[Literal["start", "centre", "loudest", "spread"], ...] = get_args(
        Crop.__annotations__["kind"]
    )
    kind = spec.options.get("crop", _CROP.kind)
    n = whole_number(spec, "windows", _CROP.n if kind == "spread" else 1, least=1)
    seconds = spec.options.get("seconds", f"{_CROP.seconds:g}")
    try:
        length = float(seconds)
    except ValueError:
        length = 0.0
    for known in kinds:
        if known == kind and 0.1 <= length <= 600:
            mel = EARS[name]
            return Ear(
                mel=mel,
                crop=Crop(
                    kind=known,
                    seconds=length,
                    n=n,
                    low=mel.low if kind == "loudest" else 0.0,
                    high=mel.high if kind == "loudest" else 0.0,
                    padding=_CROP.padding,
                ),
            )
    raise UsageError(
        f"In {spec}, crop is one of {', '.join(kinds)}, and seconds a number from 0.1 to 600."
    )


class SoundDescriptors(nn.Module):
    """Log-mel windows to spectrum, cepstrum, flux, contrast and rhythm.

    Args:
        mel: The front end that the windows come from.
    """

    cosines: Tensor
    rhythms: Tensor

    def __init__(self, mel: Mel) -> None:
        super().__init__()
        self.per_second = mel.rate / mel.hop
        place = (torch.arange(mel.bands) + 0.5) * torch.pi / mel.bands
        orders = torch.arange(1, _CEPSTRA + 1)
        self.register_buffer("cosines", torch.cos(place[:, None] * orders), persistent=False)
        ends = torch.tensor([_SLOWEST, _FASTEST]).log()
        beats = torch.linspace(float(ends[0]), float(ends[1]), _RHYTHMS).exp()
        self.register_buffer("rhythms", beats, persistent=False)

    def forward(self, windows: Float[Tensor, "n w f m"]) -> Float[Tensor, "n d"]:
        """Vectors of sounds, not yet unit."""
        flat = windows.flatten(0, 1)
        loudest = flat.amax(dim=(1, 2), keepdim=True)
        cells = (1 + (flat - loudest) / _RANGE).clamp(min=0)
        blocks = [
            torch.cat([cells.mean(dim=1), cells.std(dim=1)], dim=1),
            self._cepstrum(cells),
            _flux(cells),
            _contrast(cells),
            self._rhythm(cells),
        ]
        joined = torch.cat([functional.normalize(block + _TINY, dim=1) for block in blocks], dim=1)
        return joined.unflatten(0, windows.shape[:2]).mean(dim=1)

    def _cepstrum(self, cells: Float[Tensor, "n f m"]) -> Float[Tensor, "n d"]:
        cepstra = cells @ self.cosines
        change = cepstra[:, _LAG:] - cepstra[:, :-_LAG]
        return torch.cat([cepstra.mean(dim=1), cepstra.std(dim=1), change.std(dim=1)], dim=1)

    def _rhythm(self, cells: Float[Tensor, "n f m"]) -> Float[Tensor, "n d"]:
        level = functional.adaptive_avg_pool1d(cells, _QUARTERS)
        level = level - level.mean(dim=1, keepdim=True)
        shape = torch.hann_window(level.shape[1], device=cells.device)[None, :, None]
        seconds = torch.arange(level.shape[1], device=cells.device) / self.per_second
        angle = 2 * torch.pi * self.rhythms[:, None] * seconds
        turned = (level * shape).transpose(1, 2)
        return torch.hypot(turned @ angle.cos().T, turned @ angle.sin().T).flatten(1)


def _flux(cells: Float[Tensor, "n f m"]) -> Float[Tensor, "n d"]:
    louder = (cells[:, 1:] - cells[:, :-1]).clamp(min=0)
    grouped = functional.adaptive_avg_pool1d(louder, _GROUPS)
    return torch.cat([grouped.mean(dim=1), grouped.std(dim=1)], dim=1)


def _contrast(cells: Float[Tensor, "n f m"]) -> Float[Tensor, "n d"]:
    grouped = cells.unflatten(2, (_GROUPS, -1)).sort(dim=3).values
    quarter = max(1, grouped.shape[3] // 4)
    gap = grouped[..., -quarter:].mean(dim=3) - grouped[..., :quarter].mean(dim=3)
    return torch.cat([gap.mean(dim=1), gap.std(dim=1)], dim=1)


def load(spec: Spec, device: torch.device) -> Sense:
    """The sense `sound-descriptors`.

    Raises:
        UsageError: An option is none.
    """
    check_options(spec, EAR_OPTIONS)
    ear = ear_of(spec)
    module = SoundDescriptors(ear.mel).eval()
    dim = 2 * ear.mel.bands + 3 * _CEPSTRA + 4 * _GROUPS + _QUARTERS * _RHYTHMS
    return Sense(
        name=str(spec),
        modality="sound",
        # The version is part of the identity: raise it with any change of the numbers.
        architecture={"source": "sound-descriptors", "version": 1},
        weights="none",
        preparation=plain(ear),
        dim=dim,
        module=module.to(device),
        prepare=ear,
        device=device,
    )
