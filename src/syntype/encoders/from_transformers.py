"""transformers: vision towers of DINOv2, DINOv3, SigLIP and SigLIP 2, CLIP, MLCD.

    transformers:facebook/dinov2-base
    transformers:/models/mlcd-vit-base-patch32-224

The vector, by family:

    dinov2, dinov2_with_registers, dinov3_vit    class token after the last layer norm
    siglip (also SigLIP 2 of fixed size)         the attention-pooled head
    clip                                         projected `image_embeds`
    clip_vision_model                            `image_embeds` if the model has the projection,
                                                 else class token after post_layernorm (MLCD B, L)
    mlcd, mlcd_vision_model (also RICE)          class token after post_layernorm

SigLIP 2 NaFlex takes patches instead of pictures and is not offered. Text towers are left aside;
take models with texts from `open_clip`. transformers reports keys that it did not find and goes on
with random ones; here that report is read, and only the keys of text towers may be left over.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from syntype import files
from syntype.data.preprocess import Preprocess
from syntype.encoders import hub
from syntype.encoders.encoder import Encoder
from syntype.encoders.spec import (
    EncoderPlan,
    Fit,
    Interpolation,
    Spec,
    WeightsState,
    check_options,
    close_matches,
    local_path,
    looks_like_path,
)
from syntype.encoders.weights import readable, refuse_keys, sealed_encoder
from syntype.errors import EncoderError, UnknownEncoderError, WeightsError
from syntype.provenance import plain

_CONFIG, _PROCESSOR = "config.json", "preprocessor_config.json"
_INDEX = "model.safetensors.index.json"
_FILES = ("model.safetensors", _INDEX, "pytorch_model.bin")
_RESAMPLING: Mapping[int, Interpolation] = {2: "bilinear", 3: "bicubic"}

# model_type of config.json: the class that reads it, and the output that is taken.
_FAMILIES = {
    "clip": ("CLIPVisionModelWithProjection", "image_embeds"),
    "clip_vision_model": ("CLIPVisionModel", "pooler_output"),
    "dinov2": ("Dinov2Model", "pooler_output"),
    "dinov2_with_registers": ("Dinov2WithRegistersModel", "pooler_output"),
    "dinov3_vit": ("DINOv3ViTModel", "pooler_output"),
    "mlcd": ("MLCDVisionModel", "pooler_output"),
    "mlcd_vision_model": ("MLCDVisionModel", "pooler_output"),
    "siglip": ("SiglipVisionModel", "pooler_output"),
    "siglip_vision_model": ("SiglipVisionModel", "pooler_output"),
}

# What an image tower rightly leaves over of a file that holds both towers.
_OTHER_TOWER = ("text_model.", "text_projection.", "logit_scale", "logit_bias")


class VisionTower(nn.Module):
    """A transformers model giving one of its outputs.

    Args:
        model: The model.
        output: Which output.
    """

    def __init__(self, model: nn.Module, output: str) -> None:
        super().__init__()
        self.model, self.output = model, output

    def forward(self, images: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n d"]:
        """Vectors of normalised pictures, not yet unit."""
        return getattr(self.model(pixel_values=images), self.output)


def _family(config: Mapping[str, Any], name: str) -> tuple[str, str]:
    kind = str(config.get("model_type", ""))
    if kind not in _FAMILIES:
        raise UnknownEncoderError(
            f"{name} is of the type {kind!r}.{close_matches(kind, _FAMILIES)} Vision towers of "
            f"these types are read: {', '.join(sorted(_FAMILIES))}."
        )
    if "CLIPVisionModelWithProjection" in (config.get("architectures") or ()):
        return _FAMILIES["clip"]
    return _FAMILIES[kind]


@contextmanager
def _quiet() -> Iterator[None]:
    """Without transformers' progress bars and warnings: what they say is checked here."""
    from transformers.utils import logging

    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()


def _vision_config(folder: Path, family: str) -> Any:
    """The image tower's config, also out of a config for both towers."""
    import transformers

    kind = getattr(transformers, family)
    with _quiet():
        config = kind.config_class.from_pretrained(folder, local_files_only=True)
    whole = files.as_mapping(files.read_json(folder / _CONFIG), folder / _CONFIG)
    if "vision_config" in whole and "projection_dim" in whole:
        config.projection_dim = whole["projection_dim"]
    return config


def empty(architecture: Mapping[str, Any]) -> nn.Module:
    """The vision tower of an architecture, freshly initialised."""
    import transformers

    kind = getattr(transformers, architecture["class"])
    config = kind.config_class(**architecture["config"])
    return VisionTower(kind(config), architecture["output"])


def to_preprocess(processor: Any, name: str) -> Preprocess:
    """An image processor of transformers as a `Preprocess`.

    Raises:
        EncoderError: It asks for something that has no equal here; the message says what.
    """

    def asks(option: str) -> bool:
        return bool(getattr(processor, option, False))

    def refuse(what: str) -> EncoderError:
        return EncoderError(f"{name} asks for {what} in {_PROCESSOR}, which is not offered.")

    if not asks("do_resize") or asks("do_pad") or getattr(processor, "do_thumbnail", False):
        raise refuse("no resizing, or for padding")
    if not asks("do_rescale") or abs(float(processor.rescale_factor) * 255 - 1) > 1e-6:
        raise refuse("another scale than 1/255")
    if int(processor.resample) not in _RESAMPLING:
        raise refuse(f"resample {processor.resample}")
    fit: Fit
    size = {key: value for key, value in dict(processor.size).items() if value is not None}
    crop = dict(processor.crop_size) if asks("do_center_crop") else None
    if crop is not None and crop["height"] != crop["width"]:
        raise refuse(f"a crop of {crop}")
    if set(size) == {"shortest_edge"} and crop is not None:
        fit, resize_to, edge = "crop", int(size["shortest_edge"]), int(crop["height"])
    elif set(size) == {"height", "width"} and size["height"] == size["width"]:
        fit, resize_to, edge = "squash", 0, int(size["height"])
        if crop is not None and crop["height"] != edge:
            raise refuse("squashing and then cropping")
    else:
        raise refuse(f"size {size} {'with' if crop else 'without'} a crop")
    normal = asks("do_normalize")
    return Preprocess(
        size=edge,
        fit=fit,
        resize_to=resize_to if resize_to != edge else 0,
        interpolation=_RESAMPLING[int(processor.resample)],
        mean=tuple(processor.image_mean) if normal else (0.0, 0.0, 0.0),
        std=tuple(processor.image_std) if normal else (1.0, 1.0, 1.0),
    )


def _processor(folder: Path, name: str) -> Preprocess:
    from transformers import AutoImageProcessor

    if not (folder / _PROCESSOR).is_file():
        raise EncoderError(
            f"{name} has no {_PROCESSOR}, so nobody can tell how its pictures were prepared. Copy "
            "that of the model it was made from."
        )
    with _quiet():
        return to_preprocess(AutoImageProcessor.from_pretrained(folder), name)


def _fetched(spec: Spec) -> Path:
    """The folder of a repository, with all its files that matter."""
    repo = hub.HubRepo.parse(spec.name)
    for filename in (_CONFIG, _PROCESSOR):
        hub.fetch(repo, [filename], str(spec), (_CONFIG, _PROCESSOR, _FILES[0]))
    weights = hub.fetch(repo, _FILES, str(spec))
    if weights.name == _INDEX:
        for shard in sorted(set(files.read_json(weights)["weight_map"].values())):
            hub.fetch(repo, [shard], str(spec))
    return weights.parent


def _loaded(folder: Path, family: str, config: Any, origin: str) -> nn.Module:
    """The library's model with every one of its weights.

    Raises:
        WeightsError: Keys are missing, unexpected or misshapen, or the file is damaged.
    """
    import transformers

    with readable(folder), _quiet():
        try:
            model, report = getattr(transformers, family).from_pretrained(
                folder,
                config=config,
                dtype=torch.float32,
                local_files_only=True,
                output_loading_info=True,
            )
        except RuntimeError as error:
            if "mismatch" in str(error):
                raise WeightsError(f"The weights of {origin} do not fit: {error}") from error
            raise
    refuse_keys(
        origin,
        missing=report["missing_keys"],
        unexpected=[
            key
            for key in report["unexpected_keys"]
            if not key.startswith(_OTHER_TOWER) and not key.endswith("position_ids")
        ],
        misshapen=[str(entry) for entry in report["mismatched_keys"]],
    )
    loaded: nn.Module = model
    return loaded


def load(spec: Spec, device: torch.device) -> Encoder:
    """A vision tower of transformers.

    Raises:
        UnknownEncoderError: There is no such repository, or its family is not offered.
        WeightsError: The weights are absent, cannot be fetched, or fit only in part.
        EncoderError: The preprocessing is absent or has no equal here.
    """
    check_options(spec, ())
    folder = local_path(spec.name) if _is_folder(spec) else _fetched(spec)
    if not (folder / _CONFIG).is_file() or not any((folder / name).is_file() for name in _FILES):
        raise WeightsError(
            f"{folder} does not hold {_CONFIG}, {_PROCESSOR} and {_FILES[0]}, as save_pretrained "
            "writes them. Check the path."
        )
    content = files.as_mapping(files.read_json(folder / _CONFIG), folder / _CONFIG)
    family, output = _family(content, str(spec))
    preprocess = _processor(folder, str(spec))
    config = _vision_config(folder, family)
    model = _loaded(folder, family, config, str(spec))
    architecture = {
        "source": "transformers",
        "class": family,
        "output": output,
        "config": _essential(config),
    }
    return sealed_encoder(str(spec), architecture, VisionTower(model, output), preprocess, device)


def _essential(config: Any) -> dict[str, Any]:
    """What differs from the class's defaults and shapes the network, as plain JSON.

    Later versions of transformers add fields with defaults; an identity must outlive that.
    """
    beside = {"_name_or_path", "architectures", "transformers_version", "dtype", "torch_dtype"}
    derived = {"stage_names", "out_features", "out_indices"}
    defaults = type(config)().to_dict()
    return {
        name: value
        for name, value in plain(config.to_dict()).items()
        if name not in beside | derived and plain(defaults.get(name)) != value
    }


def _is_folder(spec: Spec) -> bool:
    return spec.name.startswith("local-dir:") or looks_like_path(spec.name)


def plan(spec: Spec) -> EncoderPlan:
    """What `load` would do."""
    check_options(spec, ())
    state: WeightsState
    downloads: tuple[str, ...] = ()
    if _is_folder(spec):
        folder, where = local_path(spec.name), str(local_path(spec.name))
        here = any((folder / name).is_file() for name in _FILES)
        state = "local" if here and (folder / _CONFIG).is_file() else "missing"
    else:
        repo = hub.HubRepo.parse(spec.name)
        found = {name: hub.cached(repo, [name]) for name in (_CONFIG, _PROCESSOR)}
        found[_FILES[0]] = hub.cached(repo, _FILES)
        where = str(repo)
        downloads = tuple(name for name, at in found.items() if at is None)
        state = "download" if downloads else "cached"
        config_path = found[_CONFIG]
        folder = config_path.parent if config_path else Path(where)
    size, dim = _planned_shape(folder, str(spec))
    return EncoderPlan(
        name=str(spec),
        source=spec.source,
        weights=state,
        where=where,
        downloads=downloads,
        size=size,
        dim=dim,
    )


def _planned_shape(folder: Path, name: str) -> tuple[int | None, int | None]:
    """Input size and dimensions, as far as the files in `folder` tell."""
    path = folder / _CONFIG
    if not path.is_file():
        return None, None
    family, output = _family(files.as_mapping(files.read_json(path), path), name)
    config = _vision_config(folder, family)
    dim = config.projection_dim if output == "image_embeds" else config.hidden_size
    size = _processor(folder, name).size if (folder / _PROCESSOR).is_file() else None
    return size, int(dim)
