"""open_clip: the image tower of CLIP, SigLIP, BioCLIP and their kin; the text tower on demand.

    open_clip:ViT-H-14/laion2b_s32b_b79k         architecture and pretrained tag
    open_clip:hf-hub:imageomics/bioclip-2        a repository in open_clip's format
    open_clip:local-dir:PATH, open_clip:/PATH    a folder: open_clip_config.json and weights
    open_clip:ViT-B-16@/PATH/epoch_8.pt          a checkpoint of open_clip's own training;
                                                 ?like=TAG takes preprocessing and activation
                                                 of a pretrained tag of the architecture

The vector is what `encode_image` gives, before it is normalised. The module is the image tower
alone; the first call of `encode_texts` reads the file again for the text tower, so that embedding
and training pictures never pay for it. The learned temperature is read with the image tower.

How open_clip gives wrong vectors without an error, and what is done about it: `create_model`
without weights logs a warning (weights are poured in here, over NaN); a tag trained with QuickGELU
in an architecture without it warns (the tag decides here: `ViT-L-14/openai` is right); position
embeddings of another picture size are interpolated silently (refused here); a repository whose
weights cannot be fetched gives a random model (an error here).
"""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

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
from syntype.encoders.text_tower import Texts, TextTower
from syntype.encoders.weights import (
    check_finite,
    poison,
    read_shapes,
    readable,
    refuse_keys,
    sealed_encoder,
)
from syntype.errors import EncoderError, UnknownEncoderError, WeightsError

_CONFIG = "open_clip_config.json"
_FILES = ("open_clip_model.safetensors", "open_clip_pytorch_model.bin")
_FITS: Mapping[str, Fit] = {"shortest": "crop", "squash": "squash", "longest": "pad"}

# Architectures of repositories that are often named, so that a dry run knows their shape before
# anything is downloaded. Loading reads the repository's own config.
_KNOWN = {
    "imageomics/bioclip": "ViT-B-16",
    "imageomics/bioclip-vit-b-16-inat-only": "ViT-B-16",
    "imageomics/biocap": "ViT-B-16",
    "imageomics/bioclip-2": "ViT-L-14",
    "imageomics/bioclip-2.5-vith14": "ViT-H-14",
    "MVRL/taxabind-vit-b-16": "ViT-B-16",
}


@dataclass(frozen=True)
class _Origin:
    """Where one model's weights come from, with what a plan can say without them.

    Attributes:
        state: Whether the weights are here.
        where: Path or repository.
        tokenizer: What open_clip's `get_tokenizer` calls it.
        repo: The repository, if it is one of the hub.
        choices: The repository's weights file, in order of preference.
        path: The weights, if they are here.
        model: The architecture's config; empty as long as only the download can tell.
        preprocess: The `preprocess_cfg`, without defaults.
    """

    state: WeightsState
    where: str
    tokenizer: str
    repo: hub.HubRepo | None = None
    choices: Sequence[str] = _FILES
    path: Path | None = None
    model: Mapping[str, Any] = field(default_factory=dict)
    preprocess: Mapping[str, Any] = field(default_factory=dict)


def _config_of(architecture: str) -> dict[str, Any]:
    import open_clip

    config = open_clip.get_model_config(architecture)
    if config is None:
        raise UnknownEncoderError(
            f"open_clip has no architecture {architecture!r}."
            f"{close_matches(architecture, open_clip.list_models())} open_clip.list_models() "
            "lists all; a folder is written open_clip:local-dir:PATH."
        )
    return dict(config)


def _tag_config(architecture: str, tag: str) -> dict[str, Any]:
    import open_clip

    tags = open_clip.list_pretrained_tags_by_model(architecture)
    found = open_clip.get_pretrained_cfg(architecture, tag)
    if not found:
        raise UnknownEncoderError(
            f"open_clip's {architecture} has no pretrained tag {tag!r}.{close_matches(tag, tags)} "
            f"It has: {', '.join(tags) or 'none'}."
        )
    return dict(found)


def _as_trained(config: dict[str, Any], tag: Mapping[str, Any]) -> dict[str, Any]:
    """The architecture with the activation that the weights of a tag were trained with."""
    return {**config, "quick_gelu": bool(tag.get("quick_gelu", False))}


def _tagged(name: str) -> _Origin:
    architecture, _, tag = name.rpartition("/")
    if not architecture:
        import open_clip

        _config_of(name)  # an unknown architecture is the first thing to say
        raise UnknownEncoderError(
            f"open_clip:{name} names no weights, and would be random. "
            f"Add a tag, open_clip:{name}/TAG, one of: "
            f"{', '.join(open_clip.list_pretrained_tags_by_model(name)) or 'none'}."
        )
    config, pretrained = _config_of(architecture), _tag_config(architecture, tag)
    location = pretrained.get("hf_hub", "")
    if not location:
        raise WeightsError(
            f"open_clip:{name} is not on the hub. Download {pretrained.get('url')} and write "
            f"open_clip:{architecture}@/path/to/the/file?like={tag}."
        )
    repository, _, filename = location.rpartition("/")
    repo, choices = hub.HubRepo.parse(repository), _alternatives(filename)
    path = hub.cached(repo, choices)
    return _Origin(
        state="cached" if path else "download",
        where=str(repo),
        tokenizer=architecture,
        repo=repo,
        choices=choices,
        path=path,
        model=_as_trained(config, pretrained),
        preprocess=pretrained,
    )


def _alternatives(filename: str) -> Sequence[str]:
    """The hub's names for one weights file; safetensors before pickles."""
    stem, dot, suffix = filename.rpartition(".")
    if not filename:
        return _FILES
    return (f"{stem}.safetensors", filename) if dot and suffix in ("bin", "pth") else (filename,)


def _from_hub(name: str) -> _Origin:
    repo = hub.HubRepo.parse(name.removeprefix("hf-hub:"))
    config, path = hub.cached(repo, [_CONFIG]), hub.cached(repo, _FILES)
    here = config is not None and path is not None
    known = {"model_cfg": _config_of(_KNOWN[repo.name])} if repo.name in _KNOWN else {}
    content = _read_config(config) if config else known
    return _Origin(
        state="cached" if here else "download",
        where=str(repo),
        tokenizer=f"hf-hub:{repo.name}",
        repo=repo,
        path=path,
        model=content.get("model_cfg", {}),
        preprocess=content.get("preprocess_cfg", {}),
    )


def _from_folder(name: str) -> _Origin:
    folder = local_path(name)
    content = _read_config(folder / _CONFIG) if (folder / _CONFIG).is_file() else {}
    path = next((folder / file for file in _FILES if (folder / file).is_file()), None)
    return _Origin(
        state="local" if content and path else "missing",
        where=str(folder),
        tokenizer=f"local-dir:{folder}",
        path=path,
        model=content.get("model_cfg", {}),
        preprocess=content.get("preprocess_cfg", {}),
    )


def _from_file(spec: Spec) -> _Origin:
    architecture, _, file = spec.name.partition("@")
    path = Path(file).expanduser()
    config = _config_of(architecture)
    if "like" in spec.options:
        pretrained = _tag_config(architecture, spec.options["like"])
        config = _as_trained(config, pretrained)
    else:
        pretrained = _agreed_preprocess(architecture, str(spec))
    return _Origin(
        state="local" if path.is_file() else "missing",
        where=str(path),
        tokenizer=architecture,
        path=path if path.is_file() else None,
        model=config,
        preprocess=pretrained,
    )


def _agreed_preprocess(architecture: str, spec: str) -> dict[str, Any]:
    """The preprocessing of all tags of an architecture, if they agree; else nobody can tell."""
    import open_clip

    tags = open_clip.list_pretrained_tags_by_model(architecture)
    forms = {to_preprocess(_tag_config(architecture, tag), 224): tag for tag in tags}
    if len(forms) > 1:
        raise EncoderError(
            f"The pretrained {architecture} were trained on pictures prepared in several ways, and "
            f"the file of {spec} does not say in which. Add ?like=TAG, for example "
            f"{' or '.join(sorted(forms.values()))}."
        )
    return _tag_config(architecture, tags[0]) if tags else {}


def _read_config(path: Path) -> dict[str, Any]:
    content = files.as_mapping(files.read_json(path), path)
    if "model_cfg" not in content:
        raise EncoderError(f"{path} has no model_cfg, so it is not in open_clip's format.")
    return dict(content)


def _origin(spec: Spec) -> _Origin:
    """Where the model of `spec` is.

    Raises:
        UnknownEncoderError: There is no such architecture, tag or repository name.
        UsageError: The options are wrong.
    """
    is_file = "@" in spec.name and not spec.name.startswith(("hf-hub:", "local-dir:", "/", "."))
    check_options(spec, ("like",) if is_file else ())
    if spec.name.startswith("hf-hub:"):
        return _from_hub(spec.name)
    if spec.name.startswith("local-dir:") or looks_like_path(spec.name):
        return _from_folder(spec.name)
    return _from_file(spec) if is_file else _tagged(spec.name)


def to_preprocess(config: Mapping[str, Any], size: int | Sequence[int]) -> Preprocess:
    """open_clip's `preprocess_cfg`, with its defaults, as a `Preprocess`.

    Args:
        config: The entries that are set.
        size: The image tower's input, which overrules that of `config`, as in open_clip.

    Raises:
        EncoderError: The input is not square.
    """
    from open_clip.transform import PreprocessCfg, merge_preprocess_dict

    merged = merge_preprocess_dict(PreprocessCfg(), dict(config))
    sides = {size} if isinstance(size, int) else set(size)
    if len(sides) != 1:
        raise EncoderError(f"The input of this model is {size}; only square ones are offered.")
    return Preprocess(
        size=sides.pop(),
        fit=_FITS[merged["resize_mode"]],
        # open_clip's `random` is for training; its evaluation transform is bicubic then.
        interpolation="bilinear" if merged["interpolation"] == "bilinear" else "bicubic",
        mean=_three(merged["mean"]),
        std=_three(merged["std"]),
        fill=int(merged["fill_color"]) if merged["resize_mode"] == "longest" else 0,
    )


def _three(values: Any) -> tuple[float, float, float]:
    first, second, third = values if isinstance(values, list | tuple) else (values,) * 3
    return float(first), float(second), float(third)


def _empty_pair(config: Mapping[str, Any]) -> nn.Module:
    """Both towers, freshly initialised; nothing is fetched for either."""
    from open_clip import model as models
    from open_clip.coca_model import CoCa

    parts = deepcopy(dict(config))
    is_custom = parts.pop("custom_text", False) or "hf_model_name" in parts["text_cfg"]
    if "timm_model_name" in parts["vision_cfg"]:
        parts["vision_cfg"]["timm_model_pretrained"] = False
    if "hf_model_name" in parts["text_cfg"]:
        parts["text_cfg"]["hf_model_pretrained"] = False
    if not is_custom:
        return models.CLIP(**parts)
    return CoCa(**parts) if "multimodal_cfg" in parts else models.CustomTextCLIP(**parts)


def empty(architecture: Mapping[str, Any]) -> nn.Module:
    """The image tower of an architecture, freshly initialised, without its text tower."""
    from open_clip.model import _build_vision_tower

    vision = dict(architecture["vision_cfg"])
    if "timm_model_name" in vision:
        vision["timm_model_pretrained"] = False
    tower: nn.Module = _build_vision_tower(
        architecture["embed_dim"], vision, architecture["quick_gelu"]
    )
    return _pooled(tower)


def _pooled(tower: nn.Module) -> nn.Module:
    """The tower, giving the pooled vector alone: CoCa's gives the tokens besides."""
    if getattr(tower, "output_tokens", False):
        tower.output_tokens = False  # type: ignore[assignment]
    return tower


def _loaded_pair(config: Mapping[str, Any], path: Path, origin: str) -> nn.Module:
    """Both towers with the weights of a file, every one of them.

    Raises:
        WeightsError: Keys are missing, unexpected or misshapen, or the file is damaged.
    """
    import open_clip

    if path.suffix in (".npz", ".npy"):
        raise WeightsError(f"{path} is in JAX's format; load the same model's safetensors.")
    pair = _empty_pair(config)
    _refuse_interpolation(pair, read_shapes(path), origin)
    poison(pair)
    with readable(path):
        try:
            open_clip.load_checkpoint(pair, str(path), strict=True, weights_only=True)
        except RuntimeError as error:
            if "state_dict" in str(error):
                raise WeightsError(f"The weights of {origin} do not fit: {error}") from error
            raise
    check_finite(pair, origin)
    return pair


def _refuse_interpolation(
    pair: nn.Module, shapes: Mapping[str, tuple[int, ...]], origin: str
) -> None:
    wanted = {name: tuple(tensor.shape) for name, tensor in pair.state_dict().items()}
    refuse_keys(
        origin,
        misshapen=[
            f"{name} {shape} for {wanted[name]}"
            for name, shape in shapes.items()
            if name.endswith("positional_embedding") and wanted.get(name, shape) != shape
        ],
    )


class _TextSide(nn.Module):
    """Both towers without the image tower, from tokens to vectors."""

    def __init__(self, pair: nn.Module) -> None:
        super().__init__()
        pair.visual = nn.Identity()
        for name in ("logit_scale", "logit_bias"):  # they belong to the loss
            if getattr(pair, name, None) is not None:
                delattr(pair, name)
        self.pair: Any = pair

    def forward(self, tokens: Int[Tensor, "t c"]) -> Float[Tensor, "t d"]:
        """Vectors of texts, of any length."""
        found: Tensor = self.pair.encode_text(tokens)
        return found


def empty_text(architecture: Mapping[str, Any]) -> TextTower:
    """The text tower of an architecture, freshly initialised, with its tokenizer."""
    pair = _empty_pair(architecture["model"])
    return _text_tower(pair, architecture, str(architecture["tokenizer"]))


def _text_tower(pair: Any, architecture: Mapping[str, Any], name: str) -> TextTower:
    import open_clip

    scale, bias = (getattr(pair, part, None) for part in ("logit_scale", "logit_bias"))
    try:
        tokenizer = open_clip.get_tokenizer(architecture["tokenizer"])
    except (OSError, ValueError) as error:
        raise WeightsError(
            f"The tokenizer of {name} cannot be loaded. Where there is network, run `hf "
            "download` for the repository that text_cfg names as hf_tokenizer_name; a local "
            f"folder must hold the tokenizer's files. ({error})"
        ) from error
    return TextTower(
        module=_TextSide(pair),
        tokenize=lambda texts: tokenizer(list(texts)),
        architecture=architecture,
        identity={
            "source": "open_clip",
            "embed_dim": architecture["model"]["embed_dim"],
            "quick_gelu": bool(architecture["model"].get("quick_gelu", False)),
            "text_cfg": dict(architecture["model"]["text_cfg"]),
        },
        logit_scale=None if scale is None else float(scale.detach().double().exp()),
        logit_bias=None if bias is None else float(bias.detach().double()),
    )


def _read_text(name: str, origin: _Origin, path: Path) -> TextTower:
    pair = _loaded_pair(origin.model, path, name)
    return _text_tower(pair, _text_architecture(origin), name)


def _text_architecture(origin: _Origin) -> dict[str, Any]:
    return {"source": "open_clip", "model": dict(origin.model), "tokenizer": origin.tokenizer}


def load(spec: Spec, device: torch.device) -> Encoder:
    """The image tower of an open_clip model, with its texts.

    Raises:
        UnknownEncoderError: There is no such architecture, tag or repository.
        WeightsError: The weights are absent, cannot be fetched, or fit only in part.
        EncoderError: The preprocessing is unclear or has no equal here.
    """
    origin = _origin(spec)
    if origin.state == "missing":
        raise WeightsError(
            f"{spec}: {origin.where} is not there or lacks what open_clip needs: {_CONFIG} and "
            f"{' or '.join(_FILES)} in a folder, or a checkpoint file after ARCHITECTURE@."
        )
    path = origin.path
    if origin.repo is not None:
        if spec.name.startswith("hf-hub:"):
            hub.fetch(origin.repo, [_CONFIG], str(spec), _FILES[:1])
        path = hub.fetch(origin.repo, origin.choices, str(spec))
        if spec.name.startswith("hf-hub:"):
            origin = _from_hub(spec.name)
    assert path is not None
    pair: Any = _loaded_pair(origin.model, path, str(spec))
    tower: Any = _pooled(pair.visual)
    preprocess = to_preprocess(origin.preprocess, tower.image_size)
    read = partial(_read_text, str(spec), origin, path)
    texts = Texts(str(spec), read, device)
    architecture = {
        "source": "open_clip",
        "embed_dim": origin.model["embed_dim"],
        "quick_gelu": bool(origin.model.get("quick_gelu", False)),
        "vision_cfg": dict(origin.model["vision_cfg"]),
    }
    encoder = sealed_encoder(str(spec), architecture, tower, preprocess, device)
    scale = float(pair.logit_scale.detach().double().exp())
    return replace(
        encoder,
        encode_texts=texts,
        logit_scale=scale,
        text_identity=texts.identity,
        text_tower=read,
    )


def plan(spec: Spec) -> EncoderPlan:
    """What `load` would do."""
    origin = _origin(spec)
    downloads: tuple[str, ...] = ()
    if origin.repo is not None and origin.path is None:
        downloads = (origin.choices[0],)
    if spec.name.startswith("hf-hub:") and origin.state == "download":
        downloads = (_CONFIG, *downloads)
    size = origin.model.get("vision_cfg", {}).get("image_size", 224) if origin.model else None
    return EncoderPlan(
        name=str(spec),
        source=spec.source,
        weights=origin.state,
        where=origin.where,
        downloads=downloads,
        size=size if size is None or isinstance(size, int) else size[0],
        dim=origin.model.get("embed_dim"),
    )
