"""The two ends of every source of a sense: where its weights lie, and the finished `Sense`.

geoclip:/weights/location_encoder_weights.pth
geoclip:/weights/ecogeo                            a folder as the hub stores it
geoclip:hf-hub:MVRL/ecogeo                         from the hub's cache, or downloaded

All of them read a file, a folder or a repository of the hub.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from syntype.encoders import hub
from syntype.encoders.spec import Spec, local_path
from syntype.encoders.weights import check_finite, weights_hash
from syntype.errors import EncoderError, WeightsError
from syntype.senses.sense import Inputs, Modality, Sense

HUB_FILES = ("model.safetensors", "pytorch_model.bin")
"""What a folder written by PyTorchModelHubMixin holds, the preferred one first."""


def weights_path(spec: Spec, choices: Sequence[str] = HUB_FILES) -> Path:
    """The weights file that the name of `spec` means.

    Args:
        spec: Its name is a file, a folder, or `hf-hub:ORG/NAME`.
        choices: Names of the file in a folder or repository, the preferred one first.

    Raises:
        UnknownEncoderError: The hub has no such repository.
        WeightsError: There is nothing, or a folder holds none of `choices`.
    """
    if spec.name.startswith("hf-hub:"):
        repo = hub.HubRepo.parse(spec.name.removeprefix("hf-hub:"))
        return hub.fetch(repo, choices, str(spec))
    path = local_path(spec.name)
    if not path.is_dir():
        return path
    found = [path / name for name in choices if (path / name).is_file()]
    if not found:
        raise WeightsError(
            f"{spec}: the folder {path} holds none of {', '.join(choices)}. Name the file itself."
        )
    return found[0]


def sealed_sense(
    spec: Spec,
    modality: Modality,
    architecture: Mapping[str, Any],
    module: nn.Module,
    *,
    prepare: Callable[..., Inputs],
    preparation: Mapping[str, Any],
    example: Inputs,
    device: torch.device,
    logit_scale: float | None = None,
) -> Sense:
    """The sense of a module whose weights are in: checked, hashed, measured, on its device.

    Args:
        spec: What named it.
        modality: What it takes.
        architecture: What builds the module again, as plain JSON types.
        module: The module with its weights, on the CPU.
        prepare: Makes the module's tensors.
        preparation: What `prepare` does, as plain JSON types.
        example: Tensors of one sample, by which the length of vectors is measured.
        device: Where the module goes.
        logit_scale: As `Sense.logit_scale`.

    Raises:
        WeightsError: Weights are NaN or infinite.
        EncoderError: The module does not turn n samples into n vectors.
    """
    check_finite(module, str(spec))
    module = module.eval()
    with torch.inference_mode():
        vectors = module(*example)
    if not isinstance(vectors, Tensor) or vectors.ndim != 2 or len(vectors) != len(example[0]):
        raise EncoderError(f"{spec} does not give one vector a sample; choose another.")
    return Sense(
        name=str(spec),
        modality=modality,
        architecture=architecture,
        weights=weights_hash(module.state_dict()),
        preparation=preparation,
        dim=int(vectors.shape[1]),
        module=module.to(device),
        prepare=prepare,
        device=device,
        logit_scale=logit_scale,
    )
