"""CLAP's hearing: HTS-AT with its projection, as transformers saves it.

    clap:/models/ecosound                    MVRL/ecosound: the tower alone, as TaxaBind trained it
    clap:hf-hub:laion/clap-htsat-fused       both towers, from the hub; the sound's is taken
    clap:/models/clap?longer=truth&padding=repeat&windows=fused

Legend: n sounds, v views, f frames, m mel bands, d dimensions.

The front end is that of `preprocessor_config.json` where the folder has one, else CLAP's published
one: 48 kHz, 10 s, 64 bands from 50 Hz to 14 kHz (`mel`). What the published code draws at random
is a rule here, so that a sound has one vector, whatever batch it is in:

    the three local views    the middle of each third of where the random ones may begin
    the one view (unfused)   the centre
    longer=always            every sound is treated as if it were longer than the window: what the
                             published processor does with a sound given by itself, and so what
                             TaxaBind's sounds were trained and used with. The default.
    longer=truth             only those are that are; short ones are heard without fusion
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from syntype import files
from syntype.encoders.spec import Spec, check_options
from syntype.encoders.weights import pour
from syntype.errors import EncoderError, UnknownEncoderError, UsageError
from syntype.provenance import plain
from syntype.senses.mel import CLAP_FUSED, Mel, clap_views
from syntype.senses.sealing import sealed_sense
from syntype.senses.sense import Inputs, Sense
from syntype.senses.towers import config_of, essential, tower_config, tower_folder, tower_state
from syntype.senses.waves import Padding, Wave, waves_of

_PROCESSOR = "preprocessor_config.json"
_TYPES = ("clap", "clap_audio_model")
# What a file of both towers has beside the sound's.
_BESIDE = ("text_model.", "text_projection.", "logit_scale")
_PADDINGS: Mapping[str, Padding] = {
    "repeatpad": "repeat-whole",
    "repeat": "repeat",
    "pad": "zeros",
}
Longer = Literal["always", "truth"]
_SECOND = Wave(np.sin(np.arange(8_000, dtype=np.float32)), 8_000)  # to measure vectors by


@dataclass(frozen=True, kw_only=True)
class Hearing:
    """How a sound becomes CLAP's input.

    Attributes:
        mel: The front end.
        seconds: Window of the network.
        fused: Whether it takes the whole and three parts of a sound, else one part.
        padding: How a shorter sound fills the window.
        longer: Which sounds are treated as longer than it.
    """

    mel: Mel = CLAP_FUSED
    seconds: float = 10.0
    fused: bool = True
    padding: Padding = "repeat-whole"
    longer: Longer = "always"

    def __call__(self, sounds: Sequence[Any]) -> Inputs:
        """Sounds, decoded (`Wave`) or not (`SoundSource`), as the network's input.

        Raises:
            MediaError: One cannot be decoded.
        """
        heard = [
            clap_views(wave, self.mel, seconds=self.seconds, fused=self.fused, padding=self.padding)
            for wave in waves_of(sounds, self.mel.rate)
        ]
        longer = torch.tensor([[one.longer or self.longer == "always"] for one in heard])
        return torch.stack([one.views for one in heard]), longer


class ClapTower(nn.Module):
    """The sound tower of CLAP with its projection.

    Args:
        model: transformers' ClapAudioModelWithProjection.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, views: Float[Tensor, "n v f m"], longer: Bool[Tensor, "n 1"]) -> Tensor:
        """Vectors (n, d) of log-mel views, not yet unit."""
        vectors: Tensor = self.model(input_features=views, is_longer=longer).audio_embeds
        return vectors


def empty(architecture: Mapping[str, Any]) -> ClapTower:
    """The tower of an architecture, freshly initialised."""
    import transformers

    config = transformers.ClapAudioConfig(**architecture["config"])
    return ClapTower(transformers.ClapAudioModelWithProjection(config))


def load(spec: Spec, device: torch.device) -> Sense:
    """The sound tower of a CLAP model.

    Raises:
        UnknownEncoderError: The hub has no such model, or it is no CLAP.
        WeightsError: Weights are absent, damaged, not finite, or fit only in part.
        EncoderError: The front end that it asks for is not offered.
        UsageError: An option is none.
    """
    import transformers

    check_options(spec, ("longer", "padding", "windows"))
    folder = tower_folder(spec)
    content = tower_config(folder, "audio_config")
    if content.get("model_type") not in _TYPES:
        raise UnknownEncoderError(
            f"{spec} is of the type {content.get('model_type')!r}, and this source reads "
            f"{' and '.join(_TYPES)}."
        )
    config = config_of(transformers.ClapAudioConfig, content)
    hearing = _hearing(folder, config, spec)
    architecture = {"source": "clap", "config": essential(config)}
    module = empty(architecture)
    pour(module.model, tower_state(folder, _BESIDE), str(spec))
    return sealed_sense(
        spec,
        "sound",
        architecture,
        module.float(),
        prepare=hearing,
        preparation={"front": "clap", "version": 1, **plain(hearing)},
        example=hearing([_SECOND]),
        device=device,
    )


def _hearing(folder: Path, config: Any, spec: Spec) -> Hearing:
    """The front end of a folder, changed by the options of `spec`.

    Raises:
        EncoderError: It has no equal here, or does not fit the network.
    """
    path, written = folder / _PROCESSOR, {}
    if path.is_file():
        written = dict(files.as_mapping(files.read_json(path), path))
    truncation = written.get("truncation", "fusion" if config.enable_fusion else "rand_trunc")
    windows = _choice(spec, "windows", ("fused", "one"), _windows(truncation, spec))
    if (windows == "fused") != bool(config.enable_fusion):
        fits = "fused" if config.enable_fusion else "one"
        raise EncoderError(
            f"{spec}: the network takes {fits} windows and its front end gives {windows}. Write "
            f"?windows={fits}, or take the {_PROCESSOR} that belongs to it."
        )
    fused = windows == "fused"
    if written.get("top_db") is not None:
        raise EncoderError(f"{spec} asks for top_db in {_PROCESSOR}, which is not offered.")
    mel = _mel(written, config, fused)
    if mel.bands != config.num_mel_bins:
        raise EncoderError(
            f"{spec}: {_PROCESSOR} makes {mel.bands} bands and the network takes "
            f"{config.num_mel_bins}. Take the one that belongs to it."
        )
    padding = _choice(spec, "padding", tuple(_PADDINGS), written.get("padding", "repeatpad"))
    longer: Longer = "always"
    if _choice(spec, "longer", get_args(Longer), longer) == "truth":
        longer = "truth"
    return Hearing(
        mel=mel,
        seconds=float(written.get("max_length_s", 10)),
        fused=fused,
        padding=_PADDINGS[padding],
        longer=longer,
    )


def _mel(written: Mapping[str, Any], config: Any, fused: bool) -> Mel:
    """The front end as written; what is not, as published."""
    return Mel(
        rate=int(written.get("sampling_rate", CLAP_FUSED.rate)),
        window=int(written.get("fft_window_size", CLAP_FUSED.window)),
        hop=int(written.get("hop_length", CLAP_FUSED.hop)),
        bands=int(written.get("feature_size", config.num_mel_bins)),
        low=float(written.get("frequency_min", CLAP_FUSED.low)),
        high=float(written.get("frequency_max", CLAP_FUSED.high)),
        scale="htk" if fused else "slaney",
        equal_area=not fused,
    )


def _windows(truncation: str, spec: Spec) -> str:
    known = {"fusion": "fused", "rand_trunc": "one"}
    if truncation not in known:
        raise EncoderError(
            f"{spec} asks for the truncation {truncation!r} in {_PROCESSOR}; offered are "
            f"{' and '.join(known)}."
        )
    return known[truncation]


def _choice(spec: Spec, option: str, known: Sequence[str], default: str) -> str:
    text = spec.options.get(option, default)
    if text not in known:
        raise UsageError(f"In {spec}, {option} is one of {', '.join(known)}, not {text!r}.")
    return text
