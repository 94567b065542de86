"""Satellite tiles by CLIP's image tower, or by any picture encoder.

    clip-vision:/models/ecosat                        MVRL/ecosat, prepared as TaxaBind does
    clip-vision:hf-hub:openai/clip-vit-base-patch16   what TaxaBind's tower began as
    satellite:timm:vit_small_patch16_224.dino         any picture encoder, with its own preparation
    satellite:open_clip:ViT-B-16/openai

Legend: n tiles, h x w pixels, s x s pixels of the input, d dimensions.

TaxaBind squeezes a tile to 256 x 256 (bilinear, the sides' ratio not kept), cuts the middle 224 x
224 out of it and normalises by ImageNet's mean and deviation, where CLIP itself has others. The
published outputs are not unit vectors; a `Sense`'s are.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from syntype.data.decode import decode
from syntype.data.geometry import fit
from syntype.data.preprocess import Preprocess
from syntype.encoders.encoder import Encoder
from syntype.encoders.from_transformers import empty
from syntype.encoders.load import load_encoder
from syntype.encoders.spec import Spec, check_options, whole_number
from syntype.encoders.weights import pour
from syntype.errors import MediaError, UnknownEncoderError, UsageError
from syntype.provenance import plain
from syntype.senses.sealing import sealed_sense
from syntype.senses.sense import Inputs, Sense
from syntype.senses.towers import config_of, essential, tower_config, tower_folder, tower_state

_TYPES = ("clip", "clip_vision_model")
_BESIDE = ("text_model.", "text_projection.", "logit_scale")
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_MARGIN = 256 / 224  # of the resized side to the one that is cut out of it


@dataclass(frozen=True, kw_only=True)
class Looking:
    """How a tile becomes a network's input.

    Attributes:
        resized: The geometry and normalisation; its size is cut down to `size` afterwards.
        size: s; the middle of the resized tile.
    """

    resized: Preprocess
    size: int

    def __post_init__(self) -> None:
        """Check that there is something to cut out."""
        if not 0 < self.size <= self.resized.size:
            raise UsageError(
                f"{self.size} pixels cannot be cut out of {self.resized.size}: give a larger "
                "?resize=."
            )

    def __call__(self, tiles: Sequence[Any]) -> Inputs:
        """Tiles, as bytes of a picture or as 8-bit RGB (h, w, 3), normalised (n, 3, s, s).

        Raises:
            MediaError: One cannot be decoded; the message names which.
        """
        edge = (self.resized.size - self.size) // 2
        cut = slice(edge, edge + self.size)
        pixels = np.stack([self._pixels(tile, i)[:, cut, cut] for i, tile in enumerate(tiles)])
        mean = torch.tensor(self.resized.mean).view(1, 3, 1, 1)
        std = torch.tensor(self.resized.std).view(1, 3, 1, 1)
        images: Float[Tensor, "n 3 s s"] = (torch.from_numpy(pixels).float() / 255 - mean) / std
        return (images,)

    def _pixels(self, tile: Any, number: int) -> np.ndarray:
        try:
            return fit(decode(tile) if isinstance(tile, bytes) else tile, self.resized)
        except MediaError as error:
            raise MediaError(f"tile {number}: {error}") from error


def taxabind_looking(size: int = 224, resize: int = 0) -> Looking:
    """TaxaBind's preparation of tiles.

    Args:
        size: s.
        resize: Side of the resized tile; 0 keeps TaxaBind's ratio of 256 to 224.

    Raises:
        UsageError: `size` cannot be cut out of `resize`.
    """
    side = resize or round(size * _MARGIN)
    squashed = Preprocess(size=side, fit="squash", interpolation="bilinear", mean=_MEAN, std=_STD)
    return Looking(resized=squashed, size=size)


def load(spec: Spec, device: torch.device) -> Sense:
    """CLIP's image tower with its projection, from a model that transformers saved.

    Raises:
        UnknownEncoderError: The hub has no such model, or it is no CLIP.
        WeightsError: Weights are absent, damaged, not finite, or fit only in part.
        UsageError: An option is none.
    """
    import transformers

    check_options(spec, ("resize",))
    folder = tower_folder(spec)
    content = tower_config(folder, "vision_config")
    if content.get("model_type") not in _TYPES:
        raise UnknownEncoderError(
            f"{spec} is of the type {content.get('model_type')!r}, and this source reads "
            f"{' and '.join(_TYPES)}. Take any other picture encoder as satellite:ENCODER."
        )
    config = config_of(transformers.CLIPVisionConfig, content)
    looking = taxabind_looking(int(config.image_size), whole_number(spec, "resize", 0))
    architecture = {
        "source": "transformers",
        "class": "CLIPVisionModelWithProjection",
        "output": "image_embeds",
        "config": essential(config),
    }
    module = empty(architecture)
    state = tower_state(folder, _BESIDE)
    pour(module, {f"model.{name}": tensor for name, tensor in state.items()}, str(spec))
    return sealed_sense(
        spec,
        "satellite",
        architecture,
        module.float(),
        prepare=looking,
        preparation=_preparation(looking),
        example=looking([_tile(looking.size)]),
        device=device,
    )


def load_picture_encoder(spec: Spec, device: torch.device) -> Sense:
    """Any picture encoder as a sense for tiles: `satellite:` and its own spec.

    Raises:
        UnknownEncoderError: No source or model has that name.
        EncoderError: It cannot be loaded.
        UsageError: An option is wrong.
    """
    if not spec.name:
        raise UnknownEncoderError(
            f"{spec} names no picture encoder. Write its spec behind it, for example "
            "satellite:descriptors."
        )
    inner = str(spec).removeprefix(f"{spec.source}:")
    return from_encoder(load_encoder(inner, str(device)), name=str(spec))


def from_encoder(encoder: Encoder, *, name: str = "") -> Sense:
    """A picture encoder as a sense for tiles; its vectors are those that it gives of pictures.

    Args:
        encoder: Any.
        name: The spec that loads it as a sense; `satellite:` and its own where empty.
    """
    looking = Looking(resized=encoder.preprocess, size=encoder.preprocess.size)
    architecture: Mapping[str, Any] = encoder.architecture
    return Sense(
        name=name or f"satellite:{encoder.name}",
        modality="satellite",
        architecture=architecture,
        weights=encoder.weights,
        preparation=_preparation(looking),
        dim=encoder.dim,
        module=encoder.module,
        prepare=looking,
        device=encoder.device,
    )


def _preparation(looking: Looking) -> Mapping[str, Any]:
    content: Mapping[str, Any] = plain(looking)
    return content


def _tile(size: int) -> np.ndarray:
    return np.full((size, size, 3), 128, np.uint8)
