"""ImageBind's released file: its licence, its six branches, and the weights of one of them.

    imagebind_huge.pth    a state dict of float32, 4.8 GB: vision, text, audio, depth, thermal, imu

Keys are `modality_PART.BRANCH.`, where the parts are preprocessors, trunks, heads and
postprocessors. The branch that is asked for must be there whole; the others' keys are passed over,
whether they are there or not; a key of neither is refused. The file is mapped into memory, so one
branch costs no more than itself. Sizes are read off the shapes; heads are 80 wide for pictures and
64 for texts and sounds, and the spectrogram's sizes and the stride are those published, since no
shape tells them.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from math import isqrt
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from syntype.encoders.imagebind_towers import empty
from syntype.encoders.spec import Spec, check_options, local_path
from syntype.encoders.weights import pour, readable, refuse_keys
from syntype.errors import UnknownEncoderError, UsageError, WeightsError

Branch = Literal["vision", "text", "audio"]
LICENCE = "CC BY-NC-SA 4.0"
_ACCEPTED = "accepted"
_PARTS = (
    "modality_preprocessors",
    "modality_trunks",
    "modality_heads",
    "modality_postprocessors",
)
_BRANCHES = ("vision", "text", "audio", "depth", "thermal", "imu")
_HEAD_WIDTH: Mapping[Branch, int] = {"vision": 80, "text": 64, "audio": 64}
_VOCABULARY = 49408  # of CLIP's tokenizer
_SPECTROGRAM = {"bands": 128, "frames": 204}
_STRIDE = 10
_MOST_SCALE = 100.0
_MASK = "modality_preprocessors.text.mask"
_PLACES: Mapping[Branch, str] = {
    "vision": "pos_embedding_helper.pos_embed",
    "text": "pos_embed",
    "audio": "pos_embedding_helper.pos_embed",
}


def _architecture(branch: Branch, **sizes: int) -> dict[str, Any]:
    return {"source": "imagebind", "branch": branch, **sizes}


PUBLISHED: Mapping[Branch, Mapping[str, Any]] = {
    "vision": _architecture(
        "vision", size=224, patch=14, frames=2, width=1280, depth=32, heads=16, dim=1024
    ),
    "text": _architecture(
        "text", vocabulary=_VOCABULARY, context=77, width=1024, depth=24, heads=16, dim=1024
    ),
    "audio": _architecture(
        "audio", **_SPECTROGRAM, patch=16, stride=_STRIDE, width=768, depth=12, heads=12, dim=1024
    ),
}
"""The architectures in imagebind_huge.pth."""


@dataclass(frozen=True)
class Weights:
    """One branch of a file, checked against its architecture.

    Attributes:
        architecture: What it is poured into.
        state: The tensors of its tower.
        scale: What its unit vectors are multiplied by in the released model, at most 100; None
            for pictures, which are not.
    """

    architecture: Mapping[str, Any]
    state: Mapping[str, Tensor]
    scale: float | None


def file_of(spec: Spec) -> Path:
    """The file that a spec names, if its licence is accepted in it.

    Raises:
        UnknownEncoderError: It names no file.
        UsageError: The licence is not accepted, or there is another option.
    """
    check_options(spec, ("licence",))
    if not spec.name:
        raise UnknownEncoderError(
            f"{spec} names no file. Write {spec.source}:FILE?licence={_ACCEPTED}, where FILE is "
            "imagebind_huge.pth as Meta released it."
        )
    if spec.options.get("licence") != _ACCEPTED:
        raise UsageError(
            f"{spec}: ImageBind's weights are licensed {LICENCE}: no commercial use, and what is "
            f"adapted from them is shared alike. If you accept that, write "
            f"{spec.source}:{spec.name}?licence={_ACCEPTED}."
        )
    return local_path(spec.name)


def read_file(path: Path) -> dict[str, Tensor]:
    """The state dict of a file, mapped into memory.

    Raises:
        WeightsError: The file is absent, damaged, unsafe, or holds no state dict.
    """
    with readable(path):
        if path.suffix == ".safetensors":
            return load_file(path)
        try:
            state: Any = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
        except RuntimeError as error:
            if "mmap can only be used" not in str(error):
                raise
            raise WeightsError(
                f"{path} is damaged, or not as torch.save writes it since version 1.6. Fetch it "
                "again."
            ) from error
    if not isinstance(state, dict) or not all(isinstance(part, Tensor) for part in state.values()):
        raise WeightsError(f"{path} holds no state dict (names with tensors).")
    return dict(state)


def has_branch(state: Mapping[str, Tensor], branch: Branch) -> bool:
    """Whether a file has anything of a branch."""
    return any(_is_of(name, branch) for name in state)


def weights_of(state: Mapping[str, Tensor], branch: Branch, origin: str) -> Weights:
    """The weights of a branch, all of them, of a whole file or a part of one.

    Raises:
        WeightsError: A key is missing, unknown or of another shape; the message names it.
    """
    unknown = [name for name in state if not any(_is_of(name, one) for one in _BRANCHES)]
    refuse_keys(origin, unexpected=unknown)
    own = {name: tensor for name, tensor in state.items() if _is_of(name, branch)}
    given = {name: tuple(tensor.shape) for name, tensor in own.items()}
    architecture = infer_architecture(given, branch, origin)
    wanted = shapes_of(architecture)
    refuse_keys(
        origin,
        missing=wanted.keys() - given.keys(),
        unexpected=given.keys() - wanted.keys(),
        misshapen=[
            f"{name} {given[name]} for {wanted[name]}"
            for name in wanted.keys() & given.keys()
            if wanted[name] != given[name]
        ],
    )
    beside = {name: own.pop(name) for name in _beside(architecture)}
    _check_mask(beside, origin)
    return Weights(architecture, own, _scale(beside, origin))


def tower_of(weights: Weights, origin: str) -> nn.Module:
    """The tower of a branch with its weights."""
    module = empty(weights.architecture)
    pour(module, weights.state, origin)
    return module


def shapes_of(architecture: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    """The keys that a file has of a branch, with the shapes of their tensors."""
    with torch.device("meta"):
        tower = empty(architecture).state_dict()
    return {name: tuple(part.shape) for name, part in tower.items()} | _beside(architecture)


def infer_architecture(
    shapes: Mapping[str, tuple[int, ...]], branch: Branch, origin: str
) -> dict[str, Any]:
    """The architecture that the shapes of a branch imply.

    Raises:
        WeightsError: Keys that tell it are missing or of another form.
    """
    stem = f"modality_preprocessors.{branch}"
    head = "proj.1" if branch == "text" else "2"
    try:
        _, n_tokens, width = shapes[f"{stem}.{_PLACES[branch]}"]
        dim = shapes[f"modality_heads.{branch}.{head}.weight"][0]
        if branch == "vision":
            _, _, frames, patch, _ = shapes[f"{stem}.rgbt_stem.proj.1.weight"]
            own = {"size": isqrt(n_tokens - 1) * patch, "patch": patch, "frames": frames}
        elif branch == "text":
            own = {"vocabulary": _VOCABULARY, "context": n_tokens}
        else:
            patch = shapes[f"{stem}.rgbt_stem.proj.weight"][-1]
            own = {**_SPECTROGRAM, "patch": patch, "stride": _STRIDE}
    except (KeyError, ValueError, IndexError) as error:
        raise WeightsError(
            f"{origin} has no branch for {branch} as ImageBind's file has it: {error} is missing "
            "or of another form. Its keys begin with modality_preprocessors, modality_trunks and "
            "modality_heads."
        ) from error
    heads, rest = divmod(width, _HEAD_WIDTH[branch])
    if rest or not heads:
        raise WeightsError(
            f"{origin}: its {branch} is {width} wide, which is no whole number of heads of "
            f"{_HEAD_WIDTH[branch]}."
        )
    blocks = f"modality_trunks.{branch}.blocks."
    numbers = {name.removeprefix(blocks).split(".")[0] for name in shapes if blocks in name}
    depth = 1 + max((int(one) for one in numbers if one.isdecimal()), default=-1)
    return _architecture(branch, **own, width=width, depth=depth, heads=heads, dim=dim)


def _is_of(name: str, branch: str) -> bool:
    part, _, rest = name.partition(".")
    return part in _PARTS and rest.startswith(f"{branch}.")


def _beside(architecture: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    """What a file holds of a branch beside its tower: the scale, and the mask of texts."""
    branch = architecture["branch"]
    if branch == "vision":
        return {}
    scale: dict[str, tuple[int, ...]] = {f"modality_postprocessors.{branch}.1.log_logit_scale": ()}
    if branch == "text":
        return scale | {_MASK: (architecture["context"], architecture["context"])}
    return scale


def _check_mask(beside: Mapping[str, Tensor], origin: str) -> None:
    """Refuse a text branch that looks elsewhere than back."""
    if (mask := beside.get(_MASK)) is None:
        return
    if not torch.equal(mask.float(), torch.full(mask.shape, -torch.inf).triu(1)):
        raise WeightsError(
            f"{origin}: {_MASK} does not hide what comes later and nothing else, as ImageBind's "
            "does. Fetch the file again."
        )


def _scale(beside: Mapping[str, Tensor], origin: str) -> float | None:
    for name, tensor in beside.items():
        if name != _MASK:
            if not math.isfinite(log := float(tensor.double())):
                raise WeightsError(f"{origin}: {name} is {log}. Fetch the file again.")
            return min(math.exp(min(log, 700.0)), _MOST_SCALE)
    return None
