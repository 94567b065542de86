"""ImageBind's hearing, from the file that Meta released; its pictures and texts are an encoder.

    imagebind-audio:/weights/imagebind_huge.pth?licence=accepted

Legend: n sounds, c clips, t samples, m mel bands, f frames, d dimensions.

16 kHz, three clips of 2 s from the first to the last that there is, Kaldi's log-mel spectrogram of
128 bands (`fbank`), zeros behind it up to 204 frames, normalised by AudioSet's mean and twice its
deviation. The vector is the mean of the clips' unit vectors. Nothing of that is random. Where the
published code leaves something to its input, there is a rule here:

    shorter than a clip         three equal clips of what there is, and zeros behind the frames, as
                                published; below one frame (25 ms) the sound is padded with silence
    several channels            made one by `waves`; the published code hears the first alone
    other rates                 resampled by `waves`; published, by torchaudio's filter
    a constant offset           is taken off each frame; the published code takes it off each clip
                                as well, in place, and where clips overlap (below 6 s) leaves a step

The released model multiplies a sound's vector by 20, which the authors set and did not train; it is
`logit_scale` here, and cosines are the same.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from syntype.encoders.imagebind_file import file_of, read_file, tower_of, weights_of
from syntype.encoders.spec import Spec
from syntype.errors import UsageError
from syntype.provenance import plain
from syntype.senses.fbank import Fbank, log_fbank
from syntype.senses.sealing import sealed_sense
from syntype.senses.sense import Inputs, Sense
from syntype.senses.waves import Wave, waves_of

_SECOND = Wave(np.sin(np.arange(16_000, dtype=np.float32)), 16_000)  # to measure vectors by


@dataclass(frozen=True, kw_only=True)
class Hearing:
    """How a sound becomes ImageBind's input.

    Attributes:
        fbank: The front end.
        clips: c.
        seconds: Length of a clip.
        frames: f, of the network.
        mean: Taken off the spectrogram.
        std: Divides it.
    """

    fbank: Fbank = field(default_factory=Fbank)
    clips: int = 3
    seconds: float = 2.0
    frames: int = 204
    mean: float = -4.268
    std: float = 9.138

    def __post_init__(self) -> None:
        """Check that there is something to hear."""
        if min(self.clips, self.frames) < 1 or min(self.seconds, self.std) <= 0:
            raise UsageError("clips, seconds, frames and std of a hearing must be positive.")

    def __call__(self, sounds: Sequence[Any]) -> Inputs:
        """Sounds, decoded (`Wave`) or not (`SoundSource`), as spectrograms (n, c, m, f).

        Raises:
            MediaError: One cannot be decoded.
        """
        return (torch.stack([self._heard(wave) for wave in waves_of(sounds, self.fbank.rate)]),)

    def _heard(self, wave: Wave) -> Float[Tensor, "c m f"]:
        spectra = log_fbank(torch.from_numpy(self.cut(wave)), self.fbank)[:, : self.frames]
        missing = self.frames - spectra.shape[1]
        filled = torch.nn.functional.pad(spectra, (0, 0, 0, missing))
        return ((filled - self.mean) / self.std).transpose(1, 2).contiguous()

    def cut(self, wave: Wave) -> Float[np.ndarray, "c t"]:
        """The clips of a sound: evenly from the first to the last."""
        length = round(self.seconds * wave.rate)
        # Published: seconds as a float, from there on exact, and cut down to a sample at the end.
        last = Fraction(max(len(wave.samples) / wave.rate - self.seconds, 0.0))
        parts = [Fraction(number, max(self.clips - 1, 1)) for number in range(self.clips)]
        starts = [int(last * part * wave.rate) for part in parts]
        clips = np.stack([wave.samples[start : start + length] for start in starts])
        return np.pad(clips, ((0, 0), (0, max(self.fbank.window - clips.shape[1], 0))))


def load(spec: Spec, device: torch.device) -> Sense:
    """ImageBind's sound tower.

    Raises:
        UsageError: The licence is not accepted, or there is another option.
        WeightsError: The file is absent, damaged, or fits only in part.
    """
    path, name = file_of(spec), str(spec)
    weights = weights_of(read_file(path), "audio", name)
    sizes = weights.architecture
    hearing = Hearing(fbank=Fbank(bands=sizes["bands"]), frames=sizes["frames"])
    return sealed_sense(
        spec,
        "sound",
        sizes,
        tower_of(weights, name),
        prepare=hearing,
        preparation={"front": "imagebind", "version": 1, **plain(hearing)},
        example=hearing([_SECOND]),
        device=device,
        logit_scale=weights.scale,
    )
