"""A small hearing for the CPU, with random weights by explicit request, or trained here.

    untrained:sound-small?seed=0&dim=128     random weights, drawn from the seed
    sound-small:/models/ear.safetensors      weights that `save` wrote

Legend: n sounds, w windows, f frames, m mel bands, d dimensions.

Log-mel windows, each without its mean level, through five convolutions that halve both axes (16 to
256 channels, batch norm, ReLU); mean and maximum over time and frequency; a linear layer. 0.46
million weights; a sound of 5 s takes about 5 ms on one core. The vector of a sound is the mean over
its windows. The front end and the windows are those of `sound-descriptors`.
"""

from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor, nn

from syntype.encoders.spec import Spec, check_options, close_matches, local_path, whole_number
from syntype.encoders.tensor_files import write_tensors
from syntype.encoders.weights import pour, read_state
from syntype.errors import UnknownEncoderError, WeightsError
from syntype.provenance import named_seed, plain
from syntype.senses.sealing import sealed_sense
from syntype.senses.sense import Sense
from syntype.senses.sound_descriptors import EAR_OPTIONS, ear_of

_CHANNELS = (16, 32, 64, 128, 256)
_DIM = 128
_SPREAD = 15.0  # dB, about the deviation of cells of a log-mel spectrogram
UNTRAINED = "sound-small"
"""What `load_untrained` builds."""


def _halving(n_in: int, n_out: int) -> nn.Sequential:
    convolution = nn.Conv2d(n_in, n_out, kernel_size=3, stride=2, padding=1, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(n_out), nn.ReLU())


class SoundSmall(nn.Module):
    """A small convolutional network on log-mel windows.

    Args:
        dim: d.
    """

    def __init__(self, dim: int = _DIM) -> None:
        super().__init__()
        wide = zip((1, *_CHANNELS[:-1]), _CHANNELS, strict=True)
        self.layers = nn.Sequential(*(_halving(n_in, n_out) for n_in, n_out in wide))
        self.head = nn.Linear(2 * _CHANNELS[-1], dim)

    def forward(self, windows: Float[Tensor, "n w f m"]) -> Float[Tensor, "n d"]:
        """Vectors of sounds, not yet unit."""
        flat = windows.flatten(0, 1)
        flat = (flat - flat.mean(dim=(1, 2), keepdim=True)) / _SPREAD
        maps = self.layers(flat[:, None])
        pooled = torch.cat([maps.mean(dim=(2, 3)), maps.amax(dim=(2, 3))], dim=1)
        return self.head(pooled).unflatten(0, windows.shape[:2]).mean(dim=1)


def save(module: SoundSmall, path: Path) -> None:
    """Write the weights so that `sound-small:PATH` loads them.

    Raises:
        ResourceError: The disk is full or the folder may not be written.
    """
    write_tensors(path, module.state_dict())


def load(spec: Spec, device: torch.device) -> Sense:
    """Weights that `save` wrote.

    Raises:
        WeightsError: The file is absent, damaged, not finite, or fits only in part.
        UsageError: An option is none.
    """
    check_options(spec, EAR_OPTIONS)
    path = local_path(spec.name)
    state = read_state(path)
    if "head.weight" not in state:
        raise WeightsError(
            f"{path} holds no weights of sound-small: head.weight is missing. Check the path."
        )
    module = SoundSmall(len(state["head.weight"]))
    pour(module, state, str(spec))
    return as_sense(spec, module, device)


def load_untrained(spec: Spec, device: torch.device) -> Sense:
    """Random weights: options `seed` and `dim` (128) beside those of the ear.

    Raises:
        UnknownEncoderError: The name is not `sound-small`.
        UsageError: An option is none.
    """
    if spec.name != UNTRAINED:
        raise UnknownEncoderError(
            f"There is no untrained sense {spec.name!r}."
            f"{close_matches(spec.name, (UNTRAINED,))} Sounds have {UNTRAINED}."
        )
    check_options(spec, (*EAR_OPTIONS, "seed", "dim"))
    dim, seed = whole_number(spec, "dim", _DIM, least=2), whole_number(spec, "seed", 0)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(named_seed(seed, "untrained sense", spec.name))
        module = SoundSmall(dim)
    return as_sense(spec, module, device)


def as_sense(spec: Spec, module: SoundSmall, device: torch.device) -> Sense:
    """The sense of a module, with the ear that `spec` asks for; for weights trained just now.

    Raises:
        WeightsError: Weights are NaN or infinite.
        UsageError: An option of the ear is none.
    """
    ear = ear_of(spec)
    dim = module.head.out_features
    example = (torch.zeros(1, 1, 64, ear.mel.bands),)
    return sealed_sense(
        spec,
        "sound",
        {"source": "sound-small", "version": 1, "dim": dim},
        module,
        prepare=ear,
        preparation=plain(ear),
        example=example,
        device=device,
    )
