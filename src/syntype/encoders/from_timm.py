"""timm: any of its image models, as pooled features without the classifier.

    timm:resnet50.a1_in1k            a name and pretrained tag of timm's registry
    timm:hf-hub:BVRA/MegaDescriptor-L-384
    timm:/models/net                 a folder in the hub's format: config.json, model.safetensors

The vector is timm's own `num_classes=0` output. For CLIP towers of timm that is what lies before
the projection; take those from `open_clip` instead. The input is that of timm's evaluation
transform at the model's training size.

How timm could give random weights, and what is done about it: `pretrained=False` is the default
(weights are always asked for); another number of classes than the checkpoint's makes the loading
loose (models are built with the checkpoint's own number, and the classifier is taken off after);
some families load loosely always (the report of the loading is kept and refused if a key is
missing); a registry name without weights warns in places (it is an error here).
"""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from syntype import files
from syntype.data.preprocess import Preprocess
from syntype.encoders import hub
from syntype.encoders.encoder import Encoder
from syntype.encoders.spec import (
    EncoderPlan,
    Fit,
    Spec,
    WeightsState,
    check_options,
    close_matches,
    local_path,
    looks_like_path,
)
from syntype.encoders.weights import readable, recorded_loading, refuse_keys, sealed_encoder
from syntype.errors import EncoderError, UnknownEncoderError, WeightsError

_FILES = ("model.safetensors", "pytorch_model.bin")
_FITS: Mapping[str, Fit] = {"center": "crop", "squash": "squash", "border": "pad"}


def check_name(name: str) -> None:
    """Refuse a name that timm's registry does not hold.

    Raises:
        UnknownEncoderError: The message lists close matches.
    """
    import timm

    architecture, _, tag = name.partition(".")
    if not timm.is_model(architecture):
        raise UnknownEncoderError(
            f"timm has no model {name!r}.{close_matches(architecture, timm.list_models())} "
            "timm.list_pretrained() lists all."
        )
    tags = [full.partition(".")[2] for full in timm.list_pretrained(f"{architecture}.*")]
    if tag and tag not in tags:
        raise UnknownEncoderError(
            f"timm's {architecture} has no pretrained tag {tag!r}, but "
            f"{', '.join(tags) or 'none at all'}."
        )


def registered_config(name: str) -> dict[str, Any]:
    """What timm knows of a registered name: input, normalisation, where its weights are.

    Raises:
        UnknownEncoderError: There is no such name.
    """
    import timm

    check_name(name)
    return dict(timm.get_pretrained_cfg(name).to_dict())


def to_preprocess(config: Mapping[str, Any], name: str) -> Preprocess:
    """The evaluation transform of timm as a `Preprocess`.

    Args:
        config: `input_size`, `crop_pct`, `crop_mode`, `interpolation`, `mean`, `std`.
        name: For the messages.

    Raises:
        EncoderError: The transform has no equal here; the message says which part.
    """
    channels, height, width = config["input_size"]
    if channels != 3 or height != width:
        raise EncoderError(f"{name} takes {channels} x {height} x {width}; it must be 3 x s x s.")
    if config["interpolation"] not in ("bicubic", "bilinear"):
        raise EncoderError(f"{name} resizes by {config['interpolation']}, which is not offered.")
    resize_to = math.floor(height / config["crop_pct"])
    fit = _FITS.get(config["crop_mode"])
    if fit is None or (fit != "crop" and resize_to != height):
        raise EncoderError(
            f"{name} prepares pictures by crop_mode={config['crop_mode']} with crop_pct="
            f"{config['crop_pct']}, which is not offered; choose another tag of this model."
        )
    fills = {round(255 * level) for level in config["mean"]} if fit == "pad" else {0}
    if len(fills) != 1:
        raise EncoderError(f"{name} pads with a colour; only grey is offered.")
    return Preprocess(
        size=height,
        fit=fit,
        resize_to=resize_to if resize_to != height else 0,
        interpolation=config["interpolation"],
        mean=tuple(config["mean"]),
        std=tuple(config["std"]),
        fill=fills.pop(),
    )


def empty(architecture: Mapping[str, Any]) -> nn.Module:
    """The network of an architecture, without classifier, freshly initialised."""
    import timm

    return timm.create_model(
        architecture["name"], pretrained=False, num_classes=0, **architecture["arguments"]
    )


def width(name: str, arguments: Mapping[str, Any]) -> int | None:
    """Length of the vectors, from an instance on the meta device, which costs no memory."""
    try:
        with torch.device("meta"):
            module = empty({"name": name, "arguments": arguments})
    except Exception:  # some constructors compute with their weights; the plan then says unknown
        return None
    found = getattr(module, "head_hidden_size", None) or getattr(module, "num_features", None)
    return int(found) if found else None


def _is_folder(spec: Spec) -> bool:
    return spec.name.startswith("local-dir:") or looks_like_path(spec.name)


def _folder_config(folder: Path) -> tuple[str, dict[str, Any], dict[str, Any]]:
    """Architecture, input configuration and arguments in the config.json of a folder.

    Raises:
        WeightsError: There is no config.json.
        EncoderError: It is not timm's.
        UnknownEncoderError: It names an architecture that timm does not have.
    """
    from timm.models import PretrainedCfg

    path = folder / "config.json"
    if not path.is_file():
        raise WeightsError(
            f"There is no config.json in {folder}. A timm folder holds config.json and "
            f"{' or '.join(_FILES)}, as timm.models.save_for_hf writes them."
        )
    content = files.as_mapping(files.read_json(path), path)
    if "architecture" not in content:
        raise EncoderError(
            f"{path} names no timm architecture; for a transformers model write transformers:PATH."
        )
    check_name(content["architecture"])
    elsewhere = {"url", "file", "hf_hub_id", "hf_hub_filename", "source", "custom_load"}
    config = PretrainedCfg().to_dict()
    # Older exports keep everything on one level.
    for name, value in {**content, **content.get("pretrained_cfg", {})}.items():
        if name in PretrainedCfg.__dataclass_fields__ and name not in elsewhere:
            config[name] = value
    config["num_classes"] = content.get("num_classes", config["num_classes"])
    # What `config` says better is left out of the arguments.
    arguments = dict(content.get("model_args") or {})
    for name in ("num_classes", "in_chans"):
        arguments.pop(name, None)
    return content["architecture"], config, arguments


def _hub_folder(spec: Spec) -> Path:
    repo = hub.HubRepo.parse(spec.name.removeprefix("hf-hub:"))
    hub.fetch(repo, ["config.json"], str(spec), _FILES[:1])
    return hub.fetch(repo, _FILES, str(spec)).parent


def _registered_weights(spec: Spec, config: Mapping[str, Any]) -> tuple[hub.HubRepo, list[str]]:
    if not config.get("hf_hub_id"):
        raise WeightsError(
            f"timm has no weights on the hub for {spec.name}. Choose one of "
            f"timm.list_pretrained(), or write untrained:{spec.name.partition('.')[0]} if random "
            "weights are meant."
        )
    chosen = config.get("hf_hub_filename")
    return hub.HubRepo.parse(config["hf_hub_id"]), [chosen] if chosen else list(_FILES)


def _created(origin: str, name: str, path: Path, **arguments: Any) -> Any:
    """A model of timm with its weights, or the reason why they are not in.

    Raises:
        WeightsError: A key is missing, unexpected or misshapen, or the file is damaged.
    """
    import timm

    with readable(path), recorded_loading() as reports:
        try:
            module = timm.create_model(name, pretrained=True, **arguments)
        except RuntimeError as error:
            if "state_dict" in str(error) or "checkpoints found" in str(error):
                raise WeightsError(f"The weights of {origin} do not fit: {error}") from error
            raise
    if not reports:
        raise WeightsError(f"timm loaded no weights for {origin}; it would be random.")
    refuse_keys(origin, missing=[key for report in reports for key in report.missing_keys])
    return module


def load(spec: Spec, device: torch.device) -> Encoder:
    """A timm model with its pretrained weights.

    Raises:
        UnknownEncoderError: timm or the hub has no such model.
        WeightsError: Its weights are absent, cannot be fetched, or fit only in part.
        EncoderError: Its preprocessing has no equal here.
    """
    check_options(spec, ())
    if _is_folder(spec) or spec.name.startswith("hf-hub:"):
        folder = local_path(spec.name) if _is_folder(spec) else _hub_folder(spec)
        name, config, arguments = _folder_config(folder)
        preprocess = to_preprocess(config, str(spec))
        path = next((folder / file for file in _FILES if (folder / file).is_file()), None)
        if path is None:
            raise WeightsError(f"{spec}: there is no {' or '.join(_FILES)} in {folder}.")
        source = {**config, "file": str(path)}
        module = _created(str(spec), name, path, pretrained_cfg=source, **arguments)
    else:
        name, config, arguments = spec.name, registered_config(spec.name), {}
        preprocess = to_preprocess(config, str(spec))
        path = hub.fetch(*_registered_weights(spec, config), str(spec))
        module = _created(str(spec), name, path, pretrained_cfg_overlay={"file": str(path)})
    if config.get("fixed_input_size"):
        arguments["img_size"] = preprocess.size
    module.reset_classifier(0)
    architecture = {"source": "timm", "name": name, "arguments": arguments}
    return sealed_encoder(str(spec), architecture, module, preprocess, device)


def plan(spec: Spec) -> EncoderPlan:
    """What `load` would do."""
    check_options(spec, ())
    if _is_folder(spec):
        folder = local_path(spec.name)
        if not (folder / "config.json").is_file():
            return EncoderPlan(name=str(spec), source="timm", weights="missing", where=str(folder))
        found = any((folder / name).is_file() for name in _FILES)
        return _planned(spec, folder, "local" if found else "missing", str(folder), ())
    if spec.name.startswith("hf-hub:"):
        repo = hub.HubRepo.parse(spec.name.removeprefix("hf-hub:"))
        config = hub.cached(repo, ["config.json"])
        weights = hub.cached(repo, _FILES)
        downloads = tuple(
            file for file, at in (("config.json", config), (_FILES[0], weights)) if at is None
        )
        state: WeightsState = "download" if downloads else "cached"
        if config is None:
            return EncoderPlan(
                name=str(spec), source="timm", weights=state, where=str(repo), downloads=downloads
            )
        return _planned(spec, config.parent, state, str(repo), downloads)
    registered = registered_config(spec.name)
    repo, choices = _registered_weights(spec, registered)
    have = hub.cached(repo, choices) is not None
    return EncoderPlan(
        name=str(spec),
        source="timm",
        weights="cached" if have else "download",
        where=str(repo),
        downloads=() if have else (choices[0],),
        size=to_preprocess(registered, str(spec)).size,
        dim=width(spec.name, {}),
    )


def _planned(
    spec: Spec, folder: Path, state: WeightsState, where: str, downloads: tuple[str, ...]
) -> EncoderPlan:
    name, config, arguments = _folder_config(folder)
    return EncoderPlan(
        name=str(spec),
        source="timm",
        weights=state,
        where=where,
        downloads=downloads,
        size=to_preprocess(config, str(spec)).size,
        dim=width(name, arguments),
    )
