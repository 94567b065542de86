"""One tower out of a model that transformers saved: its folder, config and all of its weights.

    FOLDER/config.json, FOLDER/model.safetensors    as `save_pretrained` writes them; also in parts,
                                                    or as pytorch_model.bin
    hf-hub:ORG/NAME[@REVISION]                      the same on the hub

The config may be that of the tower alone (MVRL/ecosound, MVRL/ecosat) or of both towers of a model
(laion/clap-htsat-fused, openai/clip-vit-base-patch16); of the weights, the other tower's keys alone
may be left over. transformers' own loading fills what a file lacks with random numbers; here
nothing is filled.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from syntype import files
from syntype.encoders import hub
from syntype.encoders.spec import Spec, local_path
from syntype.encoders.weights import read_state
from syntype.errors import WeightsError
from syntype.provenance import plain

_CONFIG = "config.json"
_INDEXES = ("model.safetensors.index.json", "pytorch_model.bin.index.json")
_WEIGHTS = ("model.safetensors", _INDEXES[0], "pytorch_model.bin", _INDEXES[1])


def tower_folder(spec: Spec) -> Path:
    """The folder that holds the model of `spec`, fetched from the hub if it is no path.

    Raises:
        UnknownEncoderError: The hub has no such model.
        WeightsError: Its files are absent and cannot be fetched.
    """
    if not spec.name.startswith("hf-hub:"):
        folder = local_path(spec.name)
        if not (folder / _CONFIG).is_file() or _weights_file(folder) is None:
            raise WeightsError(
                f"{folder} does not hold {_CONFIG} and {_WEIGHTS[0]}, as save_pretrained writes "
                "them. Check the path, or name a model of the hub as hf-hub:ORG/NAME."
            )
        return folder
    repo = hub.HubRepo.parse(spec.name.removeprefix("hf-hub:"))
    hub.fetch(repo, [_CONFIG], str(spec), (_CONFIG, _WEIGHTS[0]))
    weights = hub.fetch(repo, _WEIGHTS, str(spec))
    if weights.name in _INDEXES:
        for shard in _shards(weights):
            hub.fetch(repo, [shard], str(spec))
    return weights.parent


def tower_config(folder: Path, part: str) -> dict[str, Any]:
    """The tower's config as it is written.

    Args:
        folder: Of the model.
        part: The key under which a config of both towers has it, for example `audio_config`.
    """
    whole = dict(files.as_mapping(files.read_json(folder / _CONFIG), folder / _CONFIG))
    if part not in whole:
        return whole
    # What both towers share is said once, beside them, and is not repeated in theirs.
    shared = {
        key: whole[key] for key in ("projection_dim", "projection_hidden_act") if key in whole
    }
    return {**(whole[part] or {}), **shared, "model_type": whole.get("model_type", "")}


def tower_state(folder: Path, beside: Sequence[str]) -> dict[str, Tensor]:
    """The tower's weights.

    Args:
        folder: Of the model.
        beside: How the keys of the other tower begin, and of what lies between the two.

    Raises:
        WeightsError: A file is absent or damaged.
    """
    path = _weights_file(folder)
    assert path is not None
    parts = _shards(path) if path.name in _INDEXES else [path.name]
    state = {name: tensor for part in parts for name, tensor in read_state(folder / part).items()}
    return {
        name: tensor
        for name, tensor in state.items()
        # Older versions of transformers saved the numbers of the positions.
        if not name.startswith(tuple(beside)) and not name.endswith("position_ids")
    }


def essential(config: Any) -> dict[str, Any]:
    """What in a config differs from its class's defaults and shapes the network, as plain JSON.

    Versions of transformers add and drop fields with defaults; an identity must outlive that.
    """
    beside = {"_name_or_path", "architectures", "transformers_version", "dtype", "torch_dtype"}
    beside |= {"id2label", "label2id"}  # of a classifier that a tower has not
    defaults = type(config)().to_dict()
    return {
        name: plain(value)
        for name, value in config.to_dict().items()
        if name in defaults and name not in beside and value != defaults[name]
    }


def config_of(kind: Any, content: Mapping[str, Any]) -> Any:
    """A config object of transformers, of a class and what was written, also by old versions."""
    return kind.from_dict({**content, "model_type": kind.model_type})


def _weights_file(folder: Path) -> Path | None:
    return next((folder / name for name in _WEIGHTS if (folder / name).is_file()), None)


def _shards(index: Path) -> list[str]:
    return sorted(set(files.read_json(index)["weight_map"].values()))
